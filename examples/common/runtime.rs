//! What the examples need of a runtime, for tokio and for smol. winddown needs nothing of either.

#![allow(dead_code, reason = "each example uses a part of it")]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What lends its socket, by the name that the platform has for it.
#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
pub(crate) use std::os::windows::io::AsSocket;

/// The runtime of a program, as an option.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Which {
    Tokio,
    Smol,
}

/// Tasks, time and TCP.
pub(crate) trait Runtime: 'static {
    const NAME: &'static str;
    type Listener: Send + Sync + 'static;
    type Stream: AsSocket + Send + Sync + 'static;

    fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T>;
    /// Starts a task without a handle to join it: a group counts it instead.
    fn spawn(future: impl Future<Output: Send> + Send + 'static);
    /// The same for blocking work, on a thread of a pool.
    fn unblock(work: impl FnOnce() + Send + 'static);
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
    fn bind(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;
    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr>;
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn connect(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn read(
        stream: &Self::Stream,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;
    fn write(stream: &Self::Stream, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Binds a listener, and returns its address too: with port 0 the system has chosen the port.
    fn listen(
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send {
        async move {
            let listener = Self::bind(addr).await.map_err(cannot_listen(addr))?;
            let addr = Self::local_addr(&listener)?;
            Ok((listener, addr))
        }
    }
}

/// Adds the address to the error of a listener.
pub(crate) fn cannot_listen(addr: SocketAddr) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
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

    fn unblock(work: impl FnOnce() + Send + 'static) {
        tokio::task::spawn_blocking(work);
    }

    async fn sleep(time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn bind(addr: SocketAddr) -> io::Result<Self::Listener> {
        Self::Listener::bind(addr).await
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(listener.accept().await?.0)
    }

    async fn connect(addr: SocketAddr) -> io::Result<Self::Stream> {
        Self::Stream::connect(addr).await
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

    fn unblock(work: impl FnOnce() + Send + 'static) {
        smol::unblock(work).detach();
    }

    async fn sleep(time: Duration) {
        smol::Timer::after(time).await;
    }

    async fn bind(addr: SocketAddr) -> io::Result<Self::Listener> {
        Self::Listener::bind(addr).await
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        Ok(listener.accept().await?.0)
    }

    async fn connect(addr: SocketAddr) -> io::Result<Self::Stream> {
        Self::Stream::connect(addr).await
    }

    async fn read(stream: &Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.clone().read(buffer).await
    }

    async fn write(stream: &Self::Stream, bytes: &[u8]) -> io::Result<()> {
        stream.clone().write_all(bytes).await
    }
}
