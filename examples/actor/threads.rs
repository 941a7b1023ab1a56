//! Actors whose workers are threads. It reads as `tasks.rs` does, and nothing here is async.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use winddown::CancelToken;

use crate::hub::{Actor, End, Hub, Seat};
use crate::orders::{Order, parse};
use crate::runtime::cannot_listen;
use crate::{LIMIT, serving};

type Shared = Arc<Actor<TcpStream>>;

/// Serves until the hub is told to stop; then tells how many are left when there is no more time.
pub(crate) fn serve(hub: &Arc<Hub>, addr: SocketAddr) -> io::Result<usize> {
    let listener = TcpListener::bind(addr).map_err(cannot_listen(addr))?;
    let addr = listener.local_addr()?;
    let guard = hub.all.guard().map_err(io::Error::other)?.label("accept loop");
    let accepting = Arc::clone(hub);
    thread::spawn(move || {
        accept(&accepting, &listener);
        drop(guard);
    });
    // Only a client ends an `accept` that blocks.
    hub.all.token().on_cancel(move || drop(TcpStream::connect(addr))).detach();
    serving(addr, "threads", hub);
    hub.all.token().cancelled().block();
    Ok(match hub.all.join().block_for(LIMIT) {
        Ok(()) => 0,
        Err(unfinished) => unfinished.left,
    })
}

fn accept(hub: &Arc<Hub>, listener: &TcpListener) {
    while let (accepted, Ok(())) = (listener.accept(), hub.all.token().check()) {
        let Ok((stream, _)) = accepted else { continue };
        // If it is refused, the loop ends, too.
        if let Ok((actor, [reader, worker, heart])) = hub.enroll(stream) {
            let (send, receive) = channel();
            start(&actor, reader, move |actor, _| read(actor, &send));
            start(&actor, worker, move |actor, token| work(actor, token, &receive));
            start(&actor, heart, beat);
        }
    }
}

/// A worker: whatever ends it, it calls the shutdown, and waits for the others.
fn start(
    actor: &Shared,
    seat: Seat,
    body: impl FnOnce(&Actor<TcpStream>, &CancelToken) -> Result<(), End> + Send + 'static,
) {
    // The hub counts the thread to its very end, the actor until it leaves.
    let Ok(guard) = actor.hub().all.guard() else { return };
    let actor = Arc::clone(actor);
    thread::spawn(move || {
        let token = seat.guard().token().clone();
        let outcome = body(&actor, &token);
        seat.leave(outcome).join().block();
        actor.returned();
        drop(guard);
    });
}

/// Blocks in a read, until the actor's hook shuts the socket.
fn read(actor: &Actor<TcpStream>, orders: &Sender<String>) -> Result<(), End> {
    actor.reader.set(actor.hub().idle);
    for line in BufReader::new(&actor.socket).lines() {
        let Ok(line) = line else { break };
        actor.reader.set(actor.hub().idle);
        // An error means that the worker is gone, and that has ended the actor.
        let _ = orders.send(line);
    }
    Err(End::HungUp)
}

/// Does not look at the token: the queue ends when the reader does.
fn work(
    actor: &Actor<TcpStream>,
    token: &CancelToken,
    orders: &Receiver<String>,
) -> Result<(), End> {
    for line in orders {
        actor.worker.set(actor.hub().patience);
        match parse(&line)? {
            Order::Answer(text) => {
                (&actor.socket).write_all(text.as_bytes()).map_err(|_| End::HungUp)?;
            }
            Order::Nap(time) => drop(token.cancelled().block_for(time)),
        }
        actor.worker.clear();
    }
    // Without a reader there is no work; the reader says why, and its reason is to be the first.
    token.cancelled().block();
    Ok(())
}

/// Looks whether the others are late.
fn beat(actor: &Actor<TcpStream>, token: &CancelToken) -> Result<(), End> {
    let every = actor.hub().idle.min(actor.hub().patience) / 4;
    while token.cancelled().block_for(every).is_err() {
        actor.check()?;
    }
    Ok(())
}
