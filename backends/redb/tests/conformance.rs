//! The published suite on the redb backend, killed processes included.

use repliq_backend_redb::RedbBackend;
use repliq_conformance::backend::{BackendHarness, Shows};
use repliq_core::StorageError;
use std::env;
use std::process::Command;
use tempfile::TempDir;

const STORE: &str = "REPLIQ_REDB_STORE";

struct Redb(TempDir);

impl BackendHarness for Redb {
    type Backend = RedbBackend;

    fn open(&self) -> Result<RedbBackend, StorageError> {
        RedbBackend::open(self.0.path().join("store.redb"))
    }

    fn shows(&self) -> Shows {
        Shows::Sigkill
    }

    fn child(&self) -> Option<Command> {
        let mut command = Command::new(env::current_exe().ok()?);
        command.args(["--exact", "sigkill_child"]).env(STORE, self.0.path().join("store.redb"));
        Some(command)
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
