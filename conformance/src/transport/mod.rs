//! Cases for transports.
