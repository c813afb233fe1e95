//! The published suite on the sled backend, killed processes and power cuts included.

use repliq_backend_sled::SledBackend;
use repliq_conformance::backend::{BackendHarness, Damage, Shows, change_bytes_of};
use repliq_core::StorageError;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};
use tempfile::TempDir;

const STORE: &str = "REPLIQ_SLED_STORE";

struct Sled(TempDir);

/// In a directory that the backend makes: that one must survive a power cut, too.
fn store(directory: &Path) -> PathBuf {
    directory.join("made/too")
}

impl BackendHarness for Sled {
    type Backend = SledBackend;

    fn open(&self) -> Result<SledBackend, StorageError> {
        SledBackend::open(store(self.0.path()))
    }

    fn shows(&self) -> Shows {
        Shows::PowerCut
    }

    fn child(&self) -> Option<Command> {
        self.child_in(self.0.path())
    }

    fn child_in(&self, directory: &Path) -> Option<Command> {
        let mut command = Command::new(env::current_exe().ok()?);
        command.args(["--exact", "sigkill_child"]).env(STORE, store(directory));
        Some(command)
    }

    fn damage(&self, how: Damage) -> bool {
        let store = store(self.0.path());
        match how {
            Damage::Changed => change_bytes_of(&store.join("db")).is_ok(),
            Damage::Torn => tear(&store).is_ok(),
            _ => false,
        }
    }
}

/// Takes away the end of sled's log, and the number by which the last commit was
/// acknowledged: it has not returned.
fn tear(store: &Path) -> io::Result<()> {
    let (log, marker) = (store.join("db"), store.join("repliq-sled"));
    let mut bytes = fs::read(&log)?;
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    bytes.truncate(end.saturating_sub(40));
    fs::write(log, bytes)?;
    let mut header = fs::read(&marker)?;
    let number =
        header.get(16..24).and_then(|number| Some(u64::from_be_bytes(*number.first_chunk()?)));
    let before =
        number.and_then(|number| number.checked_sub(1)).ok_or(io::ErrorKind::InvalidData)?;
    header.truncate(16);
    header.extend([before, !before].map(u64::to_be_bytes).concat());
    fs::write(marker, header)
}

repliq_conformance::backend_conformance!(|| Sled(tempfile::tempdir().unwrap()));

/// The process that the suite kills; on its own it has nothing to do.
#[test]
fn sigkill_child() {
    if let Some(path) = env::var_os(STORE) {
        repliq_conformance::backend::sigkill_child(&SledBackend::open(path).unwrap()).unwrap();
    }
}
