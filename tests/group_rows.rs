//! What people build today in Go, with groups: the rows of `docs/capabilities.md` that a test shows
//! best. The rows of foreign code are in `tests/hostile/methods/`.

#![cfg(all(feature = "std", not(loom)))]

mod common;

use core::future::{pending, ready};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use common::{look, panic_quietly};
use winddown::{
    CancelScope, ErrGroup, FutureUntil as _, Reason, Refused, Stopped, TaskGroup, TaskGuard,
    WaitGroup,
};

const SHORT: Duration = Duration::from_millis(1);

/// S1.14: undefined in the original. S3.11: and it is refused before there is a task.
#[test]
fn a_job_that_registers_after_the_stop_is_refused() {
    let group = TaskGroup::new();
    let jobs = AtomicUsize::new(0);
    let register = || {
        let guard = group.guard()?;
        jobs.fetch_add(1, Ordering::Relaxed);
        Ok(guard)
    };
    let job = register().unwrap();
    group.close();
    assert_eq!(register().map(drop), Err(Refused::Closed));
    assert_eq!(jobs.load(Ordering::Relaxed), 1);
    drop(job);
}

/// The actor of S3: a registry, and a group whose workers all stop with the first of them.
#[derive(Debug)]
struct Actor {
    workers: TaskGroup,
    finalised: Arc<AtomicUsize>,
}

type Registry = Mutex<HashMap<u32, Weak<Actor>>>;

impl Actor {
    /// S3.9: the finaliser tells the owner.
    fn start(id: u32, registry: &Arc<Registry>) -> Arc<Self> {
        let finalised = Arc::new(AtomicUsize::new(0));
        let (owner, counts) = (Arc::clone(registry), Arc::clone(&finalised));
        let workers = TaskGroup::builder()
            .finally(move || {
                owner.lock().unwrap().remove(&id).expect("once");
                counts.fetch_add(1, Ordering::Relaxed);
            })
            .build();
        let actor = Arc::new(Self { workers, finalised });
        registry.lock().unwrap().insert(id, Arc::downgrade(&actor));
        actor
    }

    fn spawn(&self, work: impl FnOnce(&TaskGuard) + Send + 'static) -> thread::JoinHandle<()> {
        let guard = self.workers.guard().unwrap().cancel_on_drop();
        thread::spawn(move || work(&guard))
    }
}

/// S3.1, S3.2, S3.3, S3.8, S3.9, S3.12: the finaliser runs once, whichever call comes first; later callers
/// return only after it; a worker calls the shutdown while it leaves.
#[test]
fn an_actor_is_shut_down_once_from_inside_and_outside() {
    let registry = Arc::default();
    let actor = Actor::start(7, &registry);
    let idle = [(); 2].map(|()| actor.spawn(|guard| guard.token().cancelled().block()));
    let leaves = actor.workers.guard().unwrap();
    let seen = Arc::clone(&actor);
    let worker = thread::spawn(move || {
        leaves.leave().shutdown(ready(())).block();
        assert_eq!(seen.finalised.load(Ordering::Relaxed), 1);
    });
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                assert_eq!(actor.workers.shutdown(pending::<()>()).block(), Stopped::Forced);
                assert_eq!(actor.finalised.load(Ordering::Relaxed), 1);
                assert!(registry.lock().unwrap().is_empty());
            });
        }
    });
    worker.join().unwrap();
    idle.into_iter().for_each(|worker| worker.join().unwrap());
    assert!(actor.workers.is_drained() && !actor.workers.close());
}

type Exit = fn(&TaskGuard);

/// S3.4: an error, an end of file, a panic, or a plain return: each stops all workers.
#[test]
fn the_exit_of_any_worker_stops_all() {
    let exits: [(Exit, &str); 4] = [
        (|_| {}, "its owner was dropped"),
        (|guard| drop(guard.group().cancel_with("end of file")), "end of file"),
        (|guard| guard.group().cancel_with(Reason::Failed).unwrap(), "a task failed"),
        (|_| panic_quietly("a worker"), "its owner was dropped"),
    ];
    for (exit, why) in exits {
        let registry = Arc::default();
        let actor = Actor::start(1, &registry);
        let idle: Vec<_> =
            (0..3).map(|_| actor.spawn(|guard| guard.token().cancelled().block())).collect();
        let _ = actor.spawn(exit).join();
        actor.workers.drained().block();
        idle.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!(actor.workers.token().reason().unwrap().to_string(), why);
        assert!(registry.lock().unwrap().is_empty());
    }
}

