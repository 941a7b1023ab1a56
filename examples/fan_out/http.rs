//! HTTP/1.1 under a token: a server, and a client. Their connections end with their scopes.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri, client, server};
use winddown::{CancelToken, FutureUntil as _, WaitGroup};

use crate::hyper_runtime::HyperRuntime;
use crate::program::complain;

pub(crate) type Answer = (StatusCode, String);
pub(crate) type AnyError = Box<dyn Error + Send + Sync>;

/// The connections of one side.
pub(crate) struct Tally {
    /// The tasks that hold them now.
    pub(crate) tasks: WaitGroup,
    /// How many there were.
    pub(crate) connections: AtomicU64,
}

impl Tally {
    pub(crate) const fn new() -> Self {
        Self { tasks: WaitGroup::new(), connections: AtomicU64::new(0) }
    }
}

/// Serves until the token is cancelled. Requests get the token too: an answer is owed even then.
/// `head_limit` is how long a client may take to send the head of a request.
pub(crate) async fn serve<R, H, F>(
    token: CancelToken,
    tally: &'static Tally,
    listener: R::Listener,
    head_limit: Option<Duration>,
    handler: H,
) where
    R: HyperRuntime,
    H: Fn(CancelToken, Uri) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    // Ends when the token does, and closes the listener.
    while let Ok(accepted) = R::accept(&listener).until(&token).await {
        match accepted {
            Ok(stream) => {
                tally.connections.fetch_add(1, Relaxed);
                let guard = tally.tasks.guard();
                // A clone for each task: each waits on a handle of its own.
                let (token, handler) = (token.clone(), handler.clone());
                R::spawn(guard.track(connection::<R, H, F>(token, stream, head_limit, handler)));
            }
            Err(error) => {
                complain(format_args!("cannot accept: {error}"));
                // Out of file handles, most likely: some may come back.
                R::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection<R, H, F>(
    token: CancelToken,
    stream: R::Stream,
    head_limit: Option<Duration>,
    handler: H,
) where
    R: HyperRuntime,
    H: Fn(CancelToken, Uri) -> F + Send,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let answer = handler(token.clone(), request.uri().clone());
        async {
            let (status, body) = answer.await;
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = server::conn::http1::Builder::new();
    http.timer(R::timer()).header_read_timeout(head_limit);
    // If the client goes away, hyper ends here, and drops the answer that is being made.
    let mut connection = pin!(http.serve_connection(R::stream(stream), service));
    if connection.as_mut().until(&token).work_first().await.is_err() {
        // Closes at once if idle, else after the request in hand.
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// One request on a connection of its own, which is closed when this returns, and when it is dropped
/// halfway.
pub(crate) async fn get<R: HyperRuntime>(
    token: &CancelToken,
    tally: &'static Tally,
    server: SocketAddr,
    path: &str,
) -> Result<Answer, AnyError> {
    let stream = R::connect(server).await?;
    tally.connections.fetch_add(1, Relaxed);
    let (mut sender, connection) = client::conn::http1::handshake(R::stream(stream)).await?;
    // hyper's half of the connection is a task of its own, under a scope that we own: the task ends
    // when the scope is dropped, and that is on every way out of here.
    let scope = token.child();
    R::spawn(tally.tasks.guard().track(connection.until(scope.token().clone())));
    let request = Request::get(path).header(HOST, server.to_string()).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.into())?))
}

/// The number of this name in the query.
pub(crate) fn number<N: std::str::FromStr>(uri: &Uri, name: &str) -> Option<N> {
    let mut pairs = uri.query()?.split('&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}
