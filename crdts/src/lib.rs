//! The data types of Repliq.
