//! Waiting for tokens in every form, and tokens as the limit of something else.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::cell::Cell;
use core::future::{Future, IntoFuture, Pending, Ready, pending, poll_fn, ready};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use common::{Bell, Foreign, limited, look, never_but_tell, panic_of, panic_quietly, poll};
use futures_util::FutureExt as _;
use futures_util::future::FusedFuture;
use futures_util::stream::{self, FusedStream as _, Stream, StreamExt as _};
use winddown::future::{Until, WaitAny, WaitCancelled, WaitReason};
use winddown::{CancelScope, CancelToken, Cancelled, FutureUntil, Signal, StreamUntil, WaitGroup};

const SHORT: Duration = Duration::from_millis(1);
/// Comes only if a test hangs.
const LONG: Duration = Duration::from_secs(3600);

fn scope_with(reason: &'static str) -> CancelScope {
    let scope = CancelScope::new();
    scope.cancel_with(reason).unwrap();
    scope
}

mod waits {
    use super::*;

    /// S2.1, rule 7: before and after, borrowed and owned.
    #[test]
    fn a_wait_is_ready_when_the_token_is_cancelled_and_again_after_that() {
        let scope = CancelScope::new();
        let bell = Bell::new();
        let mut borrowed = scope.token().cancelled();
        let mut owned: WaitCancelled = scope.token().clone().cancelled_owned();
        let mut early = scope.token().cancelled();
        assert!(poll(&mut borrowed, &bell.waker()).is_pending());
        assert!(poll(&mut owned, &bell.waker()).is_pending());
        assert!(!borrowed.is_terminated() && !owned.is_terminated());
        scope.cancel();
        assert_eq!(bell.rings(), 2);
        for _ in 0..3 {
            assert!(look(&mut borrowed).is_ready() && look(&mut owned).is_ready());
            assert!(look(&mut early).is_ready());
            assert!(look(&mut scope.token().cancelled()).is_ready());
            assert!(borrowed.is_terminated() && owned.is_terminated());
        }
        assert_eq!(bell.rings(), 2);
    }

    /// S2.2: the reason comes with it.
    #[test]
    fn a_token_is_a_future_of_its_reason() {
        let scope = CancelScope::new();
        let below = scope.token().child();
        let bell = Bell::new();
        let mut borrowed: WaitReason<&CancelToken> = below.token().into_future();
        let mut owned: WaitReason = below.token().clone().into_future();
        assert!(poll(&mut borrowed, &bell.waker()).is_pending());
        assert!(poll(&mut owned, &bell.waker()).is_pending());
        assert!(!borrowed.is_terminated() && !owned.is_terminated());
        scope.cancel_with("enough").unwrap();
        for _ in 0..2 {
            for ready in [look(&mut borrowed), look(&mut owned)] {
                let Poll::Ready(cancelled) = ready else { panic!("it is cancelled") };
                assert_eq!(cancelled.to_string(), "enough");
            }
        }
        assert!(borrowed.is_terminated() && owned.is_terminated());
        assert_eq!(bell.rings(), 2);
        let awaited = async { below.token().await.to_string() };
        assert_eq!(pollster::block_on(awaited), "enough");
    }

    /// The wait is looked at first, so a finished wait wins a tie.
    #[test]
    fn a_wait_with_a_limit_says_what_stopped_it() {
        let scope = CancelScope::new();
        let token = scope.token();
        let unfinished = pollster::block_on(token.cancelled().until(ready("time"))).unwrap_err();
        assert_eq!((unfinished.left, unfinished.by), (0, "time"));
        let other = scope_with("the limit");
        let by = pollster::block_on(token.cancelled().until(other.token())).unwrap_err().by;
        assert_eq!(by.to_string(), "the limit");
        scope.cancel();
        assert!(pollster::block_on(token.cancelled().until(ready(()))).is_ok());
        assert!(pollster::block_on(token.into_future().until(other.token())).is_ok());
        assert!(pollster::block_on(CancelToken::any([token]).until(other.token())).is_ok());
        let mut done = token.cancelled().until(pending::<()>());
        assert!(look(&mut done).is_ready() && done.is_terminated());
        assert!(panic_of(|| look(&mut done)).contains("after it was ready"));
    }

    #[test]
    fn a_thread_blocks_until_another_cancels() {
        type Form = fn(&CancelToken, mpsc::Sender<()>);
        let forms: [Form; 4] = [
            |token, polled| token.cancelled().until(never_but_tell(polled)).block().unwrap(),
            |token, polled| {
                let wait = token.clone().cancelled_owned().until(never_but_tell(polled));
                wait.block_for(Duration::MAX).unwrap().unwrap();
            },
            |token, polled| {
                let wait = token.into_future().until(never_but_tell(polled));
                wait.block_until(Instant::now() + LONG).unwrap().unwrap();
            },
            |token, polled| {
                let never = CancelToken::never();
                let any = CancelToken::any([&never, token]).until(never_but_tell(polled));
                assert_eq!(any.block_for(LONG).unwrap().unwrap().to_string(), "by hand");
            },
        ];
        for form in forms {
            let root = CancelScope::new();
            let token = root.token().child().detach().token().clone();
            let (polled, is_polled) = mpsc::channel();
            thread::scope(|threads| {
                let thread = threads.spawn(|| form(&token, polled));
                is_polled.recv().unwrap();
                root.cancel_with("by hand").unwrap();
                thread.join().unwrap();
            });
            token.cancelled().block();
            assert_eq!((&token).into_future().block().to_string(), "by hand");
            CancelToken::any([&token]).block_for(Duration::ZERO).unwrap();
        }
    }

