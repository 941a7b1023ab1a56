//! Own work of a family of groups: what follows from a call, and is done by a call that is going on.

use super::{AFTER, DROPPED, Family, Stage, Wait};
use crate::model::{Steps, Then, Waits};

/// What a call may do for any group.
const PIECES: [fn(&Family, u8) -> Option<Family>; 8] = [
    Family::shut,
    Family::dismiss,
    Family::let_in,
    Family::grant,
    Family::give_back,
    Family::finalise,
    Family::drain,
    Family::go,
];

impl Family {
    /// Leaves a call: at once if nothing is to do and no other call is going on; else by the step `AFTER`. In
    /// families with a limit a call may always be one that others rely on.
    pub(super) fn finish(mut self, steps: &mut Steps<Self>) {
        let limited = self.groups.iter().any(|group| group.limit.is_some());
        if self.busy == 0 && !limited && !self.has_work() {
            steps.push((self, Then::Return));
        } else {
            self.busy += 1;
            steps.push((self, Then::Go(AFTER)));
        }
    }

    /// One piece of own work, or the end of it.
    pub(super) fn after(&self, again: Then, end: Then, steps: &mut Steps<Self>) {
        let before = steps.len();
        let groups = 0..self.groups.len() as u8;
        for group in groups.clone() {
            let pieces = PIECES.iter().filter_map(|piece| piece(self, group));
            steps.extend(pieces.map(|next| (next, again)));
        }
        let is_done = steps.len() == before;
        steps.extend(groups.filter_map(|group| Some((self.try_a_place(group)?, again))));
        if is_done || self.busy > 1 {
            let mut next = self.clone();
            next.busy -= 1;
            steps.push((next, end));
        }
    }

    fn has_work(&self) -> bool {
        let groups = 0..self.groups.len() as u8;
        groups.into_iter().any(|group| PIECES.iter().any(|piece| piece(self, group).is_some()))
    }

    /// The close of a group above reaches this one.
    fn shut(&self, group: u8) -> Option<Self> {
        (self.is_closed(group) && !self.of(group).shut).then(|| {
            let mut next = self.clone();
            next.of_mut(group).shut = true;
            next
        })
    }

    /// The waits for a place hear of the close.
    fn dismiss(&self, group: u8) -> Option<Self> {
        let &wait = self.of(group).queue.first()?;
        self.of(group).shut.then(|| {
            let mut next = self.clone();
            next.of_mut(group).queue.remove(0);
            next.waits[usize::from(wait)] = Wait::Dismissed(group);
            next
        })
    }

    /// There is room for one more of those that wait: a place is taken for it, by the limit that there is now.
    fn let_in(&self, group: u8) -> Option<Self> {
        let state = self.of(group);
        let room = state.limit.is_some_and(|limit| state.count < limit);
        (room && !state.shut && state.queue.len() > usize::from(state.passing)).then(|| {
            let mut next = self.clone();
            let state = next.of_mut(group);
            state.count += 1;
            state.passing += 1;
            next
        })
    }

    /// A call that lets waits in takes one place more than there are waits, and gives it back.
    fn try_a_place(&self, group: u8) -> Option<Self> {
        let state = self.of(group);
        let room = state.limit.is_some_and(|limit| state.count < limit);
        (room && !state.shut).then(|| {
            let mut next = self.clone();
            let state = next.of_mut(group);
            state.count += 1;
            state.passing += 1;
            next
        })
    }

    /// First come, first served. A place that is on its way goes to the next wait also if the limit was lowered
    /// meanwhile.
    fn grant(&self, group: u8) -> Option<Self> {
        let state = self.of(group);
        let &wait = state.queue.first().filter(|_| state.passing > 0)?;
        let mut next = self.clone();
        let state = next.of_mut(group);
        state.queue.remove(0);
        state.passing -= 1;
        next.waits[usize::from(wait)] = Wait::Granted(group);
        Some(next)
    }

    /// A place that nobody waits for is free.
    fn give_back(&self, group: u8) -> Option<Self> {
        let state = self.of(group);
        (state.passing > 0 && state.queue.is_empty()).then(|| {
            let mut next = self.clone();
            let state = next.of_mut(group);
            state.passing -= 1;
            state.count -= 1;
            next
        })
    }

    /// Rule 16: closed and empty, and every linked group is drained.
    fn finalise(&self, group: u8) -> Option<Self> {
        let state = self.of(group);
        let is_over = state.shut && state.count == 0;
        let ends = is_over && state.links.iter().all(|&link| self.is_drained(link));
        (ends && state.stage == Stage::Runs).then(|| {
            let mut next = self.clone();
            next.of_mut(group).stage = Stage::Finalised;
            next
        })
    }

    /// The group lets go of its parent and ends the waits for it.
    fn drain(&self, group: u8) -> Option<Self> {
        (self.of(group).stage == Stage::Finalised).then(|| {
            let mut next = self.clone();
            next.of_mut(group).stage = Stage::Drained;
            if let Some(parent) = self.of(group).parent {
                next.leave(parent);
            }
            next.end_waits();
            next
        })
    }

    /// "A token that outlives the group is cancelled with `Dropped`": so are those of groups below it.
    fn go(&self, group: u8) -> Option<Self> {
        let state = self.of(group);
        let gone = state.handles == 0 && state.stage == Stage::Drained;
        (gone && state.why.is_none()).then(|| {
            let mut next = self.clone();
            next.of_mut(group).why = Some(DROPPED);
            next
        })
    }

    /// One task goes. In a group with a limit its place may be passed on: the docs of `guard` say that it counts
    /// until it is granted or given back. What follows is in `finish`.
    pub(super) fn leave(&mut self, group: u8) {
        let state = self.of_mut(group);
        // After the limit was lowered nobody enters "until fewer are inside".
        if state.limit.is_some_and(|limit| state.count <= limit) {
            state.passing += 1;
        } else {
            state.count -= 1;
        }
    }

    /// Ends the waits for what is closed and drained by now.
    pub(super) fn end_waits(&mut self) {
        for at in 0..self.waits.len() {
            if let Wait::For(target, Waits::Parked) = self.waits[at] {
                if self.wait_is_over(target) {
                    self.waits[at] = Wait::For(target, Waits::Over);
                }
            }
        }
    }

    /// A target is twice the number of the group for its close, and one more for its drain.
    fn wait_is_over(&self, target: u8) -> bool {
        if target % 2 == 0 { self.is_closed(target / 2) } else { self.is_drained(target / 2) }
    }

    /// A poll of a wait for a target.
    pub(super) fn poll_for(&mut self, wait: usize, target: u8) -> bool {
        let waits = match self.waits[wait] {
            Wait::For(_, waits) => waits,
            _ => Waits::New,
        };
        let (waits, _) = waits.poll(self.wait_is_over(target));
        self.waits[wait] = Wait::For(target, waits);
        waits == Waits::Over
    }
}
