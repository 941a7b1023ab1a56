//! One thread and the models agree: the bounded form of `cargo xtask proof sequences`.

use std::time::{Duration, Instant};

use winddown_proof::sequence::run;
use winddown_proof::sequence::shrink::{campaign, report};

/// How long the bounded form runs at most.
const TIME: Duration = Duration::from_secs(10);
/// How many sequences it has at most, the same each time.
const SEQUENCES: u64 = 100_000;

/// Rules 1 to 4, 6 to 10, 12, 15 to 17, 19, 20: what calls give, who is woken, and what is left.
#[test]
fn every_sequence_is_one_that_the_model_allows() {
    let end = Instant::now() + TIME;
    let done = campaign(0, Some(SEQUENCES), Some(end)).unwrap_or_else(|report| panic!("{report}"));
    println!("{} sequences with {} calls", done.0, done.1);
    assert!(done.0 > 100, "{done:?}");
}

/// Inputs that were wrong once, in the crate or in a model.
#[test]
fn sequences_that_were_wrong_once_are_right() {
    let once: [&[u8]; 2] = [
        // A group whose parent was gone was found cancelled: the model did not know `Dropped`.
        &[48, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 8, 0, 0, 1],
        // A place came free at the close: the model could not say whether it was granted.
        &[48, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 151, 0, 239, 54, 0, 4, 0, 49],
    ];
    for bytes in once {
        run(bytes).unwrap_or_else(|_| panic!("{}", report(None, bytes)));
    }
}

/// What fuzzing has found so far: `cargo xtask fuzz` leads by coverage, and needs a build of its own.
#[test]
fn the_inputs_that_fuzzing_keeps_are_right() {
    let corpus = include_str!("../../fuzz/corpus.hex");
    for line in corpus.lines() {
        let pairs = (0..line.len()).step_by(2);
        let byte = |at| u8::from_str_radix(&line[at..at + 2], 16).expect("a pair of digits");
        let bytes: Vec<u8> = pairs.map(byte).collect();
        run(&bytes).unwrap_or_else(|_| panic!("{}", report(None, &bytes)));
    }
    assert!(corpus.lines().count() > 100);
}
