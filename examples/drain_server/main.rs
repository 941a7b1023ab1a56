//! An HTTP server that stops without losing a request.
//!
//! It serves on loopback, under load from its own clients, is told to stop in the middle of it,
//! drains, and tells what became of every request. With `--listen` it serves others, until Ctrl-C.
//!
//! This file has the story; `server.rs` has the server, and how it stops.

mod load;
mod runtime;
mod screen;
mod server;
#[path = "../common/signals.rs"]
mod signals;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{self, ExitCode};
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum, value_parser};
use signal_hook::low_level::signal_name;
use winddown::{Stopped, Unfinished};

use load::Load;
use runtime::{Runtime, Smol, Tokio};
use screen::{Live, complain, say};
use server::{Server, Why};

static SERVER: LazyLock<Server> = LazyLock::new(Server::new);
static LOAD: Load = Load::new();

/// An HTTP/1.1 server that is told to stop under load, and drains: new work is refused, every
/// accepted request is answered. The last line it prints is for scripts, and the exit code is 0
/// only if nothing was lost.
#[derive(Parser)]
#[command(name = "drain_server")]
struct Args {
    /// How long to serve before the stop
    #[arg(long, value_name = "N", default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// How many clients make the load, each with a connection of its own
    #[arg(long, value_name = "N", default_value = "64", value_parser = value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Serve here until Ctrl-C or SIGTERM, without a load of its own (port 0: any free one)
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["seconds", "connections"])]
    listen: Option<SocketAddr>,
    /// What to run on
    #[arg(long, value_enum, default_value = "tokio")]
    runtime: Which,
    /// How many seconds requests have to end by themselves, before they are cut short
    #[arg(long, value_name = "N", default_value = "8", value_parser = seconds)]
    grace: Duration,
    /// How many seconds the drain may take in all
    #[arg(long, value_name = "N", default_value = "10", value_parser = seconds)]
    drain_limit: Duration,
    /// Seconds between two live lines [default: 0.1 on a terminal, else 1]
    #[arg(long, value_name = "N", value_parser = seconds)]
    every: Option<Duration>,
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
        Which::Tokio => run::<Tokio>(&args),
        Which::Smol => run::<Smol>(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// Serves, drains and says so; true if nothing was lost.
fn run<R: Runtime>(args: &Args) -> io::Result<bool> {
    stop_on_signals()?;
    let live = Live::start(args.every, live_line(Instant::now()));
    let summary = R::block_on(serve::<R>(args))?;
    drop(live);
    summary.map(|summary| summary.print())
}

/// Ctrl-C and SIGTERM stop the server, from a plain thread. The second one ends the grace, the third
/// the process.
fn stop_on_signals() -> io::Result<()> {
    signals::on_each(move |signal| {
        let name = signal_name(signal).unwrap_or("a signal");
        let in_flight = SERVER.requests.count();
        if SERVER.stop(Why::Interrupted(name)) {
            // The work that is in flight goes on.
        } else if SERVER.force.close() {
            complain(format_args!("told to stop again; cut short: {in_flight} in flight"));
        } else {
            complain(format_args!("told to stop a third time; still inside:"));
            complain_of_holders();
            process::exit(128 + signal);
        }
    })
}

async fn serve<R: Runtime>(args: &Args) -> io::Result<Summary> {
    let addr = args.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    let (listener, addr) = R::listen(addr).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
    })?;
    SERVER.start::<R>(listener);
    if args.listen.is_some() {
        say(format_args!("serving http://{addr} on {} until Ctrl-C", R::NAME));
        say(format_args!("try: curl 'http://{addr}/slow?ms=5000', and Ctrl-C here meanwhile"));
    } else {
        let (clients, time) = (args.connections, args.seconds);
        say(format_args!("serving http://{addr} on {} for {time:?}, {clients} clients", R::NAME));
        LOAD.start::<R>(clients, addr, &SERVER);
        R::spawn(async move {
            R::sleep(time).await;
            // If somebody was faster, their reason stands.
            SERVER.stop(Why::TimeUp);
        });
    }

    let stop = SERVER.stop.value().await;
    let in_flight = SERVER.requests.count();
    say(format_args!("stopping: {}; {in_flight} in flight", stop.why));
    // The grace is over when its time is, or when somebody says so.
    let grace = SERVER.force.closed().until(R::sleep(args.grace));
    let drained = SERVER.tasks.shutdown(grace).until(R::sleep(args.drain_limit)).await;
    let took = stop.at.elapsed();
    // From here on the process could end. What is completed later counts as lost.
    let completed = SERVER.completed.load(Relaxed);
    match drained {
        Ok(stopped) => {
            say(match stopped {
                Stopped::Gracefully => "drained gracefully",
                Stopped::Forced => "drained by force",
            });
            // What was written last is still on its way to the clients.
            let _ = LOAD.clients.wait().until(R::sleep(args.drain_limit)).await;
        }
        Err(Unfinished { left, .. }) => {
            let (limit, in_flight) = (args.drain_limit, SERVER.requests.count());
            complain(format_args!(
                "not drained after {limit:?}; requests in flight: {in_flight}, still inside: {left}"
            ));
            complain_of_holders();
        }
    }
    let of_clients = args.listen.is_none().then_some(&LOAD);
    Ok(Summary::new(drained.is_ok(), took, completed, of_clients))
}

