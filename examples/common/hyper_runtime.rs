//! What hyper needs of a runtime, for tokio and for smol.

use hyper::rt::{Read, Timer, Write};

use crate::runtime::{Runtime, Smol, Tokio};

/// A runtime whose streams and timers hyper can use.
pub(crate) trait HyperRuntime: Runtime {
    fn stream(stream: Self::Stream) -> impl Read + Write + Send + Unpin + 'static;
    fn timer() -> impl Timer + Send + Sync + 'static;
}

impl HyperRuntime for Tokio {
    fn stream(stream: Self::Stream) -> impl Read + Write + Send + Unpin + 'static {
        hyper_util::rt::TokioIo::new(stream)
    }

    fn timer() -> impl Timer + Send + Sync + 'static {
        hyper_util::rt::TokioTimer::new()
    }
}

impl HyperRuntime for Smol {
    fn stream(stream: Self::Stream) -> impl Read + Write + Send + Unpin + 'static {
        smol_hyper::rt::FuturesIo::new(stream)
    }

    fn timer() -> impl Timer + Send + Sync + 'static {
        smol_hyper::rt::SmolTimer::default()
    }
}
