//! What this example needs of a runtime, for tokio and for smol. winddown needs nothing of either.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::rt::{Read, Timer, Write};

/// Tasks, time and TCP.
pub(crate) trait Runtime: 'static {
    const NAME: &'static str;
    type Listener: Send + Sync + 'static;
    type Stream: Read + Write + Send + Unpin + 'static;

    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T>;
    /// Starts a task that nobody joins: a wait group counts it instead.
    fn spawn(future: impl Future<Output: Send> + Send + 'static);
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
    /// The same for hyper's own limits.
    fn timer() -> impl Timer + Send + Sync + 'static;
    /// Also tells the address that was bound, for those who ask for port 0.
    fn listen(
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn connect(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

pub(crate) struct Tokio;

impl Runtime for Tokio {
    const NAME: &'static str = "tokio";
    type Listener = tokio::net::TcpListener;
    type Stream = hyper_util::rt::TokioIo<tokio::net::TcpStream>;

    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
        Ok(tokio::runtime::Runtime::new()?.block_on(future))
    }

    fn spawn(future: impl Future<Output: Send> + Send + 'static) {
        tokio::spawn(future);
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn timer() -> impl Timer + Send + Sync + 'static {
        hyper_util::rt::TokioTimer::new()
    }

    async fn listen(addr: SocketAddr) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = tokio::net::TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(Self::Stream::new(listener.accept().await?.0))
    }

    async fn connect(addr: SocketAddr) -> io::Result<Self::Stream> {
        Ok(Self::Stream::new(tokio::net::TcpStream::connect(addr).await?))
    }
}

pub(crate) struct Smol;

impl Runtime for Smol {
    const NAME: &'static str = "smol";
    type Listener = smol::net::TcpListener;
    type Stream = smol_hyper::rt::FuturesIo<smol::net::TcpStream>;

    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
        Ok(smol::block_on(future))
    }

    fn spawn(future: impl Future<Output: Send> + Send + 'static) {
        smol::spawn(future).detach();
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    fn timer() -> impl Timer + Send + Sync + 'static {
        smol_hyper::rt::SmolTimer::default()
    }

    async fn listen(addr: SocketAddr) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = smol::net::TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(Self::Stream::new(listener.accept().await?.0))
    }

    async fn connect(addr: SocketAddr) -> io::Result<Self::Stream> {
        Ok(Self::Stream::new(smol::net::TcpStream::connect(addr).await?))
    }
}
