//! Actors whose workers are tasks.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use smol::channel::{self, Receiver, Sender};
use winddown::{CancelToken, FutureUntil as _};

use crate::hub::{Actor, End, Hub, Seat};
use crate::lines::Lines;
use crate::orders::{Order, parse};
use crate::runtime::Runtime;
use crate::{LIMIT, serving};

/// Serves until the hub is told to stop; then tells how many are left when there is no more time.
pub(crate) async fn serve<R: Runtime>(hub: Arc<Hub>, addr: SocketAddr) -> io::Result<usize> {
    let (listener, addr) = R::listen(addr).await?;
    let guard = hub.all.guard().map_err(io::Error::other)?.label("accept loop");
    R::spawn(guard.track(accept::<R>(Arc::clone(&hub), listener)));
    serving(addr, R::NAME, &hub);
    hub.all.token().cancelled().await;
    Ok(match hub.all.join().until(R::sleep(LIMIT)).await {
        Ok(()) => 0,
        Err(unfinished) => unfinished.left,
    })
}

async fn accept<R: Runtime>(hub: Arc<Hub>, listener: R::Listener) {
    while let Ok(accepted) = R::accept(&listener).until(hub.all.token()).await {
        let Ok(stream) = accepted else { continue };
        // If it is refused, the loop ends, too.
        if let Ok((actor, [reader, worker, heart])) = hub.enroll(stream) {
            let (send, receive) = channel::unbounded();
            start::<R, _>(&actor, reader, |actor, token| read::<R>(actor, token, send));
            start::<R, _>(&actor, worker, |actor, token| work::<R>(actor, token, receive));
            start::<R, _>(&actor, heart, beat::<R>);
        }
    }
}

/// A worker: whatever ends it, it calls the shutdown, and waits for the others.
fn start<R: Runtime, F: Future<Output = Result<(), End>> + Send + 'static>(
    actor: &Arc<Actor<R::Stream>>,
    seat: Seat,
    body: impl FnOnce(Arc<Actor<R::Stream>>, CancelToken) -> F + Send + 'static,
) {
    let own = Arc::clone(actor);
    // The hub counts the task to its very end, the actor until it leaves.
    let task = actor.hub().all.track(async move {
        // A handle of its own for each task.
        let token = seat.guard().token().clone();
        let outcome = body(Arc::clone(&own), token).await;
        seat.leave(outcome).join().await;
        own.returned();
    });
    // Refused, it is dropped with its seat, and that ends the actor.
    if let Ok(task) = task {
        R::spawn(task);
    }
}

/// Not raced against the token: the actor's hook shuts the socket, and that ends the read.
async fn read<R: Runtime>(
    actor: Arc<Actor<R::Stream>>,
    _token: CancelToken,
    orders: Sender<String>,
) -> Result<(), End> {
    let (mut lines, mut buffer) = (Lines::default(), [0; 1024]);
    loop {
        actor.reader.set(actor.hub().idle);
        let Ok(read @ 1..) = R::read(&actor.socket, &mut buffer).await else {
            return Err(End::HungUp);
        };
        lines.push(&buffer[..read]);
        while let Some(line) = lines.next() {
            // An error means that the worker is gone, and that has ended the actor.
            let _ = orders.try_send(line);
        }
    }
}

async fn work<R: Runtime>(
    actor: Arc<Actor<R::Stream>>,
    token: CancelToken,
    orders: Receiver<String>,
) -> Result<(), End> {
    while let Ok(Ok(line)) = orders.recv().until(&token).await {
        actor.worker.set(actor.hub().patience);
        match parse(&line)? {
            Order::Answer(text) => {
                R::write(&actor.socket, text.as_bytes()).await.map_err(|_| End::HungUp)?;
            }
            Order::Nap(time) => drop(R::sleep(time).until(&token).await),
        }
        actor.worker.clear();
    }
    // Without a reader there is no work; the reader says why, and its reason is to be the first.
    token.cancelled().await;
    Ok(())
}

/// Looks whether the others are late.
async fn beat<R: Runtime>(actor: Arc<Actor<R::Stream>>, token: CancelToken) -> Result<(), End> {
    let every = actor.hub().idle.min(actor.hub().patience) / 4;
    while R::sleep(every).until(&token).await.is_ok() {
        actor.check()?;
    }
    Ok(())
}
