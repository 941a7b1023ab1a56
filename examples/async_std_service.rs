//! A service on async-std. Ctrl-C closes the group: idle tasks leave, and busy tasks have five seconds to
//! finish.
//!
//! `cargo run --example async_std_service`, and Ctrl-C.

use std::time::Duration;

use async_std::task::{self, sleep};
use winddown::{CancelToken, TaskGroup, TaskGuard};

fn main() -> Result<(), ctrlc::Error> {
    let group = TaskGroup::new();
    let door = group.clone();
    ctrlc::set_handler(move || {
        door.close();
    })?;
    task::block_on(async {
        task::spawn(take_requests(group.guard().expect("the group is open")));
        println!("serving until Ctrl-C");
        group.closed().await;
        println!("stopping: {} inside", group.len());
        let stopped = group.shutdown(sleep(Duration::from_secs(5))).await;
        println!("stopped: {stopped:?}");
    });
    Ok(())
}

/// Idle most of the time, so it leaves when the group is closed.
async fn take_requests(guard: TaskGuard) {
    let arrival = || sleep(Duration::from_millis(100));
    for id in 0.. {
        if guard.closed().until(arrival()).await.is_ok() {
            return;
        }
        // Refused if the group was closed just now, before there is a task.
        let Ok(of_request) = guard.group().guard() else { return };
        let token = of_request.token().clone();
        task::spawn(of_request.track(handle(id, token)));
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
