//! Scopes below one another: making, cancelling and dropping them.

use core::hint::black_box;
use core::time::Duration;

use tokio_util::sync::CancellationToken;
use winddown::{CancelScope, Canceller};

use crate::crowd::clock;
use crate::floors::Blocks;
use crate::harness::{FLOOR, Family, Scale, contend, on_main};
use crate::subjects::{Event as _, Tree, Waits};

pub(crate) fn make_and_drop_a_child(scale: Scale) -> Family {
    let mut family = Family::new(
        "Make and drop a child",
        "ns per child",
        "Timed: a loop that makes a child and drops it; all threads under one parent. \
         `winddown CancelScope` is cancelled by its drop, `winddown CancelToken` and \
         `CancellationToken` are not. Floor: a written block of `winddown`'s size and two \
         read-modify-writes of one count.",
    );
    let ops = scale.ops(20_000);
    for (threads, heading) in [(1, "1 thread"), (2, "2 threads")] {
        let column = family.column(heading);
        add_child(&mut family, FLOOR, column, (threads, ops), || Blocks::new(0), Tree::child);
        let scope = |parent: &CancelScope| parent.token().child();
        let name = "winddown CancelScope";
        add_child(&mut family, name, column, (threads, ops), CancelScope::new, scope);
        let root = || Canceller::new(0);
        add_child(&mut family, Canceller::NAME, column, (threads, ops), root, Tree::child);
        let (name, root) = (CancellationToken::NAME, CancellationToken::new);
        add_child(&mut family, name, column, (threads, ops), root, Tree::child);
    }
    family
}

fn add_child<P: Sync, C>(
    family: &mut Family,
    contender: &'static str,
    column: usize,
    (threads, ops): (usize, usize),
    root: impl Fn() -> P + 'static,
    child: impl Fn(&P) -> C + Sync + 'static,
) {
    family.add(contender, column, move || {
        let root = Box::new(root());
        contend(threads, ops, |gate, ops| gate.time(ops, || drop(black_box(child(&root)))))
    });
}

/// How the scopes of a tree hang together.
#[derive(Clone, Copy)]
enum Shape {
    /// All of them below the root.
    Fan,
    /// Each below the one before.
    Chain,
}

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Nowhere,
    /// One waiter on each scope but the root.
    Everywhere,
    /// One waiter on the scope that was made last.
    AtTheEnd,
}

/// Which part of a tree's life is on the clock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timed {
    Build,
    Wait,
    Cancel,
    /// With what waits there, and not cancelled.
    DropOpen,
    DropCancelled,
}

pub(crate) fn steps(scale: Scale) -> Vec<Family> {
    let idle = [
        (
            "Build a tree",
            Timed::Build,
            "Timed: making the scopes, in a vector that is there already. Floor: a written block of \
             `winddown`'s size, and one count.",
        ),
        (
            "Cancel a tree, idle",
            Timed::Cancel,
            "Timed: `cancel` of the root; nobody waits anywhere. Floor: a mutex and a flag.",
        ),
        (
            "Drop a tree, idle",
            Timed::DropOpen,
            "Timed: dropping the handles, first made first; nothing was cancelled and nobody waits. \
             Floor: the block freed, and one count.",
        ),
    ];
    let waited = [
        (
            "Wait in a tree",
            Timed::Wait,
            "Timed: making the waits, in memory that is there already, and polling each once. A wait \
             on a chain asks all scopes above it, so a chain with a waiter on each scope is short \
             here, and the long one has its one waiter at the end. Floor: a vector of wakers.",
        ),
        (
            "Cancel a tree, waited on",
            Timed::Cancel,
            "Timed: `cancel` of the root, with wakers that do nothing. Floor: the vector taken, and a \
             call each.",
        ),
        (
            "Drop a tree, waited on",
            Timed::DropOpen,
            "Timed: dropping the waits and then the handles, first made first; nothing was cancelled. \
             Floor: a mutex and a store for each wait, then the blocks.",
        ),
        ("Drop a tree, waited on and cancelled", Timed::DropCancelled, "The same after `cancel`."),
    ];
    let (few, many) = (scale.ops(50_000).min(1000), scale.ops(100_000));
    let nowhere = Waited::Nowhere;
    let idle = idle.map(|step| {
        let sizes = [few, many].into_iter();
        let both =
            sizes.flat_map(|size| [(Shape::Fan, size, nowhere), (Shape::Chain, size, nowhere)]);
        columns(step, both.collect(), scale)
    });
    let waited = waited.map(|step| {
        let settings = vec![
            (Shape::Fan, few, Waited::Everywhere),
            (Shape::Chain, few, Waited::Everywhere),
            (Shape::Fan, many, Waited::Everywhere),
            (Shape::Chain, many, Waited::AtTheEnd),
        ];
        columns(step, settings, scale)
    });
    idle.into_iter().chain(waited).collect()
}

