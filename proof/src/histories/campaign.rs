//! Many histories of many kinds.

use std::fmt;
use std::time::Instant;

use super::check::Verdict;
use super::run::{BATCH, Shape, plan, run};
use super::shrink::report;
use super::{History, Kind, errors, groups, places, signals, trees, wait_groups};

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// How many histories were checked.
    pub histories: u64,
    /// How many calls were in them.
    pub calls: u64,
    /// How many searches became too long.
    pub unknown: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.histories += other.histories;
        self.calls += other.calls;
        self.unknown += other.unknown;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { histories, calls, unknown } = self;
        write!(f, "{histories} histories with {calls} calls, {unknown} too long to check")
    }
}

/// A kind, whatever its subject is.
pub trait AnyKind: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Makes and checks the histories with the seeds from `seed` on, one each, `count` of them and at least one.
    /// `tries` is how often each is made.
    ///
    /// # Errors
    ///
    /// The report of the first that is wrong.
    fn run(&self, seed: u64, count: u64, tries: usize) -> Result<Tally, String>;
}

impl<K: Kind> AnyKind for K {
    fn name(&self) -> &'static str {
        Kind::name(self)
    }

    fn run(&self, seed: u64, count: u64, tries: usize) -> Result<Tally, String> {
        let mut tally = Tally::default();
        match first_wrong(self, seed, count, tries, &mut tally) {
            None => Ok(tally),
            Some((seed, history)) => Err(report(self, seed, plan(self, seed), history)),
        }
    }
}

/// The seed and the history of the first that is wrong, of those with the seeds from `seed` on.
pub fn first_wrong<K: Kind>(
    kind: &K,
    seed: u64,
    count: u64,
    tries: usize,
    tally: &mut Tally,
) -> Option<(u64, History<K>)> {
    let (mut at, end) = (seed, seed + count.max(1));
    while at < end {
        let next = end.min((at / BATCH + 1) * BATCH);
        for _ in 0..tries.max(1) {
            if let Some(wrong) = batch(kind, at..next, tally) {
                return Some(wrong);
            }
        }
        at = next;
    }
    None
}

/// The histories of some seeds of one shape.
fn batch<K: Kind>(
    kind: &K,
    seeds: std::ops::Range<u64>,
    tally: &mut Tally,
) -> Option<(u64, History<K>)> {
    let shape = Shape::of(seeds.start);
    let plans: Vec<_> = seeds.clone().map(|seed| plan(kind, seed)).collect();
    for (seed, (history, verdict)) in seeds.zip(run(kind, shape, plans)) {
        tally.histories += 1;
        tally.calls += history.len() as u64;
        match verdict {
            Verdict::Explained => {}
            Verdict::Unknown => tally.unknown += 1,
            Verdict::Wrong => return Some((seed, history)),
        }
    }
    None
}

/// All kinds of objects of the crate.
pub fn kinds() -> Vec<Box<dyn AnyKind>> {
    vec![
        Box::new(wait_groups::WaitGroups),
        Box::new(signals::Signals),
        Box::new(trees::Trees { between: 0 }),
        Box::new(trees::Trees { between: 300 }),
        Box::new(groups::Groups),
        Box::new(places::Places),
        Box::new(errors::ErrGroups),
    ]
}

/// Runs all kinds whose names are `only`, or all, a while for each in turn, until `end` or until `count` of each.
///
/// # Errors
///
/// The first report.
pub fn campaign(
    only: Option<&str>,
    seed: u64,
    count: Option<u64>,
    tries: usize,
    end: Option<Instant>,
    mut progress: impl FnMut(&str, Tally),
) -> Result<Tally, String> {
    let kinds: Vec<_> = kinds();
    let kinds = kinds.iter().filter(|kind| only.is_none_or(|only| only == kind.name()));
    let mut tallies: Vec<_> = kinds.map(|kind| (kind, Tally::default())).collect();
    let mut at = seed;
    let enough = |at: u64| count.is_some_and(|count| at >= seed + count);
    while !enough(at) && end.is_none_or(|end| Instant::now() < end) {
        let many = count.map_or(BATCH, |count| (seed + count - at).min(BATCH));
        for (kind, tally) in &mut tallies {
            *tally += kind.run(at, many, tries)?;
        }
        at += many;
    }
    let mut all = Tally::default();
    for (kind, tally) in tallies {
        progress(kind.name(), tally);
        all += tally;
    }
    Ok(all)
}
