//! Scopes below one another: making, cancelling and dropping them.

use core::hint::black_box;
use core::time::Duration;

use tokio_util::sync::CancellationToken;
use winddown::{CancelScope, Canceller, TaskGroup};

use crate::floors::Blocks;
use crate::harness::{Family, Scale, THREADS, clock, contend, on_main, parts};
use crate::results::FLOOR;
use crate::subjects::{Event as _, TrackerAndToken, Tree, Waits};

pub(crate) fn make_and_drop_a_child(scale: Scale) -> Family {
    let mut family = Family::new(
        "Make and drop a child",
        "ns per child",
        "Timed: a loop that makes a child and drops it; all threads under one parent. \
         A `CancelScope` is cancelled by its drop, a `CancelToken` and a \
         `CancellationToken` are not; a `TaskGroup` is closed by it. `TaskTracker + CancellationToken` \
         is a child token and a tracker that the parent does not know. Floor: a written block of `winddown`'s size and two \
         read-modify-writes of one count.",
    )
    .along("threads");
    for threads in THREADS {
        let column = family.column_of(threads);
        let at = (threads, scale.each(threads, 20_000));
        let floor = || Blocks::<Canceller>::new(0);
        add_child(&mut family, FLOOR, column, at, floor, Tree::child);
        let scope = |parent: &CancelScope| parent.token().child();
        add_child(&mut family, "winddown CancelScope", column, at, CancelScope::new, scope);
        add_child(&mut family, Canceller::NAME, column, at, || Canceller::new(0), Tree::child);
        let (name, root) = (CancellationToken::NAME, CancellationToken::new);
        add_child(&mut family, name, column, at, root, Tree::child);
        let group = |parent: &TaskGroup| parent.child().expect("an open group");
        add_child(&mut family, "winddown TaskGroup", column, at, TaskGroup::new, group);
        let (name, root) = (TrackerAndToken::NAME, || TrackerAndToken::new(0));
        add_child(&mut family, name, column, at, root, Tree::child);
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// All of them below the root.
    Fan,
    /// Each below the one before.
    Chain,
}

/// The waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Nowhere,
    /// One waiter on each scope but the root.
    Everywhere,
    /// One waiter on the scope that was made last.
    AtTheEnd,
}

#[derive(Clone, Copy)]
struct Setting {
    shape: Shape,
    waited: Waited,
    size: usize,
}

/// A part of a tree's life that is on the clock.
#[derive(Clone, Copy)]
enum Step {
    Build,
    Wait,
    Cancel,
    DropOpen,
    DropCancelled,
    /// All of a life that is cancelled.
    Life,
}

impl Step {
    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Self::Build => "Build",
            Self::Wait => "Register the waits of",
            Self::Cancel => "Cancel",
            Self::DropOpen => "Drop, not cancelled,",
            Self::DropCancelled => "Drop, cancelled,",
            Self::Life => "The whole life of",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Build => {
                "Timed: making the scopes, in a vector that is there already. Floor: a written block \
                 of the size of `winddown`'s scope, and one count."
            }
            Self::Wait => {
                "Timed: making the waits, in memory that is there already, and polling each once. \
                 Floor: a vector of wakers."
            }
            Self::Cancel => {
                "Timed: `cancel` of the root, with wakers that do nothing. Floor: the vector of \
                 wakers taken, and a call each."
            }
            Self::DropOpen => {
                "Timed: dropping the waits and then the handles, first made first; nothing was \
                 cancelled. Floor: a mutex and a store for each wait, then the blocks freed."
            }
            Self::DropCancelled => {
                "Timed: dropping the waits and then the handles, first made first, after `cancel`. \
                 Floor: as before."
            }
            Self::Life => {
                "Timed: building, registering, `cancel` of the root and dropping all, added up. Floor: \
                 the same of the blocks and the vector."
            }
        }
    }
}

/// Tables of the same trees, one for each step that is asked for.
struct Steps {
    steps: Vec<(Step, Family)>,
    shape: Shape,
    waited: Waited,
}

impl Steps {
    fn new(of: &str, unit: &str, shape: Shape, waited: Waited, steps: &[Step]) -> Self {
        let axis = if shape == Shape::Fan { "children" } else { "levels" };
        let family = |step: Step| {
            let title = format!("{} {of}", step.name());
            Family::new(&title, &format!("ns per {unit}"), step.what()).along(axis)
        };
        let steps = steps.iter().map(|step| (*step, family(*step))).collect();
        Self { steps, shape, waited }
    }

    /// `per` is what the time is divided by.
    fn add<T: Tree>(&mut self, size: usize, per: usize, scale: Scale) {
        let turns = (scale.ops(20_000) / size).max(1);
        let setting = Setting { shape: self.shape, waited: self.waited, size };
        let all = parts(move || {
            on_main(|| {
                let mut spent = [Duration::ZERO; 6];
                for _ in 0..turns {
                    life::<T>(setting).into_iter().zip(&mut spent).for_each(|(it, sum)| *sum += it);
                }
                spent.map(|it| it.as_nanos() as f64 / (turns * per) as f64)
            })
        });
        let mut all = all.map(Some);
        for (step, family) in &mut self.steps {
            let column = family.column_of(size);
            family.makes(column, size);
            family.add(T::NAME, column, all[step.index()].take().expect("each step once"));
        }
    }

