//! The server of `docs/shutdown.md`, as a process that gets signals.

#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than a request takes to arrive.
const ARRIVES: Duration = Duration::from_millis(300);

struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_server"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, output, address }
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(&self.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }

    /// A client whose request is being answered.
    fn busy_client(&self, request: &str) -> TcpStream {
        let mut client = self.client();
        client.write_all(request.as_bytes()).unwrap();
        sleep(ARRIVES);
        client
    }

    fn signal(&self, name: &str) {
        let process = self.process.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &process]).status().unwrap();
        assert!(kill.success());
        sleep(ARRIVES);
    }

    /// The exit code, and the rest of the output.
    fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code().unwrap(), rest)
    }
}

/// What the server sends until it ends the connection. A reset is an end too.
fn rest_of(mut client: TcpStream) -> String {
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    String::from_utf8(rest).unwrap()
}

#[test]
fn lines_that_have_arrived_are_answered_and_new_connections_are_refused() {
    let server = Server::start();
    let idle = server.client();
    let busy = server.busy_client("1500\n1\n2\n");
    server.signal("TERM");
    assert!(TcpStream::connect(&server.address).is_err(), "the listener is gone");
    assert_eq!(rest_of(idle), "");
    assert_eq!(rest_of(busy), "1500\n1\n2\n");
    let (code, output) = server.end();
    assert_eq!(code, 0, "{output}");
    assert_eq!(output, "the last task has left\nall tasks ended by themselves\n");
}

#[test]
fn a_second_signal_forces() {
    let server = Server::start();
    let busy = server.busy_client("60000\n");
    server.signal("INT");
    server.signal("TERM");
    assert_eq!(rest_of(busy), "");
    let (code, output) = server.end();
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("the grace was over"), "{output}");
}

/// The limit counts from the first signal, and ends the process although a thread is blocked.
#[test]
fn the_limit_ends_a_process_with_a_blocked_thread() {
    let server = Server::start();
    let busy = server.busy_client("block 60000\n");
    let begun = Instant::now();
    server.signal("TERM");
    let (code, output) = server.end();
    assert_eq!(code, 2, "{output}");
    assert_eq!(output, "1 tasks did not stop\n");
    let taken = begun.elapsed();
    assert!(taken > Duration::from_secs(7) && taken < Duration::from_secs(30), "{taken:?}");
    drop(busy);
}
