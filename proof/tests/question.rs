//! A question for the reason beside two cancels, one after the other, of scopes above it.

use std::sync::Barrier;
use std::thread;

use winddown::{CancelScope, CancelToken, Reason};

/// Long enough that two cancels begin and end while a question walks up.
const DEPTH: usize = 20_000;
const ROUNDS: usize = 60;

fn text(token: &CancelToken) -> Option<&'static str> {
    match token.reason() {
        Some(Reason::Message(text)) => Some(text),
        Some(_) => Some("another"),
        None => None,
    }
}

/// Rule 8: "the first question for the reason that found a cancelled ancestor, the nearest".
#[test]
fn a_question_finds_the_nearest_of_two_cancels_that_came_one_after_the_other() {
    let mut wrong = 0;
    for round in 0..ROUNDS {
        let root = CancelScope::new();
        let mut chain = vec![root.token().child()];
        for _ in 0..DEPTH {
            chain.push(chain[chain.len() - 1].token().child());
        }
        let (near, bottom) = (&chain[DEPTH - 1], chain[DEPTH].token());
        let line = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                line.wait();
                while text(bottom).is_none() {}
            });
            line.wait();
            for _ in 0..(round * 97) % 4000 {
                std::hint::spin_loop();
            }
            assert!(near.cancel_with(Reason::Message("near")).is_ok());
            assert!(root.cancel_with(Reason::Message("far")).is_ok());
        });
        assert_eq!(text(near.token()), Some("near"));
        wrong += usize::from(text(bottom) != Some("near"));
    }
    assert_eq!(wrong, 0, "of {ROUNDS}");
}
