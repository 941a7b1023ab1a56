//! As `task_group`, with tokio-util.

use core::hint::black_box;
use core::pin::pin;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use winddown_size::poll;

winddown_size::program!(run);

fn run() {
    let tracker = black_box(TaskTracker::new());
    let token = black_box(CancellationToken::new());
    let inside = tracker.token();
    let mut join = pin!(tracker.wait());
    assert!(tracker.close());
    assert!(poll(join.as_mut()).is_pending());
    let clone = token.clone();
    let mut stop = pin!(clone.cancelled());
    assert!(poll(stop.as_mut()).is_pending());
    token.cancel();
    assert!(poll(stop).is_ready());
    drop(inside);
    assert!(poll(join).is_ready());
}
