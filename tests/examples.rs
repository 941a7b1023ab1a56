//! `examples/drain_server`, run as its users run it: by its options, its output, and its exit code.

#![cfg(all(unix, feature = "std", not(loom)))]

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::SystemTime;

/// No test takes as long; who hangs is killed, and fails by that.
const HANGS: Duration = Duration::from_secs(100);

/// Longer than any test: a request that is never answered.
const FOR_EVER_MS: u64 = 1_000_000;

/// The example's program, which cargo puts beside the folder of the tests' programs.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let tests = env::current_exe().unwrap();
        let profile = tests.parent().and_then(|deps| deps.parent()).unwrap();
        let program = profile.join("examples").join("drain_server");
        // `cargo test` has built it just now; `cargo test --test examples` has not.
        let built = modified(&program).ok();
        if built.is_none() || built < newest_source() {
            build(profile);
        }
        program
    })
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    path.metadata()?.modified()
}

fn newest_source() -> Option<SystemTime> {
    let mut newest = None;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("examples/drain_server")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            newest = newest.max(modified(&path).ok());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    newest
}

/// Builds the program into the folder of this profile.
fn build(profile: &Path) {
    let name = match profile.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        name => name,
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "drain_server", "--profile", name, "--target-dir"])
        .arg(profile.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "the example does not build");
}

/// The example, running.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The end of the test; until then a thread watches the time.
    _over: Sender<()>,
}

/// The example, ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (over, watched) = channel::<()>();
        let id = child.id();
        thread::spawn(move || {
            if watched.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
                signal(id, "KILL");
            }
        });
        Self { child, stdout, _over: over }
    }

    /// Started with `--listen`, and the address where it listens.
    fn listening(runtime: &str, more: &[&str]) -> (Self, SocketAddr) {
        let listen = ["--listen", "127.0.0.1:0", "--every", "0.02", "--runtime", runtime];
        let mut running = Self::start(&[&listen, more].concat());
        let line = running.line_with("serving http://");
        let addr = line.split_whitespace().nth(1).unwrap().strip_prefix("http://").unwrap();
        (running, addr.parse().unwrap())
    }

    /// Reads on to the first line that contains `text`, whatever space is between its words.
    fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "the program ended, and never wrote {text:?}");
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    fn end(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ended { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The numbers of the last line, which must name these, in this order.
    fn summary(&self) -> HashMap<&str, u64> {
        let last = self.stdout.lines().last().expect("some output");
        let fields = last.strip_prefix("drained: ").unwrap_or_else(|| panic!("{last:?}"));
        let fields: Vec<_> =
            fields.split(' ').map(|field| field.split_once('=').unwrap()).collect();
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["accepted", "completed", "refused", "lost", "drain_ms"]);
        fields.into_iter().map(|(name, number)| (name, number.parse().unwrap())).collect()
    }
}

fn signal(process: u32, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status();
    assert!(status.unwrap().success());
}

/// Sends a request on a connection that stays open.
fn get(addr: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    stream
}

/// What the server sends until it closes the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Rules 2 and 3: the drain under load waits for every request that was accepted.
fn load_is_drained(runtime: &str) {
    let args = ["--runtime", runtime, "--seconds", "0.5", "--connections", "16"];
    let ended = Running::start(&args).end();
    let summary = ended.summary();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("stopping: time is up"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
    assert!(summary["accepted"] > 0);
    assert_eq!(summary["completed"], summary["accepted"]);
    assert_eq!(summary["refused"], 16, "each client goes on until it is turned away");
    assert_eq!(summary["lost"], 0);
}

#[test]
fn under_load_nothing_is_lost_on_tokio() {
    load_is_drained("tokio");
}

#[test]
fn under_load_nothing_is_lost_on_smol() {
    load_is_drained("smol");
}

/// Rule 7: the stop reaches the accept loop, the idle connection and the busy one.
fn stops_by_signal(runtime: &str, name: &str) {
    let (mut running, addr) = Running::listening(runtime, &[]);
    let fresh = TcpStream::connect(addr).unwrap();
    let idle = get(addr, "/");
    running.line_with("1 completed");
    let busy = get(addr, "/slow?ms=2000");
    running.line_with("1 in flight");

    running.signal(name);
    running.line_with(&format!("stopping: SIG{name}; 1 in flight"));
    assert_eq!(rest(fresh), "");
    assert!(rest(idle).starts_with("HTTP/1.1 200 OK\r\n"));
    running.line_with("draining 1 in flight");
    assert!(TcpStream::connect(addr).is_err(), "the door is shut during the drain");
    let answer = rest(busy);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nslept for 2000 ms\n"), "{answer}");

    let ended = running.end();
    let summary = ended.summary();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!((summary["accepted"], summary["completed"]), (2, 2));
    assert_eq!((summary["refused"], summary["lost"]), (0, 0));
}

#[test]
fn ctrl_c_lets_the_request_in_hand_be_answered_on_tokio() {
    stops_by_signal("tokio", "INT");
}

#[test]
fn sigterm_lets_the_request_in_hand_be_answered_on_smol() {
    stops_by_signal("smol", "TERM");
}

fn second_signal(runtime: &str) {
    let (mut running, addr) = Running::listening(runtime, &["--drain-limit", "1000"]);
    let busy = get(addr, &format!("/slow?ms={FOR_EVER_MS}"));
    running.line_with("1 in flight");
    running.signal("INT");
    running.line_with("stopping: SIGINT");
    running.signal("INT");
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("told to stop again; unanswered requests: 1"),
        "{}",
        ended.stderr
    );
    drop(busy);
}

