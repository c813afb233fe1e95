//! The promises of the engine, one module a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod clocks;
mod damage;
mod failures;
mod handles;
mod hostile;
mod links;
mod reentrancy;
mod soak;
mod spaces;
mod support;
mod update;
