//! Rule 9: no recursion over reasons that hold what was cancelled before: a chain of them, whether directly or in
//! a user's errors, is dropped and printed on a small stack.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::error::Error;
use core::fmt;

use common::{Drops, Fault, on_a_small_stack};
use winddown::{CancelScope, CancelToken, Cancelled, Reason};

const LINKS: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

/// A user's error for why something was stopped. It is shown by a text of its own.
#[derive(Debug)]
struct Stopped(Cancelled);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was stopped")
    }
}

impl Error for Stopped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Another one, which shows the other end's reason in its own text.
#[derive(Debug)]
struct Because(Cancelled);

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped: {}", self.0)
    }
}

impl Error for Because {}

/// Another one, with the token.
#[derive(Debug)]
struct Told(#[allow(dead_code, reason = "it is printed")] CancelToken);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "told by {:?}", self.0)
    }
}

impl Error for Told {}

/// How a reason is made of the scope before.
type Wrap = fn(&CancelToken) -> Reason;

const WRAPS: [Wrap; 4] = [
    |token| token.check().unwrap_err().into(),
    |token| Stopped(token.check().unwrap_err()).into(),
    |token| Because(token.check().unwrap_err()).into(),
    |token| Told(token.clone()).into(),
];

/// Scopes that were each cancelled for the reason of the one before.
fn chain(wrap: Wrap, first: impl Into<Reason>) -> Vec<CancelScope> {
    let mut scopes = vec![CancelScope::new()];
    assert!(scopes[0].cancel_with(first).is_ok());
    for at in 0..LINKS {
        let scope = CancelScope::new();
        scope.cancel_with(wrap(scopes[at].token())).unwrap();
        scopes.push(scope);
    }
    scopes
}

#[test]
fn a_chain_of_reasons_is_dropped_in_any_order() {
    on_a_small_stack(|| {
        for wrap in WRAPS {
            for order in 0..4 {
                let drops = Drops::default();
                let mut scopes = chain(wrap, drops.calm());
                let last = scopes[LINKS].token().check().unwrap_err();
                match order {
                    0 => drop((scopes, last)),
                    1 => drop((last, scopes)),
                    2 => {
                        scopes.reverse();
                        drop((last, scopes));
                    }
                    _ => drop((scopes.split_off(LINKS / 2), last, scopes)),
                }
                drops.assert_all_gone(1);
            }
        }
    });
}

/// What is left out is shown by a sign, and each text is as long as its first links.
#[test]
fn a_chain_of_reasons_is_printed() {
    on_a_small_stack(|| {
        let printed = WRAPS.map(|wrap| {
            let scopes = chain(wrap, Reason::Message("the first"));
            let (scope, token) = (&scopes[LINKS], scopes[LINKS].token());
            let error = token.check().unwrap_err();
            let texts = [
                error.to_string(),
                token.reason().unwrap().to_string(),
                format!("{error:?}"),
                format!("{error:#?}"),
                format!("{scope:?} {token:?} {:?} {:?}", token.reason(), token.child()),
                format!("{:?} {:?}", token.cancelled(), scope.cancel_after(async {})),
            ];
            assert!(texts.iter().all(|text| text.len() < 20_000), "{texts:?}");
            texts
        });
        let shown = printed.each_ref().map(|texts| texts[0].as_str());
        assert_eq!(shown[0], "the first", "it is the reason itself that is passed on");
        assert_eq!(shown[1], "the job was stopped");
        assert_eq!(shown[2], format!("{}…", "stopped: ".repeat(8)));
        assert!(shown[3].starts_with("told by CancelToken"));
        assert_eq!(printed[2][0], printed[2][1]);
        for texts in &printed[1..] {
            assert!(texts[2..].iter().all(|text| text.contains('…')), "{texts:?}");
        }
    });
}

/// A chain that is short enough is printed whole, after a long one as before.
#[test]
fn a_short_chain_of_reasons_is_printed_whole() {
    let long = chain(WRAPS[2], Reason::Message("the first"));
    for _ in 0..3 {
        let mut scope = CancelScope::new();
        scope.cancel_with(Reason::Message("the first")).unwrap();
        for _ in 0..8 {
            let next = CancelScope::new();
            next.cancel_with(Because(scope.token().check().unwrap_err())).unwrap();
            scope = next;
        }
        let text = scope.token().check().unwrap_err().to_string();
        assert_eq!(text, format!("{}the first", "stopped: ".repeat(8)));
        assert!(long[LINKS].token().reason().unwrap().to_string().ends_with('…'));
    }
}

/// Errors are walked by their sources, which is a loop of the caller's.
#[test]
fn the_reasons_of_a_chain_are_the_sources_of_each_other() {
    on_a_small_stack(|| {
        let scopes = chain(WRAPS[1], Reason::Message("the first"));
        let error = scopes[LINKS].token().check().unwrap_err();
        let mut sources = core::iter::successors(error.source(), |&error| error.source());
        assert_eq!(sources.by_ref().count(), 2 * LINKS, "each and its `Cancelled`");
    });
}

/// A reason that owns a scope which nobody else has.
#[test]
fn a_reason_may_own_the_scope_before() {
    #[derive(Debug)]
    struct Owns {
        _before: Option<CancelScope>,
        _fault: Fault,
    }
    impl fmt::Display for Owns {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "owns {:?}", self._before)
        }
    }
    impl Error for Owns {}
    on_a_small_stack(|| {
        let (drops, mut before) = (Drops::default(), None);
        for _ in 0..LINKS {
            let scope = CancelScope::new();
            let reason = Owns { _before: before, _fault: drops.calm() };
            assert!(scope.cancel_with(reason).is_ok());
            before = Some(scope);
        }
        assert!(format!("{before:?}").len() < 20_000);
        drop(before);
        drops.assert_all_gone(LINKS);
    });
}

/// `cancel_like` copies a reason, and holds no scope.
#[test]
fn copies_of_reasons_are_no_chain() {
    on_a_small_stack(|| {
        let mut scope = CancelScope::new();
        scope.cancel_with("x".parse::<u8>().unwrap_err()).unwrap();
        for _ in 0..LINKS {
            let next = CancelScope::new();
            assert!(next.canceller().cancel_like(&scope.token().check().unwrap_err()));
            scope = next;
        }
        assert_eq!(scope.token().reason().unwrap().to_string(), "invalid digit found in string");
    });
}
