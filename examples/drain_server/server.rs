//! The server: an accept loop, its connections, their requests; and how all of them stop.
//!
//! # Why no accepted request is missed
//!
//! The group counts the accept loop and every connection. The loop is counted in before it is
//! started, and out when it has ended. A connection is counted in by the loop, which is itself
//! still counted then, and out when hyper has written the last answer and closed it. So the group
//! is not drained while a task is left that could take a request in, or owes an answer.
//!
//! So it does not matter that a request may arrive at the very moment when the door is closed. It
//! sees that or it does not, and is refused or accepted; its connection is counted, and the drain
//! waits for its answer in both cases.
//!
//! # What is forced
//!
//! When the grace is over the group is cancelled: requests in hand are cut short, and say so. What
//! must not be cut short is a task of its own (`/commit`), and only the limit of the drain stops the
//! wait for it.

use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, select_biased};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use winddown::{FutureUntil as _, Signal, TaskGroup, TaskGuard, WaitGroup};

use crate::hyper_runtime::HyperRuntime;
use crate::program::complain;

/// How long a client may take to send the head of a request.
const HEADER_LIMIT: Duration = Duration::from_secs(2);

/// What all tasks of the server share.
pub(crate) struct Server {
    /// Closed once, by the first of several reasons to stop; tells which one that was.
    pub(crate) stop: Signal<Stop>,
    /// Ends the grace early.
    pub(crate) force: Signal,
    /// The accept loop, the open connections, and what must not be cut short.
    pub(crate) tasks: TaskGroup,
    /// The requests in flight: for people to read.
    pub(crate) requests: WaitGroup,
    pub(crate) accepted: AtomicU64,
    pub(crate) completed: AtomicU64,
    /// Answered by "503 Service Unavailable", because they came too late.
    pub(crate) refused: AtomicU64,
    /// The same, because they took too long.
    pub(crate) cut: AtomicU64,
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
    pub(crate) fn new() -> Self {
        Self {
            stop: Signal::typed(),
            force: Signal::new(),
            tasks: TaskGroup::new(),
            requests: WaitGroup::new(),
            accepted: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        }
    }

    /// Asks for the stop. False if that was done before.
    pub(crate) fn stop(&self, why: Why) -> bool {
        self.stop.close_with(Stop { why, at: Instant::now() }).is_ok()
    }

    /// Starts the accept loop.
    pub(crate) fn start<R: HyperRuntime>(&'static self, listener: R::Listener) {
        // The guard is taken here, before the task exists: a wait from now on waits for it.
        let guard = self.tasks.guard().expect("closed by the drain alone").label("accept loop");
        R::spawn(guard.track(self.accept::<R>(listener)));
    }

    async fn accept<R: HyperRuntime>(&'static self, listener: R::Listener) {
        // One wait serves the whole loop: it is fused, and ready again after it was ready.
        let mut closed = self.tasks.closed();
        loop {
            let mut accept = pin!(R::accept(&listener).fuse());
            select_biased! {
                // Returning closes the listener: from now on the system turns clients away.
                () = closed => return,
                stream = accept => match (stream, self.tasks.guard()) {
                    (Ok(stream), Ok(guard)) => {
                        R::spawn(self.connection::<R>(guard.label("connection"), stream));
                    }
                    // The door is closed: the next turn is the last.
                    (Ok(_), Err(_refused)) => {}
                    (Err(error), _) => {
                        complain(format_args!("cannot accept: {error}"));
                        // Out of file handles, most likely: some may come back.
                        R::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }

    async fn connection<R: HyperRuntime>(&'static self, guard: TaskGuard, stream: R::Stream) {
        let service = service_fn(|request| {
            // Counted in before it starts, and out when it is answered, abandoned or panics.
            self.requests.guard().track(self.request::<R>(&guard, request))
        });
        let mut http = http1::Builder::new();
        // Else a client that sends half a request, and then nothing, holds up the drain.
        http.timer(R::timer()).header_read_timeout(HEADER_LIMIT);
        let mut connection = pin!(http.serve_connection(R::stream(stream), service));
        select_biased! {
            // First, so that a request that is here already gets an answer, if only a refusal.
            // An error is a client that hung up, and no concern of ours.
            _ = connection.as_mut().fuse() => return,
            () = guard.closed() => {}
        }
        // Closes at once if idle, else after the request in hand.
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }

    async fn request<R: HyperRuntime>(
        &self,
        guard: &TaskGuard,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (status, body) = if self.tasks.is_closed() {
            self.refused.fetch_add(1, Relaxed);
            (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into())
        } else {
            self.accepted.fetch_add(1, Relaxed);
            // A handle of its own for each wait.
            let token = guard.token().clone();
            match respond::<R>(guard, request.uri()).until(token).await {
                Ok(answer) => {
                    self.completed.fetch_add(1, Relaxed);
                    answer
                }
                Err(_cancelled) => {
                    self.cut.fetch_add(1, Relaxed);
                    (StatusCode::SERVICE_UNAVAILABLE, "cut short: shutting down\n".into())
                }
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        if self.tasks.is_closed() {
            response.headers_mut().insert(CONNECTION, "close".parse().expect("a header value"));
        }
        Ok(response)
    }
}

async fn respond<R: HyperRuntime>(guard: &TaskGuard, uri: &Uri) -> (StatusCode, String) {
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
        ("/commit", _, Some(ms)) => {
            commit::<R>(guard, Duration::from_millis(ms)).await;
            (StatusCode::OK, format!("committed in {ms} ms\n"))
        }
        ("/", ..) => {
            (StatusCode::OK, "try /work?id=7 or /slow?ms=2000 or /commit?ms=2000\n".into())
        }
        ("/work", ..) => (StatusCode::BAD_REQUEST, "/work needs a number: /work?id=7\n".into()),
        ("/slow" | "/commit", ..) => {
            (StatusCode::BAD_REQUEST, "it needs a number: /slow?ms=2000\n".into())
        }
        _ => (StatusCode::NOT_FOUND, "there is / and /work?id=7 and /slow?ms=2000\n".into()),
    }
}

/// Does what must be done once it has begun, even if nothing waits for the answer any more: in a task
/// of its own. A task that is inside may bring it in, even when the door is closed.
async fn commit<R: HyperRuntime>(guard: &TaskGuard, time: Duration) {
    let committed = Arc::new(Signal::new());
    let commit = Arc::clone(&committed);
    let guard = guard.clone().label("commit");
    R::spawn(guard.track(async move {
        R::sleep(time).await;
        commit.close();
    }));
    committed.closed().await;
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
