//! The command line of the histories, the sequences and the soak; `cargo xtask proof` and `cargo xtask soak` call it.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use winddown_proof::histories::campaign::campaign;
use winddown_proof::sequence::shrink;
use winddown_proof::soak::Soak;

/// What was asked for.
#[derive(Debug)]
struct Args {
    what: String,
    minutes: Option<f64>,
    count: Option<u64>,
    seed: u64,
    tries: usize,
    kind: Option<String>,
    threads: Option<usize>,
}

const USAGE: &str = "histories | sequences | soak [--minutes N | --count N] [--seed N] [--tries N] \
                     [--kind NAME] [--threads N]";

impl Args {
    fn parse() -> Option<Self> {
        let mut given = std::env::args().skip(1);
        let what = given.next()?;
        // A seed that nobody names differs from run to run, and is told.
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
        let mut args = Self {
            what,
            minutes: None,
            count: None,
            seed: now,
            tries: 1,
            kind: None,
            threads: None,
        };
        while let Some(option) = given.next() {
            let value = given.next()?;
            match option.as_str() {
                "--minutes" => args.minutes = Some(number(&value)?),
                "--count" => args.count = Some(number(&value)?),
                "--seed" => args.seed = number(&value)?,
                "--tries" => args.tries = number(&value)?,
                "--kind" => args.kind = Some(value),
                "--threads" => args.threads = Some(number(&value)?),
                _ => return None,
            }
        }
        Some(args)
    }

    fn end(&self) -> Option<Instant> {
        let minutes = self.minutes.or(if self.count.is_none() { Some(1.0) } else { None })?;
        Some(Instant::now() + Duration::from_secs_f64(60.0 * minutes))
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn main() -> ExitCode {
    let Some(args) = Args::parse() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let result = match args.what.as_str() {
        "histories" => histories(&args),
        "sequences" => sequences(&args),
        "soak" => soak(&args),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            println!("{report}");
            ExitCode::FAILURE
        }
    }
}

fn histories(args: &Args) -> Result<(), String> {
    println!("histories, from seed {}", args.seed);
    let tell = |name: &str, tally| println!("{name}: {tally}");
    let kind = args.kind.as_deref();
    let all = campaign(kind, args.seed, args.count, args.tries, args.end(), tell)?;
    println!("all: {all}");
    Ok(())
}

fn sequences(args: &Args) -> Result<(), String> {
    println!("sequences, from seed {}", args.seed);
    let (sequences, calls) = shrink::campaign(args.seed, args.count, args.end())?;
    println!("{sequences} sequences with {calls} calls");
    Ok(())
}

fn soak(args: &Args) -> Result<(), String> {
    let mut soak = Soak::new(args.seed);
    (soak.rounds, soak.end) = (args.count, args.end());
    soak.threads = args.threads.unwrap_or(soak.threads);
    println!("soak, from seed {}: {} threads act", soak.seed, soak.threads);
    let done = soak.run(|done| println!("{done}"))?;
    println!("{done}");
    Ok(())
}
