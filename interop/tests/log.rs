//! The log of the page: what a shutdown that hangs leaves in it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use winddown::TaskGroup;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_shutdown_that_hangs_names_the_task() {
    let buffer = Buffer::default();
    let lines = buffer.clone();
    tracing::subscriber::with_default(winddown_interop::log::to(move || lines.clone()), || {
        let group = TaskGroup::new();
        let guard = group.guard().unwrap().label("session 7");
        group.join().block_for(Duration::from_millis(1)).unwrap_err();
        group.cancel_with("no more patience").unwrap();
        drop(guard);
        group.join().block();
    });
    let log = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    let events: Vec<_> = log.lines().filter(|it| it.contains(" winddown: ")).collect();
    assert_eq!(events.len(), 4, "{log}");
    for (event, texts) in events.iter().zip([
        ["DEBUG", "group closed", "len=1"],
        ["WARN", "a limit came before the group was drained", "left=1"],
        ["DEBUG", "group cancelled", "reason=no more patience"],
        ["DEBUG", "group drained", "forced=true"],
    ]) {
        assert!(texts.iter().all(|it| event.contains(it)), "{event}");
    }
    assert!(log.contains("session 7, from tests/log.rs"), "{log}");
}
