//! The relay as a process, from outside.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod process;
mod promises;

use std::path::Path;
use std::process::Command;

/// The program, told to serve, and where to keep a certificate.
fn serve(listen: &[&str], data: &Path, self_signed: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
    promises::tell(&mut command, listen, data, self_signed);
    command
}
