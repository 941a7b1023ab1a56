//! Models of memory that is freed while another thread is on its way out (rule 19).
//!
//! A thread that gives up its count of a group, and is not the last, must not touch the group any more,
//! since the last one frees it. In each model the threads give up all that they hold, in every order,
//! so each of them is the last in some run. The property is the same in all models:
//!
//! * No thread touches what is gone. The facade checks that each use of its atomics, of its cells and
//!   of the value of an `Arc` is ordered before the end of what is used.
//! * The group ends once, and its finaliser has run when all threads have returned.
//! * Nothing is left: loom reports an `Arc` that is never freed.

#![cfg(loom)]

extern crate alloc;

use core::task::{Poll, Waker};

use loom::future::block_on;
use loom::thread;
use winddown::model::{Arc, count_on_shard, spread};
use winddown::{Refused, Signal, TaskGroup, WaitGroup};
use winddown_loom_tests::{
    Finale, Work, alone_and_in_a_crowd, check, check_within, crowd, nonzero, parked, poll,
};

/// How a group counts.
#[derive(Clone, Copy)]
enum Form {
    Plain,
    /// For so many tasks.
    Limited(usize),
    /// On shards already.
    Sharded,
}

impl Form {
    /// A group, and the finaliser that tells of its end.
    fn group(self) -> (TaskGroup, alloc::sync::Arc<Finale>) {
        let finale = alloc::sync::Arc::new(Finale::default());
        let builder = finale.builder(|| ());
        let group = match self {
            Self::Plain => builder,
            Self::Limited(places) => builder.limit(nonzero(places)),
            Self::Sharded => builder,
        };
        let group = group.build();
        if let Self::Sharded = self {
            spread(&group);
        }
        (group, finale)
    }
}

/// Makes a test for each [`Form`] of a model.
macro_rules! in_each_form {
    ($model:ident) => {
        mod $model {
            use super::Form;

            #[test]
            fn plain() {
                super::$model(Form::Plain);
            }

            #[test]
            fn limited() {
                super::$model(Form::Limited(2));
            }

            #[test]
            fn sharded() {
                super::$model(Form::Sharded);
            }
        }
    };
}

/// The last guard leaves beside the last handle: either of the two threads ends the group and frees it.
/// In the sharded form, the last handle folds the shard on which the guard leaves.
///
/// Edges: A.
///
/// Mutants: `guard-looks-back`, `hold-end-looks-back`, `limit-leave-looks-back`,
/// `plain-leave-looks-back`, `shard-leave-looks-back`.
fn the_last_guard_goes_beside_the_last_handle(form: Form) {
    check(move || {
        let (group, finale) = form.group();
        let guard = group.guard().unwrap();
        let leaver = thread::spawn(move || {
            count_on_shard(1);
            drop(guard);
        });
        drop(group);
        leaver.join().unwrap();
        finale.assert_over();
    });
}
in_each_form!(the_last_guard_goes_beside_the_last_handle);

/// Two guards of a closed group without handles leave at once. The second one frees the group, and the
/// first one does not touch it after its step.
///
/// Edges: A.
///
/// Mutants: `guard-looks-back`, `hold-end-looks-back`, `limit-leave-looks-back`,
/// `plain-leave-looks-back`.
fn two_guards_without_a_handle_go_at_once(form: Form) {
    check(move || {
        let (group, finale) = form.group();
        let [one, other] = [(); 2].map(|()| group.guard().unwrap());
        drop(group);
        let leaver = thread::spawn(move || {
            count_on_shard(1);
            drop(one);
        });
        drop(other);
        leaver.join().unwrap();
        finale.assert_over();
    });
}
in_each_form!(two_guards_without_a_handle_go_at_once);

/// Two guards leave on two shards, which the last handle folds meanwhile: any of the three threads frees
/// the group.
///
/// Edges: A.
///
/// Mutants: `plain-leave-looks-back`, `shard-leave-looks-back`.
#[test]
fn two_guards_go_while_the_last_handle_folds_their_shards() {
    check_within(2, || {
        let (group, finale) = Form::Sharded.group();
        let leavers = [0, 1].map(|index| {
            count_on_shard(index);
            let guard = group.guard().unwrap();
            thread::spawn(move || {
                count_on_shard(index);
                drop(guard);
            })
        });
        drop(group);
        leavers.into_iter().for_each(|leaver| leaver.join().unwrap());
        finale.assert_over();
    });
}

