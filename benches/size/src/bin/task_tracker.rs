//! As `wait_group`, with tokio-util.

use core::hint::black_box;
use core::pin::pin;

use tokio_util::task::TaskTracker;
use winddown_size::poll;

winddown_size::program!(run);

fn run() {
    let tracker = black_box(TaskTracker::new());
    let token = tracker.token();
    let mut wait = pin!(tracker.wait());
    assert!(tracker.close());
    assert!(poll(wait.as_mut()).is_pending());
    drop(token);
    assert!(poll(wait).is_ready());
}
