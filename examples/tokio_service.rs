//! A service on tokio. Ctrl-C closes the group: idle tasks leave, and busy tasks have five seconds to
//! finish.
//!
//! `cargo run --example tokio_service`, and Ctrl-C.

use std::io;
use std::time::Duration;

use tokio::time::{interval, sleep};
use winddown::{CancelToken, TaskGroup, TaskGuard};

#[tokio::main]
async fn main() -> io::Result<()> {
    let group = TaskGroup::new();
    tokio::spawn(take_requests(group.guard().expect("the group is open")));
    println!("serving until Ctrl-C");
    tokio::signal::ctrl_c().await?;
    group.close();
    println!("stopping: {} inside", group.len());
    let stopped = group.shutdown(sleep(Duration::from_secs(5))).await;
    println!("stopped: {stopped:?}");
    Ok(())
}

/// Idle most of the time, so it leaves when the group is closed.
async fn take_requests(guard: TaskGuard) {
    let mut arrivals = interval(Duration::from_millis(100));
    for id in 0.. {
        tokio::select! {
            () = guard.closed() => return,
            _ = arrivals.tick() => {}
        }
        // Refused if the group was closed just now, before there is a task.
        let Ok(of_request) = guard.group().guard() else { return };
        let token = of_request.token().clone();
        tokio::spawn(of_request.track(handle(id, token)));
    }
}

/// Goes on after the group is closed, until it is done or the grace is over.
async fn handle(id: u32, token: CancelToken) {
    let work = sleep(Duration::from_millis(500));
    match token.run_until_cancelled(work).await {
        Ok(()) => println!("request {id}: done"),
        Err(cancelled) => println!("request {id}: {cancelled}"),
    }
}
