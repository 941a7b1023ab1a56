//! The load: clients with keep-alive connections that check every answer. They know nothing of the
//! stop; each sends requests until it is turned away.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use winddown::WaitGroup;

use crate::hyper_runtime::HyperRuntime;
use crate::program::complain;
use crate::server::{Server, answer_to};

/// What all clients share.
pub(crate) struct Load {
    /// The clients, and their connections.
    pub(crate) clients: WaitGroup,
    next_id: AtomicU64,
    /// Answered in full, and right.
    pub(crate) verified: AtomicU64,
    /// Answered by a 503.
    pub(crate) refused: AtomicU64,
    /// Not answered: the connection was refused, or closed before the answer began.
    pub(crate) turned_away: AtomicU64,
}

/// Why a client leaves.
enum End {
    Refused,
    TurnedAway(Box<dyn Error + Send + Sync>),
    WrongAnswer(Box<dyn Error + Send + Sync>),
}

impl Load {
    pub(crate) const fn new() -> Self {
        Self {
            clients: WaitGroup::new(),
            next_id: AtomicU64::new(0),
            verified: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        }
    }

    pub(crate) fn start<R: HyperRuntime>(
        &'static self,
        clients: u32,
        addr: SocketAddr,
        server: &'static Server,
    ) {
        for _ in 0..clients {
            let guard = self.clients.guard();
            R::spawn(guard.track(self.client::<R>(addr, server)));
        }
    }

    async fn client<R: HyperRuntime>(&'static self, addr: SocketAddr, server: &Server) {
        // The server may close a connection between two requests: a client then comes again.
        let end = loop {
            if let Err(end) = self.connection::<R>(addr).await {
                break end;
            }
        };
        match end {
            End::Refused => {
                self.refused.fetch_add(1, Relaxed);
            }
            End::TurnedAway(error) => {
                if !server.stop.is_closed() {
                    warn_once(format!("a client gave up early: {error} (see also `ulimit -n`)"));
                }
                self.turned_away.fetch_add(1, Relaxed);
            }
            // Accepted and not verified: the summary finds it.
            End::WrongAnswer(error) => complain(format_args!("wrong answer: {error}")),
        }
    }

    /// One connection, until the server closes it between two requests (`Ok`) or turns us away.
    async fn connection<R: HyperRuntime>(&'static self, addr: SocketAddr) -> Result<(), End> {
        let stream = R::connect(addr).await.map_err(End::turned_away)?;
        let (mut sender, connection) =
            http1::handshake(R::stream(stream)).await.map_err(End::turned_away)?;
        // hyper's half of the connection is a task of its own, and counted like the client.
        R::spawn(self.clients.guard().track(connection));
        while sender.ready().await.is_ok() {
            let id = self.next_id.fetch_add(1, Relaxed);
            let request = Request::get(format!("/work?id={id}"))
                .header(HOST, addr.to_string())
                .body(Empty::<Bytes>::new())
                .expect("a request");
            let response = sender.send_request(request).await.map_err(End::turned_away)?;
            self.check(id, response).await?;
        }
        Ok(())
    }

    async fn check(&self, id: u64, response: Response<Incoming>) -> Result<(), End> {
        let status = response.status();
        let body = response.into_body().collect().await.map_err(End::wrong)?.to_bytes();
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Err(End::Refused),
            StatusCode::OK if body == answer_to(id) => {
                self.verified.fetch_add(1, Relaxed);
                Ok(())
            }
            _ => Err(End::wrong(format!("to request {id}: {status}, {} bytes", body.len()))),
        }
    }
}

impl End {
    fn turned_away(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::TurnedAway(error.into())
    }

    fn wrong(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::WrongAnswer(error.into())
    }
}

fn warn_once(line: String) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| complain(line));
}
