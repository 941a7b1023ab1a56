//! axum: requests, bodies without an end, WebSockets and blocking work.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep};
use tokio_stream::wrappers::IntervalStream;
use winddown::{CancelToken, FutureUntil as _, StreamUntil as _, TaskGroup, TaskGuard};

/// Serves until the group is closed and all connections have ended.
pub async fn serve(listener: TcpListener, group: TaskGroup) -> io::Result<()> {
    let app = Router::new()
        .route("/work/{millis}", get(work))
        .route("/block/{millis}", get(block))
        .route("/ticks", get(ticks))
        .route("/echo", get(echo))
        .layer(from_fn_with_state(group.token().clone(), end_at_cancel))
        .with_state(group.clone());
    // At the close axum ends connections that are idle, and the others after their request.
    let closed = group.closing().clone().cancelled_owned();
    axum::serve(listener, app).with_graceful_shutdown(closed).await
}

/// Drops the handler at the cancel, and answers in its place.
async fn end_at_cancel(State(token): State<CancelToken>, request: Request, next: Next) -> Response {
    match next.run(request).until(&token).await {
        Ok(response) => response,
        Err(cancelled) => (StatusCode::SERVICE_UNAVAILABLE, cancelled.to_string()).into_response(),
    }
}

/// Takes a guard for what outlives the handler.
fn enter(group: &TaskGroup) -> Result<TaskGuard, (StatusCode, String)> {
    group.guard().map_err(|refused| (StatusCode::SERVICE_UNAVAILABLE, refused.to_string()))
}

async fn work(Path(millis): Path<u64>) -> &'static str {
    sleep(Duration::from_millis(millis)).await;
    "done"
}

/// The thread goes on when the handler is dropped. Its guard says so to the group.
async fn block(State(group): State<TaskGroup>, Path(millis): Path<u64>) -> Response {
    let guard = match enter(&group) {
        Ok(guard) => guard,
        Err(refused) => return refused.into_response(),
    };
    let work = move || {
        let _guard = guard;
        std::thread::sleep(Duration::from_millis(millis));
    };
    match spawn_blocking(work).await {
        Ok(()) => "done".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A body without an end. It ends at the close, between two ticks, and is counted until it has ended or the
/// client is gone.
async fn ticks(State(group): State<TaskGroup>) -> Result<Body, (StatusCode, String)> {
    let guard = enter(&group)?;
    let ticks = IntervalStream::new(interval(Duration::from_millis(5)));
    let ticks = ticks.map(|_| Ok::<_, Infallible>("tick\n")).until(guard.closing().clone());
    Ok(Body::from_stream(guard.track_stream(ticks)))
}

/// axum runs an upgraded connection in a task of its own, and does not wait for it: the guard does.
async fn echo(State(group): State<TaskGroup>, upgrade: WebSocketUpgrade) -> Response {
    match enter(&group) {
        Ok(guard) => upgrade.on_upgrade(|socket| chat(guard, socket)),
        Err(refused) => refused.into_response(),
    }
}

async fn chat(guard: TaskGuard, mut socket: WebSocket) {
    while let Ok(Some(Ok(message))) = socket.recv().until(guard.closing()).work_first().await {
        let Ok(Ok(())) = socket.send(message).until(guard.token()).await else { return };
    }
    let _ = socket.send(Message::Close(None)).until(guard.token()).await;
}
