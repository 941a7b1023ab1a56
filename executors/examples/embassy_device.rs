//! The program of `docs/embedded.md`: a group in a `static`, which an interrupt closes. Here a thread plays the
//! interrupt. `cargo run --example embassy_device` in this folder.

use embassy_executor::Spawner;
use embassy_sync::lazy_lock::LazyLock;
use embassy_time::Timer;
use winddown::{FutureUntil as _, Stopped, TaskGroup, TaskGuard};

static TASKS: LazyLock<TaskGroup> = LazyLock::new(TaskGroup::new);

/// The interrupt of the button: finds the group built, and neither allocates nor waits.
fn button() {
    TASKS.get().close();
}

/// Leaves at the close while it is idle; finishes a packet, unless the grace is over before.
#[embassy_executor::task]
async fn radio(guard: TaskGuard) {
    let (closing, token) = (guard.closing().clone(), guard.token().clone());
    while Timer::after_millis(5).until(&closing).await.is_ok() {
        let packet = Timer::after_millis(20); // stands for the sending of one
        if packet.until(&token).await.is_err() {
            return;
        }
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let tasks = TASKS.get(); // allocates: before the interrupt is enabled
    spawner.spawn(radio(tasks.guard().unwrap()).unwrap());
    enable_button();
    tasks.closed().await;
    let stopped = tasks.shutdown(Timer::after_secs(5)).await;
    assert_eq!(stopped, Stopped::Gracefully);
    std::process::exit(0); // a device goes to sleep
}

fn enable_button() {
    std::thread::spawn(|| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        button();
    });
}