/// A thread that leaves passes its place on to a wait. The task of that wait leaves too, and the last
/// handle goes, so the group is freed while the first thread still serves the queue. Hence the first
/// thread keeps the queue by a reference of its own.
///
/// Edges: B, C, N.
///
/// Mutants: `limit-serve-keeps-nothing`.
#[test]
fn a_task_that_was_granted_a_place_frees_the_group() {
    check(|| {
        let (group, finale) = Form::Limited(1).group();
        let guard = group.guard().unwrap();
        let wait = parked(group.guard_when_room(), Waker::noop());
        let leaver = thread::spawn(move || drop(guard));
        drop(block_on(wait).unwrap());
        drop(group);
        leaver.join().unwrap();
        finale.assert_over();
    });
}

/// A thread that leaves passes its place on while the only wait gives up, so the place is given back. The
/// last handle frees the group as soon as nobody is inside, while the first thread still serves the queue.
///
/// Edges: B, C, N.
///
/// Mutants: `limit-serve-keeps-nothing`.
#[test]
fn a_place_is_given_back_beside_the_last_handle() {
    check(|| {
        let (group, finale) = Form::Limited(1).group();
        let guard = group.guard().unwrap();
        let wait = parked(group.guard_when_room(), Waker::noop());
        let leaver = thread::spawn(move || drop(guard));
        drop(wait);
        drop(group);
        leaver.join().unwrap();
        finale.assert_over();
    });
}

/// A thread that leaves serves the queue while a close dismisses the wait in it and the last handle goes.
///
/// Edges: B, C, N.
///
/// Mutants: `limit-serve-keeps-nothing`.
#[test]
fn a_queue_is_served_beside_a_close_and_the_last_handle() {
    check_within(2, || {
        let (group, finale) = Form::Limited(1).group();
        let guard = group.guard().unwrap();
        let mut wait = parked(group.guard_when_room(), Waker::noop());
        let leaver = thread::spawn(move || drop(guard));
        group.close();
        match poll(&mut wait, Waker::noop()) {
            Poll::Ready(outcome) => assert_eq!(outcome.err(), Some(Refused::Closed)),
            Poll::Pending => panic!("the close passed the wait by"),
        }
        drop(wait);
        drop(group);
        leaver.join().unwrap();
        finale.assert_over();
    });
}

/// A guard with `cancel_on_drop` is dropped beside the only other guard and the last handle. It cancels
/// before it leaves, since the group may be gone afterwards.
///
/// Edges: A.
///
/// Mutants: `guard-cancels-when-it-has-left`.
#[test]
fn a_guard_that_cancels_goes_beside_all_others() {
    check(|| {
        let (group, finale) = Form::Plain.group();
        let [cancels, other] = [(); 2].map(|()| group.guard().unwrap());
        let cancels = cancels.cancel_on_drop();
        let canceller = thread::spawn(move || drop(cancels));
        drop(other);
        drop(group);
        canceller.join().unwrap();
        finale.assert_over();
    });
}

/// A task leaves for a handle, beside the last other handle. It can use its handle afterwards, since the
/// handle is made before the task is counted out.
///
/// Edges: A.
///
/// Mutants: `leave-makes-its-handle-late`.
#[test]
fn a_task_that_leaves_for_a_handle_keeps_the_group() {
    check(|| {
        let (group, finale) = Form::Plain.group();
        let guard = group.guard().unwrap();
        let leaver = thread::spawn(move || {
            let handle = guard.leave();
            block_on(handle.join());
        });
        drop(group);
        leaver.join().unwrap();
        finale.assert_over();
    });
}

/// A guard is cloned and dropped, beside the last handle: the clone keeps the group.
///
/// Edges: A.
///
/// Mutants: `population-joins-in-by-the-door`.
#[test]
fn a_clone_of_a_guard_keeps_the_group() {
    check(|| {
        let (group, finale) = Form::Plain.group();
        let guard = group.guard().unwrap();
        let leaver = thread::spawn(move || {
            let clone = guard.clone();
            drop(guard);
            assert!(!clone.group().is_drained());
            drop(clone);
        });
        drop(group);
        leaver.join().unwrap();
        finale.assert_over();
    });
}

