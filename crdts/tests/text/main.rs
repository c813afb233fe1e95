//! What a text promises: the laws of a data type, the order of the reference
//! implementation, long lives, and what bad input gets.

mod bad_input;
mod conformance;
mod editing;
mod order;
mod reference;
mod traces;
