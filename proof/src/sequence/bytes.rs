//! The bytes of a sequence.

/// What is still to be read. Behind the end there are zeros.
#[derive(Debug)]
pub(super) struct Bytes<'a> {
    left: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(super) fn new(left: &'a [u8]) -> Self {
        Self { left }
    }

    pub(super) fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn next(&mut self) -> u8 {
        let Some((&first, left)) = self.left.split_first() else { return 0 };
        self.left = left;
        first
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::from(self.next()) % end
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() % 2 == 1
    }

    /// The place of one of several things, if there are any.
    pub(super) fn of<T>(&mut self, all: &[T]) -> Option<usize> {
        (!all.is_empty()).then(|| self.below(all.len()))
    }
}
