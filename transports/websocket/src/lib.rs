//! The WebSocket transport for Repliq.
