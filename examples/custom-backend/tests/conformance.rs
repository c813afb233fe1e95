//! The published suite on the SQLite backend, killed processes included.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use custom_backend::SqliteBackend;
use repliq_conformance::backend::{BackendHarness, Damage, Shows, change_bytes_of, sigkill_child};
use repliq_core::StorageError;
use std::{env, path::Path, process::Command};

struct Sqlite(tempfile::TempDir);

impl BackendHarness for Sqlite {
    type Backend = SqliteBackend;

    fn open(&self) -> Result<SqliteBackend, StorageError> {
        SqliteBackend::open(self.0.path().join("store.sqlite"))
    }

    fn shows(&self) -> Shows {
        Shows::PowerCut
    }

    fn child(&self) -> Option<Command> {
        self.child_in(self.0.path())
    }

    fn child_in(&self, directory: &Path) -> Option<Command> {
        let mut command = Command::new(env::current_exe().ok()?);
        command.args(["--exact", "child"]).env("STORE", directory.join("store.sqlite"));
        Some(command)
    }

    /// A store that was closed has no log any more of which the end could be torn.
    fn damage(&self, how: Damage) -> bool {
        how == Damage::Changed && change_bytes_of(&self.0.path().join("store.sqlite")).is_ok()
    }
}

repliq_conformance::backend_conformance!(|| Sqlite(tempfile::tempdir().unwrap()));

/// The process that the suite kills, or whose power it cuts; on its own it has nothing to do.
#[test]
fn child() {
    if let Some(path) = env::var_os("STORE") {
        sigkill_child(&SqliteBackend::open(path).unwrap()).unwrap();
    }
}
