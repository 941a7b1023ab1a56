//! Foreign code of every kind that misbehaves in every way while each public method runs.

pub(crate) mod behaviours;
pub(crate) mod foreign;
pub(crate) mod listing;
pub(crate) mod methods;
pub(crate) mod world;