    #[test]
    fn a_thread_gives_up_when_its_time_is_over() {
        let scope = CancelScope::new();
        let token = scope.token();
        assert_eq!(token.cancelled().block_for(SHORT).unwrap_err().left, 0);
        token.cancelled().block_for(Duration::ZERO).unwrap_err();
        token.clone().cancelled_owned().block_until(Instant::now() + SHORT).unwrap_err();
        token.into_future().block_for(SHORT).unwrap_err();
        assert_eq!(CancelToken::any([token, token]).block_for(SHORT).unwrap_err().left, 0);
        CancelToken::any([]).block_for(SHORT).unwrap_err();
        CancelToken::never().cancelled().block_for(SHORT).unwrap_err();
    }

    /// A task that moves: the last waker is the one that is woken.
    #[test]
    fn the_last_waker_is_woken() {
        let root = CancelScope::new();
        let child = root.token().child();
        let wakers = [(); 5].map(|()| Foreign::new().share());
        let mut wait = child.token().cancelled();
        for waker in &wakers {
            assert!(poll(&mut wait, &waker.waker()).is_pending());
            assert!(poll(&mut wait, &waker.waker()).is_pending());
        }
        assert_eq!(wakers.each_ref().map(|waker| waker.alive()), [0, 0, 0, 0, 1]);
        root.cancel();
        assert_eq!(wakers.each_ref().map(|waker| waker.woken()), [0, 0, 0, 0, 1]);
        assert!(look(&mut wait).is_ready());
        assert_eq!(wakers[4].alive(), 0);
    }

    #[test]
    fn waits_show_what_they_wait_for() {
        let scope = CancelScope::new();
        let mut wait = scope.token().cancelled();
        assert!(format!("{wait:?}").contains("New"));
        assert!(look(&mut wait).is_pending());
        assert!(format!("{wait:?}").contains("Parked"));
        scope.cancel();
        assert!(look(&mut wait).is_ready());
        assert!(format!("{wait:?} {:?}", scope.token()).contains("Cancelled"));
        assert!(!format!("{:?} {:?}", CancelToken::any([scope.token()]), scope).is_empty());
    }
}

/// Rule 20: a wait for a place in a group begins work, so its limit is looked at first.
mod room {

    use winddown::future::{WaitRoom, WaitUntil};
    use winddown::{Refused, TaskGroup, TaskGuard, Unfinished};

    use super::*;

    fn in_the_queue(group: &TaskGroup) -> WaitRoom<&TaskGroup> {
        let mut wait = group.guard_when_room();
        assert!(look(&mut wait).is_pending());
        wait
    }

    type Outcome<L> = Result<Result<TaskGuard, Refused>, Unfinished<L>>;

    /// The work may begin.
    fn begins<L>(outcome: Outcome<L>) -> TaskGuard {
        outcome.ok().expect("it was not stopped").expect("the group is open")
    }

    /// What stopped the wait, and how many were inside.
    fn stopped<L>(outcome: Outcome<L>) -> (usize, L) {
        let Err(Unfinished { left, by, .. }) = outcome else { panic!("it was stopped") };
        (left, by)
    }

    fn stopped_by_outer<L, M>(outcome: Result<Outcome<L>, Unfinished<M>>) -> M {
        outcome.err().expect("the outer limit came first").by
    }

    fn ready_now<F: Future + Unpin>(mut future: F) -> F::Output {
        let Poll::Ready(output) = look(&mut future) else { panic!("it is ready") };
        output
    }

    #[test]
    fn a_request_that_was_stopped_in_the_queue_does_not_start() {
        for place_comes_first in [false, true] {
            let (group, request, bell) = (limited(1), CancelScope::new(), Bell::new());
            let running = group.guard().unwrap();
            let mut second = group.guard_when_room().until(request.token());
            assert!(poll(&mut second, Waker::noop()).is_pending());
            let mut third = group.guard_when_room();
            assert!(poll(&mut third, &bell.waker()).is_pending());
            if place_comes_first {
                drop(running);
                request.cancel_with("never mind").unwrap();
            } else {
                request.cancel_with("never mind").unwrap();
                drop(running);
            }
            let Poll::Ready(outcome) = look(&mut second) else { panic!("it was stopped") };
            let (left, by) = stopped(outcome);
            assert_eq!((left, by.to_string()), (1, "never mind".into()), "its place is counted");
            assert!(second.is_terminated());
            assert_eq!(bell.rings(), 1, "the place goes to the next in the queue, at once");
            drop(second);
            assert_eq!(bell.rings(), 1);
            assert!(ready_now(third).is_ok());
            assert!(group.is_empty());
        }
    }

