//! The calls of a group: the steps before their own work.

use super::{AFTER, BEFORE_LOOK, Built, Errors, FAILED, Family, Group, LOOK, Op, Stage, Wait};
use crate::model::{Outcome, Refusal, Steps, Then};

const CLOSED: Outcome = Outcome::Refused(Refusal::Closed);
const FULL: Outcome = Outcome::Refused(Refusal::Full);
const UNLIMITED: Outcome = Outcome::Refused(Refusal::Unlimited);

impl Family {
    pub(super) fn call(&self, op: &Op, phase: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        match *op {
            Op::Build(ref built) => self.build(built, outcome, steps),
            Op::Guard(group) => self.enter(group, phase, outcome, steps),
            Op::CloneGuard(group) => {
                let mut next = self.clone();
                next.of_mut(group).count += 1;
                steps.push((next, Then::Return));
            }
            Op::DropGuard(group) | Op::Leave(group) => {
                let mut next = self.clone();
                next.of_mut(group).handles += u16::from(matches!(op, Op::Leave(_)));
                next.leave(group);
                next.finish(steps);
            }
            Op::Fail(group, error) => self.fail(group, error, phase, steps),
            Op::Record(group, error) => self.record(group, error, phase, outcome, steps),
            Op::Close(group) => self.close(group, outcome, steps),
            Op::Cancel(group, why) => self.cancel(group, why, phase, outcome, steps),
            Op::SetLimit(group, limit) => self.set_limit(group, limit, outcome, steps),
            Op::CloneHandle(group) => {
                let mut next = self.clone();
                next.of_mut(group).handles += 1;
                steps.push((next, Then::Return));
            }
            Op::DropHandle(group) => {
                let mut next = self.clone();
                next.of_mut(group).handles -= 1;
                if next.of(group).handles == 0 {
                    // Rule 4: the drop of the last handle closes the door and does not cancel.
                    next.close_door(group);
                }
                next.finish(steps);
            }
            Op::PollRoom(wait, group) => self.poll_room(wait, group, phase, outcome, steps),
            Op::DropWait(wait) => self.drop_wait(wait, steps),
            Op::PollJoin(wait, group) | Op::PollErrors(wait, group) if phase == 0 => {
                self.join(wait, group, steps);
            }
            Op::PollErrors(wait, group) => self.poll_errors(wait, group, outcome, steps),
            Op::PollJoin(wait, group) | Op::PollDrained(wait, group) => {
                self.poll(wait, 2 * group + 1, outcome, steps);
            }
            Op::PollClosed(wait, group) => self.poll(wait, 2 * group, outcome, steps),
            _ if self.sees(op, outcome) => steps.push((self.clone(), Then::Return)),
            _ => {}
        }
    }

    /// Whether a call that only looks may give this.
    fn sees(&self, op: &Op, outcome: &Outcome) -> bool {
        match *op {
            Op::Len(group) => self.may_be_its_len(group, outcome),
            Op::Limit(group) => *outcome == self.limit(group),
            Op::IsClosed(group) => *outcome == Outcome::Bool(self.is_closed(group)),
            Op::IsCancelled(group) => *outcome == Outcome::Bool(self.is_cancelled(group)),
            Op::IsDrained(group) => *outcome == Outcome::Bool(self.is_drained(group)),
            Op::IsFinalised(group) => *outcome == Outcome::Bool(self.is_finalised(group)),
            Op::BlockFor(group) if self.is_drained(group) => *outcome == Outcome::Ready,
            Op::BlockFor(_) => *outcome == Outcome::Pending,
            Op::Woken(wait) => !self.must_be_woken(wait) || *outcome == Outcome::Bool(true),
            _ => false,
        }
    }

    /// The docs of `len`: a spread count is a looser snapshot.
    fn may_be_its_len(&self, group: u8, outcome: &Outcome) -> bool {
        let state = self.of(group);
        let is_exact = *outcome == Outcome::Count(usize::from(state.count));
        is_exact || (state.limit.is_none() && self.may_spread)
    }

    fn limit(&self, group: u8) -> Outcome {
        self.of(group).limit.map_or(UNLIMITED, |limit| Outcome::Count(limit.into()))
    }

    fn build(&self, built: &Built, outcome: &Outcome, steps: &mut Steps<Self>) {
        let refused = built.parent.and_then(|parent| self.refusal(parent));
        if *outcome == refused.map_or(Outcome::Ok, Outcome::Refused) {
            let next = self.clone();
            if refused.is_some() { next } else { next.with(built) }.finish(steps);
        }
    }

