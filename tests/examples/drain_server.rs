//! `examples/drain_server`.

use core::net::SocketAddr;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::program::{Ended, Running, assert_names_the_address_in_use, assert_refuses, on_each};

/// Longer than any test: a request that is never answered.
const FOR_EVER_MS: u64 = 1_000_000;

fn start(args: &[&str]) -> Running {
    Running::start("drain_server", args)
}

fn listening(runtime: &str, more: &[&str]) -> (Running, SocketAddr) {
    let often = ["--every", "0.02", "--runtime", runtime];
    Running::listening("drain_server", &[&often, more].concat())
}

fn summary(ended: &Ended) -> HashMap<&str, u64> {
    ended.summary("drained:", &["accepted", "completed", "refused", "lost", "drain_ms"])
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
    let args = ["--runtime", runtime, "--seconds", "2", "--connections", "16"];
    let ended = start(&args).end();
    let summary = summary(&ended);
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
    let (mut running, addr) = listening(runtime, &[]);
    let fresh = TcpStream::connect(addr).unwrap();
    let idle = get(addr, "/");
    running.line_with("1 completed");
    let busy = get(addr, "/slow?ms=4000");
    running.line_with("1 in flight");

    running.signal(name);
    running.line_with(&format!("stopping: SIG{name}; 1 in flight"));
    assert_eq!(rest(fresh), "");
    assert!(rest(idle).starts_with("HTTP/1.1 200 OK\r\n"));
    running.line_with("draining 1 in flight");
    assert!(TcpStream::connect(addr).is_err(), "the door is shut during the drain");
    let answer = rest(busy);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nslept for 4000 ms\n"), "{answer}");

    let ended = running.end();
    let summary = summary(&ended);
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

/// Rule 16: the end of the grace is any future, here either of two.
fn force(runtime: &str, grace: &str, second_signal: bool) {
    let args = ["--drain-limit", "1000", "--grace", grace];
    let (mut running, addr) = listening(runtime, &args);
    let busy = get(addr, &format!("/slow?ms={FOR_EVER_MS}"));
    running.line_with("1 in flight");
    running.signal("INT");
    running.line_with("stopping: SIGINT; 1 in flight");
    if second_signal {
        running.signal("INT");
    }
    let answer = rest(busy);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\ncut short: shutting down\n"), "{answer}");
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("drained by force\n"), "{}", ended.stdout);
    let told_again = ended.stderr.contains("told to stop again; cut short: 1 in flight");
    assert_eq!(told_again, second_signal, "{}", ended.stderr);
    let summary = summary(&ended);
    assert_eq!((summary["accepted"], summary["completed"], summary["lost"]), (1, 0, 1));
}

#[test]
fn a_second_ctrl_c_cuts_short_what_is_in_hand_on_tokio() {
    force("tokio", "1000", true);
}

#[test]
fn a_second_ctrl_c_cuts_short_what_is_in_hand_on_smol() {
    force("smol", "1000", true);
}

#[test]
fn the_end_of_the_grace_cuts_short_what_is_in_hand() {
    force("tokio", "0.1", false);
    force("smol", "0.1", false);
}

/// The report of the tasks that are inside, if the examples are built with the feature.
fn assert_names_the_commit(report: &str) {
    let named = report.contains("commit, from examples/drain_server/server.rs:");
    let hint = report.contains("to see their names, run it with `--features holders`");
    assert!(named || (hint && !cfg!(feature = "holders")), "{report}");
}

#[test]
fn a_third_ctrl_c_does_not_wait() {
    for runtime in ["tokio", "smol"] {
        let (mut running, addr) = listening(runtime, &["--drain-limit", "1000"]);
        let busy = get(addr, &format!("/commit?ms={FOR_EVER_MS}"));
        running.line_with("1 in flight");
        running.signal("INT");
        running.line_with("stopping: SIGINT");
        running.signal("INT");
        // The answer comes at once, and what must be done is still being done.
        assert!(rest(busy).starts_with("HTTP/1.1 503 "));
        running.signal("INT");
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{}", ended.stdout);
        assert!(ended.stderr.contains("told to stop a third time"), "{}", ended.stderr);
        assert_names_the_commit(&ended.stderr);
    }
}

/// What must not be cut short is waited for, after the grace too.
#[test]
fn a_commit_outlives_the_grace() {
    on_each(&["tokio", "smol"], |runtime| {
        let (mut running, addr) = listening(runtime, &["--grace", "0.05"]);
        // Longer than the signal and the grace take on a busy machine.
        let busy = get(addr, "/commit?ms=4000");
        running.line_with("1 in flight");
        running.signal("INT");
        assert!(rest(busy).starts_with("HTTP/1.1 503 "));
        let ended = running.end();
        // By the limit of 10 seconds it would not be drained.
        assert!(ended.stdout.contains("drained by force\n"), "{}", ended.stdout);
        assert_eq!(ended.stderr, "");
        assert_eq!(summary(&ended)["lost"], 1);
    });
}

