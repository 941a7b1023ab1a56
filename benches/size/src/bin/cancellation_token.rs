//! As `cancel_scope`, with tokio-util.

use core::hint::black_box;
use core::pin::pin;

use tokio_util::sync::CancellationToken;
use winddown_size::poll;

winddown_size::program!(run);

fn run() {
    let root = black_box(CancellationToken::new());
    let child = black_box(root.child_token());
    let mut wait = pin!(child.cancelled());
    assert!(poll(wait.as_mut()).is_pending());
    root.cancel();
    assert!(child.is_cancelled());
    assert!(poll(wait).is_ready());
}