    #[test]
    fn a_limit_that_has_come_refuses_even_if_there_is_room() {
        let (group, over, open) = (limited(1), scope_with("over"), CancelScope::new());
        let by = |outcome| {
            let (left, by): (usize, Cancelled) = stopped(outcome);
            assert_eq!(left, 0);
            by.to_string()
        };
        assert_eq!(by(ready_now(group.guard_when_room().until(over.token()))), "over");
        assert_eq!(by(group.guard_when_room().until(over.token()).block()), "over");
        let wait = group.guard_when_room().until(over.token());
        assert_eq!(by(wait.block_for(LONG).unwrap()), "over");
        let wait = group.guard_when_room().until(over.token());
        assert_eq!(by(wait.block_until(Instant::now() + LONG).unwrap()), "over");
        drop(begins(ready_now(group.guard_when_room().until(open.token()))));
        drop(begins(group.guard_when_room().until(open.token()).block()));
        drop(begins(group.guard_when_room().until(open.token()).block_for(LONG).unwrap()));
        assert!(group.is_empty());
    }

    /// The last limit first, then the one before it, then the wait.
    #[test]
    fn a_limit_of_a_limit_is_looked_at_first() {
        let (group, open, over) = (limited(1), CancelScope::new(), scope_with("over"));
        for inner in [&open, &over] {
            let wait = || group.guard_when_room().until(inner.token()).until(ready("outer"));
            assert_eq!(stopped_by_outer(ready_now(wait())), "outer");
            assert_eq!(stopped_by_outer(wait().block()), "outer");
        }
        let wait = || group.guard_when_room().until(over.token()).until(open.token());
        assert_eq!(stopped(ready_now(wait()).unwrap()).1.to_string(), "over");
        assert_eq!(stopped(wait().block().unwrap()).1.to_string(), "over");
        assert!(group.is_empty(), "none of them has begun");
        let wait = || group.guard_when_room().until(open.token()).until(open.token());
        drop(begins(ready_now(wait()).unwrap()));
        drop(begins(wait().block().unwrap()));

        // In the queue.
        for (stops_outer, level) in [(false, "inner"), (true, "outer")] {
            let (inner, outer) = (CancelScope::new(), CancelScope::new());
            let running = group.guard().unwrap();
            let mut wait: WaitUntil<WaitUntil<_, _>, _> =
                group.guard_when_room().until(inner.token()).until(outer.token());
            assert!(look(&mut wait).is_pending());
            let next = in_the_queue(&group);
            if stops_outer { &outer } else { &inner }.cancel_with(level).unwrap();
            drop(running);
            let Poll::Ready(outcome) = look(&mut wait) else { panic!("it was stopped") };
            let by = match outcome {
                Ok(outcome) => stopped(outcome).1,
                Err(unfinished) => unfinished.by,
            };
            assert_eq!(by.to_string(), level);
            drop(wait);
            assert!(ready_now(next).is_ok());
        }
    }

    #[test]
    fn a_thread_whose_time_is_up_takes_no_place() {
        let (group, never) = (limited(1), CancelToken::never());
        let past = || Instant::now();
        let wait = || group.guard_when_room();
        assert_eq!(wait().block_for(Duration::ZERO).unwrap_err().left, 0);
        assert_eq!(wait().block_until(past()).unwrap_err().left, 0);
        wait().until(&never).block_for(Duration::ZERO).unwrap_err();
        wait().until(&never).block_until(past()).unwrap_err();
        assert!(group.is_empty() && !group.is_closed());
        drop(wait().block_for(LONG).unwrap().unwrap());
        drop(wait().block_for(Duration::MAX).unwrap().unwrap());
        drop(wait().block_until(Instant::now() + LONG).unwrap().unwrap());
        drop(begins(wait().until(&never).block_for(LONG).unwrap()));
        let running = group.guard().unwrap();
        assert_eq!(wait().block_for(SHORT).unwrap_err().left, 1);
        assert_eq!(wait().until(&never).block_until(Instant::now() + SHORT).unwrap_err().left, 1);
        let next = in_the_queue(&group);
        drop(running);
        assert!(ready_now(next).is_ok(), "nothing of the others is left in the queue");
    }

    /// Without a last look: the place that comes when the time is up goes to the next.
    #[test]
    fn a_place_that_comes_when_the_time_is_up_goes_to_the_next() {
        for _ in 0..50 {
            let group = limited(1);
            let running = group.guard().unwrap();
            let at = Instant::now() + SHORT;
            thread::scope(|threads| {
                threads.spawn(|| {
                    while Instant::now() < at {
                        thread::yield_now();
                    }
                    drop(running);
                });
                group.guard_when_room().block_until(at).unwrap_err();
            });
            drop(group.guard().unwrap());
        }
    }

    /// Rule 20: the limit comes between the two looks, and a place gets free behind it: nothing begins, and the next
    /// wait gets the place.
    #[test]
    fn a_place_that_gets_free_behind_the_limit_is_passed_on() {
        for waits_already in [false, true] {
            let (group, over) = (limited(1), Cell::new(false));
            let running = Cell::new(group.guard().ok());
            let leaves = Cell::new(!waits_already);
            // Pending, and then everything happens at once, as on another thread.
            let limit = poll_fn(|_| {
                let before = over.get();
                if leaves.get() && !before {
                    over.set(true);
                    drop(running.take());
                }
                if before { Poll::Ready("too late") } else { Poll::Pending }
            });
            let mut wait = group.guard_when_room().until(limit);
            if waits_already {
                assert!(look(&mut wait).is_pending());
                leaves.set(true);
            }
            let Poll::Ready(outcome) = look(&mut wait) else { panic!("the place is free") };
            assert_eq!(stopped(outcome).1, "too late");
            drop(group.guard().unwrap());
        }
    }

