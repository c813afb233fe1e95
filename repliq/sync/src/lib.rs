//! The sync protocol of Repliq, sans-IO.
