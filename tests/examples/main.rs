//! The examples, run as their users run them: by their options, their output, and their exit codes.

#![cfg(all(unix, feature = "std", not(loom)))]

mod actor;
mod batch_controller;
mod drain_server;
mod fan_out;
mod program;
mod runtimes;
mod service;
