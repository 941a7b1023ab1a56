//! The hub, and its actors: one for each connection, with three workers. The same for tasks and for
//! threads.
//!
//! An actor is a group. Whatever ends a worker cancels the group, and by that the others; a hook shuts
//! the socket, so that nobody blocks on it; when the last worker is out, the finaliser takes the actor
//! off the hub's map. Nobody has to call anything for that.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use winddown::{ChildError, Reason, Signal, TaskGroup, TaskGuard};

use crate::program::say;
use crate::runtime::AsSocket;

/// Owns the actors.
pub(crate) struct Hub {
    /// The accept loop and all that belongs to a connection. Each actor is a child of this group.
    pub(crate) all: TaskGroup,
    /// Where it serves, once it does.
    pub(crate) addr: Signal<SocketAddr>,
    /// How long a client may be silent.
    pub(crate) idle: Duration,
    /// How long a request may take.
    pub(crate) patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The actors that are not finalised.
    actors: HashMap<u64, TaskGroup>,
    counts: Counts,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) started: u64,
    pub(crate) finalised: u64,
    /// Workers that came back from the shutdown of their actor.
    pub(crate) returned: u64,
    // Why the actors ended.
    pub(crate) hung_up: u64,
    pub(crate) bye: u64,
    pub(crate) failed: u64,
    pub(crate) inactive: u64,
    pub(crate) panicked: u64,
    pub(crate) told: u64,
}

/// What the workers of an actor share.
pub(crate) struct Actor<S> {
    id: u64,
    hub: Arc<Hub>,
    pub(crate) socket: S,
    pub(crate) reader: Deadline,
    pub(crate) worker: Deadline,
}

/// A worker of an actor: the reader, the worker proper, or the heartbeat.
pub(crate) struct Seat(TaskGuard);

/// Why an actor ends. (If the hub stops it, it ends for the hub's reason.)
#[derive(Debug)]
pub(crate) enum End {
    HungUp,
    Bye,
    Failed(String),
    Inactive(&'static str),
}

impl Hub {
    pub(crate) fn new(idle: Duration, patience: Duration) -> Arc<Self> {
        let (all, addr, state) = (TaskGroup::new(), Signal::typed(), Mutex::default());
        Arc::new(Self { all, addr, idle, patience, state })
    }

    /// A new actor, and seats for its workers. Refused once the hub was told to stop.
    pub(crate) fn enroll<S: AsSocket + Send + Sync + 'static>(
        self: &Arc<Self>,
        socket: S,
    ) -> Result<(Arc<Actor<S>>, [Seat; 3]), ChildError> {
        let id = self.next_id();
        let hub = Arc::clone(self);
        let group = TaskGroup::builder().finally(move || hub.deregister(id));
        let group = self.all.child_with(group)?;
        // All are counted in before one of them starts: the first one that ends closes the door.
        let guard = group.guard()?;
        let guards = [guard.clone(), guard.clone(), guard];
        let seats = guards.map(|guard| Seat(guard.cancel_on_drop().cancel_on_panic()));

        let (reader, worker) = (Deadline::default(), Deadline::default());
        let actor = Arc::new(Actor { id, hub: Arc::clone(self), socket, reader, worker });
        let hung_up = Arc::clone(&actor);
        group.token().on_cancel(move || hang_up(&hung_up.socket)).detach();

        let mut state = self.state.lock().unwrap();
        state.counts.started += 1;
        state.actors.insert(id, group);
        Ok((actor, seats))
    }

    fn next_id(&self) -> u64 {
        self.state.lock().unwrap().counts.started
    }

    /// The finaliser: the last worker of this actor is out.
    fn deregister(&self, id: u64) {
        let mut state = self.state.lock().unwrap();
        // Without an entry it was never started.
        let Some(group) = state.actors.remove(&id) else { return };
        let reason = group.token().reason().expect("nothing else ends an actor");
        say(format_args!("actor {id} ended: {reason}"));
        let counts = &mut state.counts;
        counts.finalised += 1;
        *match (reason, reason.downcast_ref()) {
            (_, Some(End::HungUp)) => &mut counts.hung_up,
            (_, Some(End::Bye)) => &mut counts.bye,
            (_, Some(End::Failed(_))) => &mut counts.failed,
            (_, Some(End::Inactive(_))) => &mut counts.inactive,
            (Reason::Panicked, None) => &mut counts.panicked,
            (_, None) => &mut counts.told,
        } += 1;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state.lock().unwrap().counts.clone()
    }
}

impl<S> Actor<S> {
    /// An error if the client or the worker is late.
    pub(crate) fn check(&self) -> Result<(), End> {
        for (name, deadline) in [("client", &self.reader), ("worker", &self.worker)] {
            if deadline.is_over() {
                return Err(End::Inactive(name));
            }
        }
        Ok(())
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The shutdown has returned to one of the workers, so the actor is finalised: whichever worker called first.
    pub(crate) fn returned(&self) {
        let mut state = self.hub.state.lock().unwrap();
        assert!(!state.actors.contains_key(&self.id), "actor {} is still there", self.id);
        state.counts.returned += 1;
    }
}

impl Seat {
    pub(crate) fn guard(&self) -> &TaskGuard {
        &self.0
    }

    /// Counts the worker out, ends the others, and gives the group to wait for. The first reason
    /// stands, and so does that of the hub.
    pub(crate) fn leave(self, outcome: Result<(), End>) -> TaskGroup {
        if let Err(end) = outcome {
            let _ = self.0.group().cancel_with(end);
        }
        self.0.leave()
    }
}

/// When something must have happened; nothing must as long as it is not set.
#[derive(Default)]
pub(crate) struct Deadline(Mutex<Option<Instant>>);

impl Deadline {
    pub(crate) fn set(&self, time: Duration) {
        *self.0.lock().unwrap() = Some(Instant::now() + time);
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn is_over(&self) -> bool {
        self.0.lock().unwrap().is_some_and(|at| at <= Instant::now())
    }
}

/// Shuts the socket. That ends a read of any kind, blocking or not.
fn hang_up(socket: &impl AsSocket) {
    #[cfg(unix)]
    let socket = socket.as_fd();
    #[cfg(windows)]
    let socket = socket.as_socket();
    if let Ok(socket) = socket.try_clone_to_owned() {
        let _ = TcpStream::from(socket).shutdown(Shutdown::Both);
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HungUp => f.write_str("the client hung up"),
            Self::Bye => f.write_str("the client said bye"),
            Self::Failed(why) => write!(f, "the worker failed: {why}"),
            Self::Inactive(part) => write!(f, "the {part} is inactive"),
        }
    }
}

impl Error for End {}
