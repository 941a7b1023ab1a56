//! Ctrl-C and SIGTERM, received by a plain thread, which may do anything: a signal handler may do next to nothing.

use std::io;

use signal_hook::consts::SIGINT;

/// Calls `act` with the number of each signal that asks the program to end.
#[cfg(unix)]
pub(crate) fn on_each(act: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::SIGTERM;
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || signals.forever().for_each(act));
    Ok(())
}

/// The same for Windows, where Ctrl-C is what there is.
#[cfg(windows)]
pub(crate) fn on_each(mut act: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || act(SIGINT)).map_err(io::Error::other)
}
