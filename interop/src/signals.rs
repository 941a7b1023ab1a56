//! Ctrl-C and SIGTERM; a second one forces.

use std::io;
use std::time::Duration;

use tokio::time::sleep;
use winddown::{Stopped, TaskGroup, Unfinished};

/// The signals that ask a program to stop. Made before the work begins, so that none is missed.
#[cfg(unix)]
pub struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    /// From now on these signals do not kill the process.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signal that asks a program to stop.
#[cfg(windows)]
pub struct StopSignals {
    ctrl_c: tokio::signal::windows::CtrlC,
}

#[cfg(windows)]
impl StopSignals {
    /// From now on the signal does not kill the process.
    pub fn new() -> io::Result<Self> {
        Ok(Self { ctrl_c: tokio::signal::windows::ctrl_c()? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.ctrl_c.recv().await;
    }
}

/// Waits for a signal, or until a task closes the group; then shuts the group down. A second signal ends the
/// grace, and `limit` ends everything.
pub async fn run(
    group: &TaskGroup,
    signals: &mut StopSignals,
    grace: Duration,
    limit: Duration,
) -> Result<Stopped, Unfinished> {
    tokio::select! {
        () = signals.next() => {}
        () = group.closed() => {}
    }
    let grace = async {
        tokio::select! {
            () = signals.next() => {}
            () = sleep(grace) => {}
        }
    };
    group.shutdown(grace).until(sleep(limit)).await
}