/// A link ends beside the last task and the last handle of the group that it holds up. The drain of the
/// linked group does not touch the other group after it has counted the link out.
///
/// Edges: A, E, Q.
///
/// Mutants: `drain-looks-back-at-a-follower`, `end-of-a-link-looks-back`.
#[test]
fn a_link_ends_beside_the_last_task() {
    check(|| {
        let other = TaskGroup::new();
        let finale = alloc::sync::Arc::new(Finale::default());
        let group = finale.builder(|| ()).link(&other).build();
        let [linked, own] = [&other, &group].map(|group| group.guard().unwrap());
        drop(other);
        let ender = thread::spawn(move || drop(linked));
        drop(own);
        drop(group);
        ender.join().unwrap();
        finale.assert_over();
    });
}

/// Rule 17: the last task of a child drains it, which counts the child out of its parent, beside the
/// parent's last handle. The child's drain does not touch the parent afterwards.
///
/// Edges: A, E, Q.
///
/// Mutants: `drain-lets-go-before-its-followers`, `drain-looks-back-at-a-follower`.
#[test]
fn a_child_ends_beside_its_parents_last_handle() {
    check(|| {
        let (parent, finale) = Form::Plain.group();
        let child = parent.child().unwrap();
        let guard = child.guard().unwrap();
        drop(child);
        let ender = thread::spawn(move || drop(guard));
        drop(parent);
        ender.join().unwrap();
        finale.assert_over();
    });
}

/// Rule 17: the last task and the last handle of a child go while the parent's last handle closes the
/// child from above. The close takes a reference to the child, or finds it gone.
///
/// Edges: A, E, Q, V.
///
/// Mutants: `below-settled-without-a-reference`, `drain-looks-back-at-a-follower`.
#[test]
fn a_child_goes_while_its_parent_is_closed() {
    check_within(2, || {
        let (parent, finale) = Form::Plain.group();
        let child = parent.child().unwrap();
        let guard = child.guard().unwrap();
        let ender = thread::spawn(move || {
            drop(guard);
            drop(child);
        });
        drop(parent);
        ender.join().unwrap();
        finale.assert_over();
    });
}

/// A wait for the drain owns the last handle, and is over while the last task still drains the group:
/// either of the two threads frees it.
///
/// Edges: A, D.
///
/// Mutants: `drain-keeps-its-reference`.
#[test]
fn a_wait_for_the_drain_frees_the_group() {
    check(|| {
        let (group, finale) = Form::Plain.group();
        let guard = group.guard().unwrap();
        group.close();
        let leaver = thread::spawn(move || drop(guard));
        block_on(group.drained_owned());
        finale.assert_over();
        leaver.join().unwrap();
    });
}

/// A wait owns a pointer to its wait group, and drops it as soon as it is over, while the last guard still
/// wakes: either of the two threads frees the wait group.
///
/// Edges: A, B, C.
///
/// Mutants: `group-no-fire`.
fn a_waiter_frees_the_wait_group(with_crowd: bool) {
    check(move || {
        let work = alloc::sync::Arc::new(Work::default());
        let group = Arc::new(WaitGroup::new());
        let guard = WaitGroup::guard_in(Arc::clone(&group));
        let crowd = with_crowd.then(|| crowd(|| WaitGroup::wait_in(Arc::clone(&group))));
        let worker = thread::spawn({
            let work = alloc::sync::Arc::clone(&work);
            move || {
                work.finish();
                drop(guard);
            }
        });
        block_on(WaitGroup::wait_in(group));
        work.assert_finished();
        drop(crowd);
        worker.join().unwrap();
    });
}
alone_and_in_a_crowd!(a_waiter_frees_the_wait_group);

/// A wait owns a pointer to its signal, and drops it as soon as it is over, while the closer still wakes:
/// either of the two threads frees the signal.
///
/// Edges: B, C, D.
///
/// Mutants: `signal-no-fire`.
fn a_waiter_frees_the_signal(with_crowd: bool) {
    check(move || {
        let signal = Arc::new(Signal::new());
        let crowd = with_crowd.then(|| crowd(|| Signal::closed_in(Arc::clone(&signal))));
        let closer = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.close()
        });
        block_on(Signal::closed_in(signal));
        drop(crowd);
        assert!(closer.join().unwrap());
    });
}
alone_and_in_a_crowd!(a_waiter_frees_the_signal);
