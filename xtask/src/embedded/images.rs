//! The images, and what each must say.

use anyhow::{Result, ensure};

/// An image, what it must say, a line each, and the status that it exits with.
pub(super) struct Image {
    pub(super) name: &'static str,
    scenarios: &'static [&'static str],
    status: i32,
}

impl Image {
    /// Whether a run of the image was what it should be.
    pub(super) fn check(&self, status: i32, said: &str) -> Result<()> {
        ensure!(status == self.status, "exited with status {status} after it said\n{said}");
        for scenario in self.scenarios {
            let line = format!("ok {scenario}: ");
            ensure!(said.lines().any(|it| it.starts_with(&line)), "no line '{line}' in\n{said}");
        }
        // A board without room leaves out a number of waiters.
        let unnumbered = |name: &str| name.replace(|it: char| it.is_ascii_digit(), "");
        for line in said.lines() {
            let Some((name, _)) = line.strip_prefix("ok ").and_then(|it| it.split_once(": "))
            else {
                continue;
            };
            let is_listed = self.scenarios.iter().any(|it| unnumbered(it) == unnumbered(name));
            ensure!(is_listed, "'{line}' is of a scenario that nobody demands");
        }
        Ok(())
    }
}

/// For [`TWO_CORES`](super::boards::TWO_CORES).
pub(super) const CORES: Image =
    Image { name: "cores", scenarios: &["count", "close", "cancel", "drain", "heap"], status: 0 };

pub(super) const IMAGES: [Image; 9] = [
    Image { name: "count", scenarios: &["count"], status: 0 },
    Image { name: "minimal", scenarios: &[], status: 0 },
    Image {
        name: "masked",
        scenarios: &[
            "signal, 1 waiting",
            "signal, 10 waiting",
            "signal, 17 waiting",
            "signal, 100 waiting",
            "group, 17 waiting",
            "group, 100 waiting",
            "tree, 1 waiting",
            "tree, 17 waiting",
            "heap",
        ],
        status: 0,
    },
    Image {
        name: "tasks",
        scenarios: &["shared", "slice", "tree", "drain", "heap", "stack"],
        status: 0,
    },
    // Its panic is what is wanted.
    Image {
        name: "full",
        scenarios: &[
            "full, first wait",
            "full, wait",
            "full, closed",
            "full, cancelled",
            "full, child",
            "full, callback",
            "full, value",
            "full, text",
            "full, group",
            "full, group below a token",
            "full, child of a group",
            "full, closed, of tasks",
            "full, drained",
            "full, room",
            "full",
        ],
        status: 1,
    },
    Image {
        name: "windows",
        scenarios: &[
            "guard, clone, drop",
            "add, done",
            "wait",
            "wait, another task",
            "wait, drop",
            "wait with a limit",
            "wait while counted",
            "track",
            "close",
            "closed",
            "closed, another task",
            "closed, drop",
            "close without a value",
            "closed without a value",
            "value",
            "cancel",
            "cancel with a text",
            "cancel like another",
            "cancelled",
            "cancelled by its owner",
            "cancelled by a drop",
            "cancelled like another",
            "cancelled, another task",
            "cancelled, drop, again",
            "cancelled, drop, forget",
            "the reason",
            "any",
            "any of three owners",
            "run until cancelled",
            "limit of a future",
            "limit, the work first",
            "cancel after",
            "child",
            "child, drop",
            "value on a token, shield",
            "callback",
            "callback, drop",
            "callback, detached",
            "looks",
            "delivery of a group",
            "delivery of a signal",
            "delivery of a tree",
            "callback that owns",
            "heap",
        ],
        status: 0,
    },
    Image {
        name: "groups",
        scenarios: &[
            "guard, clone, drop",
            "guard that cancels",
            "guard, leave",
            "handle, drop",
            "track",
            "close",
            "cancel",
            "cancel with a text",
            "closed",
            "closed, another task",
            "closed, drop",
            "drained",
            "drained, another task",
            "drained, drop",
            "join",
            "join, drop",
            "join with a limit",
            "shutdown",
            "shutdown without grace",
            "guard when room",
            "guard when room, in a queue",
            "looks",
            "child",
            "child, close, join",
            "child with a limit",
            "link",
            "below the token",
            "child with errors",
            "child that is left, drained",
            "child that is left, close",
            "child that is left, another child",
            "room",
            "room, raised",
            "room, another task",
            "room, another task, raised",
            "room, drop",
            "room, drop, raised",
            "room, two in a queue",
            "room, two in a queue, raised",
            "room, a guard",
            "room, a guard, raised",
            "room, each place once",
            "last handle, clone of a guard",
            "last handle, leave",
            "last handle, closed",
            "last handle, join",
            "error of a task",
            "error, recorded",
            "errors, join",
            "errors, join, drop",
            "heap",
        ],
        status: 0,
    },
    Image {
        name: "nested",
        scenarios: &[
            "guard, clone, drop",
            "wait",
            "wait, drop",
            "close",
            "closed",
            "cancel",
            "cancelled",
            "cancelled, drop, again",
            "child",
            "guard of a task",
            "close of tasks",
            "cancel of tasks",
            "join",
            "shutdown",
            "child of tasks",
            "heap",
        ],
        status: 0,
    },
    Image {
        name: "storms",
        scenarios: &["full", "rounds", "storm of zeros", "storm of ends", "storm for room", "heap"],
        status: 0,
    },
];
