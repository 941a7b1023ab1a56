//! An axum server: its connections end with the group.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::time::{interval, sleep};
use tokio_stream::wrappers::IntervalStream;
use winddown::{FutureUntil as _, StreamUntil as _, TaskGroup};

/// Serves until the group is closed and all connections have ended, or until it is cancelled.
pub async fn serve(listener: TcpListener, group: TaskGroup) -> io::Result<()> {
    let app = Router::new()
        .route("/work/{millis}", get(work))
        .route("/ticks", get(ticks))
        .layer(from_fn_with_state(group.clone(), count))
        .with_state(group.clone());
    // At the close axum ends connections that are idle, and the others after their request.
    let closed = group.closing().clone().cancelled_owned();
    let server = axum::serve(listener, app).with_graceful_shutdown(closed);
    // A client that never ends its request keeps axum waiting; the cancel does not wait for it.
    server.until(group.token()).await.unwrap_or(Ok(()))
}

/// Counts each request in, and drops its work at the cancel.
async fn count(State(group): State<TaskGroup>, request: Request, next: Next) -> Response {
    let Ok(guard) = group.guard() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let token = guard.token().clone();
    match guard.track(next.run(request).until(token)).await {
        Ok(response) => response,
        Err(cancelled) => (StatusCode::SERVICE_UNAVAILABLE, cancelled.to_string()).into_response(),
    }
}

async fn work(Path(millis): Path<u64>) -> &'static str {
    sleep(Duration::from_millis(millis)).await;
    "done"
}

/// A body without an end. It ends at the close, between two ticks, and is counted until it has ended or the
/// client is gone.
async fn ticks(State(group): State<TaskGroup>) -> Result<Body, StatusCode> {
    let guard = group.guard().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let ticks = IntervalStream::new(interval(Duration::from_millis(5)));
    let ticks = ticks.map(|_| Ok::<_, Infallible>("tick\n")).until(guard.closing().clone());
    Ok(Body::from_stream(guard.track_stream(ticks)))
}
