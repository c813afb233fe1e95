//! Example: notes that sync.
