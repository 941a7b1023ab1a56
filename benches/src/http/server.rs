//! One connection of the server.

use core::convert::Infallible;
use core::pin::pin;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::http::Stream;
use crate::http::tracking::Tracking;

/// How a response ends, and where else it does not.
pub(super) const BODY: &[u8] = b"<the whole body>";

/// The task of a connection: counted in before it exists. Told to stop, it answers what it has begun
/// and closes.
pub(super) fn connection<T: Tracking>(
    stream: impl Stream,
    tracking: &T,
) -> impl Future<Output = ()> + Send + 'static {
    let guard = tracking.enter();
    let (mut stop, tracking) = (tracking.stop_handle(), tracking.clone());
    async move {
        let answer = service_fn(|_| {
            let request = tracking.enter();
            async move {
                let response = Response::new(Full::new(Bytes::from_static(BODY)));
                drop(request);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            // A client that goes is no fault of the server's.
            _ = connection.as_mut() => {}
            () = T::stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
        drop(guard);
    }
}
