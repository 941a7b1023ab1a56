//! A tonic server with a call that streams: the stream ends at the close.

use std::pin::Pin;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use winddown::{CancelToken, FutureUntil as _, StreamUntil as _, TaskGroup};

/// Serves until the group is closed and all calls have ended.
pub async fn serve(
    listener: TcpListener,
    group: TaskGroup,
    health: impl Health,
) -> Result<(), tonic::transport::Error> {
    let calls = Routes::new(HealthServer::new(health))
        .into_axum_router()
        .layer(from_fn_with_state(group.token().clone(), end_at_cancel));
    let closed = group.closing().clone().cancelled_owned();
    Server::builder()
        .add_routes(calls.into())
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), closed)
        .await
}

/// Drops the call at the cancel, and answers in its place.
async fn end_at_cancel(
    State(token): State<CancelToken>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    match next.run(request).until(&token).await {
        Ok(response) => response,
        Err(cancelled) => Status::unavailable(cancelled.to_string()).into_http(),
    }
}

/// Says that it serves until the group is closed.
pub struct GroupHealth {
    /// Is closed when the server ends.
    pub group: TaskGroup,
}

#[tonic::async_trait]
impl Health for GroupHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(response(!self.group.is_closed())))
    }

    /// Without `until` the stream would not end, and tonic would wait for it.
    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
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