type Setting = (Shape, usize, Waited);

fn columns(
    (title, timed, what): (&'static str, Timed, &'static str),
    settings: Vec<Setting>,
    scale: Scale,
) -> Family {
    let mut family = Family::new(title, "ns per scope", what);
    for setting in settings {
        let (shape, size, waited) = setting;
        let shape = match shape {
            Shape::Fan => "fan",
            Shape::Chain => "chain",
        };
        let end = if waited == Waited::AtTheEnd { ", one waiter" } else { "" };
        let column = family.column(&format!("{shape} of {}{end}", thousands(size)));
        add::<Blocks>(&mut family, column, setting, timed, scale);
        add::<Canceller>(&mut family, column, setting, timed, scale);
        add::<CancellationToken>(&mut family, column, setting, timed, scale);
    }
    family
}

fn add<T: Tree>(family: &mut Family, column: usize, setting: Setting, timed: Timed, scale: Scale) {
    let size = setting.1;
    let turns = (scale.ops(20_000) / size).max(1);
    family.add(T::NAME, column, move || {
        on_main(|| {
            let spent: Duration = (0..turns).map(|_| life::<T>(setting, timed)).sum();
            spent.as_nanos() as f64 / (turns * size) as f64
        })
    });
}

/// The whole life of a tree; gives the time of one part.
fn life<T: Tree>((shape, size, waited): Setting, timed: Timed) -> Duration {
    let root = T::new(size);
    let mut scopes = Vec::new();
    let built = clock(|| {
        scopes = match shape {
            Shape::Fan => fan(root, size),
            Shape::Chain => chain(root, size),
        }
    });
    let mut waits = Waits::<T>::with_capacity(size);
    let waiting = match waited {
        Waited::Nowhere => &[],
        Waited::Everywhere => &scopes[1..],
        Waited::AtTheEnd => &scopes[size..],
    };
    let parked = clock(|| waiting.iter().for_each(|scope| waits.park(scope)));
    let cancel = |waits: &mut Waits<'_, T>| {
        let cancelled = clock(|| scopes[0].end());
        assert!(waits.are_over(), "nobody is left behind");
        cancelled
    };
    match timed {
        Timed::Build => return built,
        Timed::Wait => return parked,
        Timed::Cancel => return cancel(&mut waits),
        Timed::DropOpen => {}
        Timed::DropCancelled => {
            cancel(&mut waits);
        }
    }
    clock(|| drop(waits)) + clock(|| drop(scopes))
}

/// The root and so many children of it.
pub(crate) fn fan<T: Tree>(root: T, children: usize) -> Vec<T> {
    let mut scopes = Vec::with_capacity(1 + children);
    scopes.push(root);
    (0..children).for_each(|_| scopes.push(scopes[0].child()));
    scopes
}

/// The root and so many scopes, each below the one before.
pub(crate) fn chain<T: Tree>(root: T, depth: usize) -> Vec<T> {
    let mut scopes = Vec::with_capacity(1 + depth);
    scopes.push(root);
    (0..depth).for_each(|nth| scopes.push(scopes[nth].child()));
    scopes
}

pub(crate) fn collapse(scale: Scale) -> Family {
    const LEAVES: usize = 1000;
    let mut family = Family::new(
        "Drop the handles of a chain with 1,000 leaves below",
        "ns per handle",
        "A chain of scopes, and a thousand children of its last one. Timed: dropping the handles of \
         the chain, last first, but for the root's; the leaves stay. Floor: a block freed, and one \
         count.",
    );
    let column = family.column("time");
    fn add<T: Tree>(family: &mut Family, column: usize, depth: usize) {
        family.add(T::NAME, column, move || {
            on_main(|| {
                let mut scopes = chain(T::new(0), depth);
                let leaves: Vec<T> = (0..LEAVES).map(|_| scopes[depth].child()).collect();
                let spent = clock(|| {
                    while scopes.len() > 1 {
                        drop(scopes.pop());
                    }
                });
                drop(leaves);
                spent.as_nanos() as f64 / depth as f64
            })
        });
    }
    let depth = scale.ops(1000);
    add::<Blocks>(&mut family, column, depth);
    add::<Canceller>(&mut family, column, depth);
    add::<CancellationToken>(&mut family, column, depth);
    family
}

/// The number with commas.
pub(crate) fn thousands(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}
