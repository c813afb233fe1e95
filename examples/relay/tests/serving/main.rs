//! The relay as a process, from outside.

mod process;
mod promises;

use std::path::Path;
use std::process::Command;

/// The program, told to serve.
fn serve(listen: &str, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
    command.args(["--listen", listen, "--data"]).arg(data);
    command
}