/// Who holds up the drain.
#[cfg(feature = "holders")]
fn complain_of_holders() {
    complain(SERVER.tasks.holders());
}

#[cfg(not(feature = "holders"))]
fn complain_of_holders() {
    complain("to know who, run it with `--features holders`");
}

fn live_line(start: Instant) -> impl Fn() -> String {
    move || {
        let phase = if SERVER.stop.is_closed() { "draining" } else { "serving" };
        let refused = SERVER.refused.load(Relaxed) + LOAD.turned_away.load(Relaxed);
        format!(
            "{:6.1} s  {phase:8} {:6} in flight {:9} completed {refused:6} refused",
            start.elapsed().as_secs_f64(),
            SERVER.requests.count(),
            SERVER.completed.load(Relaxed),
        )
    }
}

/// What became of every request.
struct Summary {
    /// Whether the drain ended before its limit.
    drained: bool,
    accepted: u64,
    completed: u64,
    refused: u64,
    lost: u64,
    took: Duration,
}

impl Summary {
    fn new(drained: bool, took: Duration, completed: u64, load: Option<&Load>) -> Self {
        let accepted = SERVER.accepted.load(Relaxed);
        let refused = SERVER.refused.load(Relaxed);
        let Some(load) = load else {
            // Of foreign clients we know whether they hung up, and not what they received.
            let lost = SERVER.requests.count() as u64 + SERVER.cut.load(Relaxed);
            let hung_up = accepted.saturating_sub(completed + lost);
            if hung_up > 0 {
                say(format_args!("requests whose client hung up: {hung_up}"));
            }
            return Self { drained, accepted, completed, refused, lost, took };
        };
        let verified = load.verified.load(Relaxed);
        let heard = load.refused.load(Relaxed);
        let turned_away = load.turned_away.load(Relaxed);
        say(format_args!(
            "clients: {verified} answers verified, {heard} refused by a 503, {turned_away} refused at the door"
        ));
        // Completed is what both sides call so; and they must agree on every refusal.
        let completed = completed.min(verified);
        let answered_503 = refused + SERVER.cut.load(Relaxed);
        let lost = accepted.abs_diff(completed) + answered_503.abs_diff(heard);
        Self { drained, accepted, completed, refused: heard + turned_away, lost, took }
    }

    /// True if nothing was lost.
    fn print(&self) -> bool {
        let Self { drained, accepted, completed, refused, lost, took } = self;
        say(format_args!(
            "drained: accepted={accepted} completed={completed} refused={refused} lost={lost} drain_ms={}",
            took.as_millis()
        ));
        *drained && *lost == 0
    }
}
