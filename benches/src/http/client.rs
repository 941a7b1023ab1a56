//! The least that a client of a keep-alive connection does.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::http::Stream;
use crate::http::server::BODY;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n";

pub(super) struct Client<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: Stream> Client<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::with_capacity(1024) }
    }

    /// Sends a request and reads until the body is complete; nothing follows it.
    pub(super) async fn request(&mut self) {
        self.stream.write_all(REQUEST).await.expect("an open connection");
        self.buffer.clear();
        while !self.buffer.ends_with(BODY) {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("an open connection");
            assert_ne!(read, 0, "the server answers each request");
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 "), "the server does not refuse");
    }
}
