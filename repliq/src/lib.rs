//! Local-first, CRDT-based data sync engine.
