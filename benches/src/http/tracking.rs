//! The ways to know what a server still does, and to tell it to stop.

use alloc::sync::Arc;
use core::future;
use std::sync::Mutex;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use winddown::{CancelToken, TaskGroup, TaskGuard};

use crate::results::FLOOR;

/// A group of tasks; a clone is another handle.
pub(super) trait Tracking: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    type Guard: Send;
    type Stop: Send;

    fn new() -> Self;
    /// Counts a task in; dropping what it gives counts it out.
    fn enter(&self) -> Self::Guard;
    fn stop_handle(&self) -> Self::Stop;
    /// Ready when the task is to stop.
    fn stopped(stop: &mut Self::Stop) -> impl Future<Output = ()> + Send;
    /// Tells all tasks to stop.
    fn stop(&self);
    /// Ready when the last task has left.
    fn drained(self) -> impl Future<Output = ()>;
}

/// Nobody knows.
#[derive(Clone)]
pub(super) struct Untracked;

impl Tracking for Untracked {
    const NAME: &'static str = FLOOR;
    type Guard = ();
    type Stop = ();

    fn new() -> Self {
        Self
    }

    fn enter(&self) {}

    fn stop_handle(&self) {}

    fn stopped((): &mut ()) -> impl Future<Output = ()> + Send {
        future::pending()
    }

    fn stop(&self) {}

    async fn drained(self) {}
}

#[derive(Clone)]
pub(super) struct Winddown(TaskGroup);

impl Tracking for Winddown {
    const NAME: &'static str = "winddown TaskGroup";
    type Guard = TaskGuard;
    type Stop = CancelToken;

    fn new() -> Self {
        Self(TaskGroup::new())
    }

    fn enter(&self) -> TaskGuard {
        self.0.guard().expect("an open group")
    }

    fn stop_handle(&self) -> CancelToken {
        self.0.token().clone()
    }

    fn stopped(stop: &mut CancelToken) -> impl Future<Output = ()> + Send {
        stop.cancelled()
    }

    fn stop(&self) {
        self.0.close();
        self.0.cancel();
    }

    async fn drained(self) {
        self.0.join().await;
    }
}

#[derive(Clone)]
pub(super) struct TokioUtil {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tracking for TokioUtil {
    const NAME: &'static str = "TaskTracker + CancellationToken";
    type Guard = TaskTrackerToken;
    type Stop = CancellationToken;

    fn new() -> Self {
        Self { tracker: TaskTracker::new(), token: CancellationToken::new() }
    }

    fn enter(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    fn stop_handle(&self) -> CancellationToken {
        self.token.clone()
    }

    fn stopped(stop: &mut CancellationToken) -> impl Future<Output = ()> + Send {
        stop.cancelled()
    }

    fn stop(&self) {
        self.tracker.close();
        self.token.cancel();
    }

    async fn drained(self) {
        self.tracker.wait().await;
    }
}

/// What tokio's own documentation of a graceful shutdown shows: a `watch` channel tells, and the end of
/// an `mpsc` channel is the drain.
#[derive(Clone)]
pub(super) struct WatchAndMpsc {
    told: watch::Sender<bool>,
    alive: mpsc::Sender<()>,
    drain: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

impl Tracking for WatchAndMpsc {
    const NAME: &'static str = "tokio watch + mpsc";
    type Guard = mpsc::Sender<()>;
    type Stop = watch::Receiver<bool>;

    fn new() -> Self {
        let (alive, drain) = mpsc::channel(1);
        Self { told: watch::Sender::new(false), alive, drain: Arc::new(Mutex::new(Some(drain))) }
    }

    fn enter(&self) -> mpsc::Sender<()> {
        self.alive.clone()
    }

    fn stop_handle(&self) -> watch::Receiver<bool> {
        self.told.subscribe()
    }

    async fn stopped(stop: &mut watch::Receiver<bool>) {
        // An error says that the server itself is gone.
        let _ = stop.wait_for(|told| *told).await;
    }

    fn stop(&self) {
        self.told.send_replace(true);
    }

    async fn drained(self) {
        let drain = self.drain.lock().expect("no panic inside").take();
        drop(self);
        assert!(drain.expect("drained once").recv().await.is_none());
    }
}