    /// By a token, on a thread that is parked, or is about to be.
    #[test]
    fn a_thread_that_was_stopped_in_the_queue_does_not_start() {
        for round in 0..50 {
            let (group, request) = (limited(1), CancelScope::new());
            let running = group.guard().unwrap();
            thread::scope(|threads| {
                let thread = threads.spawn(|| {
                    let wait = group.guard_when_room().until(request.token());
                    match round % 3 {
                        0 => wait.block(),
                        1 => wait.block_for(LONG).unwrap(),
                        _ => wait.block_until(Instant::now() + LONG).unwrap(),
                    }
                });
                if round % 2 == 0 {
                    thread::sleep(SHORT);
                }
                request.cancel_with("stop").unwrap();
                drop(running);
                assert_eq!(stopped(thread.join().unwrap()).1.to_string(), "stop");
            });
            drop(group.guard().unwrap());
        }
    }

    /// A closed group begins nothing either; without a limit that has come, the refusal is the answer.
    #[test]
    fn a_closed_group_refuses_before_its_limit_has_come() {
        let (group, open, over) = (limited(1), CancelScope::new(), scope_with("over"));
        group.close();
        let wait = || group.guard_when_room();
        let refused = ready_now(wait().until(open.token())).unwrap();
        assert_eq!(refused.unwrap_err(), Refused::Closed);
        assert_eq!(wait().block_for(LONG).unwrap().unwrap_err(), Refused::Closed);
        assert_eq!(stopped(ready_now(wait().until(over.token()))).1.to_string(), "over");
    }
}

mod any {
    use super::*;

    /// The first in the array among those that are found in one look, whatever came first.
    #[test]
    fn of_several_tokens_the_first_in_the_array_counts() {
        let scopes = [(); 3].map(|()| CancelScope::new());
        let tokens = || scopes.each_ref().map(CancelScope::token);
        let (bell, names) = (Bell::new(), ["first", "second", "third"]);
        let mut any = CancelToken::any(tokens());
        assert!(poll(&mut any, &bell.waker()).is_pending() && !any.is_terminated());
        for at in [2, 1, 0] {
            scopes[at].cancel_with(names[at]).unwrap();
            let Poll::Ready(cancelled) = look(&mut any) else { panic!("one is cancelled") };
            assert_eq!(cancelled.to_string(), names[at]);
            assert!(any.is_terminated(), "and ready again");
            let now = pollster::block_on(CancelToken::any(tokens()));
            assert_eq!(now.to_string(), names[at]);
            assert_eq!(CancelToken::any(tokens()).block().to_string(), names[at]);
        }
        assert_eq!(bell.rings(), 1);
    }

    #[test]
    fn any_of_them_wakes_the_task() {
        for at in 0..3 {
            let root = CancelScope::new();
            let scopes = [(); 3].map(|()| root.token().child());
            let bell = Bell::new();
            let mut any = CancelToken::any(scopes.each_ref().map(CancelScope::token));
            for _ in 0..3 {
                assert!(poll(&mut any, &bell.waker()).is_pending());
            }
            scopes[at].cancel();
            assert_eq!(bell.rings(), 1);
            assert!(look(&mut any).is_ready());
            drop(any);
            scopes.iter().for_each(|scope| scope.token().forget_wait());
            assert_eq!(Arc::strong_count(&bell), 1, "nothing is left behind in the others");
            root.cancel();
            assert_eq!(bell.rings(), 1);
        }
    }

    #[test]
    fn of_no_tokens_none_is_ever_cancelled() {
        let mut none: WaitAny<'_, 0> = CancelToken::any([]);
        assert!(look(&mut none).is_pending() && look(&mut none).is_pending());
        assert!(!none.is_terminated());
        let never = CancelToken::never();
        assert!(look(&mut CancelToken::any([&never, &never])).is_pending());
    }

    /// The same token twice, a parent and its child.
    #[test]
    fn tokens_of_one_tree_may_stand_beside_each_other() {
        let root = CancelScope::new();
        let child = root.token().child();
        for upper in [false, true] {
            let (scope, bell) = (child.token().child(), Bell::new());
            let tokens = [scope.token(), root.token(), scope.token()];
            let mut any = CancelToken::any(tokens);
            assert!(poll(&mut any, &bell.waker()).is_pending());
            assert!(if upper { root.cancel() } else { scope.cancel() });
            assert_eq!(bell.rings(), if upper { 3 } else { 2 });
            assert!(look(&mut any).is_ready());
        }
    }

    #[test]
    fn several_tokens_are_a_limit_like_one() {
        let (stop, other) = (CancelScope::new(), scope_with("the other"));
        let any = || CancelToken::any([stop.token(), other.token()]);
        let stopped = pollster::block_on(pending::<()>().until(any())).unwrap_err();
        assert_eq!(stopped.to_string(), "the other");
        let group = WaitGroup::new();
        let guard = group.guard();
        let unfinished = group.wait().until(any()).block().unwrap_err();
        assert_eq!((unfinished.left, unfinished.by.to_string()), (1, "the other".into()));
        drop(guard);
        group.wait().until(any()).block().unwrap();
    }
}

mod limits {
    use super::*;

