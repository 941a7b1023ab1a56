//! A device on embassy. A button closes the door: who is idle leaves, who works has five seconds to
//! end. On a board the signal is closed by the interrupt of the button; here it is by Ctrl-C.
//!
//! `cargo run --example embassy_service` in this folder, and Ctrl-C.

use std::process;

use embassy_executor::Spawner;
use embassy_time::{Duration, Ticker, Timer};
use winddown::{FutureUntil as _, Signal, TaskGroup, TaskGuard};

static BUTTON: Signal = Signal::new();

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    ctrlc::set_handler(|| {
        BUTTON.close();
    })
    .expect("the only handler");

    let group = TaskGroup::new();
    let guard = group.guard().expect("the door is open");
    spawner.spawn(take_requests(spawner, guard).expect("its first task"));
    println!("serving until Ctrl-C");
    BUTTON.closed().await;
    println!("stopping: {} inside", group.len());
    let stopped = group.shutdown(Timer::after(Duration::from_secs(5))).await;
    println!("stopped: {stopped:?}");
    // A device would go to sleep.
    process::exit(0);
}

/// Idle most of the time, so it leaves when the door is closed.
#[embassy_executor::task]
async fn take_requests(spawner: Spawner, guard: TaskGuard) {
    let mut arrivals = Ticker::every(Duration::from_millis(100));
    for id in 0.. {
        if arrivals.next().until(guard.closed()).await.is_err() {
            return;
        }
        // Refused if the door was closed just now, before there is a task.
        let Ok(of_request) = guard.group().guard() else { return };
        match handle(id, of_request) {
            Ok(task) => spawner.spawn(task),
            Err(_) => println!("request {id}: too many at once"),
        }
    }
}

/// Goes on behind the closed door, until it is done or the grace is over.
#[embassy_executor::task(pool_size = 8)]
async fn handle(id: u32, guard: TaskGuard) {
    let work = Timer::after(Duration::from_millis(500));
    match guard.token().run_until_cancelled(work).await {
        Ok(()) => println!("request {id}: done"),
        Err(cancelled) => println!("request {id}: {cancelled}"),
    }
}
