//! What a list promises: the laws of a data type, its moves and values under
//! concurrency, and what bad input gets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the lists are short, and a panic is a failed test"
)]

mod bad_input;
mod conformance;
mod editing;
mod moving;
mod op;
mod reference;
mod undoing;
