//! The servers of the page that speak HTTP/1.1, each at a close and at a cancel.

mod common;

use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::get;
use bytes::Bytes;
use common::{Client, LONG, listener};
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use winddown::{FutureUntil as _, Stopped, TaskGroup};
use winddown_interop::{axum_server, hyper_server};

async fn axum(group: &TaskGroup) -> (String, JoinHandle<()>) {
    let (listener, address) = listener().await;
    let server = axum_server::serve(listener, group.clone());
    let guard = group.guard().unwrap();
    let server = tokio::spawn(guard.track(async move { server.await.unwrap() }));
    (address, server)
}

async fn hyper(group: &TaskGroup) -> (String, JoinHandle<()>) {
    let (listener, address) = listener().await;
    let server = tokio::spawn(hyper_server::serve(listener, group.guard().unwrap()));
    (address, server)
}

/// Shuts down with a grace that is never over.
async fn close(group: &TaskGroup) -> Stopped {
    timeout(LONG, group.shutdown(std::future::pending::<()>())).await.expect("in time")
}

/// An idle connection ends at once, a busy one after its answer, and nothing new comes in.
async fn closes(group: TaskGroup, address: String, server: JoinHandle<()>, path: &str) {
    let mut idle = Client::connect(&address).await;
    idle.ask("/work/0").await;
    idle.read_until("done").await;
    // It was kept alive.
    idle.ask("/work/0").await;
    idle.read_until("done").await;
    let mut busy = Client::connect(&address).await;
    busy.ask(path).await;
    // The request has arrived by then: its connection is served by another task.
    sleep(Duration::from_millis(100)).await;
    let (stopped, idle, answer) =
        tokio::join!(close(&group), idle.read_to_end(), busy.read_to_end());
    assert_eq!(stopped, Stopped::Gracefully);
    assert_eq!(idle, "");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer:?}");
    timeout(LONG, server).await.expect("in time").unwrap();
    assert!(TcpStream::connect(&address).await.is_err(), "the listener is gone");
}

/// The request of a client is being answered when the grace ends.
async fn is_forced(
    group: TaskGroup,
    address: String,
    server: JoinHandle<()>,
    path: &str,
) -> String {
    let mut busy = Client::connect(&address).await;
    busy.ask(path).await;
    sleep(Duration::from_millis(100)).await;
    let grace = sleep(Duration::from_millis(50));
    let stop = timeout(LONG, group.shutdown(grace));
    let (stopped, answer) = tokio::join!(stop, busy.read_to_end());
    assert_eq!(stopped.expect("in time"), Stopped::Forced);
    timeout(LONG, server).await.expect("in time").unwrap();
    assert!(group.is_drained());
    answer
}

/// How many tasks are left if a client sends half a request and no more.
async fn left_by_half_a_request(group: &TaskGroup, address: &str) -> usize {
    let mut slow = Client::connect(address).await;
    slow.begin_to_ask().await;
    sleep(Duration::from_millis(100)).await;
    let (grace, limit) = (sleep(Duration::from_millis(50)), sleep(Duration::from_millis(500)));
    group.shutdown(grace).until(limit).await.map_or_else(|unfinished| unfinished.left, |_| 0)
}

#[tokio::test]
async fn axum_ends_idle_connections_at_the_close_and_busy_ones_after_their_request() {
    let group = TaskGroup::new();
    let (address, server) = axum(&group).await;
    closes(group, address, server, "/work/300").await;
}

#[tokio::test]
async fn axum_is_forced_by_the_cancel() {
    let group = TaskGroup::new();
    let (address, server) = axum(&group).await;
    let answer = is_forced(group, address, server, "/work/60000").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer:?}");
}

/// The limit is for this client: the group does not say that axum has ended.
#[tokio::test]
async fn half_a_request_keeps_axum_up() {
    let group = TaskGroup::new();
    let (address, server) = axum(&group).await;
    assert_eq!(left_by_half_a_request(&group, &address).await, 1);
    assert!(!group.is_drained() && !server.is_finished());
}

#[tokio::test]
async fn a_thread_of_an_axum_handler_is_waited_for_when_the_handler_is_dropped() {
    let group = TaskGroup::new();
    let (address, server) = axum(&group).await;
    let mut client = Client::connect(&address).await;
    client.ask("/block/1500").await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(group.len(), 2, "the server and the thread");
    group.cancel();
    let (answer, server) = tokio::join!(client.read_to_end(), timeout(LONG, server));
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer:?}");
    server.expect("in time").unwrap();
    assert!(!group.is_drained(), "the thread runs on");
    timeout(LONG, group.join()).await.expect("in time");
}

/// The socket says goodbye at the close, and the group waits for that.
#[tokio::test]
async fn a_websocket_of_axum_ends_at_the_close() {
    let group = TaskGroup::new();
    let (address, server) = axum(&group).await;
    let mut client = Client::connect(&address).await;
    client.upgrade("/echo").await;
    while group.len() < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let (stopped, rest) = tokio::join!(close(&group), client.read_bytes());
    assert_eq!(stopped, Stopped::Gracefully);
    assert_eq!(rest, [0x88, 0], "a frame of the kind Close");
    timeout(LONG, server).await.expect("in time").unwrap();
}

