//! Signals to this very process; so this file has one test.

#![cfg(unix)]

use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;
use tokio::time::{sleep, timeout};
use winddown::{Stopped, TaskGroup};
use winddown_interop::signals::{StopSignals, run};

const LONG: Duration = Duration::from_secs(20);

/// A group with a task that ends at the close, if it is not busy, or else at the cancel.
fn group(is_busy: bool) -> TaskGroup {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    tokio::spawn(async move {
        if is_busy { guard.token().cancelled().await } else { guard.closed().await }
    });
    group
}

#[tokio::test]
async fn a_signal_shuts_down_and_a_second_one_forces() {
    let mut signals = StopSignals::new().unwrap();

    for signal in [SIGINT, SIGTERM] {
        raise(signal).unwrap();
        let stopped = run(&group(false), &mut signals, LONG, LONG).await.unwrap();
        assert_eq!(stopped, Stopped::Gracefully);
    }

    // The first signal does not end the busy task.
    let busy = group(true);
    let second = async {
        raise(SIGTERM).unwrap();
        busy.closed().await;
        sleep(Duration::from_millis(50)).await;
        assert!(!busy.token().is_cancelled());
        raise(SIGINT).unwrap();
    };
    let stop = run(&busy, &mut signals, LONG, LONG);
    let (stopped, ()) =
        timeout(LONG / 2, async { tokio::join!(stop, second) }).await.expect("forced");
    assert_eq!(stopped.unwrap(), Stopped::Forced);

    // The limit comes before the grace: the tasks are told, and what does not listen is left.
    let stuck = group(true);
    let guard = stuck.guard().unwrap();
    raise(SIGINT).unwrap();
    let unfinished = run(&stuck, &mut signals, LONG, Duration::from_millis(10)).await.unwrap_err();
    assert!(unfinished.left >= 1 && stuck.token().is_cancelled());
    drop(guard);

    // Without a signal, a task may ask for the end.
    let group = group(false);
    group.close();
    assert_eq!(run(&group, &mut signals, LONG, LONG).await.unwrap(), Stopped::Gracefully);
}
