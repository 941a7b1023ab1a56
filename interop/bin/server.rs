//! The server of `docs/shutdown.md`.

use std::process::ExitCode;
use std::time::Duration;
use std::{env, io, thread};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use winddown::{FutureUntil as _, Stopped, TaskGroup, TaskGuard};

const GRACE: Duration = Duration::from_secs(5);
/// Counts from the same moment as the grace: it is the total.
const LIMIT: Duration = Duration::from_secs(8);

fn main() -> io::Result<ExitCode> {
    let runtime = Runtime::new()?;
    let code = runtime.block_on(run());
    // The drop of the runtime, which `#[tokio::main]` does, would wait for `spawn_blocking`.
    runtime.shutdown_background();
    code
}

async fn run() -> io::Result<ExitCode> {
    // From here on a signal does not kill the process.
    let stopped = stop_signal()?;
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let group = TaskGroup::builder().finally(|| println!("the last task has left")).build();
    tokio::spawn(accept(group.guard().expect("the group is open"), listener));

    stopped.await;
    let grace = sleep(GRACE).until(stop_signal()?);
    Ok(match group.shutdown(grace).until(sleep(LIMIT)).await {
        Ok(Stopped::Gracefully) => {
            println!("all tasks ended by themselves");
            ExitCode::SUCCESS
        }
        Ok(Stopped::Forced) => {
            println!("the grace was over: what was left was told to stop");
            ExitCode::from(1)
        }
        Err(unfinished) => {
            println!("{} tasks did not stop", unfinished.left);
            ExitCode::from(2)
        }
    })
}

/// Ready at Ctrl-C, which a terminal sends, or at SIGTERM, which containers and systemd send.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move { interrupt.recv().until(terminate.recv()).await.is_ok() })
}

#[cfg(windows)]
fn stop_signal() -> io::Result<impl Future> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move { interrupt.recv().await })
}

/// Owns the listener, and drops it at the close. While a listener lives, the kernel goes on accepting, and those
/// clients hang.
async fn accept(guard: TaskGuard, listener: TcpListener) {
    while let Ok(accepted) = listener.accept().until(guard.closing()).await {
        let Ok((stream, _)) = accepted else {
            // Mostly, too many files are open. Without a pause the loop spins.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Refused if the group was closed just now. The connection is dropped then.
        let Ok(guard) = guard.group().guard() else { return };
        tokio::spawn(serve(guard, stream));
    }
}

/// Serves one connection. The guard is the first parameter, so once that has begun it is dropped last.
async fn serve(guard: TaskGuard, stream: TcpStream) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    loop {
        // Idle: ends at the close, unless a request is found. Half of one is begun work, too.
        let begun = stream.fill_buf().until(guard.closing()).work_first();
        let Ok(begun) = begun.await else { return Ok(()) };
        if begun?.is_empty() {
            return Ok(()); // the client has gone
        }
        // Busy: goes on after the close, and ends at the cancel.
        let answer = answer(&guard, &mut stream).until(guard.token());
        let Ok(answered) = answer.await else { return Ok(()) };
        answered?;
    }
}

/// The request `500` takes half a second. So does `block 500`, on a thread, which no cancel stops.
async fn answer(guard: &TaskGuard, stream: &mut BufStream<TcpStream>) -> io::Result<()> {
    let mut request = String::new();
    stream.read_line(&mut request).await?;
    let request = request.trim();
    let millis = request.trim_start_matches("block ").parse().unwrap_or(0);
    let time = Duration::from_millis(millis);
    if request.starts_with("block ") {
        // The thread is a task of its own: the group waits for it, or says that it is left.
        let guard = guard.clone();
        let work = move || {
            let _guard = guard;
            thread::sleep(time);
        };
        spawn_blocking(work).await?;
    } else {
        sleep(time).await;
    }
    stream.write_all(format!("{request}\n").as_bytes()).await?;
    stream.flush().await
}