    /// Why nobody may enter now, when no other call is going on.
    fn refusal(&self, group: u8) -> Option<Refusal> {
        let state = self.of(group);
        if self.is_closed(group) {
            return Some(Refusal::Closed);
        }
        let is_full =
            state.limit.is_some_and(|limit| state.count >= limit || !state.queue.is_empty());
        is_full.then_some(Refusal::Full)
    }

    /// Rule 4: the door is looked at, and then the count, which the close shuts too.
    fn enter(&self, group: u8, phase: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        let state = self.of(group);
        if phase == 0 {
            if self.is_closed(group) {
                steps.extend((*outcome == CLOSED).then(|| (self.clone(), Then::Return)));
            } else {
                steps.push((self.clone(), Then::Go(1)));
            }
            return;
        }
        if state.shut {
            steps.extend((*outcome == CLOSED).then(|| (self.clone(), Then::Return)));
            return;
        }
        let is_full =
            state.limit.is_some_and(|limit| state.count >= limit || !state.queue.is_empty());
        if *outcome == FULL && is_full {
            steps.push((self.clone(), Then::Return));
        } else if *outcome == Outcome::Ok && !is_full {
            let mut next = self.clone();
            next.of_mut(group).count += 1;
            steps.push((next, Then::Return));
        }
    }

    pub(super) fn close_door(&mut self, group: u8) {
        self.of_mut(group).door = true;
        self.end_waits();
    }

    /// "True for the first call that closes it, here or above."
    fn close(&self, group: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        if *outcome == Outcome::Bool(!self.is_closed(group)) {
            let mut next = self.clone();
            if !self.is_closed(group) {
                next.close_door(group);
            }
            next.finish(steps);
        }
    }

    /// Closes the door and then cancels the token. From the first of the two on, what follows is its work: another
    /// closer may find the group closed and not drained.
    fn cancel(&self, group: u8, why: u8, phase: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        let mut next = self.clone();
        if phase == 0 {
            if !self.is_closed(group) {
                next.close_door(group);
            }
            next.busy += 1;
            steps.push((next, Then::Go(1)));
            return;
        }
        let first = !self.is_cancelled(group);
        if *outcome == (if first { Outcome::Ok } else { CLOSED }) {
            if first {
                next.of_mut(group).why = Some(why);
            }
            steps.push((next, Then::Go(AFTER)));
        }
    }

    fn set_limit(&self, group: u8, limit: u16, outcome: &Outcome, steps: &mut Steps<Self>) {
        let mut next = self.clone();
        let allowed = match self.of(group).limit {
            Some(_) => Outcome::Ok,
            None => UNLIMITED,
        };
        if allowed == *outcome {
            if self.of(group).limit.is_some() {
                next.of_mut(group).limit = Some(limit);
            }
            next.finish(steps);
        }
    }

    /// Rule 15, and the docs of `record`: refused once the group is drained. The refusal may come from the end of
    /// the finaliser on, since the answer is made then.
    fn record(&self, group: u8, error: u8, phase: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        match (phase, outcome) {
            (0, Outcome::Ok) if self.of(group).stage == Stage::Runs => {
                self.take_error(group, error, steps);
            }
            (0, outcome) if *outcome == CLOSED && self.is_finalised(group) => {
                steps.push((self.clone(), Then::Return));
            }
            (1 | 2, Outcome::Ok) => self.cancel_as_failed(group, phase, false, steps),
            _ => {}
        }
    }

    /// The error of a task that then leaves.
    fn fail(&self, group: u8, error: u8, phase: u8, steps: &mut Steps<Self>) {
        match phase {
            0 => self.take_error(group, error, steps),
            _ => self.cancel_as_failed(group, phase, true, steps),
        }
    }

    fn take_error(&self, group: u8, error: u8, steps: &mut Steps<Self>) {
        let mut next = self.clone();
        let errors = next.of_mut(group).errors.as_mut().expect("a group with errors");
        if errors.kept.len() < errors.keeps {
            errors.kept.push(error);
        } else {
            errors.beyond += 1;
        }
        steps.push((next, Then::Go(1)));
    }

    /// Rule 15: "the first error cancels the rest, unless the group was told not to". Then the task leaves.
    fn cancel_as_failed(&self, group: u8, phase: u8, leaves: bool, steps: &mut Steps<Self>) {
        let mut next = self.clone();
        let cancels = self.of(group).errors.as_ref().is_some_and(|errors| errors.cancels);
        if phase == 1 && cancels && !self.is_cancelled(group) {
            if !self.is_closed(group) {
                next.close_door(group);
            }
            next.busy += 1;
            return steps.push((next, Then::Go(2)));
        }
        if phase == 2 && !self.is_cancelled(group) {
            next.of_mut(group).why = Some(FAILED);
        }
        if leaves {
            next.leave(group);
        }
        if phase == 2 { steps.push((next, Then::Go(AFTER))) } else { next.finish(steps) }
    }

