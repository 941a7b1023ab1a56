//! Sequences of public calls from bytes that are led by coverage: `cargo xtask fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use winddown_proof::sequence::run;
use winddown_proof::sequence::shrink::report;

fuzz_target!(|bytes: &[u8]| {
    if run(bytes).is_err() {
        panic!("{}", report(None, bytes));
    }
});
