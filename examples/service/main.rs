//! A service of two groups: its connections, and what is around them.
//!
//! It is closed in order, under one deadline: the connections end after the request in hand, then the
//! listener is closed, then all is over; and whatever went wrong anywhere is told in the end. It has
//! clients of its own; with `--listen` it serves others, until Ctrl-C. `service.rs` has the service.

#[path = "../actor/lines.rs"]
mod lines;
#[path = "../actor/runtime.rs"]
mod runtime;
mod service;
#[path = "../common/signals.rs"]
mod signals;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use signal_hook::low_level::signal_name;
use winddown::{CancelScope, CancelToken, Canceller, FutureUntil as _, Reason};

use runtime::{Runtime, Smol, Tokio};
use service::Service;

/// What the service's own clients ask for: numbers, except for one.
const REQUESTS: [&str; 4] = ["1\n2\n3\n", "40\nforty\n", "80\n", "5\n"];

/// A service that answers each number after as many milliseconds. The last line is for scripts, and
/// the exit code is 0 only if it was drained in time; a client that errs is no reason to fail.
#[derive(Parser)]
#[command(name = "service")]
struct Args {
    /// Serve here until Ctrl-C or SIGTERM, without clients of its own (port 0: any free one)
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// How many seconds the end may take, from the first step to the last
    #[arg(long, value_name = "N", default_value = "10", value_parser = seconds)]
    limit: Duration,
    /// What to run on
    #[arg(long, value_enum, default_value = "tokio")]
    runtime: Which,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Tokio,
    Smol,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.runtime {
        Which::Tokio => Tokio::block_on(run::<Tokio>(&args)),
        Which::Smol => Smol::block_on(run::<Smol>(&args)),
    };
    match outcome.map_err(Into::into).and_then(|outcome| outcome) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "service: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves, and closes the service; true if that was done in time.
async fn run<R: Runtime>(args: &Args) -> Result<bool, Box<dyn Error>> {
    let stop = CancelScope::new();
    cancel_on_signals(stop.canceller())?;
    let service = Service::new();
    let addr = args.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    let addr = service.start::<R>(addr).await?;
    say(format_args!("serving {addr} on {} until Ctrl-C", R::NAME));
    if args.listen.is_none() {
        let stop = stop.canceller();
        thread::spawn(move || play(addr, &stop));
    }

    // Whichever comes first: it is told to stop, or fails by itself.
    let why = CancelToken::any([stop.token(), service.failed()]).await;
    say(format_args!("closing: {}", why.reason()));
    let ended = async {
        service.close().await;
        service.wait().await
    };
    let errors = ended.until(R::sleep(args.limit)).await;
    for error in errors.iter().flatten() {
        say(format_args!("error: {error}"));
    }
    let (accepted, answered) = (service.accepted.load(Relaxed), service.answered.load(Relaxed));
    let (refused, left) = (service.refused.load(Relaxed), service.left());
    say(format_args!(
        "served: accepted={accepted} answered={answered} refused={refused} errors={} left={left}",
        errors.iter().flatten().count(),
    ));
    Ok(errors.is_ok())
}

/// From a plain thread. The second signal changes nothing: the first reason stands.
fn cancel_on_signals(stop: Canceller) -> io::Result<()> {
    signals::on_each(move |signal| {
        let name = signal_name(signal).unwrap_or("a signal");
        let _ = stop.cancel_with(Reason::Message(name));
    })
}

/// The service's own clients; when they have their answers, it is told to stop.
fn play(addr: SocketAddr, stop: &Canceller) {
    let clients = REQUESTS.map(|requests| thread::spawn(move || client(addr, requests)));
    for client in clients {
        if let Err(error) = client.join().expect("a client panics never") {
            say(format_args!("a client: {error}"));
        }
    }
    let _ = stop.cancel_with(Reason::Message("the clients are done"));
}

fn client(addr: SocketAddr, requests: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    stream.write_all(requests.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Writes a line. Whoever closed our output reads no more: that is no error.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
