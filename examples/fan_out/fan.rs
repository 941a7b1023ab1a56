//! The handler: one request, several upstream calls, one deadline.
//!
//! ```text
//! root                      the server: Ctrl-C cancels it
//!  └─ request               its deadline; a failed call; dropped when the client goes away
//!      ├─ connection 0      dropped when call 0 returns
//!      └─ connection 1 …
//! ```
//!
//! Whatever cancels a scope cancels all that is below it, at once; and each call can tell why.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hyper::{StatusCode, Uri};
use winddown::{CancelToken, Cancelled, Canceller, FutureUntil as _, Reason, Signal};

use crate::http::{Answer, AnyError, Tally, get, number};
use crate::hyper_runtime::HyperRuntime;

/// The connections of the clients.
pub(crate) static FRONT: Tally = Tally::new();
/// The upstream calls, and their connections.
pub(crate) static CALLS: Tally = Tally::new();
pub(crate) static COUNTS: Counts = Counts::new();

pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) ok: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    /// Answered by "503 Service Unavailable", because the server stops.
    pub(crate) refused: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) calls_answered: AtomicU64,
    pub(crate) calls_failed: AtomicU64,
    /// The calls that were cancelled, by reason.
    pub(crate) by_sibling: AtomicU64,
    pub(crate) by_deadline: AtomicU64,
    pub(crate) by_client: AtomicU64,
    pub(crate) by_stop: AtomicU64,
}

pub(crate) struct Setup {
    pub(crate) upstreams: Vec<SocketAddr>,
    pub(crate) deadline: Duration,
}

/// Why a request fails: the reason with which its first failed call cancels the others.
#[derive(Debug)]
struct UpstreamFailed {
    upstream: usize,
    error: AnyError,
}

impl fmt::Display for UpstreamFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "upstream {} failed: {}", self.upstream, self.error)
    }
}

impl Error for UpstreamFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.error)
    }
}

pub(crate) async fn handle<R: HyperRuntime>(
    server: CancelToken,
    setup: Arc<Setup>,
    uri: Uri,
) -> Answer {
    match uri.path() {
        "/fan" => {
            COUNTS.requests.fetch_add(1, Relaxed);
            let answer = fan::<R>(&server, &setup, &uri).await;
            // Not reached if the client goes away: then hyper drops this future.
            COUNTS.answered(answer.0).fetch_add(1, Relaxed);
            answer
        }
        "/" => (StatusCode::OK, format!("tasks of upstream calls: {}\n", CALLS.tasks.count())),
        _ => (StatusCode::NOT_FOUND, "there is / and /fan?slow=1&fail=1\n".into()),
    }
}

async fn fan<R: HyperRuntime>(server: &CancelToken, setup: &Setup, uri: &Uri) -> Answer {
    // The request's scope. This future owns it: dropped halfway, it cancels the calls.
    let at = Instant::now() + setup.deadline;
    let (request, expiry) = server.child_until(at, R::sleep(setup.deadline));
    let page = ask_all::<R>(request.token(), request.canceller(), setup, uri);
    // The expiry drives the deadline, and is ready as soon as anything cancels the scope.
    match page.until(expiry).await {
        Ok(page) => (StatusCode::OK, page),
        Err(cancelled) => apology(cancelled.reason()),
    }
}

/// What to say instead of an answer: the reason knows.
fn apology(reason: &Reason) -> Answer {
    if let Some(failed) = reason.downcast_ref::<UpstreamFailed>() {
        return (StatusCode::BAD_GATEWAY, format!("{failed}\n"));
    }
    match reason {
        Reason::Deadline => (StatusCode::GATEWAY_TIMEOUT, format!("{reason}\n")),
        _ => (StatusCode::SERVICE_UNAVAILABLE, format!("the server stops: {reason}\n")),
    }
}

/// Starts all calls, then collects their answers. The first `fail` upstreams are told to fail, and
/// the last `slow` ones never to answer.
async fn ask_all<R: HyperRuntime>(
    token: &CancelToken,
    canceller: Canceller,
    setup: &Setup,
    uri: &Uri,
) -> String {
    let id: u64 = number(uri, "id").unwrap_or(0);
    let fail = number(uri, "fail").unwrap_or(0);
    let slow = number(uri, "slow").unwrap_or(0);
    let last = setup.upstreams.len();
    let mut answers = Vec::with_capacity(last);
    for (upstream, &addr) in setup.upstreams.iter().enumerate() {
        let path = match upstream {
            _ if upstream < fail => format!("/fail?id={id}"),
            _ if last - upstream <= slow => format!("/hang?id={id}"),
            _ => format!("/answer?id={id}"),
        };
        let answer = Arc::new(Signal::typed());
        answers.push(Arc::clone(&answer));
        COUNTS.calls.fetch_add(1, Relaxed);
        // Counted in before the task exists: no wait can overlook it.
        let guard = CALLS.tasks.guard();
        let (token, canceller) = (token.clone(), canceller.clone());
        R::spawn(guard.track(async move {
            let call = call::<R>(&token, upstream, addr, &path);
            match token.run_until_cancelled(call).await {
                Ok(Ok(body)) => {
                    COUNTS.calls_answered.fetch_add(1, Relaxed);
                    let _ = answer.close_with(body);
                }
                Ok(Err(failed)) => {
                    COUNTS.calls_failed.fetch_add(1, Relaxed);
                    // Stops the siblings. If one of them failed before, its reason stands.
                    let _ = canceller.cancel_with(failed);
                }
                Err(cancelled) => {
                    COUNTS.stopped(&cancelled).fetch_add(1, Relaxed);
                }
            }
        }));
    }
    let mut page = String::new();
    for answer in &answers {
        // The answer of a call that failed never comes: our limit ends this wait.
        page += answer.value().await;
    }
    page
}

async fn call<R: HyperRuntime>(
    token: &CancelToken,
    upstream: usize,
    addr: SocketAddr,
    path: &str,
) -> Result<String, UpstreamFailed> {
    match get::<R>(token, &CALLS, addr, path).await {
        Ok((StatusCode::OK, body)) => Ok(body),
        Ok((status, _)) => Err(UpstreamFailed { upstream, error: status.to_string().into() }),
        Err(error) => Err(UpstreamFailed { upstream, error }),
    }
}

impl Counts {
    const fn new() -> Self {
        Self {
            requests: AtomicU64::new(0),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            calls_answered: AtomicU64::new(0),
            calls_failed: AtomicU64::new(0),
            by_sibling: AtomicU64::new(0),
            by_deadline: AtomicU64::new(0),
            by_client: AtomicU64::new(0),
            by_stop: AtomicU64::new(0),
        }
    }

    fn answered(&self, status: StatusCode) -> &AtomicU64 {
        match status {
            StatusCode::OK => &self.ok,
            StatusCode::BAD_GATEWAY => &self.failed,
            StatusCode::GATEWAY_TIMEOUT => &self.timed_out,
            _ => &self.refused,
        }
    }

    fn stopped(&self, why: &Cancelled) -> &AtomicU64 {
        match why.reason() {
            Reason::Deadline => &self.by_deadline,
            // The client has gone away, and with it the owner of the request's scope.
            Reason::Dropped => &self.by_client,
            reason if reason.downcast_ref::<UpstreamFailed>().is_some() => &self.by_sibling,
            _ => &self.by_stop,
        }
    }
}
