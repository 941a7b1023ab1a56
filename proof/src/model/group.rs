//! The model of `TaskGroup` and `ErrGroup`: a family of groups with their levels, tasks, limits and links.
//!
//! **Own work** (rule 18). What follows from a step of a call, such as the drain of a group that is closed and
//! empty, or the grant of a place that became free, is done by *a* call that is going on. So such calls end by a
//! step [`AFTER`], which does own work piece by piece, and may be left when there is none left to do, or when
//! another call is there that does it. When no call is going on, no own work is left.

mod calls;
mod work;

use super::{Model, Outcome, Steps, Then, Waits};

/// How many groups a family may have.
pub const GROUPS: usize = 6;
/// How many waits there may be.
pub const WAITS: usize = 12;

/// `Reason::Cancelled` as a number.
pub const CANCELLED: u8 = 100;
/// `Reason::Dropped` as a number.
pub const DROPPED: u8 = 101;
/// `Reason::Failed` as a number.
pub const FAILED: u8 = 102;

/// Groups that were built one after the other. Those above a group, and those that it is linked to, have lower
/// numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Family {
    groups: Vec<Group>,
    waits: [Wait; WAITS],
    /// How many calls are at their step `AFTER`.
    busy: u8,
    /// A count without a limit may have spread: then `len` is a looser snapshot, and is not looked at here.
    may_spread: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    parent: Option<u8>,
    links: Vec<u8>,
    limit: Option<u16>,
    /// How many handles there are.
    handles: u16,
    /// The level "closed" was reached by this group itself.
    door: bool,
    /// The level "cancelled" was reached by this group itself, with this reason.
    why: Option<u8>,
    /// Nobody enters any more, also nobody that found the door open.
    shut: bool,
    /// How many tasks are inside, children and granted places among them.
    count: u16,
    /// How many places of those are on their way to the next wait.
    passing: u16,
    stage: Stage,
    /// The waits for a place, in order.
    queue: Vec<u8>,
    errors: Option<Errors>,
}

/// Rule 18: "a drain has two steps".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Runs,
    /// The finaliser has run, and no error is taken any more.
    Finalised,
    Drained,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Errors {
    kept: Vec<u8>,
    keeps: usize,
    beyond: usize,
    cancels: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Wait {
    #[default]
    New,
    /// For the drain, or for the close.
    For(u8, Waits),
    Queued(u8),
    Granted(u8),
    Dismissed(u8),
}

/// How a group is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// The group above it, which has to be open.
    pub parent: Option<u8>,
    /// What it is linked to.
    pub links: Vec<u8>,
    /// How many tasks may enter.
    pub limit: Option<u16>,
    /// How many errors are kept, and whether the first cancels. For groups with errors.
    pub errors: Option<(usize, bool)>,
}

/// A call of a group. Groups and waits are named by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after the call that it stands for")]
pub enum Op {
    /// Builds the group with the next number.
    Build(Built),
    Guard(u8),
    /// Clones a guard that is inside.
    CloneGuard(u8),
    DropGuard(u8),
    /// `TaskGuard::leave`, which gives a handle.
    Leave(u8),
    /// A tracked task fails: it records the error and leaves.
    Fail(u8, u8),
    Record(u8, u8),
    Close(u8),
    Cancel(u8, u8),
    SetLimit(u8, u16),
    CloneHandle(u8),
    DropHandle(u8),
    Len(u8),
    Limit(u8),
    IsClosed(u8),
    IsCancelled(u8),
    IsDrained(u8),
    /// Whether the finaliser has run.
    IsFinalised(u8),
    PollDrained(usize, u8),
    PollJoin(usize, u8),
    /// `ErrGroup::join`.
    PollErrors(usize, u8),
    PollClosed(usize, u8),
    PollRoom(usize, u8),
    /// `drained().block_for` a short time.
    BlockFor(u8),
    DropWait(usize),
    /// When nothing else is going on: whether the waker of the last poll was woken.
    Woken(usize),
}

/// The step in which own work is done, before the return.
const AFTER: u8 = 9;
/// The same in a poll that then looks whether its wait is over.
const BEFORE_LOOK: u8 = 8;
/// That look.
const LOOK: u8 = 7;

impl Family {
    /// No groups yet. `may_spread` says that `len` of groups without a limit is not exact.
    pub fn new(may_spread: bool) -> Self {
        Self { may_spread, ..Self::default() }
    }

    /// The family with one more group.
    #[must_use]
    pub fn with(mut self, built: &Built) -> Self {
        if let Some(parent) = built.parent {
            // Rule 17: a child holds one guard of its parent.
            self.of_mut(parent).count += 1;
        }
        self.groups.push(Group::of(built));
        self
    }

    fn of(&self, group: u8) -> &Group {
        &self.groups[usize::from(group)]
    }

    fn of_mut(&mut self, group: u8) -> &mut Group {
        &mut self.groups[usize::from(group)]
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    fn line(&self, group: u8) -> impl Iterator<Item = &Group> + '_ {
        std::iter::successors(Some(self.of(group)), |group| Some(self.of(group.parent?)))
    }

    /// Rule 17: the levels of a parent reach its children at once.
    fn is_closed(&self, group: u8) -> bool {
        self.line(group).any(|group| group.door)
    }

    fn is_cancelled(&self, group: u8) -> bool {
        self.line(group).any(|group| group.why.is_some())
    }

    /// Whether the group is drained.
    pub fn is_drained(&self, group: u8) -> bool {
        self.of(group).stage == Stage::Drained
    }

    /// Whether the finaliser has run.
    pub fn is_finalised(&self, group: u8) -> bool {
        self.of(group).stage != Stage::Runs
    }

    /// Whether a wait that was parked is over, so that it must have been woken.
    pub fn must_be_woken(&self, wait: usize) -> bool {
        match self.waits[wait] {
            Wait::For(_, waits) => waits == Waits::Over,
            Wait::Granted(_) | Wait::Dismissed(_) => true,
            Wait::New | Wait::Queued(_) => false,
        }
    }

    /// How many tasks are inside a group.
    pub fn count(&self, group: u8) -> u16 {
        self.of(group).count
    }
}

impl Model for Family {
    type Op = Op;

    fn step(&self, op: &Op, phase: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        match phase {
            AFTER => self.after(Then::Go(AFTER), Then::Return, steps),
            BEFORE_LOOK => self.after(Then::Go(BEFORE_LOOK), Then::Go(LOOK), steps),
            _ => self.call(op, phase, outcome, steps),
        }
    }

    fn only_looks(op: &Op) -> bool {
        op.looks() || matches!(op, Op::BlockFor(_) | Op::Woken(_))
    }
}

impl Op {
    /// Whether it asks the group for something, and waits for nothing.
    pub fn looks(&self) -> bool {
        matches!(
            self,
            Self::Len(_)
                | Self::Limit(_)
                | Self::IsClosed(_)
                | Self::IsCancelled(_)
                | Self::IsDrained(_)
                | Self::IsFinalised(_)
        )
    }
}
