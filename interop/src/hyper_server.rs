//! A hyper server: hyper-util's `GracefulShutdown` tells the connections, the group waits for them.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::time::sleep;
use winddown::{FutureUntil as _, TaskGuard};

/// Accepts until the group is closed; each connection is a task of the group, and `guard` is that of this task.
pub async fn serve(listener: TcpListener, guard: TaskGuard) {
    let graceful = GracefulShutdown::new();
    let builder = Builder::new(TokioExecutor::new());
    while let Ok(accepted) = listener.accept().until(guard.closing()).await {
        let Ok((stream, _)) = accepted else {
            // Too many files are open, mostly.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Refused if the group was closed just now.
        let Ok(of_connection) = guard.group().guard() else { break };
        let token = of_connection.token().clone();
        // The connection owns the service, and so its guard. With HTTP/2 each request is a task of hyper's, which
        // may end after its connection: it has a guard of its own.
        let service = service_fn(move |request| of_connection.clone().track(answer(request)));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(connection.until(token));
    }
    drop(listener);
    // Idle connections end now, the others after their request; at the cancel all are dropped.
    let _ = graceful.shutdown().until(guard.token()).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let millis = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
    sleep(Duration::from_millis(millis)).await;
    Ok(Response::new(Full::from("done")))
}
