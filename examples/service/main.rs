//! A service of two groups: its connections, and what is around them.
//!
//! It is closed in order, under one deadline: the connections end after the request in hand, then the
//! listener is closed, then all is over; and whatever went wrong anywhere is told in the end. It has
//! clients of its own; with `--listen` it serves others, until Ctrl-C. `service.rs` has the service.

#[path = "../common/lines.rs"]
mod lines;
#[path = "../common/program.rs"]
mod program;
#[path = "../common/runtime.rs"]
mod runtime;
mod service;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use clap::Parser;
use winddown::{CancelScope, CancelToken, Canceller, FutureUntil as _, Reason};

use program::{exit_code, on_signals, say, seconds};
use runtime::{Runtime, Smol, Tokio, Which};
use service::Service;

/// What the service's own clients ask for: numbers, except for one.
const REQUESTS: [&str; 4] = ["1\n2\n3\n", "40\nforty\n", "80\n", "5\n"];

/// A service that answers each number after as many milliseconds. The last line is for scripts, and
/// the exit code is 0 only if it was drained in time; an error of a client does not count.
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

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.runtime {
        Which::Tokio => Tokio::block_on(run::<Tokio>(&args)),
        Which::Smol => Smol::block_on(run::<Smol>(&args)),
    };
    exit_code(outcome.map_err(Into::into).and_then(|outcome| outcome))
}

/// Serves, and closes the service; true if that was done in time.
async fn run<R: Runtime>(args: &Args) -> Result<bool, Box<dyn Error>> {
    let stop = CancelScope::new();
    let stopper = stop.canceller();
    // A second signal changes nothing: the first reason stands.
    on_signals(move |_, name| drop(stopper.cancel_with(Reason::Message(name))))?;
    let service = Service::new();
    let addr = args.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    let addr = service.start::<R>(addr).await?;
    say(format_args!("serving {addr} on {} until Ctrl-C", R::NAME));
    if args.listen.is_none() {
        let stop = stop.canceller();
        thread::spawn(move || play(addr, &stop));
    }

    // The service is told to stop, or it fails by itself.
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

/// The service's own clients; when they have their answers, it is told to stop.
fn play(addr: SocketAddr, stop: &Canceller) {
    let clients = REQUESTS.map(|requests| thread::spawn(move || client(addr, requests)));
    for client in clients {
        if let Err(error) = client.join().expect("a client never panics") {
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
