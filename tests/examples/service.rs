//! `examples/service`: the row S4.12, and what belongs to it.

use core::net::SocketAddr;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::program::{Ended, Running, assert_names_the_address_in_use, assert_refuses, on_each};

const RUNTIMES: [&str; 2] = ["tokio", "smol"];

fn listening(runtime: &str, more: &[&str]) -> (Running, SocketAddr) {
    Running::listening("service", &[&["--runtime", runtime], more].concat())
}

fn summary(ended: &Ended) -> HashMap<&str, u64> {
    ended.summary("served:", &["accepted", "answered", "refused", "errors", "left"])
}

/// A client that has its first answer. What it asked for in the same breath is in hand then.
fn client(addr: SocketAddr, requests: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(requests.as_bytes()).unwrap();
    let (mut stream, mut line) = (BufReader::new(stream), String::new());
    stream.read_line(&mut line).unwrap();
    assert_eq!(Some(line.trim()), requests.lines().next());
    stream
}

/// What the server sends until it closes the connection.
fn rest(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// S4.4, S4.12: the service serves, and ends in order.
#[test]
fn a_service_ends_in_order() {
    for runtime in RUNTIMES {
        let ended = Running::start("service", &["--runtime", runtime]).end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let order = "closing: the clients are done\nconnections: drained\nlistener: closed\n\
                     service: drained\nerror: client ";
        assert!(ended.stdout.contains(order), "{}", ended.stdout);
        assert!(ended.stdout.contains(": not a number: \"forty\"\n"), "{}", ended.stdout);
        let summary = summary(&ended);
        assert_eq!((summary["accepted"], summary["answered"]), (4, 6));
        assert_eq!((summary["refused"], summary["errors"], summary["left"]), (0, 1, 0));
    }
}

/// S4.8, S4.12, S4.13: while the connections are drained, the request in hand is answered, and the
/// listener tells others that they come too late; then it is closed, and the outer group waits for
/// both.
#[test]
fn the_listener_outlives_the_connections_and_lets_nobody_in() {
    on_each(&RUNTIMES, |runtime| {
        let (mut running, addr) = listening(runtime, &["--limit", "60"]);
        // The request in hand takes longer than all that must come before its answer.
        let (busy, idle) = (client(addr, "1\n4000\n"), client(addr, "1\n"));
        running.signal("INT");
        running.line_with("closing: SIGINT");
        assert_eq!(rest(idle), "");
        let late = TcpStream::connect(addr).unwrap();
        assert_eq!(rest(late), "");
        assert_eq!(rest(busy), "4000\n");
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let order = "connections: drained\nlistener: closed\nservice: drained\nserved:";
        assert!(ended.stdout.contains(order), "{}", ended.stdout);
        let summary = summary(&ended);
        assert_eq!((summary["accepted"], summary["answered"], summary["refused"]), (3, 3, 1));
        assert!(TcpStream::connect(addr).is_err());
    });
}

/// S4.12, S4.15: every error is gathered, and a client that errs does not disturb the others.
#[test]
fn every_error_is_told_in_the_end() {
    for runtime in RUNTIMES {
        let (running, addr) = listening(runtime, &[]);
        let mut good = client(addr, "1\n");
        for _ in 0..3 {
            assert_eq!(rest(client(addr, "2\ntwo\n")), "");
        }
        good.get_mut().write_all(b"3\n").unwrap();
        let mut line = String::new();
        good.read_line(&mut line).unwrap();
        assert_eq!(line, "3\n");
        running.signal("TERM");
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains("closing: SIGTERM\n"), "{}", ended.stdout);
        for client in 1..=3 {
            let error = format!("\nerror: client {client}: not a number: \"two\"\n");
            assert!(ended.stdout.contains(&error), "{}", ended.stdout);
        }
        assert_eq!((summary(&ended)["answered"], summary(&ended)["errors"]), (5, 3));
    }
}

/// S4.5, S4.12: one deadline is over all steps; it ends the wait and says how many are left.
#[test]
fn the_deadline_is_over_all_steps() {
    for runtime in RUNTIMES {
        let (running, addr) = listening(runtime, &["--limit", "0.2"]);
        let busy = client(addr, "1\n3600000\n");
        running.signal("INT");
        let ended = running.end();
        assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
        assert!(!ended.stdout.contains("drained"), "{}", ended.stdout);
        assert_eq!(summary(&ended)["left"], 2, "the connection, and the listener behind it");
        drop(busy);
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    assert_names_the_address_in_use("service", &RUNTIMES);
}

#[test]
fn senseless_options_are_refused() {
    assert_refuses(
        "service",
        &[
            (&["--limit", "-1"], "-1"),
            (&["--listen", "here"], "--listen"),
            (&["--runtime", "none"], "tokio, smol"),
        ],
    );
}
