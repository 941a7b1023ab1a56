//! A tonic server with a call that streams: the stream ends at the close.

use std::pin::Pin;

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use winddown::{FutureUntil as _, StreamUntil as _, TaskGroup};

/// Serves until the group is closed and all calls have ended, or until it is cancelled.
pub async fn serve(listener: TcpListener, group: TaskGroup) -> Result<(), tonic::transport::Error> {
    let closed = group.closing().clone().cancelled_owned();
    let health = HealthServer::new(GroupHealth { group: group.clone() });
    let server = Server::builder()
        .add_service(health)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), closed);
    server.until(group.token()).await.unwrap_or(Ok(()))
}

/// Says that it serves until the group is closed.
struct GroupHealth {
    group: TaskGroup,
}

#[tonic::async_trait]
impl Health for GroupHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(response(!self.group.is_closed())))
    }

    /// Without `until` the stream would not end, and tonic would wait for it.
    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let guard = self.group.guard().map_err(|it| Status::unavailable(it.to_string()))?;
        let serving = stream::iter([true]).chain(stream::pending()).until(guard.closing().clone());
        let answers = serving.chain(stream::iter([false])).map(|it| Ok(response(it)));
        Ok(Response::new(Box::pin(guard.track_stream(answers))))
    }
}

fn response(serves: bool) -> HealthCheckResponse {
    let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}
