//! The sled storage backend for Repliq.
