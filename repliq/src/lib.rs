//! Local-first, CRDT-based data sync engine.

#[allow(dead_code, unused_imports, reason = "used by the engine")]
mod store;