    /// Counts how often it was polled.
    fn counted<'a, T: Copy + Unpin + 'a>(
        polls: &'a Cell<u32>,
        end: Poll<T>,
    ) -> impl Future<Output = T> + Unpin + 'a {
        poll_fn(move |_| {
            polls.set(polls.get() + 1);
            end
        })
    }

    /// Stop first: a token that is cancelled keeps the work from being polled at all.
    #[test]
    fn the_limit_is_looked_at_first() {
        let (open, over, polls) = (CancelScope::new(), scope_with("over"), Cell::new(0));
        let work = || counted(&polls, Poll::Ready(7));
        assert_eq!(pollster::block_on(work().until(open.token())).unwrap(), 7);
        assert_eq!(pollster::block_on(open.token().run_until_cancelled(work())).unwrap(), 7);
        assert_eq!(polls.get(), 2);
        let stopped = pollster::block_on(work().until(over.token())).unwrap_err();
        assert_eq!(stopped.to_string(), "over");
        let stopped = pollster::block_on(over.token().run_until_cancelled(work())).unwrap_err();
        assert_eq!((stopped.to_string().as_str(), polls.get()), ("over", 2));
        let owned = pollster::block_on(work().until(over.token().clone()));
        assert!(owned.is_err() && polls.get() == 2);
    }

    #[test]
    fn work_first_turns_that_around() {
        let (over, polls) = (scope_with("over"), Cell::new(0));
        let work = || counted(&polls, Poll::Ready(7));
        assert_eq!(pollster::block_on(work().until(over.token()).work_first()).unwrap(), 7);
        let run = over.token().run_until_cancelled(work()).work_first();
        assert_eq!(pollster::block_on(run).unwrap(), 7);
        let stuck = counted(&polls, Poll::<()>::Pending).until(over.token()).work_first();
        assert!(pollster::block_on(stuck).is_err());
        assert_eq!(polls.get(), 3);
    }

    /// tokio lets a task do so much in one poll; then all that is tokio's is pending until the next one, unless that is
    /// lifted.
    #[test]
    fn work_first_empties_a_channel_of_tokio_that_is_unconstrained() {
        const ITEMS: usize = 1000;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = runtime.block_on(async {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            (0..ITEMS).for_each(|item| sender.send(item).unwrap());
            let (over, mut taken) = (scope_with("over"), 0);
            loop {
                let item = tokio::task::unconstrained(receiver.recv());
                let Ok(Some(_)) = item.until(over.token()).work_first().await else { break taken };
                taken += 1;
            }
        });
        assert_eq!(taken, ITEMS);
    }

    /// What `.await` makes a future of, and nothing else does: as the servers of web frameworks.
    struct Serve<'a>(&'a Cell<u32>, Poll<u8>);

    impl<'a> IntoFuture for Serve<'a> {
        type Output = u8;
        type IntoFuture = Pin<Box<dyn Future<Output = u8> + 'a>>;

        fn into_future(self) -> Self::IntoFuture {
            Box::pin(counted(self.0, self.1))
        }
    }

    #[test]
    fn what_becomes_a_future_may_have_a_limit() {
        let (open, over, polls) = (CancelScope::new(), scope_with("over"), Cell::new(0));
        let serve = || Serve(&polls, Poll::Ready(7));
        assert_eq!(pollster::block_on(serve().until(open.token())).unwrap(), 7);
        assert_eq!(polls.get(), 1);
        let stopped = pollster::block_on(serve().until(over.token())).unwrap_err();
        assert_eq!((stopped.to_string().as_str(), polls.get()), ("over", 1));
        assert_eq!(pollster::block_on(serve().until(over.token()).work_first()).unwrap(), 7);
        let bell = Bell::new();
        let mut run = Serve(&polls, Poll::Pending).until(open.token());
        assert!(poll(&mut run, &bell.waker()).is_pending() && !run.is_terminated());
        open.cancel();
        assert!(bell.rings() == 1 && look(&mut run).is_ready() && run.is_terminated());
    }

    /// Each `until` is found without a hint, and is the one that was meant: of a wait its own, of all else that of
    /// the trait. In generic code a future has the type that it is given, and so its limit.
    #[test]
    fn every_until_is_found_without_a_hint() {
        fn of_any<F: Future, L: Future>(future: F, limit: L) -> Until<F, L> {
            future.until(limit)
        }
        fn of_all<F: IntoFuture>(
            work: F,
            token: &CancelToken,
        ) -> Until<F::IntoFuture, WaitReason<&CancelToken>> {
            work.until(token)
        }
        let (scope, group, signal) = (scope_with("over"), WaitGroup::new(), Signal::new());
        let (token, _guard) = (scope.token(), group.guard());

        // A plain future, by value, by reference, in a box.
        let mut plain = ready(7);
        let lent: Until<&mut Ready<u8>, _> = (&mut plain).until(token);
        assert!(pollster::block_on(lent).is_err());
        let moved: Until<Ready<u8>, WaitReason<&CancelToken>> = plain.until(token);
        assert!(pollster::block_on(moved).is_err());
        let boxed: Pin<Box<dyn Future<Output = u8>>> = Box::pin(async { 7 });
        let boxed: Until<Pin<Box<dyn Future<Output = u8>>>, _> = boxed.until(token.clone());
        assert!(pollster::block_on(boxed).is_err());
        assert!(pollster::block_on(of_any(async { 7 }, pending::<()>())).is_ok());
        assert!(pollster::block_on(of_all(async { 7 }, token)).is_err());
        assert!(pollster::block_on(of_all(Serve(&Cell::new(0), Poll::Ready(7)), token)).is_err());

        // A wait has its own, and so has a wait with a limit.
        let unfinished = pollster::block_on(group.wait().until(token)).unwrap_err();
        assert_eq!((unfinished.left, unfinished.by.to_string().as_str()), (1, "over"));
        let twice = pollster::block_on(signal.closed().until(pending::<()>()).until(token));
        assert_eq!(twice.unwrap_err().left, 0);
        let own: winddown::future::WaitUntil<WaitReason<&CancelToken>, _> =
            token.into_future().until(ready(()));
        assert!(pollster::block_on(own).is_ok(), "a wait is looked at first");

        // A token, lent or owned, is no wait: the limit is looked at first.
        let lent: Until<WaitReason<&CancelToken>, _> = token.until(ready("limit"));
        let owned: Until<WaitReason, _> = token.clone().until(ready("limit"));
        assert_eq!(pollster::block_on(lent).unwrap_err(), "limit");
        assert_eq!(pollster::block_on(owned).unwrap_err(), "limit");
        let cancelled = pollster::block_on(token.until(&CancelToken::never())).unwrap();
        assert_eq!(cancelled.to_string(), "over");

        // A future with a limit may have another; a stream has that of streams.
        let nested = pollster::block_on(async { 7 }.until(pending::<()>()).until(token));
        assert!(nested.is_err());
        let mut items = stream::iter([1, 2]).until(token);
        assert_eq!(items.next().now_or_never(), Some(None));
    }

    /// S2.14: the work is stopped where it is, and woken for it.
    #[test]
    fn work_that_hangs_is_stopped() {
        let root = CancelScope::new();
        let child = root.token().child();
        let bell = Bell::new();
        let held = Arc::new(());
        let work = || {
            let held = Arc::clone(&held);
            Box::pin(async move {
                let _held = held;
                pending::<()>().await;
            })
        };
        let mut runs = [
            Box::pin(work().until(child.token())) as Pin<Box<dyn Future<Output = _>>>,
            Box::pin(child.token().run_until_cancelled(work())),
            Box::pin(work().until(child.token()).work_first()),
        ];
        assert!(runs.iter_mut().all(|run| poll(run, &bell.waker()).is_pending()));
        root.cancel_with("stop").unwrap();
        assert_eq!(bell.rings(), 3);
        for run in &mut runs {
            let Poll::Ready(Err(cancelled)) = look(run) else { panic!("it was told to stop") };
            assert_eq!(cancelled.to_string(), "stop");
        }
        drop(runs);
        assert_eq!(Arc::strong_count(&held), 1, "the work went with it");
    }

    /// Work that reports ready in every poll, between which it always wants more.
    #[test]
    fn work_that_is_always_ready_is_stopped() {
        let scope = CancelScope::new();
        let work = async {
            for turn in 0_u64.. {
                if turn == 1000 {
                    scope.cancel();
                }
                assert!(turn <= 1000, "it was told to stop");
                ready(()).until(scope.token()).await?;
            }
            Ok::<(), Cancelled>(())
        };
        assert!(pollster::block_on(work).is_err());
    }

    #[test]
    fn a_run_is_fused_and_says_so_when_it_is_polled_again() {
        let scope = CancelScope::new();
        let mut run: Until<Pending<()>, WaitReason<&CancelToken>> =
            scope.token().run_until_cancelled(pending());
        assert!(look(&mut run).is_pending() && !run.is_terminated());
        scope.cancel();
        assert!(look(&mut run).is_ready() && run.is_terminated());
        assert!(panic_of(|| look(&mut run)).contains("after it was ready"));
    }

    /// S1.6, S2.2: for `?` in a loop.
    #[test]
    fn check_ends_a_loop() {
        let scope = CancelScope::new();
        let below = scope.token().with_value(1);
        let work = |token: &CancelToken| -> Result<u32, Cancelled> {
            for turn in 0.. {
                token.check()?;
                if turn == 10 {
                    scope.cancel_with("at ten").unwrap();
                }
                assert!(turn <= 10);
            }
            Ok(0)
        };
        assert_eq!(work(&below).unwrap_err().to_string(), "at ten");
    }

    /// S4.5: a wait for a group with a token as its limit.
    #[test]
    fn a_token_is_the_limit_of_any_wait() {
        let (group, signal, over) = (WaitGroup::new(), Signal::new(), scope_with("over"));
        let guard = group.guard();
        let unfinished = pollster::block_on(group.wait().until(over.token())).unwrap_err();
        assert_eq!((unfinished.left, unfinished.by.to_string()), (1, "over".into()));
        let unfinished = pollster::block_on(signal.closed().until(over.token().clone()));
        assert_eq!(unfinished.unwrap_err().by.to_string(), "over");
        drop(guard);
        signal.close();
        assert!(pollster::block_on(group.wait().until(over.token())).is_ok(), "done wins");
        assert!(pollster::block_on(signal.closed().until(over.token())).is_ok());
        // The other way round: anything is the limit of work.
        assert_eq!(pollster::block_on(pending::<()>().until(signal.closed())), Err(()));
        assert_eq!(pollster::block_on(pending::<()>().until(group.wait())), Err(()));
    }
}

