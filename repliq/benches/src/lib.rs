//! Benchmarks of Repliq.
