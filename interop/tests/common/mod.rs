//! A client that shows each byte of a connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Far longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(20);

pub async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("this machine has a loopback");
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// One connection of HTTP/1.1, kept alive.
pub struct Client {
    stream: TcpStream,
}

impl Client {
    pub async fn connect(address: &str) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    pub async fn ask(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    /// The first half of a request.
    pub async fn begin_to_ask(&mut self) {
        self.stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    }

    /// Makes a WebSocket of the connection.
    pub async fn upgrade(&mut self, path: &str) {
        let headers = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: d2luZGRvd24gdGVzdHMgaQ==\r\n";
        let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let answer = self.read_until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer:?}");
    }

    /// Reads until `text` was there.
    pub async fn read_until(&mut self, text: &str) -> String {
        let mut read = String::new();
        while !read.contains(text) {
            let mut bytes = [0; 1024];
            let count =
                timeout(LONG, self.stream.read(&mut bytes)).await.expect("in time").unwrap();
            assert_ne!(count, 0, "the connection ended; it gave {read:?}");
            read += std::str::from_utf8(&bytes[..count]).unwrap();
        }
        read
    }

    /// Reads until the server ends the connection.
    pub async fn read_to_end(&mut self) -> String {
        String::from_utf8(self.read_bytes().await).unwrap()
    }

    /// The same, of what is no text.
    pub async fn read_bytes(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        // A reset is an end too.
        let _ = timeout(LONG, self.stream.read_to_end(&mut read)).await.expect("in time");
        read
    }
}
