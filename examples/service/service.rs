//! The service: a listener, its connections, and the order in which they end.
//!
//! ```text
//! outer ── the listener (a task)
//!   └─ linked: connections ── a task for each; one that fails ends alone
//! ```
//!
//! `start`, `close` and `wait` may be called from anywhere: a task is counted in before it is started
//! and out by its end, so the three need not be balanced by hand.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use winddown::{CancelScope, CancelToken, ErrGroup, FutureUntil as _, Reason, TaskGroup};

use crate::lines::Lines;
use crate::program::say;
use crate::runtime::Runtime;

pub(crate) struct Service {
    /// All of it: drained when the listener is closed and the connections are drained.
    outer: ErrGroup<Failure>,
    connections: ErrGroup<Failure>,
    listening: CancelScope,
    pub(crate) accepted: AtomicU64,
    pub(crate) answered: AtomicU64,
    /// Clients that came while the connections were drained.
    pub(crate) refused: AtomicU64,
}

#[derive(Debug)]
pub(crate) enum Failure {
    Client(u64, io::Error),
    Listener(io::Error),
}

impl Service {
    pub(crate) fn new() -> Arc<Self> {
        // An error of one client does not concern the others.
        let connections = TaskGroup::builder().cancel_on_error(false).build_err();
        let outer = TaskGroup::builder().link(connections.group()).build_err();
        Arc::new(Self {
            outer,
            connections,
            listening: CancelScope::new(),
            accepted: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    pub(crate) async fn start<R: Runtime>(
        self: &Arc<Self>,
        addr: SocketAddr,
    ) -> Result<SocketAddr, Box<dyn Error>> {
        let (listener, addr) = R::listen(addr).await?;
        R::spawn(self.outer.try_track(Arc::clone(self).accept::<R>(listener))?);
        Ok(addr)
    }

    /// Stops the service in order, as fast as its connections allow.
    pub(crate) async fn close(&self) {
        // Each connection leaves after the request in hand. Nobody else gets in.
        let _ = self.connections.group().cancel_with(Reason::Message("the service closes"));
        self.connections.group().drained().await;
        say("connections: drained");
        // Only now, so that clients are told that they come too late.
        self.listening.cancel();
    }

    /// Waits for the end of the service, whatever closes it, and gathers all that went wrong.
    pub(crate) async fn wait(&self) -> Vec<String> {
        // Linked: when the outer group is drained, so are the connections.
        self.outer.group().drained().await;
        say("service: drained");
        let both = [self.outer.join().await, self.connections.join().await];
        let errors = both.iter().filter_map(|outcome| outcome.as_ref().err());
        errors.flatten().map(Failure::to_string).collect()
    }

    /// Is cancelled if the service fails by itself.
    pub(crate) fn failed(&self) -> &CancelToken {
        self.outer.group().token()
    }

    /// How many tasks there are.
    pub(crate) fn left(&self) -> usize {
        self.outer.group().len() + self.connections.group().len()
    }

    async fn accept<R: Runtime>(self: Arc<Self>, listener: R::Listener) -> Result<(), Failure> {
        // Closes the outer group, too: it has no other tasks.
        while let Ok(accepted) = R::accept(&listener).until(self.listening.token()).await {
            let stream = accepted.map_err(Failure::Listener)?;
            let client = self.accepted.fetch_add(1, Relaxed);
            let connection = Arc::clone(&self).connection::<R>(client, stream);
            match self.connections.try_track(connection) {
                Ok(connection) => R::spawn(connection),
                // Dropped with its stream: that tells the client.
                Err(_closed) => drop(self.refused.fetch_add(1, Relaxed)),
            }
        }
        drop(listener);
        say("listener: closed");
        self.outer.group().close();
        Ok(())
    }

    /// Answers each number, after as many milliseconds.
    async fn connection<R: Runtime>(
        self: Arc<Self>,
        client: u64,
        stream: R::Stream,
    ) -> Result<(), Failure> {
        let failed = |error| Failure::Client(client, error);
        let token = self.connections.group().token().clone();
        let (mut lines, mut buffer) = (Lines::default(), [0; 1024]);
        // Told to stop, it leaves between two requests.
        while let Ok(read) = R::read(&stream, &mut buffer).until(&token).await {
            match read.map_err(failed)? {
                0 => break,
                read => lines.push(&buffer[..read]),
            }
            while let Some(line) = lines.next() {
                let number = line.trim().parse().map_err(|_| {
                    failed(io::Error::other(format!("not a number: {:?}", line.trim())))
                })?;
                R::sleep(Duration::from_millis(number)).await;
                R::write(&stream, line.as_bytes()).await.map_err(failed)?;
                self.answered.fetch_add(1, Relaxed);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client, error) => write!(f, "client {client}: {error}"),
            Self::Listener(error) => write!(f, "listener: {error}"),
        }
    }
}

impl Error for Failure {}
