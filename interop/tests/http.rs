//! The servers of the page that speak HTTP/1.1, each at a close and at a cancel.

mod common;

use std::time::Duration;

use common::{Client, LONG, listener};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use winddown::{Stopped, TaskGroup};
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
    assert!(tokio::net::TcpStream::connect(&address).await.is_err(), "the listener is gone");
}

/// What does not end by itself is dropped at the end of the grace.
async fn is_forced(
    group: TaskGroup,
    address: String,
    server: JoinHandle<()>,
    path: &str,
) -> String {
    let mut busy = Client::connect(&address).await;
    busy.ask(path).await;
    let mut slow = Client::connect(&address).await;
    slow.begin_to_ask().await;
    sleep(Duration::from_millis(100)).await;
    let grace = sleep(Duration::from_millis(50));
    let stop = timeout(LONG, group.shutdown(grace));
    let (stopped, answer) = tokio::join!(stop, busy.read_to_end());
    assert_eq!(stopped.expect("in time"), Stopped::Forced);
    timeout(LONG, server).await.expect("in time").unwrap();
    assert!(group.is_drained());
    answer
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
