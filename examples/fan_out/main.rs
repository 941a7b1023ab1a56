//! An HTTP server whose every request asks several slow upstreams, under one deadline.
//!
//! Some upstreams fail, some never answer, some clients go away, and the server may be told to stop
//! in the middle of it. Whatever happens, the upstream calls of the request stop, and the end proves
//! that none was left behind. With `--listen` it serves others, until Ctrl-C.
//!
//! This file has the story. `fan.rs` has the handler: read it first. `http.rs` has connections that
//! end with their scopes, `peers.rs` the upstreams and the clients.

mod fan;
mod http;
mod peers;
#[path = "../drain_server/runtime.rs"]
mod runtime;
#[path = "../common/signals.rs"]
mod signals;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};
use signal_hook::low_level::signal_name;
use winddown::{CancelScope, CancelToken, Canceller, FutureUntil as _, Reason, WaitGroup};

use fan::{CALLS, COUNTS, FRONT, Setup};
use peers::{ANSWERED, ASKED, Kind, LOAD, Orders, UPSTREAMS};
use runtime::{Runtime, Smol, Tokio};

/// How long a client may take to send the head of a request: else half a request would hold up the
/// end.
const HEAD_LIMIT: Duration = Duration::from_secs(2);

/// How long the end of everything may take.
const LIMIT: Duration = Duration::from_secs(10);

/// An HTTP/1.1 server whose every request asks several upstreams under one deadline; its own clients
/// make it happen that upstreams fail, are too slow, and that nobody waits for the answer any more.
/// The last line it prints is for scripts, and the exit code is 0 only if every request got the
/// answer that it must get, and nothing was left behind.
#[derive(Parser)]
#[command(name = "fan_out")]
struct Args {
    /// How many requests the clients make, a quarter of each kind
    #[arg(long, value_name = "N", default_value = "400", value_parser = value_parser!(u64).range(1..=10_000))]
    requests: u64,
    /// How many clients make them
    #[arg(long, value_name = "N", default_value = "32", value_parser = value_parser!(u64).range(1..=1000))]
    clients: u64,
    /// How many upstreams each request asks
    #[arg(long, value_name = "N", default_value = "4", value_parser = value_parser!(u16).range(1..=64))]
    upstreams: u16,
    /// How long a request may take; the upstreams take up to 36 ms
    #[arg(long, value_name = "N", default_value = "500", value_parser = value_parser!(u64).range(100..=3_600_000))]
    deadline_ms: u64,
    /// Stop the server after this time, whatever it is doing
    #[arg(long, value_name = "N")]
    stop_after_ms: Option<u64>,
    /// Serve here until Ctrl-C or SIGTERM, without clients of its own (port 0: any free one)
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["requests", "clients"])]
    listen: Option<SocketAddr>,
    /// What to run on
    #[arg(long, value_enum, default_value = "tokio")]
    runtime: Which,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Tokio,
    Smol,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.runtime {
        Which::Tokio => Tokio::block_on(run::<Tokio>(&args)),
        Which::Smol => Smol::block_on(run::<Smol>(&args)),
    };
    match outcome.and_then(|outcome| outcome) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// Serves, stops and tells what happened; true if all is well.
