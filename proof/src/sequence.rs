//! Sequences of public calls that are read from bytes, on one thread, against the models.
//!
//! Each byte, with those that it takes along, is one call on one of a few objects. What the call gives must be what
//! the model of the object allows. After each call, each wait that the model says is over must have been woken. At
//! the end everything is dropped, and then nothing may be left: no memory, no waker, no value, none dropped twice.
//! Bytes that leak something on purpose say so in their first byte, and only the memory is not looked at then.

mod bytes;
mod groups;
mod handles;
mod signals;
mod trace;
mod trees;
mod values;
mod wait_groups;
mod waits;

pub mod shrink;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::heap::Heap;
use bytes::Bytes;
use values::World;

/// Why a sequence is wrong.
pub type Wrong = String;

/// How many calls a sequence has made.
pub type Calls = usize;

/// One of the objects of a sequence.
trait Actor {
    /// Makes the call that the next bytes tell.
    fn call(&mut self, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong>;

    /// Looks whether all wakers were woken that must have been.
    fn wakers(&self, world: &World) -> Result<(), Wrong>;

    /// Drops everything, and looks whether what must end has ended.
    fn end(self: Box<Self>, world: &World) -> Result<(), Wrong>;
}

/// Runs the sequence that the bytes tell.
///
/// # Errors
///
/// What is wrong with it.
pub fn run(bytes: &[u8]) -> Result<Calls, Wrong> {
    watched(&mut || caught(bytes))
}

/// Runs `sequence` and looks whether it leaves memory behind.
fn watched(sequence: &mut dyn FnMut() -> Result<(Calls, bool), Wrong>) -> Result<Calls, Wrong> {
    // A thread keeps what it has allocated once, such as its parker. A leak comes again.
    for may_keep in [true, false] {
        let before = Heap::now();
        let (calls, leaks) = sequence()?;
        let after = Heap::now();
        if after == before || leaks {
            return Ok(calls);
        }
        let (blocks, bytes) = (after.blocks - before.blocks, after.bytes - before.bytes);
        if !may_keep {
            return Err(format!("{blocks} blocks of memory are left, with {bytes} bytes"));
        }
    }
    unreachable!("the second turn says something")
}

fn caught(bytes: &[u8]) -> Result<(Calls, bool), Wrong> {
    catch_unwind(AssertUnwindSafe(|| calls(bytes))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("of something else")))
    })
}

fn calls(bytes: &[u8]) -> Result<(Calls, bool), Wrong> {
    let mut bytes = Bytes::new(bytes);
    let first = bytes.next();
    let world = World::new(first % 4 == 3);
    let mut actors: Vec<Box<dyn Actor>> = vec![
        Box::new(wait_groups::WaitGroups::new()),
        Box::new(signals::Signals::<()>::new()),
        Box::new(signals::Signals::<values::Value>::new()),
        Box::new(trees::Trees::new()),
        Box::new(groups::Groups::new()),
        Box::new(groups::Groups::new()),
    ];
    // One sequence has calls of one object, or of all in turn.
    let only = usize::from(first / 4) % (actors.len() + 2);
    let mut calls = 0;
    while !bytes.is_over() {
        let at = if only < actors.len() { only } else { bytes.below(actors.len()) };
        one_call(&mut *actors[at], &mut bytes, &world)?;
        calls += 1;
    }
    end(actors, &world)?;
    Ok((calls, world.leaks))
}

fn one_call(actor: &mut dyn Actor, bytes: &mut Bytes<'_>, world: &World) -> Result<(), Wrong> {
    actor.call(bytes, world)?;
    actor.wakers(world)
}

fn end(actors: Vec<Box<dyn Actor>>, world: &World) -> Result<(), Wrong> {
    for actor in actors {
        actor.end(world)?;
    }
    world.is_empty()
}

#[cfg(test)]
mod tests;