/// S3.6: a worker that selects on several sources sees the close before the next of them, however many
/// there are.
#[test]
fn a_worker_with_many_sources_sees_the_close() {
    let group = TaskGroup::new();
    let guard = group.guard().unwrap();
    let (sources, worked) = ([(); 100].map(|()| WaitGroup::new()), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&worked);
    let thread = thread::spawn(move || {
        pollster::block_on(async {
            // All are ready all the time.
            for source in sources.iter().cycle() {
                if source.wait().until(guard.closed()).await.is_err() || guard.group().is_closed() {
                    break;
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let idle = pending::<()>().until(guard.closed());
        assert!(pollster::block_on(idle).is_err());
    });
    while worked.load(Ordering::Relaxed) < 1000 {
        thread::yield_now();
    }
    group.join().block();
    thread.join().unwrap();
}

/// S3.7: a hook at the cancel unblocks a foreign blocking read.
#[test]
fn a_blocked_read_ends_with_its_group() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    let group = TaskGroup::new();
    let (guard, closes) = (group.guard().unwrap(), socket.try_clone().unwrap());
    let hook = group.token().on_cancel(move || drop(closes.shutdown(Shutdown::Both)));
    let reader = thread::spawn(move || {
        let _guard = guard;
        socket.read(&mut [0]).unwrap()
    });
    assert_eq!(group.shutdown(ready(())).block(), Stopped::Forced);
    assert_eq!(reader.join().unwrap(), 0);
    assert!(!hook.deregister());
    drop(peer);
}

/// S3.13: a heartbeat per worker: silence is a cause of its own.
#[test]
fn a_silent_worker_stops_all() {
    let group = TaskGroup::new();
    let (beat, beats) = mpsc::channel::<()>();
    let (watched, worker) = (group.guard().unwrap().cancel_on_drop(), group.guard().unwrap());
    // Before the watchdog starts: it may be through with its patience before this thread goes on.
    beat.send(()).unwrap();
    let watchdog = thread::spawn(move || {
        while beats.recv_timeout(SHORT).is_ok() {}
        watched.group().cancel_with("no heartbeat").unwrap();
    });
    worker.token().cancelled().block();
    assert_eq!(worker.token().reason().unwrap().to_string(), "no heartbeat");
    drop(worker);
    group.join().block();
    watchdog.join().unwrap();
    drop(beat);
}

/// S4.1, S4.9: made from nothing, or with a signal; a sub-group is linked and shares it.
#[test]
fn a_group_is_made_from_nothing_or_with_a_signal() {
    let _: (TaskGroup, ErrGroup<u8>) = Default::default();
    let scope = CancelScope::new();
    let group = TaskGroup::builder().parent(scope.token()).build();
    let sub = group.child().unwrap();
    let guard = sub.guard().unwrap();
    group.close();
    assert!(!group.is_drained());
    scope.cancel();
    assert!(sub.token().is_cancelled() && !group.is_drained());
    drop(guard);
    assert!(group.is_drained());
}

/// S4.4, S4.6, S4.7, S4.12, S4.13: start, wait and close as separate methods of a service with an outer
/// group and one for its connections; every error is gathered, and all callers get the same first one.
#[test]
fn a_service_starts_waits_and_closes_by_separate_methods() {
    struct Service {
        outer: ErrGroup<&'static str>,
        connections: ErrGroup<&'static str>,
    }
    impl Service {
        fn start() -> Self {
            let builder = TaskGroup::builder().cancel_on_error(false);
            let connections = builder.build_err();
            let outer =
                TaskGroup::builder().link(connections.group()).cancel_on_error(false).build_err();
            Self { outer, connections }
        }

        fn serve(&self, error: &'static str) -> thread::JoinHandle<()> {
            let token = self.connections.group().token().clone();
            let task = self.connections.try_track(async move {
                token.cancelled().await;
                Err(error)
            });
            let task = task.unwrap();
            thread::spawn(|| pollster::block_on(task))
        }

        fn close(&self) {
            self.connections.group().cancel();
            self.outer.record("listener").unwrap();
            self.outer.group().close();
        }

        fn wait(&self) -> Vec<&'static str> {
            let (outer, inner) = (self.outer.join().block(), self.connections.join().block());
            let all = [outer, inner].into_iter().filter_map(Result::err);
            all.flat_map(|errors| errors.iter().copied().collect::<Vec<_>>()).collect()
        }
    }
    let service = Service::start();
    let listener = service.outer.group().guard().unwrap();
    let served = ["one", "two"].map(|error| service.serve(error));
    service.close();
    assert!(service.outer.join().block_for(SHORT).is_err());
    drop(listener);
    let mut errors = service.wait();
    assert_eq!((errors.clone(), errors[0]), (service.wait(), "listener"));
    errors.sort_unstable();
    assert_eq!(errors, ["listener", "one", "two"]);
    served.into_iter().for_each(|thread| thread.join().unwrap());
}

/// S4.15: what the original cannot: siblings are cancelled by an error, a wait that timed out leaks
/// nothing and can be told apart, no link cycle can be written, there is a count, and a panic kills
/// only its task.
#[test]
fn the_limits_of_the_original_are_beaten() {
    let group = ErrGroup::new();
    let sibling = group.group().guard().unwrap();
    let panics = group.group().guard().unwrap();
    let thread = thread::spawn(move || {
        let _guard = panics;
        panic_quietly("only this task")
    });
    assert!(thread.join().is_err());
    assert_eq!((group.group().len(), group.group().panics()), (1, 1));
    assert_eq!(group.join().block_for(SHORT).unwrap_err().left, 1);
    group.record("failed").unwrap();
    assert!(sibling.token().is_cancelled());
    let mut wait = group.join();
    assert!(look(&mut wait).is_pending());
    drop(sibling);
    assert_eq!(group.join().block().unwrap_err().first(), Some(&"failed"));
}
