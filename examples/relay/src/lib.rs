//! Example: a relay.
