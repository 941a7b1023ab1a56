//! A service on smol. Ctrl-C closes the group: idle tasks leave, and busy tasks have five seconds to
//! finish.
//!
//! `cargo run --example smol_service`, and Ctrl-C.

use std::time::Duration;

use smol::Timer;
use smol::stream::StreamExt as _;
use winddown::{CancelToken, StreamUntil, TaskGroup, TaskGuard};

fn main() -> Result<(), ctrlc::Error> {
    let group = TaskGroup::new();
    let door = group.clone();
    ctrlc::set_handler(move || {
        door.close();
    })?;
    smol::block_on(async {
        smol::spawn(take_requests(group.guard().expect("the group is open"))).detach();
        println!("serving until Ctrl-C");
        group.closed().await;
        println!("stopping: {} inside", group.len());
        let stopped = group.shutdown(Timer::after(Duration::from_secs(5))).await;
        println!("stopped: {stopped:?}");
    });
    Ok(())
}

/// Idle most of the time, so it leaves when the group is closed.
async fn take_requests(guard: TaskGuard) {
    let arrivals = Timer::interval(Duration::from_millis(100));
    let mut arrivals = StreamUntil::until(arrivals, guard.closed()).enumerate();
    while let Some((id, _)) = arrivals.next().await {
        // Refused if the group was closed just now, before there is a task.
        let Ok(of_request) = guard.group().guard() else { return };
        let token = of_request.token().clone();
        smol::spawn(of_request.track(handle(id, token))).detach();
    }
}

/// Goes on after the group is closed, until it is done or the grace is over.
async fn handle(id: usize, token: CancelToken) {
    let work = Timer::after(Duration::from_millis(500));
    match token.run_until_cancelled(work).await {
        Ok(_) => println!("request {id}: done"),
        Err(cancelled) => println!("request {id}: {cancelled}"),
    }
}