async fn run<R: Runtime>(args: &Args) -> io::Result<bool> {
    // Everything that serves is below this scope, and everybody gets a token of it, or of a child.
    let root = CancelScope::new();
    // The upstreams are another world, which goes on when the server stops.
    let elsewhere = CancelScope::new();

    stop_on_signals(root.canceller())?;
    let mut upstreams = Vec::new();
    for n in 0..usize::from(args.upstreams) {
        upstreams.push(start_upstream::<R>(elsewhere.token(), n).await?);
    }
    let deadline = Duration::from_millis(args.deadline_ms);
    let addr = start_front::<R>(root.token(), args.listen, Setup { upstreams, deadline }).await?;
    if let Some(time) = args.stop_after_ms {
        // `root.cancel_after` would do, but its reason is `Deadline`, as that of a late request.
        let stop = root.canceller();
        R::spawn(async move {
            let timer = R::sleep(Duration::from_millis(time));
            if timer.until(stop.token()).await.is_ok() {
                let _ = stop.cancel_with(Reason::Message("the server's time is up"));
            }
        });
    }
    let served = serve::<R>(args, addr, &root).await;
    say(format_args!("stopping: {}", root.token().reason().expect("just cancelled")));

    // Nothing more to tell anybody: the tokens have. It remains to wait.
    let mut left_behind = served.unwrap_or(0);
    for group in [&FRONT.tasks, &LOAD.tally.tasks, &CALLS.tasks] {
        left_behind += left_in::<R>(group).await;
    }
    left_behind += not_seen_to_end::<R>().await;
    elsewhere.cancel();
    Ok(Summary::new(left_behind, served.map(|_| args.requests)).print(args.listen.is_some()))
}

/// Serves until told to stop, or until all requests are done: then it tells how many calls went on
/// for nobody.
async fn serve<R: Runtime>(args: &Args, addr: SocketAddr, root: &CancelScope) -> Option<u64> {
    let limit = Duration::from_millis(args.deadline_ms);
    let upstreams = args.upstreams;
    say(format_args!(
        "serving http://{addr} on {}: {upstreams} upstreams, {limit:?} for a request",
        R::NAME
    ));
    if args.listen.is_some() {
        say(format_args!("try: curl 'http://{addr}/fan?slow=1' or fail=1, and Ctrl-C here"));
        root.token().cancelled().await;
        return None;
    }
    let (requests, upstreams, server) = (args.requests, upstreams.into(), root.token().clone());
    LOAD.start::<R>(args.clients, &Orders { requests, upstreams, addr, server });
    LOAD.tally.tasks.wait().until(root.token()).await.ok()?;
    // The server is not stopped yet: it is each request that has stopped its calls.
    let for_nobody = left_in::<R>(&CALLS.tasks).await;
    // If a stop was faster, its reason stands; the clients may have ended by that.
    root.cancel_with(Reason::Message("all requests are done")).ok()?;
    Some(for_nobody)
}

/// Ctrl-C and SIGTERM cancel the root, from a plain thread. The second one does not wait.
fn stop_on_signals(root: Canceller) -> io::Result<()> {
    signals::on_each(move |signal| {
        let reason = Reason::Message(signal_name(signal).unwrap_or("a signal"));
        if root.cancel_with(reason).is_err() {
            complain("told to stop again");
            process::exit(128 + signal);
        }
    })
}

async fn start_upstream<R: Runtime>(token: &CancelToken, n: usize) -> io::Result<SocketAddr> {
    let (listener, addr) = R::listen((Ipv4Addr::LOCALHOST, 0).into()).await?;
    let handler = move |_, uri| peers::upstream::<R>(n, uri);
    // No limit: whoever stays connected stays, and is seen in the end.
    R::spawn(http::serve::<R, _, _>(token.clone(), &UPSTREAMS, listener, None, handler));
    Ok(addr)
}

async fn start_front<R: Runtime>(
    token: &CancelToken,
    listen: Option<SocketAddr>,
    setup: Setup,
) -> io::Result<SocketAddr> {
    let addr = listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    let (listener, addr) = R::listen(addr).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
    })?;
    let setup = Arc::new(setup);
    let handler = move |token, uri| fan::handle::<R>(token, Arc::clone(&setup), uri);
    // The accept loop is counted with its connections: the count cannot be zero while it may go up.
    let guard = FRONT.tasks.guard();
    let serve = http::serve::<R, _, _>(token.clone(), &FRONT, listener, Some(HEAD_LIMIT), handler);
    R::spawn(guard.track(serve));
    Ok(addr)
}

