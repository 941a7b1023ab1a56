//! Rivals side by side.
fn main() {}
