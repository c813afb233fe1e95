//! `repliq serve` as a process, from outside: it promises what the example relay
//! does, so it is held to the same tests.

#[path = "../../../examples/relay/tests/serving/process.rs"]
mod process;
#[path = "../../../examples/relay/tests/serving/promises.rs"]
mod promises;

use process::Process;
use std::path::Path;
use std::process::Command;

fn repliq() -> Command {
    Command::new(env!("CARGO_BIN_EXE_repliq"))
}

/// The program, told to serve.
fn serve(listen: &str, data: &Path) -> Command {
    let mut command = repliq();
    command.args(["serve", "--listen", listen, "--data"]).arg(data);
    command
}

#[test]
fn the_help_names_every_option_of_serve() {
    let help = Process::start(repliq().args(["serve", "--help"])).ended().went_well();
    for part in ["--listen", "--data", "ws://127.0.0.1:8080", "Example:"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let help = Process::start(repliq().arg("--help")).ended().went_well();
    assert!(help.contains("serve"), "{help}");
}
