//! The tests of a world: which mutants each gets to, and how it fares with one of them in.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use wait_timeout::ChildExt as _;

use super::tree::{Tree, World};

/// How many tests run at a time: of some mutants, they hang and do nothing.
const THREADS: usize = 6;
/// A test hangs that takes so many times what it took without a mutant, and this long in addition.
const TIMES: u32 = 5;
const IN_ADDITION: Duration = Duration::from_secs(8);
/// Kilobytes of address space for a test, which an endless loop might fill.
const MEMORY: &str = "12000000";

/// Tests that take longer are for large sizes, and are left out unless they are asked for.
const SLOW: Duration = Duration::from_secs(3);

/// What became of a mutant.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Outcome {
    Unreached,
    Survives,
    Fails,
    Hangs,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreached => "does not get to it",
            Self::Survives => "does not notice",
            Self::Fails => "fails",
            Self::Hangs => "hangs",
        })
    }
}

/// A test, as it is without mutants.
#[derive(Debug)]
struct Test {
    program: PathBuf,
    name: String,
    takes: Duration,
    reaches: BTreeSet<usize>,
}

/// The tests of a world.
#[derive(Debug)]
pub(super) struct Tests {
    tests: Vec<Test>,
    outcomes: PathBuf,
}

impl Tests {
    /// Builds them, and runs each alone.
    pub(super) fn build(tree: &Tree, world: &World, slow: bool) -> Result<Self> {
        let begin = Instant::now();
        let mut names = Vec::new();
        for program in tree.build(world)? {
            let list = Command::new(&program).args(["--list", "--format=terse"]).output()?;
            let list = String::from_utf8(list.stdout)?;
            let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
            names.extend(tests.map(|name| (program.clone(), name.to_owned())));
        }
        let built = begin.elapsed();
        let folder = tempfile::tempdir()?;
        let tests = in_parallel(&names, |at, (program, name)| {
            let reached = folder.path().join(at.to_string());
            let begin = Instant::now();
            let patience = if slow { Duration::MAX } else { SLOW };
            let ran = run(program, &[name], "WINDDOWN_REACHED", &reached, patience)?;
            ensure!(!matches!(ran, Ran::Fails(_)), "{name} fails without any mutant");
            let text = fs::read_to_string(&reached).unwrap_or_default();
            let reaches = text.lines().map(str::parse).collect::<Result<_, _>>()?;
            let (program, name, takes) = (program.clone(), name.clone(), begin.elapsed());
            let test = Test { program, name, takes, reaches };
            Ok(matches!(ran, Ran::Passes).then_some(test))
        })?;
        let mut tests: Vec<Test> = tests.into_iter().flatten().collect();
        tests.sort_by_key(|it| it.takes);
        println!(
            "{}: {} of {} tests, built in {built:.0?}, run in {:.0?}",
            world.name,
            tests.len(),
            names.len(),
            begin.elapsed() - built
        );
        let outcomes = tree.root().with_file_name(format!("outcomes-{}.txt", world.name));
        Ok(Self { tests, outcomes })
    }

    /// Runs the tests that get to each of `mutants` with it in, until one fails.
    pub(super) fn judge(
        &self,
        mutants: &BTreeSet<usize>,
        names: &[String],
    ) -> Result<Vec<(usize, Outcome)>> {
        let mutants: Vec<usize> = mutants.iter().copied().collect();
        let log = Mutex::new(File::create(&self.outcomes)?);
        in_parallel(&mutants, |_, &mutant| {
            let (outcome, test) = self.outcome(mutant)?;
            let line = format!("{outcome}: {}: {test}", names[mutant]);
            writeln!(log.lock().expect("nobody panicked"), "{line}")?;
            Ok((mutant, outcome))
        })
    }

    /// Also the test that fails, or has failed once; or the program that hangs.
    fn outcome(&self, mutant: usize) -> Result<(Outcome, String)> {
        let mut programs: BTreeMap<&Path, (Duration, Vec<&str>)> = BTreeMap::new();
        for test in self.tests.iter().filter(|it| it.reaches.contains(&mutant)) {
            let of = programs.entry(&test.program).or_default();
            of.0 += test.takes;
            of.1.push(&test.name);
        }
        let mut programs: Vec<_> = programs.into_iter().collect();
        programs.sort_by_key(|(_, (takes, _))| *takes);
        let number = PathBuf::from(mutant.to_string());
        let (mut outcome, mut once) = (Outcome::Unreached, String::new());
        for (program, (takes, tests)) in programs {
            let patience = takes * TIMES + IN_ADDITION;
            let run = || run(program, &tests, "WINDDOWN_MUTANT", &number, patience);
            outcome = Outcome::Survives;
            let first = match run()? {
                Ran::Passes => continue,
                Ran::Fails(test) => test,
                Ran::Hangs => program.display().to_string(),
            };
            // On a busy machine a test may fail, or be slow, by itself, so it has to be so again.
            match run()? {
                Ran::Passes => once = format!("{first} did not pass at first"),
                Ran::Fails(test) => return Ok((Outcome::Fails, test)),
                Ran::Hangs => return Ok((Outcome::Hangs, first)),
            }
        }
        Ok((outcome, once))
    }
}

/// How some tests went.
enum Ran {
    Passes,
    /// The first that failed; nothing if the program was killed.
    Fails(String),
    Hangs,
}

/// Runs some tests of a program, which hang if they take longer than `patience`.
fn run(
    program: &Path,
    tests: &[impl AsRef<std::ffi::OsStr>],
    variable: &str,
    value: &Path,
    patience: Duration,
) -> Result<Ran> {
    let mut said = tempfile::tempfile()?;
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -c 0; ulimit -v {MEMORY}; exec \"$0\" \"$@\"")])
        .arg(program)
        .arg("--exact")
        .args(tests)
        .env(variable, value)
        .env("RUST_BACKTRACE", "0")
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| program.display().to_string())?;
    let patience = patience.min(Duration::from_secs(600));
    let Some(status) = child.wait_timeout(patience)? else {
        child.kill()?;
        child.wait()?;
        return Ok(Ran::Hangs);
    };
    if status.success() {
        return Ok(Ran::Passes);
    }
    let mut text = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let failed = text.lines().find_map(|it| it.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    Ok(Ran::Fails(failed.unwrap_or_default().to_owned()))
}

/// Does `what` for each of `all`, on some threads.
fn in_parallel<T: Sync, R: Send>(
    all: &[T],
    what: impl Fn(usize, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<R>> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(it) = all.get(at) else { return Ok(done) };
            done.push(what(at, it)?);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let mut done = Vec::new();
        for thread in threads {
            done.extend(thread.join().expect("nobody panicked")?);
        }
        Ok(done)
    })
}
