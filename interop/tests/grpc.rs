//! The tonic server of the page.

#[expect(dead_code, reason = "the client speaks HTTP/1.1")]
mod common;

use std::future::pending;
use std::time::Duration;

use common::{LONG, listener};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use tokio_stream::{Empty, empty};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use winddown::{Stopped, TaskGroup};
use winddown_interop::tonic_server::{GroupHealth, serve};

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
    let server = tokio::spawn(guard.track(serve(
        listener,
        group.clone(),
        GroupHealth { group: group.clone() },
    )));
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
    let stop = group.shutdown(pending::<()>());
    let (stopped, ()) = timeout(LONG, async { tokio::join!(stop, rest) }).await.expect("in time");
    assert_eq!(stopped, Stopped::Gracefully);
    server.await.unwrap().unwrap();
}

/// A service that takes its time.
struct Slow {
    group: TaskGroup,
    ended: UnboundedSender<(bool, bool)>,
}

#[tonic::async_trait]
impl Health for Slow {
    type WatchStream = Empty<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let _ended = Ended { group: self.group.clone(), tell: self.ended.clone() };
        pending().await
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(empty()))
    }
}

/// Tells how the group was when the call ended. It is no guard.
struct Ended {
    group: TaskGroup,
    tell: UnboundedSender<(bool, bool)>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.tell.send((self.group.token().is_cancelled(), self.group.is_drained()));
    }
}

#[tokio::test]
async fn a_slow_call_of_tonic_is_cut_at_the_cancel() {
    let group = TaskGroup::new();
    let (listener, address) = listener().await;
    let guard = group.guard().unwrap();
    let (ended, mut ends) = unbounded_channel();
    let slow = Slow { group: group.clone(), ended };
    let server = tokio::spawn(guard.track(serve(listener, group.clone(), slow)));
    let mut client = client(address).await;
    let call = client.check(HealthCheckRequest::default());
    let stop = async {
        sleep(Duration::from_millis(100)).await;
        group.shutdown(sleep(Duration::from_millis(50))).await
    };
    let (answer, stopped) =
        timeout(LONG, async { tokio::join!(call, stop) }).await.expect("in time");
    assert_eq!(stopped, Stopped::Forced);
    assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    assert_eq!(ends.recv().await, Some((true, false)), "cancelled, and not yet drained");
    server.await.unwrap().unwrap();
}

/// The limit is for this client: the group does not say that tonic has ended.
#[tokio::test]
async fn a_connection_that_never_speaks_keeps_tonic_up() {
    let group = TaskGroup::new();
    let (listener, address) = listener().await;
    let guard = group.guard().unwrap();
    let health = GroupHealth { group: group.clone() };
    let server = tokio::spawn(guard.track(serve(listener, group.clone(), health)));
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let (grace, limit) = (sleep(Duration::from_millis(50)), sleep(Duration::from_millis(500)));
    let unfinished = timeout(LONG, group.shutdown(grace).until(limit)).await.expect("in time");
    assert_eq!(unfinished.unwrap_err().left, 1);
    assert!(!group.is_drained());
    drop(silent);
    server.await.unwrap().unwrap();
    assert!(group.is_drained());
}
