//! What a client may ask for, a line each.

use std::time::Duration;

use crate::hub::End;

pub(crate) enum Order {
    Answer(String),
    Nap(Duration),
}

/// What the line asks for; or the end of the actor.
pub(crate) fn parse(line: &str) -> Result<Order, End> {
    match line.trim().split_once(' ').unwrap_or((line.trim(), "")) {
        ("echo", text) => Ok(Order::Answer(format!("{text}\n"))),
        ("nap", ms) => match ms.parse() {
            Ok(ms) => Ok(Order::Nap(Duration::from_millis(ms))),
            Err(_) => Err(End::Failed(format!("no number of milliseconds: {ms:?}"))),
        },
        ("bye", _) => Err(End::Bye),
        ("panic", _) => panic!("a client wants us to panic"),
        (other, _) => Err(End::Failed(format!("no order: {other:?}"))),
    }
}