    /// Closes the door at the first poll; what it drains is drained before the wait is looked at.
    fn join(&self, wait: usize, group: u8, steps: &mut Steps<Self>) {
        let mut next = self.clone();
        if self.waits[wait] == Wait::New && !self.is_closed(group) {
            next.close_door(group);
        }
        next.finish(steps);
        for (_, then) in steps.iter_mut() {
            *then = Then::Go(if *then == Then::Return { LOOK } else { BEFORE_LOOK });
        }
    }

    fn poll(&self, wait: usize, target: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        let mut next = self.clone();
        let is_over = next.poll_for(wait, target);
        if *outcome == (if is_over { Outcome::Ready } else { Outcome::Pending }) {
            steps.push((next, Then::Return));
        }
    }

    fn poll_errors(&self, wait: usize, group: u8, outcome: &Outcome, steps: &mut Steps<Self>) {
        let mut next = self.clone();
        let is_over = next.poll_for(wait, 2 * group + 1);
        let errors = self.of(group).errors.as_ref().expect("a group with errors");
        let allowed = match (is_over, errors) {
            (false, _) => Outcome::Pending,
            (true, errors) if errors.kept.is_empty() && errors.beyond == 0 => Outcome::Ready,
            (true, errors) => Outcome::Errors(errors.kept.clone(), errors.beyond),
        };
        if *outcome == allowed {
            steps.push((next, Then::Return));
        }
    }

    /// First come, first served; refused "once the group is closed, before the wait or during it".
    fn poll_room(
        &self,
        wait: usize,
        group: u8,
        phase: u8,
        outcome: &Outcome,
        steps: &mut Steps<Self>,
    ) {
        let mut next = self.clone();
        let state = self.waits[wait];
        match (phase, state) {
            (0, Wait::New) => {
                // As `guard`. If that says `Full`, it joins the queue.
                self.enter(group, 0, outcome, steps);
            }
            (1, Wait::New) => {
                self.enter(group, 1, outcome, steps);
                let before = steps.len();
                self.enter(group, 1, &FULL, steps);
                if steps.len() > before {
                    // What is full now may have room by the time when the wait is in the queue.
                    steps.truncate(before);
                    steps.push((next, Then::Go(2)));
                }
            }
            (2, Wait::New) => {
                next.waits[wait] = Wait::Queued(group);
                next.of_mut(group).queue.push(wait as u8);
                next.busy += 1;
                steps.push((next, Then::Go(BEFORE_LOOK)));
            }
            (_, Wait::Granted(_)) if self.is_closed(group) && *outcome == CLOSED => {
                next.waits[wait] = Wait::New;
                next.leave(group);
                next.finish(steps);
            }
            (_, Wait::Granted(_)) if !self.is_closed(group) && *outcome == Outcome::Ok => {
                next.waits[wait] = Wait::New;
                steps.push((next, Then::Return));
            }
            (_, Wait::Queued(_) | Wait::Dismissed(_))
                if self.is_closed(group) && *outcome == CLOSED =>
            {
                next.of_mut(group).queue.retain(|&at| usize::from(at) != wait);
                next.waits[wait] = Wait::New;
                steps.push((next, Then::Return));
            }
            (_, Wait::Queued(_)) if !self.is_closed(group) && *outcome == Outcome::Pending => {
                steps.push((next, Then::Return));
            }
            _ => {}
        }
    }

    /// "A place in the group that it was granted and did not take goes to the next."
    fn drop_wait(&self, wait: usize, steps: &mut Steps<Self>) {
        let mut next = self.clone();
        match self.waits[wait] {
            Wait::Queued(group) => next.of_mut(group).queue.retain(|&at| usize::from(at) != wait),
            Wait::Granted(group) => next.leave(group),
            _ => {}
        }
        next.waits[wait] = Wait::New;
        next.finish(steps);
    }
}

impl Group {
    pub(super) fn of(built: &Built) -> Self {
        Self {
            parent: built.parent,
            links: built.links.clone(),
            limit: built.limit,
            handles: 1,
            door: false,
            why: None,
            shut: false,
            count: 0,
            passing: 0,
            stage: Stage::Runs,
            queue: Vec::new(),
            errors: built.errors.map(|(keeps, cancels)| Errors {
                kept: Vec::new(),
                keeps,
                beyond: 0,
                cancels,
            }),
        }
    }
}
