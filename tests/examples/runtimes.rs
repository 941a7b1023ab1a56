//! The short services, one for each runtime: told to stop, they end what they have begun.

use crate::program::Running;

/// Rule 4, 16: requests in hand are done behind the closed door, and none comes after them.
fn ends_what_it_has_begun(example: &str) {
    let mut running = Running::start(example, &[]);
    running.line_with("request 1: done");
    running.signal("INT");
    let stopping = running.line_with("stopping: ");
    let inside: usize = stopping.split(' ').nth(1).unwrap().parse().unwrap();
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("stopped: Gracefully"), "{}", ended.stdout);
    let done = ended.stdout.matches(": done").count();
    // Counted behind the closed door: some may have been done before it was printed.
    assert!(done > 0 && done <= inside, "{inside} inside, {done} done later");
}

#[test]
fn requests_in_hand_are_done_on_tokio() {
    ends_what_it_has_begun("tokio_service");
}

#[test]
fn requests_in_hand_are_done_on_smol() {
    ends_what_it_has_begun("smol_service");
}

#[test]
fn requests_in_hand_are_done_on_async_std() {
    ends_what_it_has_begun("async_std_service");
}