mod streams {
    use super::*;

    fn always_ready() -> impl Stream<Item = u32> + Unpin {
        stream::iter(0..)
    }

    /// An always-ready stream stops promptly.
    #[test]
    fn an_always_ready_stream_stops_with_the_token() {
        let scope = CancelScope::new();
        let mut items = StreamUntil::until(always_ready(), scope.token());
        let seen = pollster::block_on(async {
            let mut seen = 0;
            while let Some(item) = items.next().await {
                assert_eq!(item, seen);
                seen += 1;
                if item == 99 {
                    scope.cancel();
                }
            }
            seen
        });
        assert_eq!((seen, items.is_terminated()), (100, true));
        assert_eq!(pollster::block_on(items.next()), None);
        let mut none = StreamUntil::until(always_ready(), scope.token().clone());
        assert_eq!(pollster::block_on(none.next()), None, "not one item");
    }

    #[test]
    fn a_stream_that_waits_is_woken_for_its_end() {
        let root = CancelScope::new();
        let child = root.token().child();
        let bell = Bell::new();
        let mut items = StreamUntil::until(stream::pending::<()>(), child.token());
        let mut next = || items.poll_next_unpin(&mut Context::from_waker(&bell.waker()));
        assert!(next().is_pending() && next().is_pending());
        root.cancel();
        assert_eq!((bell.rings(), next(), next()), (1, Poll::Ready(None), Poll::Ready(None)));
    }

