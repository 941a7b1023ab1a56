//! What this example needs of a runtime, for tokio and for smol. winddown needs nothing of either.

use std::future::Future;
use std::io;
use std::time::Duration;

pub(crate) trait Runtime: 'static {
    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T>;
    fn sleep(time: Duration) -> impl Future<Output = ()>;
    /// Starts blocking work on a thread of a pool. Nobody joins it: a group counts it instead.
    fn unblock(work: impl FnOnce() + Send + 'static);
}

pub(crate) struct Tokio;

impl Runtime for Tokio {
    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
        Ok(tokio::runtime::Runtime::new()?.block_on(future))
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(time)
    }

    fn unblock(work: impl FnOnce() + Send + 'static) {
        tokio::task::spawn_blocking(work);
    }
}

pub(crate) struct Smol;

impl Runtime for Smol {
    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
        Ok(smol::block_on(future))
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    fn unblock(work: impl FnOnce() + Send + 'static) {
        smol::unblock(work).detach();
    }
}
