//! The command-line tool of Repliq.
