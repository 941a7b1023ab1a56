//! Orders in which the parts of something large are dropped.

/// An order of nodes that stand from the root to the leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    ParentsFirst,
    LeavesFirst,
    MiddleFirst,
    Random,
}

pub(crate) const ORDERS: [Order; 4] =
    [Order::ParentsFirst, Order::LeavesFirst, Order::MiddleFirst, Order::Random];

impl Order {
    /// All nodes, put into this order.
    pub(crate) fn sort<T>(self, nodes: Vec<T>) -> impl Iterator<Item = T> {
        let count = nodes.len();
        let mut nodes: Vec<_> = nodes.into_iter().map(Some).collect();
        let place = move |at: usize| match self {
            Self::ParentsFirst => at,
            Self::LeavesFirst => count - 1 - at,
            Self::MiddleFirst => (count / 2 + at) % count,
            // A step that is coprime to the count reaches each node once.
            Self::Random => (at as u64 * 514_229 % count as u64) as usize,
        };
        (0..count).map(move |at| nodes[place(at)].take().expect("each place once"))
    }
}
