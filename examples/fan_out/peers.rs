//! The others: upstreams, of which some are slow or broken, and clients, which check what they get.

use std::collections::HashMap;
use std::future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::{StatusCode, Uri};
use winddown::{CancelToken, FutureUntil as _, Signal};

use crate::http::{Answer, Tally, get, number};
use crate::hyper_runtime::HyperRuntime;
use crate::program::complain;

/// The connections as the upstreams see them.
pub(crate) static UPSTREAMS: Tally = Tally::new();
pub(crate) static ASKED: AtomicU64 = AtomicU64::new(0);
pub(crate) static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// The clients that go away as soon as an upstream hangs for them, by the number of their request.
static IMPATIENT: Mutex<Option<HashMap<u64, Arc<Signal>>>> = Mutex::new(None);

/// What an upstream does with a call.
pub(crate) async fn upstream<R: HyperRuntime>(upstream: usize, uri: Uri) -> Answer {
    ASKED.fetch_add(1, Relaxed);
    let id = number(&uri, "id").unwrap_or(0);
    let answer = match uri.path() {
        "/answer" => {
            R::sleep(Duration::from_millis(5 + (7 * id + 11 * upstream as u64) % 32)).await;
            (StatusCode::OK, part(upstream, id))
        }
        "/fail" => {
            R::sleep(Duration::from_millis(10)).await;
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
        _ => {
            let client = impatient(|map| map.remove(&id));
            if let Some(client) = client {
                client.close();
            }
            // Only a caller that hangs up ends this: hyper drops it then.
            future::pending().await
        }
    };
    ANSWERED.fetch_add(1, Relaxed);
    answer
}

/// The answer of one upstream.
fn part(upstream: usize, id: u64) -> String {
    format!("upstream {upstream} to request {id}\n")
}

fn impatient<T>(f: impl FnOnce(&mut HashMap<u64, Arc<Signal>>) -> T) -> T {
    f(IMPATIENT.lock().unwrap().get_or_insert_default())
}

/// What a request is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Fine,
    Fails,
    TooSlow,
    GoesAway,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Fine, Self::Fails, Self::TooSlow, Self::GoesAway];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fine => "all upstreams answer",
            Self::Fails => "one upstream fails",
            Self::TooSlow => "one upstream too slow",
            Self::GoesAway => "client goes away",
        }
    }

    fn of(id: u64) -> Self {
        Self::ALL[id as usize % Self::ALL.len()]
    }

    fn path(self, id: u64) -> String {
        match self {
            Self::Fine => format!("/fan?id={id}"),
            // The one that never answers would hold up the request, if the other's failure did not
            // stop it.
            Self::Fails => format!("/fan?id={id}&fail=1&slow=1"),
            Self::TooSlow | Self::GoesAway => format!("/fan?id={id}&slow=1"),
        }
    }

    fn must_get(self, id: u64, upstreams: usize) -> Answer {
        match self {
            Self::Fine => (StatusCode::OK, (0..upstreams).map(|n| part(n, id)).collect()),
            Self::Fails => {
                (StatusCode::BAD_GATEWAY, "upstream 0 failed: 500 Internal Server Error\n".into())
            }
            // A client that goes away too late gets that answer, too.
            Self::TooSlow | Self::GoesAway => {
                (StatusCode::GATEWAY_TIMEOUT, "deadline exceeded\n".into())
            }
        }
    }
}

/// The clients together.
pub(crate) struct Load {
    pub(crate) tally: Tally,
    next_id: AtomicU64,
    /// How long each request took that ended as it must, by kind.
    pub(crate) right: [Mutex<Vec<Duration>>; 4],
    /// Turned away because the server stops.
    pub(crate) turned_away: AtomicU64,
    pub(crate) wrong: AtomicU64,
}

pub(crate) static LOAD: Load = Load {
    tally: Tally::new(),
    next_id: AtomicU64::new(0),
    right: [const { Mutex::new(Vec::new()) }; 4],
    turned_away: AtomicU64::new(0),
    wrong: AtomicU64::new(0),
};

/// What the clients must know.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) requests: u64,
    pub(crate) upstreams: usize,
    pub(crate) addr: SocketAddr,
    /// Of the server: an answer may be missing only if it stops.
    pub(crate) server: CancelToken,
}

impl Load {
    pub(crate) fn start<R: HyperRuntime>(&'static self, clients: u64, orders: &Orders) {
        for _ in 0..clients.min(orders.requests) {
            R::spawn(self.tally.tasks.guard().track(self.client::<R>(orders.clone())));
        }
    }

    async fn client<R: HyperRuntime>(&'static self, orders: Orders) {
        loop {
            let id = self.next_id.fetch_add(1, Relaxed);
            if id >= orders.requests || !self.request::<R>(&orders, id).await {
                return;
            }
        }
    }

    /// One request; false if the server stops.
    async fn request<R: HyperRuntime>(&'static self, orders: &Orders, id: u64) -> bool {
        let kind = Kind::of(id);
        let enough = Arc::new(Signal::new());
        if kind == Kind::GoesAway {
            impatient(|map| map.insert(id, Arc::clone(&enough)));
        }
        let start = Instant::now();
        // Only the client itself stops the client, by dropping the request in the middle.
        let never = CancelToken::never();
        let path = kind.path(id);
        let request = get::<R>(&never, &self.tally, orders.addr, &path);
        let got = request.until(Signal::closed_in(enough)).await;
        impatient(|map| map.remove(&id));
        match got {
            Ok(Ok(answer)) if answer == kind.must_get(id, orders.upstreams) => {}
            Err(()) => {}
            Ok(Ok((StatusCode::SERVICE_UNAVAILABLE, _)) | Err(_))
                if orders.server.is_cancelled() =>
            {
                self.turned_away.fetch_add(1, Relaxed);
                return false;
            }
            Ok(wrong) => {
                complain(format_args!("request {id} ({}) got {wrong:?}", kind.name()));
                self.wrong.fetch_add(1, Relaxed);
                return true;
            }
        }
        self.right[kind as usize].lock().unwrap().push(start.elapsed());
        true
    }
}
