//! A backend and a transport that count what passes through them.
//!
//! They change nothing and keep every count per connection or per store, so
//! that a test says in bytes, keys and frames what an operation costs.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses a part of it")]

pub mod backend;
pub mod transport;
