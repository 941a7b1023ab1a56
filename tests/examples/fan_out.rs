//! `examples/fan_out`.

use core::net::SocketAddr;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::program::{Ended, Running, assert_names_the_address_in_use, assert_refuses};

/// Longer than any test: a deadline that does not pass.
const FOR_EVER_MS: &str = "3600000";

fn start(args: &[&str]) -> Running {
    Running::start("fan_out", args)
}

fn listening(runtime: &str, deadline_ms: &str) -> (Running, SocketAddr) {
    let more = ["--runtime", runtime, "--deadline-ms", deadline_ms, "--upstreams", "3"];
    Running::listening("fan_out", &more)
}

fn summary(ended: &Ended) -> HashMap<&str, u64> {
    let names = ["requests", "ok", "failed", "timed_out", "abandoned", "left_behind"];
    ended.summary("fanned_out:", &names)
}

impl Ended {
    /// Ended well: nothing to complain about, and nothing left.
    fn assert_clean(&self) {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "");
        assert_eq!(summary(self)["left_behind"], 0);
        assert!(self.stdout.contains(" connections, 0 still open\n"), "{}", self.stdout);
    }

    /// The number that stands before this text.
    fn number_before(&self, text: &str) -> u64 {
        let before = self.stdout.split(text).next().unwrap();
        assert_ne!(before.len(), self.stdout.len(), "no {text:?} in {}", self.stdout);
        before.split_whitespace().last().unwrap().parse().unwrap()
    }
}