/// Why the page gives each socket a guard.
#[tokio::test]
async fn axum_does_not_wait_for_a_websocket_by_itself() {
    let group = TaskGroup::new();
    let (listener, address) = listener().await;
    let (alive, mut gone) = mpsc::channel::<()>(1);
    let upgrade = move |upgrade: WebSocketUpgrade| {
        let alive = alive.clone();
        async move {
            upgrade.on_upgrade(move |mut socket| async move {
                let _alive = alive;
                while socket.recv().await.is_some() {}
            })
        }
    };
    let app = Router::new().route("/", get(upgrade));
    let closed = group.closing().clone().cancelled_owned();
    let server = axum::serve(listener, app).with_graceful_shutdown(closed);
    tokio::spawn(group.track(server).unwrap());
    let mut client = Client::connect(&address).await;
    client.upgrade("/").await;
    assert_eq!(close(&group).await, Stopped::Gracefully);
    assert!(timeout(Duration::from_millis(50), gone.recv()).await.is_err(), "the socket lives");
    drop(client);
    assert!(timeout(LONG, gone.recv()).await.expect("in time").is_none());
}

/// Why the page gives the server itself no limit: its connections are tasks of their own.
#[tokio::test]
async fn a_server_of_axum_that_is_dropped_leaves_its_handlers_running() {
    let group = TaskGroup::new();
    let (listener, address) = listener().await;
    let app = Router::new().route(
        "/",
        get(async || {
            sleep(Duration::from_millis(400)).await;
            "done"
        }),
    );
    let server = axum::serve(listener, app).until(group.token().clone());
    tokio::spawn(group.track(server).unwrap());
    let mut client = Client::connect(&address).await;
    client.ask("/").await;
    sleep(Duration::from_millis(100)).await;
    group.cancel();
    timeout(Duration::from_millis(200), group.join()).await.expect("it says that it is drained");
    let answer = client.read_to_end().await;
    assert!(answer.ends_with("done"), "{answer:?}");
}

/// The body ends as a whole one: the last chunk arrives.
#[tokio::test]
async fn a_streaming_body_of_axum_ends_at_the_close_and_is_counted_until_then() {
    let group = TaskGroup::new();
    let (address, server) = axum(&group).await;
    let mut client = Client::connect(&address).await;
    client.ask("/ticks").await;
    client.read_until("tick").await;
    assert_eq!(group.len(), 2, "the server and the body");
    let (stopped, rest) = tokio::join!(close(&group), client.read_to_end());
    assert_eq!(stopped, Stopped::Gracefully);
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    timeout(LONG, server).await.expect("in time").unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_streaming_body() {
    let group = TaskGroup::new();
    let (address, server) = axum(&group).await;
    let mut client = Client::connect(&address).await;
    client.ask("/ticks").await;
    client.read_until("tick").await;
    drop(client);
    while group.len() > 1 {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(close(&group).await, Stopped::Gracefully);
    timeout(LONG, server).await.expect("in time").unwrap();
}

#[tokio::test]
async fn hyper_ends_idle_connections_at_the_close_and_busy_ones_after_their_request() {
    let group = TaskGroup::new();
    let (address, server) = hyper(&group).await;
    closes(group, address, server, "/300").await;
}

#[tokio::test]
async fn hyper_is_forced_by_the_cancel() {
    let group = TaskGroup::new();
    let (address, server) = hyper(&group).await;
    assert_eq!(is_forced(group, address, server, "/60000").await, "", "dropped without an answer");
}

#[tokio::test]
async fn half_a_request_is_dropped_by_hyper_at_the_cancel() {
    let group = TaskGroup::new();
    let (address, server) = hyper(&group).await;
    assert_eq!(left_by_half_a_request(&group, &address).await, 0);
    timeout(LONG, server).await.expect("in time").unwrap();
}

/// hyper spawns a task for each request of HTTP/2; the group waits for those too.
#[tokio::test]
async fn requests_of_http2_are_counted_and_end_at_the_cancel() {
    let group = TaskGroup::new();
    let (address, server) = hyper(&group).await;
    let stream = TokioIo::new(TcpStream::connect(&address).await.unwrap());
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), stream).await.expect("the server speaks HTTP/2");
    tokio::spawn(connection);
    let request = Request::get(format!("http://{address}/60000")).body(Empty::<Bytes>::new());
    let answer = tokio::spawn(client.send_request(request.unwrap()));
    while group.len() < 3 {
        sleep(Duration::from_millis(5)).await;
    }
    let grace = sleep(Duration::from_millis(50));
    let stopped = timeout(LONG, group.shutdown(grace)).await.expect("in time");
    assert_eq!(stopped, Stopped::Forced);
    assert!(timeout(LONG, answer).await.expect("in time").unwrap().is_err());
    timeout(LONG, server).await.expect("in time").unwrap();
}
