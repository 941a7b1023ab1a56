//! The server: an accept loop, its connections, their requests; and how all of them stop.
//!
//! # Why no accepted request is missed
//!
//! `connections` counts the accept loop and every connection. The loop is counted in before it is
//! started, and out when it has ended. A connection is counted in by the loop, which is itself
//! still counted then, and out when hyper has written the last answer and closed it. So the count
//! cannot touch zero while anybody is left who could take a request in, or owes an answer, and a
//! wait for zero cannot be over too early.
//!
//! So it does not matter that a request may arrive at the very moment when `stop` is closed. It
//! sees the signal or it does not, and is refused or accepted; its connection is counted, and the
//! drain waits for its answer in both cases.
//!
//! `requests` alone could not promise that: a request counts itself in and then looks at `stop`,
//! the drain closes `stop` and then looks at the count, and a processor may let both look before
//! either has been seen. It tells how much is in flight, for people to read.

use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, select_biased};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use winddown::{Signal, WaitGroup};

use crate::runtime::Runtime;
use crate::screen::complain;

/// How long a client may take to send the head of a request.
const HEADER_LIMIT: Duration = Duration::from_secs(2);

/// What everybody who serves shares. All of it is `const`, so it can be a `static`, and tasks
/// borrow it for ever.
pub(crate) struct Server {
    /// Closed once, by whoever is first; tells everybody to stop, and why.
    pub(crate) stop: Signal<Stop>,
    /// The accept loop and the open connections.
    pub(crate) connections: WaitGroup,
    /// The requests in flight.
    pub(crate) requests: WaitGroup,
    pub(crate) accepted: AtomicU64,
    pub(crate) completed: AtomicU64,
    /// Answered by "503 Service Unavailable".
    pub(crate) refused: AtomicU64,
}

/// Why the server stops, and since when.
pub(crate) struct Stop {
    pub(crate) why: Why,
    pub(crate) at: Instant,
}

pub(crate) enum Why {
    TimeUp,
    /// By the signal of this name.
    Interrupted(&'static str),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeUp => f.write_str("time is up"),
            Self::Interrupted(signal) => f.write_str(signal),
        }
    }
}

impl Server {
    pub(crate) const fn new() -> Self {
        Self {
            stop: Signal::typed(),
            connections: WaitGroup::new(),
            requests: WaitGroup::new(),
            accepted: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Tells everybody to stop. False if somebody else did so before.
    pub(crate) fn stop(&self, why: Why) -> bool {
        self.stop.close_with(Stop { why, at: Instant::now() }).is_ok()
    }

    /// Starts the accept loop.
    pub(crate) fn start<R: Runtime>(&'static self, listener: R::Listener) {
        // The guard is taken here, before the task exists: who waits from now on waits for it.
        let guard = self.connections.guard();
        R::spawn(guard.track(self.accept::<R>(listener)));
    }

    async fn accept<R: Runtime>(&'static self, listener: R::Listener) {
        // One wait serves the whole loop: it is fused, and ready again after it was ready.
        let mut stopped = self.stop.closed();
        loop {
            let mut accept = pin!(R::accept(&listener).fuse());
            select_biased! {
                // Returning closes the listener: from now on the system turns clients away.
                () = stopped => return,
                stream = accept => match stream {
                    Ok(stream) => {
                        let guard = self.connections.guard();
                        R::spawn(guard.track(self.connection::<R>(stream)));
                    }
                    Err(error) => {
                        complain(format_args!("cannot accept: {error}"));
                        // Out of file handles, most likely: some may come back.
                        R::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }

    async fn connection<R: Runtime>(&'static self, stream: R::Stream) {
        let service = service_fn(move |request| {
            // Counted in before it starts, and out when it is answered, abandoned or panics.
            self.requests.guard().track(self.request::<R>(request))
        });
        let mut http = http1::Builder::new();
        // Else a client that sends half a request, and then nothing, holds up the drain.
        http.timer(R::timer()).header_read_timeout(HEADER_LIMIT);
        let mut connection = pin!(http.serve_connection(stream, service));
        select_biased! {
            // First, so that a request that is here already gets an answer, if only a refusal.
            // An error is a client that hung up, and no concern of ours.
            _ = connection.as_mut().fuse() => return,
            () = self.stop.closed() => {}
        }
        // Closes at once if idle, else after the request in hand.
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }

    async fn request<R: Runtime>(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (status, body) = if self.stop.is_closed() {
            self.refused.fetch_add(1, Relaxed);
            (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into())
        } else {
            self.accepted.fetch_add(1, Relaxed);
            let answer = respond::<R>(request.uri()).await;
            self.completed.fetch_add(1, Relaxed);
            answer
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        if self.stop.is_closed() {
            response.headers_mut().insert(CONNECTION, "close".parse().expect("a header value"));
        }
        Ok(response)
    }
}

async fn respond<R: Runtime>(uri: &Uri) -> (StatusCode, String) {
    let number = |key| uri.query()?.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok();
    match (uri.path(), number("id"), number("ms")) {
        ("/work", Some(id), _) => {
            R::sleep(time_for(id)).await;
            (StatusCode::OK, answer_to(id))
        }
        ("/slow", _, Some(ms)) => {
            R::sleep(Duration::from_millis(ms)).await;
            (StatusCode::OK, format!("slept for {ms} ms\n"))
        }
        ("/", ..) => (StatusCode::OK, "try /work?id=7 or /slow?ms=2000\n".into()),
        ("/work", ..) => (StatusCode::BAD_REQUEST, "/work needs a number: /work?id=7\n".into()),
        ("/slow", ..) => (StatusCode::BAD_REQUEST, "/slow needs a number: /slow?ms=2000\n".into()),
        _ => (StatusCode::NOT_FOUND, "there is / and /work?id=7 and /slow?ms=2000\n".into()),
    }
}

/// How long the work for this request takes: 5 to 36 ms, and 400 ms for one in a hundred.
fn time_for(id: u64) -> Duration {
    let random = mix(id);
    Duration::from_millis(if random % 100 == 0 { 400 } else { 5 + (random >> 32) % 32 })
}

/// What the answer to this request must be, byte for byte.
pub(crate) fn answer_to(id: u64) -> String {
    (id..).take(64).map(|n| format!("{id} {:016x}\n", mix(n))).collect()
}

/// The finaliser of splitmix64: scatters consecutive numbers.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
