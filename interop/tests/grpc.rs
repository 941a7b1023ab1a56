//! The tonic server of the page.

#[expect(dead_code, reason = "the client speaks HTTP/1.1")]
mod common;

use std::time::Duration;

use common::{LONG, listener};
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use winddown::{Stopped, TaskGroup};
use winddown_interop::tonic_server::serve;

async fn client(address: String) -> HealthClient<Channel> {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    HealthClient::new(channel.connect().await.unwrap())
}

/// The stream says that the server ends, and ends; then tonic does.
#[tokio::test]
async fn a_streaming_call_of_tonic_ends_at_the_close() {
    let group = TaskGroup::new();
    let (listener, address) = listener().await;
    let guard = group.guard().unwrap();
    let server = tokio::spawn(guard.track(serve(listener, group.clone())));
    let mut client = client(address).await;
    let status = client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap().status();
    assert_eq!(first, ServingStatus::Serving);
    assert_eq!(group.len(), 2, "the server and the stream");

    let rest = async {
        let last = watch.message().await.unwrap().unwrap().status();
        assert_eq!(last, ServingStatus::NotServing);
        assert!(watch.message().await.unwrap().is_none(), "the stream has ended");
    };
    let stop = group.shutdown(std::future::pending::<()>());
    let (stopped, ()) = timeout(LONG, async { tokio::join!(stop, rest) }).await.expect("in time");
    assert_eq!(stopped, Stopped::Gracefully);
    server.await.unwrap().unwrap();
}

/// A connection that never speaks keeps tonic waiting until then.
#[tokio::test]
async fn tonic_is_forced_by_the_cancel() {
    let group = TaskGroup::new();
    let (listener, address) = listener().await;
    let guard = group.guard().unwrap();
    let server = tokio::spawn(guard.track(serve(listener, group.clone())));
    let stuck = tokio::net::TcpStream::connect(address).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let grace = sleep(Duration::from_millis(50));
    let stopped = timeout(LONG, group.shutdown(grace)).await.expect("in time");
    assert_eq!(stopped, Stopped::Forced);
    server.await.unwrap().unwrap();
    drop(stuck);
}
