//! Random sequences, and the smallest that is wrong.

use std::time::Instant;

use super::{run, trace};
use crate::random::Random;

/// How many bytes a sequence has at most.
const LONGEST: usize = 600;

/// The bytes of a seed.
pub fn bytes(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let most = 1 << (5 + random.below(6));
    let length = 1 + random.below(most).min(LONGEST);
    (0..length).map(|_| random.number() as u8).collect()
}

/// The smallest wrong bytes that can be found from `wrong`: pieces are left out, and bytes made smaller.
pub fn smallest(wrong: &[u8]) -> Vec<u8> {
    let mut least = wrong.to_vec();
    loop {
        let before = least.clone();
        let mut piece = least.len().div_ceil(2);
        while piece > 0 {
            let mut at = 0;
            while at + piece <= least.len() {
                let mut without = least.clone();
                without.drain(at..at + piece);
                if run(&without).is_err() { least = without } else { at += piece }
            }
            piece /= 2;
        }
        for at in 0..least.len() {
            for smaller in [0, 1, least[at] / 2, least[at].saturating_sub(1)] {
                let mut other = least.clone();
                other[at] = smaller;
                if smaller < least[at] && run(&other).is_err() {
                    least = other;
                }
            }
        }
        if least == before {
            return least;
        }
    }
}

/// The report of wrong bytes.
pub fn report(seed: Option<u64>, wrong: &[u8]) -> String {
    // The panics of the tries are not what a reader wants to see.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let least = smallest(wrong);
    let why = run(&least).expect_err("it is wrong");
    std::panic::set_hook(hook);
    let seed = seed.map_or_else(String::new, |seed| {
        format!("\nAgain: cargo xtask proof sequences --seed {seed} --count 1")
    });
    let calls = trace::calls(|| drop(run(&least))).join("\n  ");
    format!("a sequence is wrong: {why}\nIts calls:\n  {calls}\nIts bytes: &{least:?}{seed}")
}

/// Runs the sequences with the seeds from `seed` on, until `end` or until there were `count`. Gives how many there
/// were, and how many calls.
///
/// # Errors
///
/// The report of the first that is wrong.
pub fn campaign(seed: u64, count: Option<u64>, end: Option<Instant>) -> Result<(u64, u64), String> {
    let (mut done, mut calls) = (0, 0);
    while count.is_none_or(|count| done < count) && end.is_none_or(|end| Instant::now() < end) {
        let at = seed + done;
        let bytes = bytes(at);
        calls += run(&bytes).map_err(|_| report(Some(at), &bytes))? as u64;
        done += 1;
    }
    Ok((done, calls))
}