    fn families(self, chapter: &str) -> impl Iterator<Item = Family> {
        self.steps.into_iter().map(|(_, family)| family.in_chapter(chapter))
    }
}

/// Children of one root.
pub(crate) fn fans(scale: Scale) -> Vec<Family> {
    use Step::{Build, Cancel, DropCancelled, DropOpen, Life, Wait};
    let idle = &[Build, Cancel, DropOpen];
    let waited = &[Wait, Cancel, DropOpen, DropCancelled, Life];
    let (nowhere, everywhere) = (Waited::Nowhere, Waited::Everywhere);
    let mut scopes = [
        Steps::new("idle children", "child", Shape::Fan, nowhere, idle),
        Steps::new("children with a waiter each", "child", Shape::Fan, everywhere, waited),
    ];
    let mut groups = [
        Steps::new("idle child groups", "group", Shape::Fan, nowhere, idle),
        Steps::new("child groups with a waiter each", "group", Shape::Fan, everywhere, waited),
    ];
    for size in scale.decades(10, 1_000_000) {
        for steps in &mut scopes {
            steps.add::<Blocks<Canceller>>(size, size, scale);
            steps.add::<Canceller>(size, size, scale);
            steps.add::<CancellationToken>(size, size, scale);
        }
        for steps in &mut groups {
            steps.add::<Blocks<TaskGroup>>(size, size, scale);
            steps.add::<TaskGroup>(size, size, scale);
            steps.add::<TrackerAndToken>(size, size, scale);
        }
    }
    let scopes = scopes.into_iter().flat_map(|steps| steps.families("Children"));
    scopes.chain(groups.into_iter().flat_map(|steps| steps.families("Child groups"))).collect()
}

/// Scopes each below the one before.
pub(crate) fn chains(scale: Scale) -> Vec<Family> {
    use Step::{Build, Cancel, DropCancelled, DropOpen, Wait};
    let chain = Shape::Chain;
    let (idle, waited) = (&[Build, Cancel, DropOpen], &[Wait, Cancel, DropOpen, DropCancelled]);
    let mut idle = Steps::new("an idle chain", "scope", chain, Waited::Nowhere, idle);
    let name = "a chain with one waiter at its end";
    let mut deep = Steps::new(name, "chain", chain, Waited::AtTheEnd, waited);
    let name = "a chain with a waiter on each scope";
    let mut full = Steps::new(name, "scope", chain, Waited::Everywhere, waited);
    for size in scale.decades(1, 100_000) {
        add_chain::<Blocks<Canceller>>([&mut idle, &mut deep, &mut full], size, scale);
        add_chain::<Canceller>([&mut idle, &mut deep, &mut full], size, scale);
        add_chain::<CancellationToken>([&mut idle, &mut deep, &mut full], size, scale);
    }
    [idle, deep, full].into_iter().flat_map(|steps| steps.families("Deep trees")).collect()
}

fn add_chain<T: Tree>([idle, deep, full]: [&mut Steps; 3], size: usize, scale: Scale) {
    idle.add::<T>(size, size, scale);
    deep.add::<T>(size, 1, scale);
    // A wait asks all scopes above it, so that a longer one would take as long as all the rest.
    if size <= 1000 {
        full.add::<T>(size, size, scale);
    }
}

/// The whole lives of two trees, of which one is cancelled, by [`Step::index`].
fn life<T: Tree>(setting: Setting) -> [Duration; 6] {
    let [_, _, _, open] = half_a_life::<T>(setting, false);
    let [build, wait, cancel, cancelled] = half_a_life::<T>(setting, true);
    [build, wait, cancel, open, cancelled, build + wait + cancel + cancelled]
}

/// Build, wait, cancel if it is asked for, drop.
fn half_a_life<T: Tree>(setting: Setting, cancel: bool) -> [Duration; 4] {
    let size = setting.size;
    let root = T::new(size);
    let mut scopes = Vec::new();
    let built = clock(|| {
        scopes = match setting.shape {
            Shape::Fan => fan(root, size),
            Shape::Chain => chain(root, size),
        }
    });
    let mut waits = Waits::<T>::with_capacity(size);
    let waiting = match setting.waited {
        Waited::Nowhere => &[],
        Waited::Everywhere => &scopes[1..],
        Waited::AtTheEnd => &scopes[size..],
    };
    let parked = clock(|| waiting.iter().for_each(|scope| waits.park(scope)));
    let mut cancelled = Duration::ZERO;
    if cancel {
        cancelled = clock(|| scopes[0].end());
        assert!(waits.are_over(), "nobody is left behind");
    }
    let dropped = clock(|| drop(waits)) + clock(|| drop(scopes));
    [built, parked, cancelled, dropped]
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
    add::<Blocks<Canceller>>(&mut family, column, depth);
    add::<Canceller>(&mut family, column, depth);
    add::<CancellationToken>(&mut family, column, depth);
    family
}
