//! A volatile storage backend for Repliq.
