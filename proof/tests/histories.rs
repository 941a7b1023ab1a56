//! Real threads and the models agree: the bounded form of `cargo xtask proof histories`.

use std::time::{Duration, Instant};

use winddown_proof::histories::campaign::campaign;

/// How long the bounded form runs.
const TIME: Duration = Duration::from_secs(10);
/// Always the same, so that a failure comes again as far as the threads allow.
const SEED: u64 = 1;

/// Rules 1, 3, 4, 6, 7, 8, 10, 15, 16, 17: each history has an order that the model allows.
#[test]
fn every_history_has_an_order_that_the_model_allows() {
    let end = Instant::now() + TIME;
    let tally = campaign(None, SEED, None, 1, Some(end), |_, _| {})
        .unwrap_or_else(|report| panic!("{report}"));
    println!("{tally}");
    assert!(tally.histories >= 7 * 64 && tally.unknown * 1000 < tally.histories, "{tally}");
}
