#![doc = include_str!("../../docs/interop.md")]

// Each file is one block of the page, word for word; `tests/page.rs` compares them. So what the tests run is what
// a reader copies.
pub mod axum_server;
pub mod futures;
pub mod hyper_server;
pub mod log;
pub mod signals;
pub mod token_bridge;
pub mod tonic_server;
pub mod tower_service;