/// Waits for a group, and tells how many did not leave in time.
async fn left_in<R: Runtime>(group: &WaitGroup) -> u64 {
    match group.wait().until(R::sleep(LIMIT)).await {
        Ok(()) => 0,
        Err(unfinished) => unfinished.left as u64,
    }
}

/// How many connections of our calls the upstreams did not see, or did not see end. The callers end
/// them, and nobody else: the upstreams are serving on.
async fn not_seen_to_end<R: Runtime>() -> u64 {
    let opened = CALLS.connections.load(Relaxed);
    let unseen = || opened.saturating_sub(UPSTREAMS.connections.load(Relaxed));
    let all_accepted = async {
        while unseen() > 0 {
            R::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = all_accepted.until(R::sleep(LIMIT)).await;
    unseen() + left_in::<R>(&UPSTREAMS.tasks).await
}

/// What became of every request.
struct Summary {
    requests: u64,
    ok: u64,
    failed: u64,
    timed_out: u64,
    abandoned: u64,
    left_behind: u64,
    /// Whether our own clients got what they must get.
    content: bool,
}

impl Summary {
    /// With the number of requests that must have been served, if the end came of itself.
    fn new(left_behind: u64, ordered: Option<u64>) -> Self {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let requests = count(&COUNTS.requests);
        let ok = count(&COUNTS.ok);
        let failed = count(&COUNTS.failed);
        let timed_out = count(&COUNTS.timed_out);
        let abandoned = requests - ok - failed - timed_out - count(&COUNTS.refused);
        let right: u64 = LOAD.right.iter().map(|times| times.lock().unwrap().len() as u64).sum();
        let all = ordered.is_none_or(|ordered| requests == ordered && right == ordered);
        let content = all && count(&LOAD.wrong) == 0;
        Self { requests, ok, failed, timed_out, abandoned, left_behind, content }
    }

    /// True if all is well.
    fn print(&self, for_others: bool) -> bool {
        if !for_others {
            print_kinds();
        }
        print_calls();
        let Self { requests, ok, failed, timed_out, abandoned, left_behind, content } = self;
        say(format_args!(
            "fanned_out: requests={requests} ok={ok} failed={failed} timed_out={timed_out} \
             abandoned={abandoned} left_behind={left_behind}"
        ));
        *content && *left_behind == 0
    }
}

fn print_kinds() {
    say(format_args!("{:22} {:>8} {:>10} {:>8}", "kind", "right", "median ms", "max ms"));
    for kind in Kind::ALL {
        let mut times = LOAD.right[kind as usize].lock().unwrap();
        times.sort();
        let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        let (count, median) = (times.len(), ms(times.get(times.len() / 2)));
        let max = ms(times.last());
        say(format_args!("{:22} {count:8} {median:10.1} {max:8.1}", kind.name()));
    }
    let (turned_away, wrong) = (LOAD.turned_away.load(Relaxed), LOAD.wrong.load(Relaxed));
    say(format_args!("turned away by the stop: {turned_away}; wrong: {wrong}"));
}

fn print_calls() {
    let counts = &COUNTS;
    say(format_args!(
        "calls: {:?} made, {:?} answered, {:?} failed; stopped: {:?} by a failed sibling, \
         {:?} by the deadline, {:?} by a client that went away, {:?} by the stop",
        counts.calls,
        counts.calls_answered,
        counts.calls_failed,
        counts.by_sibling,
        counts.by_deadline,
        counts.by_client,
        counts.by_stop,
    ));
    let (asked, answered) = (ASKED.load(Relaxed), ANSWERED.load(Relaxed));
    let open = UPSTREAMS.tasks.count();
    say(format_args!(
        "upstreams: {asked} calls began, {answered} answered, {} hung up on; {} connections, \
         {open} still open",
        asked - answered,
        UPSTREAMS.connections.load(Relaxed),
    ));
}

/// Writes a line. Whoever closed our output reads no more: that is no error.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "fan_out: {line}");
}