#[test]
fn a_second_ctrl_c_does_not_wait_on_tokio() {
    second_signal("tokio");
}

#[test]
fn a_second_ctrl_c_does_not_wait_on_smol() {
    second_signal("smol");
}

fn limit(runtime: &str) {
    let (mut running, addr) = Running::listening(runtime, &["--drain-limit", "0.1"]);
    let busy = get(addr, &format!("/slow?ms={FOR_EVER_MS}"));
    running.line_with("1 in flight");
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    let left = "requests in flight: 1, connections open: 1";
    assert!(ended.stderr.contains(left), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!((summary["accepted"], summary["completed"], summary["lost"]), (1, 0, 1));
    drop(busy);
}

#[test]
fn who_is_not_done_by_the_limit_is_counted_and_fails_the_drain_on_tokio() {
    limit("tokio");
}

#[test]
fn who_is_not_done_by_the_limit_is_counted_and_fails_the_drain_on_smol() {
    limit("smol");
}

#[test]
fn a_client_that_hangs_up_is_not_lost() {
    let (mut running, addr) = Running::listening("tokio", &[]);
    let busy = get(addr, &format!("/slow?ms={FOR_EVER_MS}"));
    running.line_with("1 in flight");
    drop(busy);
    running.line_with("0 in flight");
    running.signal("INT");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("requests whose client hung up: 1\n"), "{}", ended.stdout);
    let summary = ended.summary();
    assert_eq!((summary["accepted"], summary["completed"], summary["lost"]), (1, 0, 0));
}

#[test]
fn half_a_request_does_not_hold_up_the_drain() {
    for runtime in ["tokio", "smol"] {
        let (mut running, addr) = Running::listening(runtime, &["--drain-limit", "1000"]);
        let mut half = TcpStream::connect(addr).unwrap();
        write!(half, "GET /slow").unwrap();
        // Behind it, so that the server has read the half when this one is answered.
        let whole = get(addr, "/");
        running.line_with("1 completed");
        running.signal("INT");
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        assert_eq!((ended.summary()["accepted"], ended.summary()["completed"]), (1, 1));
        drop((half, whole));
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for runtime in ["tokio", "smol"] {
        let ended = Running::start(&["--listen", &addr, "--runtime", runtime]).end();
        assert_eq!(ended.code, Some(1));
        let error = format!("drain_server: cannot listen on {addr}: ");
        assert!(ended.stderr.starts_with(&error), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn senseless_options_are_refused() {
    for (args, word) in [
        (["--connections", "0"].as_slice(), "--connections"),
        (&["--seconds", "-1"], "-1"),
        (&["--seconds", "soon"], "not a number of seconds"),
        (&["--listen", "here"], "--listen"),
        (&["--listen", "127.0.0.1:0", "--seconds", "1"], "cannot be used with"),
        (&["--runtime", "none"], "tokio, smol"),
    ] {
        let ended = Running::start(args).end();
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert!(ended.stderr.contains(word), "{args:?}: {}", ended.stderr);
    }
}
