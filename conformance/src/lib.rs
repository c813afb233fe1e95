#![doc = include_str!("../README.md")]

pub mod backend;
mod case;
pub mod crdt;
pub mod engine;
mod report;
pub mod transport;

pub use case::{Case, CaseResult, Failure, Level, Rng, effort, run_case, run_seed};
pub use report::{CaseReport, Outcome, Report, Verdict};
