//! The controller: counts jobs in and out, and tells them to stop. And a job, which counts lines.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use winddown::{CancelToken, Cancelled, Reason, Refused, TaskGroup, TaskGuard, Unfinished};

/// A batch of jobs. Clones are handles of one batch.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) jobs: TaskGroup,
}

/// A job that is counted in, whether or not it has begun. It is counted out when it is dropped: on
/// every way out, and once.
pub(crate) struct Job {
    token: CancelToken,
    // Dropped last.
    guard: TaskGuard,
}

/// What a job is about: a value that travels with its token.
struct About(PathBuf);

/// What became of a job that counted no lines.
pub(crate) enum Failure {
    Stopped(Cancelled),
    Failed(io::Error),
}

impl Batch {
    /// Whatever cancels `parent` stops the batch; nothing that the batch does touches `parent`.
    pub(crate) fn new(
        parent: &CancelToken,
        at_a_time: NonZeroUsize,
        when_over: impl FnOnce() + Send + 'static,
    ) -> Self {
        let group = TaskGroup::builder().parent(parent).limit(at_a_time).finally(when_over);
        Self { jobs: group.build() }
    }

    /// Counts a job in, as soon as there is room. Refused once the batch was stopped.
    pub(crate) fn register(&self, file: PathBuf) -> Result<Job, Refused> {
        let guard = self.jobs.guard_when_room().block()?;
        Ok(Job { token: guard.token().with_value(About(file)), guard })
    }

    /// Stops this batch alone. If something else did so before, its reason stands.
    pub(crate) fn stop(&self, why: &'static str) {
        let _ = self.jobs.cancel_with(Reason::Message(why));
    }

    /// Whether every job left by itself; else, why the batch was stopped.
    pub(crate) fn why_stopped(&self) -> Option<&Reason> {
        self.jobs.token().reason()
    }

    /// One more waiter, on a plain thread: calls `tick` again and again until the batch is over.
    pub(crate) fn watch(&self, every: Duration, tick: impl Fn(usize)) {
        while let Err(Unfinished { left, .. }) = self.jobs.drained().block_for(every) {
            tick(left);
        }
    }
}

impl Job {
    pub(crate) fn file(&self) -> &PathBuf {
        &self.token.value::<About>().expect("given by `register`").0
    }

    pub(crate) fn batch(&self) -> Batch {
        Batch { jobs: self.guard.group().clone() }
    }

    /// Reads the file so many times, and tells how many lines it has.
    pub(crate) fn count_lines(&self, rounds: u64) -> Result<u64, Failure> {
        let mut lines = 0;
        for _ in 0..rounds {
            lines = 0;
            let mut file = BufReader::new(File::open(self.file())?);
            loop {
                // A look at whether to stop costs next to nothing: it fits a hot loop.
                self.token.check()?;
                let chunk = file.fill_buf()?;
                if chunk.is_empty() {
                    break;
                }
                lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
                let read = chunk.len();
                file.consume(read);
            }
        }
        Ok(lines)
    }
}

impl From<Cancelled> for Failure {
    fn from(cancelled: Cancelled) -> Self {
        Self::Stopped(cancelled)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}
