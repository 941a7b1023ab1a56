//! A TCP server of actors: each connection has a reader, a worker and a heartbeat, and whatever ends
//! one of them ends all three.
//!
//! Its own clients make that happen in every way; with `--listen` it serves others, until Ctrl-C.
//! `hub.rs` has the actors: read it first. Their workers are tasks (`tasks.rs`) or threads
//! (`threads.rs`).

mod hub;
mod lines;
mod orders;
mod runtime;
#[path = "../common/signals.rs"]
mod signals;
mod tasks;
mod threads;

use std::fmt::Display;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};
use signal_hook::low_level::signal_name;
use winddown::Reason;

use hub::Hub;
use runtime::{Runtime, Smol, Tokio};

/// How long the end of everything may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What the server's own clients say; the last one hangs up.
const SCRIPTS: [&str; 6] =
    ["echo hello\nbye\n", "nonsense\n", "panic\n", "nap 600000\n", "", "echo hello\n"];

/// A TCP server of actors. Clients say "echo TEXT", "nap MS", "bye" or "panic". The last line is for
/// scripts, and the exit code is 0 only if every actor was finalised once, and nobody is left.
#[derive(Parser)]
#[command(name = "actor")]
struct Args {
    /// Serve here until Ctrl-C or SIGTERM, without clients of its own (port 0: any free one)
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// How many milliseconds a client may be silent
    #[arg(long, value_name = "N", default_value = "1000", value_parser = value_parser!(u64).range(4..))]
    idle_ms: u64,
    /// How many milliseconds a request may take
    #[arg(long, value_name = "N", default_value = "500", value_parser = value_parser!(u64).range(4..))]
    patience_ms: u64,
    /// What to run on
    #[arg(long, value_enum, default_value = "tokio")]
    runtime: Which,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Tokio,
    Smol,
    Threads,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "actor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until told to stop; true if all is well then.
fn run(args: &Args) -> io::Result<bool> {
    let [idle, patience] = [args.idle_ms, args.patience_ms].map(Duration::from_millis);
    let hub = Hub::new(idle, patience);
    cancel_on_signals(&hub)?;
    let addr = args.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    if args.listen.is_none() {
        let clients = Arc::clone(&hub);
        thread::spawn(move || play(&clients));
    }
    let left = match args.runtime {
        Which::Tokio => Tokio::block_on(tasks::serve::<Tokio>(Arc::clone(&hub), addr))?,
        Which::Smol => Smol::block_on(tasks::serve::<Smol>(Arc::clone(&hub), addr))?,
        Which::Threads => threads::serve(&hub, addr),
    }?;
    let counts = hub.counts();
    let hub::Counts { started, finalised, returned, hung_up, bye, failed, .. } = counts;
    let hub::Counts { inactive, panicked, told, .. } = counts;
    say(format_args!(
        "actors: started={started} finalised={finalised} returned={returned} hung_up={hung_up} \
         bye={bye} failed={failed} inactive={inactive} panicked={panicked} told={told} left={left}"
    ));
    Ok(left == 0 && started == finalised)
}

fn serving(addr: SocketAddr, on: &str, hub: &Hub) {
    say(format_args!("serving {addr} on {on} until Ctrl-C"));
    hub.addr.close_with(addr).expect("it serves once");
}

/// From a plain thread. The second signal changes nothing: the first reason stands.
fn cancel_on_signals(hub: &Arc<Hub>) -> io::Result<()> {
    let all = hub.all.clone();
    signals::on_each(move |signal| {
        let reason = signal_name(signal).unwrap_or("a signal");
        let _ = all.cancel_with(Reason::Message(reason));
    })
}

/// The server's own clients; when the server has ended each of their connections, it is told to stop.
fn play(hub: &Hub) {
    let addr = *hub.addr.value().block();
    let clients = SCRIPTS.map(|script| thread::spawn(move || client(addr, script)));
    for client in clients {
        if let Err(error) = client.join().expect("a client panics never") {
            say(format_args!("a client: {error}"));
        }
    }
    let _ = hub.all.cancel_with(Reason::Message("the clients are done"));
}

fn client(addr: SocketAddr, script: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    stream.write_all(script.as_bytes())?;
    if script == SCRIPTS[SCRIPTS.len() - 1] {
        stream.read_exact(&mut [0; 6])?;
        stream.shutdown(Shutdown::Write)?;
    }
    // Who is cut off in the middle of something may see a reset.
    let _ = stream.read_to_end(&mut Vec::new());
    Ok(())
}

/// Writes a line. Whoever closed our output reads no more: that is no error.
fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
