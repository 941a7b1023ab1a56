//! What makes threads meet at unlikely places: random pauses between calls, and threads tied to cores.

use std::hint::spin_loop;
use std::thread;

use crate::random::Random;

/// How threads are put on cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// The system decides.
    No,
    /// Each on a core of its own, as far as there are cores.
    Apart,
    /// All on one core: they meet where the system takes the core away, or where a thread yields.
    Together,
}

impl Pinned {
    /// One of the three.
    pub fn of(random: &mut Random) -> Self {
        random.of(&[Self::No, Self::Apart, Self::Together])
    }

    /// Ties the calling thread.
    pub fn apply(self, thread: usize) {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        match self {
            Self::No => tie(0..cores),
            Self::Apart => tie(thread % cores..thread % cores + 1),
            Self::Together => tie(0..1),
        }
    }
}

/// Lets the calling thread run on these cores alone. Where that cannot be done, it runs where it did.
fn tie(cores: std::ops::Range<usize>) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: a `cpu_set_t` is an array of integers, for which zeros are a value.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        for core in cores {
            // SAFETY: the set is ours; a core beyond it is ignored.
            unsafe { libc::CPU_SET(core, &mut set) };
        }
        // SAFETY: the set is valid for the size that is given, and 0 names the calling thread.
        unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = cores;
}

/// A pause before a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// None.
    No,
    /// Some turns of an empty loop.
    Spin(u16),
    /// The core goes to another thread.
    Yield,
}

impl Pause {
    /// Any of them.
    pub fn of(random: &mut Random) -> Self {
        match random.below(8) {
            0..=3 => Self::No,
            4..=6 => Self::Spin(1 << random.below(9)),
            _ => Self::Yield,
        }
    }

    /// Pauses.
    pub fn rest(self) {
        match self {
            Self::No => {}
            Self::Spin(turns) => (0..turns).for_each(|_| spin_loop()),
            Self::Yield => thread::yield_now(),
        }
    }
}

/// With `--cfg winddown_pauses`, lets the calling thread pause between the steps of the crate, where `seed` says.
/// In one history of four it does not.
pub fn pause_between_steps(seed: u64, thread: usize) {
    #[cfg(winddown_pauses)]
    if seed % 4 == 0 {
        winddown::pauses::seed(0);
    } else {
        winddown::pauses::seed(Random::new(seed.rotate_left(8) ^ thread as u64).number());
    }
    #[cfg(not(winddown_pauses))]
    let _ = (seed, thread);
}
