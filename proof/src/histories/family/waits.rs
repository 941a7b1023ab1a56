//! The waits of a family of groups.

use std::task::Poll::{Pending, Ready};

use winddown::future::{WaitCancelled, WaitDrained, WaitErrors, WaitRoom};
use winddown::{CancelToken, ErrGroup, TaskGroup, TaskGuard};

use super::refused;
use crate::histories::probe::{Lent, Probed, ended};
use crate::model::Outcome;
use crate::model::group::Op;

#[derive(Debug)]
pub(super) enum Wait {
    Drained(Probed<WaitDrained>),
    Join(Probed<Lent<WaitDrained<&'static TaskGroup>, TaskGroup>>),
    Errors(Probed<Lent<WaitErrors<'static, u8>, ErrGroup<u8>>>),
    Closed(Probed<WaitCancelled<CancelToken>>),
    Room(Probed<WaitRoom>),
}

impl Wait {
    pub(super) fn is_polled_by(&self, op: &Op) -> bool {
        match self {
            Self::Drained(_) => matches!(op, Op::PollDrained(..)),
            Self::Join(_) => matches!(op, Op::PollJoin(..)),
            Self::Errors(_) => matches!(op, Op::PollErrors(..)),
            Self::Closed(_) => matches!(op, Op::PollClosed(..)),
            Self::Room(_) => matches!(op, Op::PollRoom(..)),
        }
    }

    pub(super) fn poll(&mut self, entered: &mut Option<TaskGuard>, is_over: &mut bool) -> Outcome {
        match self {
            Self::Drained(wait) => ended(&wait.poll(true)),
            Self::Join(wait) => ended(&wait.poll(false)),
            Self::Closed(wait) => ended(&wait.poll(false)),
            Self::Errors(wait) => match wait.poll(true) {
                Ready(Err(errors)) => {
                    Outcome::Errors(errors.iter().copied().collect(), errors.dropped())
                }
                other => ended(&other),
            },
            Self::Room(wait) => match wait.poll(true) {
                Pending => Outcome::Pending,
                Ready(answer) => {
                    // Such a wait is not ready again.
                    *is_over = true;
                    match answer {
                        Ok(guard) => {
                            *entered = Some(guard);
                            Outcome::Ok
                        }
                        Err(error) => refused(error),
                    }
                }
            },
        }
    }

    pub(super) fn woken(&self) -> Option<bool> {
        fn of<F: Future + Unpin>(wait: &Probed<F>) -> Option<bool> {
            wait.is_parked().then(|| wait.is_woken())
        }
        match self {
            Self::Drained(wait) => of(wait),
            Self::Join(wait) => of(wait),
            Self::Errors(wait) => of(wait),
            Self::Closed(wait) => of(wait),
            Self::Room(wait) => of(wait),
        }
    }
}
