//! Atomics before each of whose accesses the thread may pause: for `--cfg winddown_pauses`.
//!
//! Loom tries all orders of few steps. Threads of the system try few orders of any number of steps, and mostly the same
//! ones, since an operation is over before another core is told of it. A pause in the midst of it, which lets another
//! thread go first, brings up those that are rare. Where a thread pauses depends on its seed alone. It needs `std` and
//! atomics of 64 bits.

use core::cell::Cell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic;

/// An atomic at whose accesses the thread may pause.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Pausing<T>(T);

impl<T> Deref for Pausing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        pause();
        &self.0
    }
}

impl<T> DerefMut for Pausing<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

macro_rules! atomics {
    ($([$($generic:ident)?] $name:ident: $atomic:ty = $value:ty;)+) => {$(
        pub(crate) type $name<$($generic)?> = Pausing<$atomic>;

        impl<$($generic)?> Pausing<$atomic> {
            pub(crate) const fn new(value: $value) -> Self {
                Self(<$atomic>::new(value))
            }
        }
    )+};
}

atomics! {
    [T] AtomicPtr: atomic::AtomicPtr<T> = *mut T;
    [] AtomicBool: atomic::AtomicBool = bool;
    [] AtomicUsize: atomic::AtomicUsize = usize;
    [] AtomicWord: atomic::AtomicU64 = super::WordBits;
}

std::thread_local! {
    /// Of the generator. 0: this thread does not pause. Without a destructor, it is there until the thread is gone.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// From here on, the calling thread pauses where `seed` says; with 0, nowhere.
pub fn seed(seed: u64) {
    STATE.with(|it| it.set(seed));
}

/// One access of eight waits for some turns of an empty loop, and one of thirty-two gives the core away.
fn pause() {
    let Ok(mut state) = STATE.try_with(Cell::get) else { return };
    if state == 0 {
        return;
    }
    // Marsaglia's xorshift, which never comes to 0 from another number.
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.with(|it| it.set(state));
    match state >> 59 {
        0 => std::thread::yield_now(),
        1..=4 => (0..1_u32 << (state >> 40 & 7)).for_each(|_| core::hint::spin_loop()),
        _ => {}
    }
}
