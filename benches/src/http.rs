//! A whole HTTP server, with and without a group that knows its connections and requests.

mod client;
mod server;
mod tracking;

use core::time::Duration;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::harness::{Family, Scale, cores, on_main};
use crate::http::client::Client;
use crate::http::tracking::{TokioUtil, Tracking, Untracked, WatchAndMpsc, Winddown};

/// How many connections are open while requests are measured.
const CONNECTIONS: usize = 64;

/// What a pipe holds: more than a request, and more than a response.
const PIPE: usize = 1024;

pub(crate) fn throughput(scale: Scale) -> Family {
    let mut family = Family::new(
        "Requests of an HTTP server",
        "ns per request",
        "hyper's server; 64 clients, each a few lines over its connection, send one request after the \
         other and read each response to its end. Server and clients share the runtime. Each \
         connection is a tracked task, which beside the connection waits to be told to stop; each \
         request is counted in and out as well. Timed: all requests of a batch, from the first to the \
         last response, on connections that are open already, but for the last column, where each \
         request opens a connection and closes it. Pipes are in memory: without the kernel's share, so \
         that what tracking takes stands out. Floor: the same server without tracking.",
    );
    // TCP takes ten times as long.
    let requests = [scale.ops(12_800), scale.ops(32_000), scale.ops(12_800)];
    let workers = cores().max(2);
    let tcp = family.column(&format!("TCP, {workers} workers"));
    let pipes = family.column(&format!("pipes, {workers} workers"));
    let one = family.column("pipes, one thread");
    let short = family.column("pipes, one thread, a connection each");
    add::<Untracked>(&mut family, [tcp, pipes, one, short], requests);
    add::<Winddown>(&mut family, [tcp, pipes, one, short], requests);
    add::<TokioUtil>(&mut family, [tcp, pipes, one, short], requests);
    add::<WatchAndMpsc>(&mut family, [tcp, pipes, one, short], requests);
    family
}

pub(crate) fn drain(scale: Scale) -> Family {
    let mut family = Family::new(
        "Drain an HTTP server with open connections",
        "ns per connection",
        "So many keep-alive connections are open and idle, each after its first response; one thread. \
         Timed: telling the server to stop, until the last connection's task has left: each task wakes, \
         shuts its connection down and ends. Connections are pipes in memory, whatever their number: \
         with sockets, 10,000 of them would take 20,000 file descriptors of this one process, more than \
         most systems allow. The clients' ends are closed after the clock. No floor: without tracking \
         nobody would know that the last one has left.",
    )
    .along("connections");
    for connections in scale.decades(10, 10_000) {
        let column = family.column_of(connections);
        add_drain::<Winddown>(&mut family, column, connections);
        add_drain::<TokioUtil>(&mut family, column, connections);
        add_drain::<WatchAndMpsc>(&mut family, column, connections);
    }
    family
}

fn add<T: Tracking>(
    family: &mut Family,
    [tcp, pipes, one, short]: [usize; 4],
    [by_tcp, by_pipes, by_short]: [usize; 3],
) {
    let each = |requests: usize| (requests / CONNECTIONS).max(1);
    let (by_tcp, by_pipes) = (each(by_tcp), each(by_pipes));
    family.add(T::NAME, tcp, move || {
        measure(&many(), by_tcp, async |tracking: &T| {
            connected(tracking, open_tcp(tracking).await).await
        })
    });
    family.add(T::NAME, pipes, move || measure(&many(), by_pipes, open_pipes::<T>));
    family.add(T::NAME, one, move || measure(&one_thread(), by_pipes, open_pipes::<T>));
    family.add(T::NAME, short, move || {
        on_main(|| one_thread().block_on(short_connections::<T>(by_short)))
    });
}

fn add_drain<T: Tracking>(family: &mut Family, column: usize, connections: usize) {
    family.add(T::NAME, column, move || {
        let turns = (100 / connections).max(1);
        let spent: Duration = (0..turns).map(|_| on_main(|| drained::<T>(connections))).sum();
        spent.as_nanos() as f64 / (turns * connections) as f64
    });
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_io().build().expect("a runtime")
}

fn many() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(cores().max(2)).enable_io().build().expect("a runtime")
}

/// The nanoseconds of a request, when each of the clients that `open` gives sends `each` of them.
fn measure<T: Tracking, S: Stream>(
    runtime: &Runtime,
    each: usize,
    open: impl AsyncFnOnce(&T) -> Vec<Client<S>>,
) -> f64 {
    let tracking = T::new();
    runtime.block_on(async {
        let clients = open(&tracking).await;
        let requests = (clients.len() * each) as f64;
        let begin = Instant::now();
        let mut running = JoinSet::new();
        for mut client in clients {
            running.spawn(async move {
                for _ in 0..each {
                    client.request().await;
                }
                client
            });
        }
        // The clients stay open until the last one is done.
        let clients = running.join_all().await;
        let spent = begin.elapsed();
        drop(clients);
        tracking.stop();
        tracking.drained().await;
        spent.as_nanos() as f64 / requests
    })
}

/// What both ends of a connection are.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

async fn open_pipes<T: Tracking>(tracking: &T) -> Vec<Client<DuplexStream>> {
    pipes(tracking, CONNECTIONS).await
}

async fn pipes<T: Tracking>(tracking: &T, connections: usize) -> Vec<Client<DuplexStream>> {
    let both = (0..connections).map(|_| duplex(PIPE)).collect();
    connected(tracking, both).await
}

async fn open_tcp<T: Tracking>(_: &T) -> Vec<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let mut both = Vec::new();
    for _ in 0..CONNECTIONS {
        let near = TcpStream::connect(address).await.expect("a listener");
        let (far, _) = listener.accept().await.expect("a connection");
        for end in [&near, &far] {
            end.set_nodelay(true).expect("an open socket");
        }
        both.push((near, far));
    }
    both
}

/// Serves the far ends; each near one has had its first response.
async fn connected<T: Tracking, S: Stream>(tracking: &T, both: Vec<(S, S)>) -> Vec<Client<S>> {
    let mut clients = Vec::with_capacity(both.len());
    for (near, far) in both {
        drop(tokio::spawn(server::connection(far, tracking)));
        let mut client = Client::new(near);
        client.request().await;
        clients.push(client);
    }
    clients
}

/// The nanoseconds of a request with a connection of its own.
async fn short_connections<T: Tracking>(requests: usize) -> f64 {
    let tracking = T::new();
    let begin = Instant::now();
    for _ in 0..requests {
        let (near, far) = duplex(PIPE);
        drop(tokio::spawn(server::connection(far, &tracking)));
        Client::new(near).request().await;
    }
    let spent = begin.elapsed();
    tracking.stop();
    tracking.drained().await;
    spent.as_nanos() as f64 / requests as f64
}

/// From the stop until the last task has left.
fn drained<T: Tracking>(connections: usize) -> Duration {
    let tracking = T::new();
    one_thread().block_on(async {
        let clients = pipes(&tracking, connections).await;
        let begin = Instant::now();
        tracking.stop();
        tracking.drained().await;
        let spent = begin.elapsed();
        drop(clients);
        spent
    })
}
