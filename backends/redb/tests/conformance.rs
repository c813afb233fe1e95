//! The published suite on the redb backend, killed processes and power cuts included.

use repliq_backend_redb::RedbBackend;
use repliq_conformance::backend::{BackendHarness, Damage, Shows, change_bytes_of};
use repliq_core::StorageError;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const STORE: &str = "REPLIQ_REDB_STORE";

struct Redb(TempDir);

/// In a directory that the backend makes: that one must survive a power cut, too.
fn store(directory: &Path) -> PathBuf {
    directory.join("made/too/store.redb")
}

impl BackendHarness for Redb {
    type Backend = RedbBackend;

    fn open(&self) -> Result<RedbBackend, StorageError> {
        RedbBackend::open(store(self.0.path()))
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

    /// A commit that a crash cut short differs in the header from one that returned.
    fn damage(&self, how: Damage) -> bool {
        how == Damage::Changed && change_bytes_of(&store(self.0.path())).is_ok()
    }
}

repliq_conformance::backend_conformance!(|| Redb(tempfile::tempdir().unwrap()));

/// The process that the suite kills; on its own it has nothing to do.
#[test]
fn sigkill_child() {
    if let Some(path) = env::var_os(STORE) {
        repliq_conformance::backend::sigkill_child(&RedbBackend::open(path).unwrap()).unwrap();
    }
}