    /// Although the drop of what the limit gave panics.
    #[test]
    fn a_stream_whose_limit_has_come_has_ended() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic_quietly("the drop");
            }
        }
        let mut given = Some(());
        let limit = poll_fn(move |_| {
            given.take().expect("it is not polled again");
            Poll::Ready(Bad)
        });
        let mut items = StreamUntil::until(always_ready(), limit);
        assert_eq!(panic_of(|| items.next().now_or_never()), "the drop");
        assert!(items.is_terminated());
        assert_eq!(items.next().now_or_never(), Some(None));
    }

    #[test]
    fn a_stream_may_end_before_its_limit() {
        let scope = CancelScope::new();
        let items = StreamUntil::until(stream::iter([1, 2, 3]), scope.token());
        assert_eq!(pollster::block_on(items.collect::<Vec<_>>()), [1, 2, 3]);
        let mut items =
            StreamUntil::until(stream::iter([1]), Signal::closed_in(Arc::new(Signal::new())));
        assert_eq!(pollster::block_on(items.next()), Some(1));
        assert!(!items.is_terminated());
        assert_eq!(pollster::block_on(items.next()), None);
        assert!(items.is_terminated());
        assert_eq!(pollster::block_on(items.next()), None);
    }
}

/// By `&mut`, in a struct, without a pin.
mod selects {
    use super::*;

    #[derive(Debug)]
    struct Worker {
        stop: WaitCancelled,
        why: WaitReason,
    }

    fn worker(token: &CancelToken) -> Worker {
        Worker { stop: token.clone().cancelled_owned(), why: token.clone().into_future() }
    }

    async fn yield_once() {
        let mut yielded = false;
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if core::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    #[test]
    fn of_the_futures_crate() {
        let root = CancelScope::new();
        let scope = root.token().child();
        let mut worker = worker(scope.token());
        let mut turns = 0;
        pollster::block_on(async {
            loop {
                let mut fresh = scope.token().cancelled();
                futures_util::select_biased! {
                    () = &mut worker.stop => break,
                    why = &mut worker.why => unreachable!("the other comes first: {why}"),
                    () = fresh => unreachable!("the first comes first"),
                    () = futures_util::FutureExt::fuse(Box::pin(yield_once())) => {
                        turns += 1;
                        if turns == 10 {
                            root.cancel();
                        }
                    }
                }
            }
            futures_util::select! {
                () = &mut worker.stop => unreachable!("it is terminated"),
                why = &mut worker.why => assert_eq!(why.to_string(), "cancelled"),
            }
        });
        assert_eq!(turns, 10);
    }

    #[test]
    fn of_tokio() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let root = CancelScope::new();
        let scope = root.token().child();
        let mut worker = worker(scope.token());
        let mut turns = 0;
        runtime.block_on(async {
            loop {
                tokio::select! {
                    biased;
                    why = &mut worker.why => break assert_eq!(why.to_string(), "cancelled"),
                    () = &mut worker.stop => unreachable!("the other comes first"),
                    () = scope.token().cancelled() => unreachable!("the first comes first"),
                    () = tokio::task::yield_now() => {
                        turns += 1;
                        if turns == 10 {
                            root.cancel();
                        }
                    }
                }
            }
        });
        assert_eq!(turns, 10);
    }
}

/// Rule 12: every future, dropped at every point, before and after the end.
mod dropped {
    use super::*;

    type Form<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
    const FORMS: usize = 10;

    fn forms<'a>(token: &'a CancelToken, other: &'a CancelToken) -> Vec<Form<'a>> {
        vec![
            Box::pin(token.cancelled()),
            Box::pin(token.clone().cancelled_owned()),
            Box::pin(async move { drop(token.await) }),
            Box::pin(async { drop(token.clone().await) }),
            Box::pin(async { drop(CancelToken::any([other, token, token]).await) }),
            Box::pin(async { drop(token.run_until_cancelled(pending::<()>()).await) }),
            Box::pin(async move { drop(pending::<()>().until(token).work_first().await) }),
            Box::pin(async { token.cancelled().until(other.cancelled()).await.unwrap() }),
            Box::pin(async move {
                assert_eq!(StreamUntil::until(stream::pending::<()>(), token).next().await, None);
            }),
            Box::pin(async { futures_util::join!(token.cancelled(), token.cancelled()).0 }),
        ]
    }

