//! The sync protocol in a simulated world: what it promises, what it costs, and
//! what a hostile peer can do to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod costs;
mod faults;
mod hostile;
mod promises;
mod random;
mod store;
mod tap;
mod vectors;
mod world;
