//! What a peer may do wrong, what networks do to connections, and what becomes of
//! them: a typed error in bounded time, and nobody else is disturbed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod frames;
mod handshakes;
mod network;
mod proxy;
mod raw_peer;