    /// What is true of every form at each of its points.
    fn drop_at(form: usize, polls: usize, moves: bool, ends: bool, place: usize, level: usize) {
        let context = || format!("{form} {polls} {moves} {ends} {place} {level}");
        let (root, never) = (CancelScope::new(), CancelScope::new());
        let middle = root.token().child();
        let token = middle.token().with_value(1);
        let wakers = [(); 3].map(|()| Foreign::new().share());
        let bell = Bell::new();
        let mut others = [(); 2].map(|()| token.clone().cancelled_owned());
        let mut victim = forms(&token, never.token()).swap_remove(form);
        let poll_victim = |victim: &mut Form<'_>| {
            for at in 0..polls {
                let waker = wakers[if moves { at } else { 0 }].waker();
                assert!(poll(victim, &waker).is_pending(), "{}", context());
            }
        };
        for (at, other) in others.iter_mut().enumerate() {
            if at == place {
                poll_victim(&mut victim);
            }
            assert!(poll(other, &bell.waker()).is_pending(), "{}", context());
        }
        if place == others.len() {
            poll_victim(&mut victim);
        }
        let cancel = || assert!(if level == 0 { root.cancel() } else { middle.cancel() });
        if ends {
            cancel();
            drop(victim);
            let woken: usize = wakers.iter().map(|waker| waker.woken()).sum();
            assert_eq!(woken > 0, polls > 0, "{}", context());
        } else {
            drop(victim);
            // What the handles keep is all that there is.
            token.forget_wait();
            never.token().forget_wait();
            assert!(wakers.iter().all(|waker| waker.alive() == 0), "{}", context());
            cancel();
            assert!(wakers.iter().all(|waker| waker.woken() == 0), "{}", context());
        }
        assert_eq!(bell.rings(), 2, "{}", context());
        assert!(others.iter_mut().all(|other| look(other).is_ready()), "{}", context());
        assert!(look(&mut forms(&token, never.token()).swap_remove(form)).is_ready());
        token.forget_wait();
        never.token().forget_wait();
        assert!(wakers.iter().all(|waker| waker.alive() == 0), "{}", context());
    }

    #[test]
    fn every_wait_may_be_dropped_at_every_point() {
        for form in 0..FORMS {
            for polls in 0..4 {
                for place in 0..3 {
                    for flags in 0..8 {
                        let level = flags >> 2;
                        drop_at(form, polls, flags & 1 == 1, flags & 2 == 2, place, level);
                    }
                }
            }
        }
    }

    /// A forgotten wait is woken like any other; the tree goes around it.
    #[test]
    fn waits_may_be_forgotten() {
        for (level, goes) in [(0, false), (1, false), (0, true)] {
            let root = CancelScope::new();
            let child = root.token().child();
            let (waker, bell) = (Foreign::new().share(), Bell::new());
            let token = child.token().clone();
            for wait in [token.cancelled(), child.token().cancelled()] {
                let mut wait = wait;
                assert!(poll(&mut wait, &waker.waker()).is_pending());
                core::mem::forget(wait);
            }
            let mut other = token.cancelled();
            assert!(poll(&mut other, &bell.waker()).is_pending());
            if goes {
                drop(child.detach());
            } else {
                assert!(if level == 0 { root.cancel() } else { child.cancel() });
                assert_eq!((waker.woken(), bell.rings()), (2, 1));
                continue;
            }
            root.cancel();
            assert_eq!((waker.woken(), bell.rings()), (2, 1), "the token is there still");
        }
    }

    /// Rule 12: against a canceller on another thread.
    #[test]
    fn waits_may_be_dropped_while_they_are_being_woken() {
        for round in 0..500 {
            let root = CancelScope::new();
            let child = root.token().child();
            let (bell, dropped) = (Bell::new(), Foreign::new().share());
            let mut kept = child.token().cancelled();
            let mut waits = [(); 8].map(|()| child.token().clone().cancelled_owned());
            for wait in &mut waits {
                assert!(poll(wait, &dropped.waker()).is_pending());
            }
            assert!(poll(&mut kept, &bell.waker()).is_pending());
            thread::scope(|threads| {
                threads
                    .spawn(|| assert!(if round % 2 == 0 { root.cancel() } else { child.cancel() }));
                waits.into_iter().for_each(drop);
            });
            assert_eq!((bell.rings(), dropped.alive()), (1, 0));
        }
    }

    /// Rule 8, 12: a child goes while it, or its parent, is being cancelled.
    #[test]
    fn scopes_may_be_dropped_while_they_are_being_cancelled() {
        for round in 0..500 {
            let root = CancelScope::new();
            let middle = root.token().child();
            let leaf = middle.token().child();
            let waker = Foreign::new().share();
            let mut wait = leaf.token().clone().cancelled_owned();
            assert!(poll(&mut wait, &waker.waker()).is_pending());
            thread::scope(|threads| {
                threads.spawn(|| root.cancel());
                threads.spawn(|| drop(middle));
                if round % 2 == 0 {
                    drop(leaf);
                    assert!(poll(&mut wait, Waker::noop()).is_ready());
                } else {
                    drop(wait);
                    drop(leaf.detach());
                }
            });
            assert_eq!(waker.alive(), 0);
        }
    }
}
