//! An in-process transport for Repliq.
