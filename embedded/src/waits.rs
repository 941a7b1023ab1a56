//! Waits that an interrupt may end at any instruction, and whether they were woken.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use crate::bell::Bell;

/// Of what is interrupted, of its second waker, and of all who waited before it.
static MINE: Bell = Bell::new();
static OTHER: Bell = Bell::new();
static CROWD: Bell = Bell::new();

/// Any wait.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A wait that is left, the bell that it last used, and whether it was over.
pub type Left<'a> = Option<(Wait<'a>, &'static Bell, bool)>;

/// To be called before each round.
pub fn forget_rings() {
    for bell in [&MINE, &OTHER, &CROWD] {
        bell.take();
    }
}

fn boxed<'a>(wait: impl Future + 'a) -> Wait<'a> {
    Box::pin(async { drop(wait.await) })
}

/// Polls once, and leaves the wait.
pub fn once<'a>(wait: impl Future + 'a) -> Left<'a> {
    let mut wait = boxed(wait);
    let over = MINE.poll(wait.as_mut()).is_ready();
    Some((wait, &MINE, over))
}

/// Polls once more, for another task.
pub fn twice<'a>(wait: impl Future + 'a) -> Left<'a> {
    let (mut wait, bell, over) = once(wait)?;
    if over {
        return Some((wait, bell, over));
    }
    let over = OTHER.poll(wait.as_mut()).is_ready();
    Some((wait, &OTHER, over))
}

/// Polls once, and gives up.
pub fn abandon<'a>(wait: impl Future + 'a) -> Left<'a> {
    once(wait);
    None
}

/// One of the crowd, who waits.
pub fn park<'a>(wait: impl Future + 'a) -> Wait<'a> {
    let mut wait = boxed(wait);
    assert!(CROWD.poll(wait.as_mut()).is_pending());
    wait
}

/// # Panics
///
/// If the wait was neither over nor woken, or is not over now.
pub fn was_woken(left: Left<'_>) {
    if let Some((mut wait, bell, over)) = left {
        assert!(over || bell.rings() > 0, "a wake-up was lost");
        assert!(over || bell.poll(wait.as_mut()).is_ready(), "woken too early");
    }
}

/// # Panics
///
/// If not all were woken once, and are over.
pub fn all_were_woken(crowd: Vec<Wait<'_>>) {
    assert_eq!(CROWD.rings() as usize, crowd.len());
    for mut wait in crowd {
        assert!(CROWD.poll(wait.as_mut()).is_ready());
    }
}
