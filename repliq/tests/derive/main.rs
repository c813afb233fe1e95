//! `#[derive(Crdt)]`: what a struct of CRDTs promises, within one version of an app
//! and between several.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod bad_input;
mod conformance;
mod documents;
mod edits;
mod hygiene;
mod support;
mod versions;
mod world;