/// Sends a request, whose answer ends with the connection.
fn get(addr: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

/// What the server sends until it closes the connection: the status, and the body.
fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Asks until so many tasks make upstream calls.
fn until_calls(addr: SocketAddr, tasks: u32) {
    let wanted = (200, format!("tasks of upstream calls: {tasks}\n"));
    while answer(get(addr, "/")) != wanted {
        thread::yield_now();
    }
}

/// Rules 7 and 8: each request ends as its kind must, and each reason reaches the calls of its own
/// request, and no others.
fn every_kind(runtime: &str) {
    // Those that are not too slow must be done by the deadline, on a busy machine, too.
    let args = ["--runtime", runtime, "--requests", "16", "--deadline-ms", "5000"];
    let ended = start(&args).end();
    ended.assert_clean();
    let summary = summary(&ended);
    assert_eq!((summary["requests"], summary["ok"], summary["failed"]), (16, 4, 4));
    assert_eq!((summary["timed_out"], summary["abandoned"]), (4, 4));
    assert!(ended.stdout.contains("stopping: all requests are done\n"), "{}", ended.stdout);
    assert_eq!(ended.number_before(" made, "), 64, "each of 16 requests asks 4 upstreams");
    assert_eq!(ended.number_before(" failed; stopped"), 4);
    // The one that never answers is stopped in each request that has one.
    assert!(ended.number_before(" by a failed sibling") >= 4);
    assert!(ended.number_before(" by the deadline") >= 4);
    assert!(ended.number_before(" by a client that went away") >= 4);
    assert_eq!(ended.number_before(" by the stop\n"), 0);
    // In 8 requests the call that never answers is what they wait for. Beside a failed sibling it may be
    // stopped before it has reached its upstream.
    assert!(ended.number_before(" hung up on") >= 8, "{}", ended.stdout);
}

#[test]
fn every_request_ends_as_its_kind_must_on_tokio() {
    every_kind("tokio");
}

#[test]
fn every_request_ends_as_its_kind_must_on_smol() {
    every_kind("smol");
}

/// Rule 8: the root's cancel stops everything below it, under load.
fn stop_in_the_middle(runtime: &str) {
    let load = ["--requests", "10000", "--clients", "16", "--deadline-ms", FOR_EVER_MS];
    let stop = ["--runtime", runtime, "--stop-after-ms", "300"];
    let ended = start(&[load.as_slice(), &stop].concat()).end();
    ended.assert_clean();
    let summary = summary(&ended);
    assert!(ended.stdout.contains("stopping: the server's time is up\n"), "{}", ended.stdout);
    // Each client is held by a request that is too slow, sooner or later, until the stop.
    assert_eq!(ended.number_before("; wrong: 0\n"), 16);
    let ended_before = summary["ok"] + summary["failed"] + summary["abandoned"];
    assert!(summary["requests"] <= ended_before + 16);
    assert_eq!(summary["timed_out"], 0);
}

#[test]
fn a_stop_in_the_middle_leaves_nothing_behind_on_tokio() {
    stop_in_the_middle("tokio");
}

#[test]
fn a_stop_in_the_middle_leaves_nothing_behind_on_smol() {
    stop_in_the_middle("smol");
}

/// Rule 8: a signal reaches a request that waits for ever, and tells it why.
fn stops_by_signal(runtime: &str, name: &str) {
    let (running, addr) = listening(runtime, FOR_EVER_MS);
    let busy = get(addr, "/fan?slow=3");
    // Each of 3 calls is a task, and so is hyper's half of its connection.
    until_calls(addr, 6);
    running.signal(name);
    assert_eq!(answer(busy), (503, format!("the server stops: SIG{name}\n")));
    let ended = running.end();
    ended.assert_clean();
    assert_eq!(ended.number_before(" by the stop\n"), 3);
    assert_eq!(summary(&ended)["requests"], 1);
    assert_eq!(summary(&ended)["abandoned"], 0);
}

#[test]
fn ctrl_c_stops_the_calls_of_a_request_on_tokio() {
    stops_by_signal("tokio", "INT");
}

#[test]
fn sigterm_stops_the_calls_of_a_request_on_smol() {
    stops_by_signal("smol", "TERM");
}

/// Rule 9: a client that goes away takes its request's calls with it, and the server goes on.
fn client_goes_away(runtime: &str) {
    let (running, addr) = listening(runtime, FOR_EVER_MS);
    let busy = get(addr, "/fan?slow=3");
    until_calls(addr, 6);
    busy.shutdown(Shutdown::Both).unwrap();
    until_calls(addr, 0);
    let all = (0..3).map(|n| format!("upstream {n} to request 7\n")).collect();
    assert_eq!(answer(get(addr, "/fan?id=7")), (200, all));
    running.signal("INT");
    let ended = running.end();
    ended.assert_clean();
    assert_eq!(ended.number_before(" by a client that went away"), 3);
    let summary = summary(&ended);
    assert_eq!((summary["requests"], summary["ok"], summary["abandoned"]), (2, 1, 1));
}

#[test]
fn a_client_that_goes_away_stops_its_calls_on_tokio() {
    client_goes_away("tokio");
}

#[test]
fn a_client_that_goes_away_stops_its_calls_on_smol() {
    client_goes_away("smol");
}

#[test]
fn an_answer_tells_why_there_is_none() {
    for runtime in ["tokio", "smol"] {
        let (running, addr) = listening(runtime, "100");
        assert_eq!(answer(get(addr, "/fan?slow=1")), (504, "deadline exceeded\n".to_owned()));
        running.signal("INT");
        running.end().assert_clean();

        let (running, addr) = listening(runtime, FOR_EVER_MS);
        let failed = "upstream 0 failed: 500 Internal Server Error\n".to_owned();
        assert_eq!(answer(get(addr, "/fan?fail=1&slow=2")), (502, failed));
        assert_eq!(answer(get(addr, "/fun")).0, 404);
        running.signal("INT");
        let ended = running.end();
        ended.assert_clean();
        assert_eq!(ended.number_before(" by a failed sibling"), 2);
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    assert_names_the_address_in_use("fan_out", &["tokio", "smol"]);
}

#[test]
fn senseless_options_are_refused() {
    assert_refuses(
        "fan_out",
        &[
            (&["--requests", "0"], "--requests"),
            (&["--upstreams", "0"], "--upstreams"),
            (&["--deadline-ms", "1"], "--deadline-ms"),
            (&["--listen", "here"], "--listen"),
            (&["--listen", "127.0.0.1:0", "--requests", "1"], "cannot be used with"),
            (&["--runtime", "none"], "tokio, smol"),
        ],
    );
}
