//! What the others are compared with.

#![cfg_attr(not(feature = "std"), no_std, no_main)]

winddown_size::program!(run);

fn run() {}
