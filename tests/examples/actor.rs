//! `examples/actor`: the rows S3, on tasks of two runtimes and on threads.

use core::net::SocketAddr;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::program::{Ended, Running, assert_names_the_address_in_use, assert_refuses, on_each};

const RUNTIMES: [&str; 3] = ["tokio", "smol", "threads"];

/// Longer than any test: a deadline that does not pass.
const FOR_EVER: &str = "3600000";
const PATIENT: [&str; 4] = ["--idle-ms", FOR_EVER, "--patience-ms", FOR_EVER];

fn listening(runtime: &str, more: &[&str]) -> (Running, SocketAddr) {
    Running::listening("actor", &[&["--runtime", runtime], more].concat())
}

/// The last line of a program that ended well.
fn summary(ended: &Ended) -> HashMap<&str, u64> {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let counts = ["started", "finalised", "returned"];
    let ends = ["hung_up", "bye", "failed", "inactive", "panicked", "told", "left"];
    let summary = ended.summary("actors:", &[&counts[..], &ends].concat());
    assert_eq!(summary["finalised"], summary["started"], "{}", ended.stdout);
    assert_eq!(summary["left"], 0);
    summary
}

/// A client whose actor runs: it has answered.
fn client(addr: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"echo hello\n").unwrap();
    let (mut stream, mut line) = (BufReader::new(stream), String::new());
    stream.read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
    stream
}

/// Waits until the server has ended the connection.
fn hung_up_on(mut client: BufReader<TcpStream>) {
    // A reset, if the server did not read all that was sent.
    let _ = client.read_to_end(&mut Vec::new());
}

/// S3.1 to S3.4, S3.8, S3.9, S3.13: however an actor ends, by a worker that leaves, fails or panics,
/// or whose deadline passes, it is finalised once, takes itself off the hub's map, and that is so when
/// the shutdown returns to any of its workers.
#[test]
fn however_an_actor_ends_it_is_finalised_once() {
    // The clients and workers that are in time keep well within these limits.
    let limits = ["--idle-ms", "3000", "--patience-ms", "2000", "--runtime"];
    let start = |runtime| Running::start("actor", &[&limits[..], &[runtime]].concat());
    for ended in RUNTIMES.map(start).map(Running::end) {
        let summary = summary(&ended);
        assert_eq!(summary["started"], 6);
        assert_eq!((summary["hung_up"], summary["bye"], summary["failed"]), (1, 1, 1));
        assert_eq!((summary["inactive"], summary["panicked"], summary["told"]), (2, 1, 0));
        assert_eq!(summary["returned"], 3 * 6 - 1, "to each worker that did not panic");
        assert!(ended.stdout.contains("ended: the worker is inactive\n"), "{}", ended.stdout);
        assert!(ended.stdout.contains("ended: the client is inactive\n"), "{}", ended.stdout);
    }
}

/// S3.5, S3.6, S3.7: the stop reaches every worker of every actor, also one that blocks in a read.
#[test]
fn ctrl_c_ends_every_actor_and_unblocks_its_reader() {
    for runtime in RUNTIMES {
        let (running, addr) = listening(runtime, &PATIENT);
        let clients: Vec<_> = (0..8).map(|_| client(addr)).collect();
        running.signal("INT");
        clients.into_iter().for_each(hung_up_on);
        let ended = running.end();
        let summary = summary(&ended);
        assert_eq!((summary["started"], summary["told"], summary["returned"]), (8, 8, 3 * 8));
        assert!(ended.stdout.contains(" ended: SIGINT\n"), "{}", ended.stdout);
        assert!(TcpStream::connect(addr).is_err());
    }
}

/// S3.3, S3.4, S3.13: one worker's end is the end of its actor, and of no other.
#[test]
fn an_actor_ends_alone() {
    // The other actor must answer within this time.
    let impatient = ["--idle-ms", FOR_EVER, "--patience-ms", "2000"];
    for (order, options, line) in [
        (Some("bye\n"), PATIENT, "ended: the client said bye"),
        (Some("nonsense\n"), PATIENT, "ended: the worker failed: no order: \"nonsense\""),
        (Some("panic\n"), PATIENT, "ended: a task panicked"),
        (Some("nap 3600000\n"), impatient, "ended: the worker is inactive"),
        (None, PATIENT, "ended: the client hung up"),
    ] {
        on_each(&RUNTIMES, |runtime| {
            let (mut running, addr) = listening(runtime, &options);
            let (mut one, mut other) = (client(addr), client(addr));
            match order {
                Some(order) => one.get_mut().write_all(order.as_bytes()).unwrap(),
                None => one.get_mut().shutdown(Shutdown::Write).unwrap(),
            }
            running.line_with(line);
            hung_up_on(one);
            other.get_mut().write_all(b"echo still here\n").unwrap();
            let mut answer = String::new();
            other.read_line(&mut answer).unwrap();
            assert_eq!(answer, "still here\n");
            running.signal("TERM");
            let ended = running.end();
            let summary = summary(&ended);
            assert_eq!((summary["started"], summary["told"]), (2, 1));
            assert_eq!(summary["returned"], 6 - summary["panicked"]);
        });
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    assert_names_the_address_in_use("actor", &RUNTIMES);
}

#[test]
fn senseless_options_are_refused() {
    assert_refuses(
        "actor",
        &[
            (&["--idle-ms", "0"], "--idle-ms"),
            (&["--listen", "here"], "--listen"),
            (&["--runtime", "none"], "tokio, smol, threads"),
        ],
    );
}
