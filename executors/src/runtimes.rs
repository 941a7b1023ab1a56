//! The runtimes. Each has the same few functions, which the scenarios call:
//!
//! - `run` starts a runtime, waits in it for one future, and lets the runtime go;
//! - `spawn` starts a task that nobody joins;
//! - `sleep` is the runtime's timer, or that of a crate, where it has none;
//! - `FORGETS` says which of the tasks that `run` leaves behind are there for ever, whatever ends their
//!   waits.

use crate::report::Report;

mod async_std_local;
mod async_std_threads;
#[cfg(target_os = "linux")]
mod compio;
mod embassy;
mod futures_pool;
mod futures_threads;
#[cfg(target_os = "linux")]
mod glommio;
#[cfg(target_os = "linux")]
mod monoio;
mod pollster;
mod smol_local;
mod smol_threads;
mod tokio_local;
mod tokio_thread;
mod tokio_threads;

/// What stays of tasks whose runtime has gone, and whose waits are over.
#[derive(Clone, Copy, PartialEq)]
enum Forgets {
    /// They were dropped with the runtime or by their last wakers, or ran to their end elsewhere.
    Nothing,
    /// The runtime was only stopped: when it runs again, they come to their end.
    NothingWhenItRunsAgain,
    /// The same as `Nothing`, but for those that were woken at the moment when it went. And why.
    WhatIsWokenMeanwhile(&'static str),
    /// Those that sleep are leaked. And why.
    WhatSleeps(&'static str),
    /// Those that wait for anything are leaked. And why.
    WhatWaits(&'static str),
}

pub(crate) fn all(report: &mut Report) {
    tokio_threads::check(report);
    tokio_thread::check(report);
    tokio_local::check(report);
    smol_threads::check(report);
    smol_local::check(report);
    async_std_threads::check(report);
    async_std_local::check(report);
    futures_threads::check(report);
    futures_pool::check(report);
    pollster::check(report);
    embassy::check(report);
    linux(report);
}

#[cfg(target_os = "linux")]
fn linux(report: &mut Report) {
    glommio::check(report);
    compio::check(report);
    monoio::check(report);
}

/// Asks the kernel for a ring, as glommio and monoio do.
#[cfg(target_os = "linux")]
fn uring() -> std::io::Result<()> {
    let ring = io_uring::IoUring::new(8)?;
    ring.submitter().register_probe(&mut io_uring::Probe::new())
}

#[cfg(not(target_os = "linux"))]
fn linux(report: &mut Report) {
    for runtime in ["glommio", "compio", "monoio on io_uring", "monoio on epoll"] {
        report.skip(runtime, "needs Linux");
    }
}
