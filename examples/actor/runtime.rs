//! What these examples need of a runtime, for tokio and for smol. winddown needs nothing of either.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What lends its socket, by the name that the platform has for it.
#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
pub(crate) use std::os::windows::io::AsSocket;

/// Tasks, time and TCP.
pub(crate) trait Runtime: 'static {
    const NAME: &'static str;
    type Listener: Send + Sync + 'static;
    type Stream: AsSocket + Send + Sync + 'static;

    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T>;
    /// Starts a task that nobody joins: a group counts it instead.
    fn spawn(future: impl Future<Output: Send> + Send + 'static);
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
    /// Also tells the address that was bound, for those who ask for port 0.
    fn listen(
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn read(
        stream: &Self::Stream,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;
    fn write(stream: &Self::Stream, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
}

pub(crate) struct Tokio;

impl Runtime for Tokio {
    const NAME: &'static str = "tokio";
    type Listener = tokio::net::TcpListener;
    type Stream = tokio::net::TcpStream;

    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
        Ok(tokio::runtime::Runtime::new()?.block_on(future))
    }

    fn spawn(future: impl Future<Output: Send> + Send + 'static) {
        tokio::spawn(future);
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn listen(addr: SocketAddr) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = tokio::net::TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(listener.accept().await?.0)
    }

    async fn read(stream: &Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            stream.readable().await?;
            match stream.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
        }
    }

    async fn write(stream: &Self::Stream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            stream.writable().await?;
            match stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => bytes = &bytes[outcome?..],
            }
        }
        Ok(())
    }
}

pub(crate) struct Smol;

impl Runtime for Smol {
    const NAME: &'static str = "smol";
    type Listener = smol::net::TcpListener;
    type Stream = smol::net::TcpStream;

    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
        Ok(smol::block_on(future))
    }

    fn spawn(future: impl Future<Output: Send> + Send + 'static) {
        smol::spawn(future).detach();
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    async fn listen(addr: SocketAddr) -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = smol::net::TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(listener.accept().await?.0)
    }

    async fn read(stream: &Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.clone().read(buffer).await
    }

    async fn write(stream: &Self::Stream, bytes: &[u8]) -> io::Result<()> {
        stream.clone().write_all(bytes).await
    }
}
