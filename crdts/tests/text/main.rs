//! What a text promises: the laws of a data type, the order of the reference
//! implementation, long lives, and what bad input gets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the texts are short, and a panic is a failed test"
)]

mod among_others;
mod bad_input;
mod conformance;
mod editing;
mod order;
mod positions;
mod reference;
mod saved;
mod traces;
