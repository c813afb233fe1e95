//! The conformance suite of Repliq: run it on your own storage backend,
//! transport or data type, and know that it keeps the contract.
//!
//! This crate names no concrete backend, transport or type. Every case runs on a
//! fresh harness, under a watchdog and a panic guard, and prints its seed.

pub mod backend;
mod case;
pub mod crdt;
mod report;
pub mod transport;

pub use case::{Case, CaseResult, Failure, Level, Rng, effort, run_case, run_seed};
pub use report::{CaseReport, Outcome, Report, Verdict};