/// The hard limit: the server gives up, and says how many tasks are left, and which ones.
fn limit(runtime: &str) {
    let args = ["--grace", "0.05", "--drain-limit", "0.5"];
    let (mut running, addr) = listening(runtime, &args);
    let busy = get(addr, &format!("/commit?ms={FOR_EVER_MS}"));
    running.line_with("1 in flight");
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    let left = "requests in flight: 0, still inside: 1\n";
    assert!(ended.stderr.contains(left), "{}", ended.stderr);
    assert_names_the_commit(&ended.stderr);
    let summary = summary(&ended);
    assert_eq!((summary["accepted"], summary["completed"], summary["lost"]), (1, 0, 1));
    drop(busy);
}

#[test]
fn a_task_that_outlives_the_limit_is_named_and_fails_the_drain_on_tokio() {
    limit("tokio");
}

#[test]
fn a_task_that_outlives_the_limit_is_named_and_fails_the_drain_on_smol() {
    limit("smol");
}

#[test]
fn a_client_that_hangs_up_is_not_lost() {
    let (mut running, addr) = listening("tokio", &[]);
    let busy = get(addr, &format!("/slow?ms={FOR_EVER_MS}"));
    running.line_with("1 in flight");
    drop(busy);
    running.line_with("0 in flight");
    running.signal("INT");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("requests whose client hung up: 1\n"), "{}", ended.stdout);
    let summary = summary(&ended);
    assert_eq!((summary["accepted"], summary["completed"], summary["lost"]), (1, 0, 0));
}

#[test]
fn half_a_request_does_not_hold_up_the_drain() {
    for runtime in ["tokio", "smol"] {
        let (mut running, addr) = listening(runtime, &["--drain-limit", "1000"]);
        let mut half = TcpStream::connect(addr).unwrap();
        write!(half, "GET /slow").unwrap();
        // Behind it, so that the server has read the half when this one is answered.
        let whole = get(addr, "/");
        running.line_with("1 completed");
        running.signal("INT");
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        assert_eq!((summary(&ended)["accepted"], summary(&ended)["completed"]), (1, 1));
        drop((half, whole));
    }
}

/// Clients that send a byte at a time, reset the connection, do not read, and ask for another protocol: what was
/// accepted is answered or its client is gone, and none of them holds up the drain.
#[test]
fn clients_that_misbehave_lose_nothing_and_hold_nothing_up() {
    on_each(&["tokio", "smol"], |runtime| {
        let (mut running, addr) = listening(runtime, &["--drain-limit", "1000"]);
        let mut completed = 0;
        let mut answered = |running: &mut Running| {
            completed += 1;
            running.line_with(&format!(" {completed} completed"));
        };

        // A byte at a time, to its end.
        let mut slow = TcpStream::connect(addr).unwrap();
        slow.set_nodelay(true).unwrap();
        for byte in format!("GET / HTTP/1.1\r\nHost: {addr}\r\n\r\n").bytes() {
            slow.write_all(&[byte]).unwrap();
        }
        answered(&mut running);
        // Closed while its answer is there and was not read: the system resets such a connection.
        let reset = get(addr, "/");
        answered(&mut running);
        assert!(reset.peek(&mut [0]).unwrap() == 1, "the answer has come");
        drop(reset);
        // Never reads, and sends the next request at once: it is answered, too, or not accepted.
        let mut deaf = get(addr, "/");
        answered(&mut running);
        write!(deaf, "GET / HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
        answered(&mut running);
        // Asks for another protocol, which the server does not speak: an answer as to any other request.
        let mut other = TcpStream::connect(addr).unwrap();
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        write!(other, "GET / HTTP/1.1\r\nHost: {addr}\r\n{upgrade}\r\n").unwrap();
        answered(&mut running);
        // One that goes on sending a byte at a time while the server stops.
        let mut late = TcpStream::connect(addr).unwrap();
        late.set_nodelay(true).unwrap();
        write!(late, "GET /slow?ms=0").unwrap();
        let busy = get(addr, "/slow?ms=4000");
        running.line_with("1 in flight");

        running.signal("INT");
        running.line_with("stopping: SIGINT");
        while late.write_all(b"0").is_ok() {
            std::thread::yield_now();
        }
        assert!(rest(other).starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(rest(busy).ends_with("slept for 4000 ms\n"));
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let summary = summary(&ended);
        assert_eq!((summary["accepted"], summary["completed"], summary["lost"]), (6, 6, 0));
        drop((slow, deaf));
    });
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    assert_names_the_address_in_use("drain_server", &["tokio", "smol"]);
}

#[test]
fn senseless_options_are_refused() {
    assert_refuses(
        "drain_server",
        &[
            (&["--connections", "0"], "--connections"),
            (&["--seconds", "-1"], "-1"),
            (&["--seconds", "soon"], "not a number of seconds"),
            (&["--listen", "here"], "--listen"),
            (&["--listen", "127.0.0.1:0", "--seconds", "1"], "cannot be used with"),
            (&["--runtime", "none"], "tokio, smol"),
        ],
    );
}
