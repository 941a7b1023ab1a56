//! The bounded form of `cargo xtask soak`. One test alone: the heap of the whole process is counted.

use std::time::{Duration, Instant};

use winddown_proof::soak::Soak;

/// How long it runs.
const TIME: Duration = Duration::from_secs(5);

/// Rules 2, 3, 4, 7, 8, 9, 10, 15, 16, 17: each wait is woken, all counts are right, and the heap stays flat.
#[test]
fn all_types_stand_churn_on_all_cores() {
    let soak = Soak { rounds: None, end: Some(Instant::now() + TIME), ..Soak::new(1) };
    let done = soak.run(|_| {}).unwrap_or_else(|report| panic!("{report}"));
    println!("{done}");
    assert!(done.rounds >= 3 && done.woken > 0, "{done}");
}
