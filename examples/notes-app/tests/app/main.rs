//! The notes app as a process, from outside.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../../../relay/tests/serving/process.rs"]
mod process;

mod demo;
mod folders;
mod notes;
mod refusals;
mod syncing;

use process::Process;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Devices, each with a data directory of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The app on the data of a device.
    fn app(&self, device: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notes-app"));
        command.arg("--data-dir").arg(self.path(device)).args(args);
        command
    }

    fn start(&self, device: &str, args: &[&str]) -> Process {
        Process::start(&mut self.app(device, args))
    }

    /// Runs a command that goes well; gives what it printed.
    #[track_caller]
    fn run(&self, device: &str, args: &[&str]) -> String {
        self.start(device, args).ended().went_well()
    }

    /// Runs a command that is refused; gives the line it complained with.
    #[track_caller]
    fn refused(&self, device: &str, args: &[&str]) -> String {
        self.start(device, args).ended().complaint()
    }

    /// Adds a note; gives its id.
    fn add(&self, device: &str, title: &str, body: &str) -> String {
        let said = self.run(device, &["add", title, body]);
        said.strip_prefix("Added ").unwrap().trim().to_owned()
    }

    /// A running server; gives its URL as well.
    fn server(&self, device: &str) -> (Process, String) {
        let mut server = self.start(device, &["server", "--addr", "127.0.0.1:0"]);
        let url = server.endpoint("ws");
        (server, url)
    }

    /// A server where one was.
    fn server_again(&self, device: &str, url: &str) -> Process {
        let address = url.strip_prefix("ws://").unwrap();
        Process::start_again(|| self.app(device, &["server", "--addr", address]), url)
    }

    fn sync(&self, device: &str, url: &str) {
        self.run(device, &["sync", "--url", url]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The notes that come with the app.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("notes")
}

/// Real notes, where they are at hand.
fn real() -> Option<PathBuf> {
    let path = PathBuf::from("/work/shared/data/notes");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}
