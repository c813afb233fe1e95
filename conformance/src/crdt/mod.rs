//! Cases for data types.
