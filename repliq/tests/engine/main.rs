//! The promises of the engine, one module a subject.

mod clocks;
mod damage;
mod failures;
mod handles;
mod links;
mod reentrancy;
mod soak;
mod spaces;
mod support;
mod update;
