//! Lines, from bytes that come in pieces.

/// Cuts what was read into lines.
#[derive(Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    pub(crate) fn next(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line = self.0.drain(..=end).collect::<Vec<_>>();
        Some(String::from_utf8_lossy(&line).into_owned())
    }
}
