//! Which mutant is in. `cargo xtask logic` puts this file into its copy of the crate.

extern crate std;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::io::Write as _;

/// The mutant that is in; a number that none has, if all are out.
static ACTIVE: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Which were asked for.
static REACHED: [AtomicBool; COUNT_OF_MUTANTS] = [const { AtomicBool::new(false) }; COUNT_OF_MUTANTS];

/// Whether this mutant is in. The compiler itself, which computes constants, gets no mutant.
#[inline(always)]
pub(crate) const fn is(mutant: usize) -> bool {
    const fn without(_: usize) -> bool {
        false
    }
    fn with(mutant: usize) -> bool {
        if !REACHED[mutant].load(Ordering::Relaxed) {
            REACHED[mutant].store(true, Ordering::Relaxed);
        }
        ACTIVE.load(Ordering::Relaxed) == mutant
    }
    core::intrinsics::const_eval_select((mutant,), without, with)
}

/// Before `main`, so that no test sees what this allocates.
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = {
    extern "C" fn begin() {
        let mutant = std::env::var("WINDDOWN_MUTANT").ok().and_then(|it| it.parse().ok());
        ACTIVE.store(mutant.unwrap_or(usize::MAX), Ordering::Relaxed);
    }
    begin
};

/// After `main`; a test's own children add to the same file.
#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = {
    extern "C" fn end() {
        let Ok(path) = std::env::var("WINDDOWN_REACHED") else { return };
        let mut text = std::string::String::new();
        for (mutant, reached) in REACHED.iter().enumerate() {
            if reached.load(Ordering::Relaxed) {
                text += &std::format!("{mutant}\n");
            }
        }
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }
    end
};
