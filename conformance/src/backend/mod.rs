//! The suite for storage backends: every sentence of the contract of
//! [`StorageBackend`] as a case, run by [`backend_conformance!`](crate::backend_conformance)
//! or [`run`]. It promises a fresh pair of stores to each case and the same run
//! for the same seed; it never looks behind the trait.
//!
//! ```
//! use repliq_conformance::backend::{BackendHarness, Shows, run};
//! use repliq_conformance::Verdict;
//! # use repliq_core::{Batch, Pair, StorageBackend, StorageError};
//! # use std::collections::BTreeMap;
//! # use std::sync::{Arc, Mutex};
//! # #[derive(Clone, Default)]
//! # struct MyBackend(Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);
//! # impl StorageBackend for MyBackend {
//! #     fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
//! #         Ok(self.0.lock().unwrap().get(key).cloned())
//! #     }
//! #     fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StorageError> {
//! #         Ok(self.0.lock().unwrap().iter()
//! #             .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after))
//! #             .take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
//! #     }
//! #     fn commit(&self, batch: Batch) -> Result<(), StorageError> {
//! #         let mut pairs = self.0.lock().unwrap();
//! #         for (key, value) in batch {
//! #             match value { Some(value) => pairs.insert(key, value), None => pairs.remove(&key) };
//! #         }
//! #         Ok(())
//! #     }
//! # }
//! struct Mine(MyBackend);
//!
//! impl BackendHarness for Mine {
//!     type Backend = MyBackend;
//!     fn open(&self) -> Result<MyBackend, StorageError> {
//!         Ok(self.0.clone())
//!     }
//! }
//!
//! let report = run(|| Mine(MyBackend::default()));
//! assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
//! ```

mod batch;
mod child;
mod concurrent;
mod damage;
mod expect;
mod list;
mod model;
mod numbered;
mod pairs;
mod powercut;
mod reopen;
mod scan;
mod sigkill;

pub use child::sigkill_child;
pub use damage::change_bytes_of;
pub use list::cases;

use crate::case::run_all;
use crate::{CaseReport, Report, run_case, run_seed};
use repliq_core::{StorageBackend, StorageError};
use std::path::Path;
use std::process::Command;

/// How a store under test is made and opened. A harness owns one store, which is
/// empty at first; dropping the harness may delete it.
pub trait BackendHarness: Send + Sync + 'static {
    /// The backend under test.
    type Backend: StorageBackend;

    /// Opens the store of this harness. It is called again to reopen, after the
    /// last handle was dropped.
    ///
    /// # Errors
    /// Whatever the backend says; a case then fails.
    fn open(&self) -> Result<Self::Backend, StorageError>;

    /// The strongest way of ending a store that this harness can show.
    fn shows(&self) -> Shows {
        Shows::Reopen
    }

    /// A process that opens the store of this harness and calls
    /// [`sigkill_child`]. Needed from [`Shows::Sigkill`] on. The test binary may
    /// start itself:
    ///
    /// ```no_run
    /// # use std::{env, process::Command};
    /// # fn child(path: &std::path::Path) -> Option<Command> {
    /// let mut command = Command::new(env::current_exe().ok()?);
    /// command.args(["--exact", "sigkill_child"]).env("MY_STORE", path);
    /// Some(command)
    /// # }
    /// // and beside it: #[test] fn sigkill_child() {
    /// //     if let Some(path) = env::var_os("MY_STORE") {
    /// //         repliq_conformance::backend::sigkill_child(&MyBackend::open(path).unwrap()).unwrap();
    /// //     }
    /// // }
    /// ```
    fn child(&self) -> Option<Command> {
        None
    }

    /// The same as [`BackendHarness::child`], but on a store somewhere below this
    /// directory, which is there and at first empty, and is on a disk that loses
    /// what is not synced. Needed for [`Shows::PowerCut`]. The same directory must
    /// always be the same store. With this, `child` is one line:
    ///
    /// ```no_run
    /// # use std::{env, path::Path, process::Command};
    /// # struct Mine(tempfile::TempDir);
    /// # impl Mine {
    /// fn child(&self) -> Option<Command> {
    ///     self.child_in(self.0.path())
    /// }
    ///
    /// fn child_in(&self, directory: &Path) -> Option<Command> {
    ///     let mut command = Command::new(env::current_exe().ok()?);
    ///     command.args(["--exact", "sigkill_child"]).env("MY_STORE", directory.join("store"));
    ///     Some(command)
    /// }
    /// # }
    /// ```
    fn child_in(&self, directory: &Path) -> Option<Command> {
        let _ = directory;
        None
    }

    /// Damages what is stored, while nobody has it open. `false` if it cannot: the
    /// case that needs it is skipped. For a store that is one file:
    ///
    /// ```
    /// # use repliq_conformance::backend::{Damage, change_bytes_of};
    /// # struct Mine(tempfile::TempDir);
    /// # impl Mine {
    /// fn damage(&self, how: Damage) -> bool {
    ///     how == Damage::Changed && change_bytes_of(&self.0.path().join("store")).is_ok()
    /// }
    /// # }
    /// ```
    fn damage(&self, how: Damage) -> bool {
        let _ = how;
        false
    }
}

/// What [`BackendHarness::damage`] does to a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Damage {
    /// Some bytes in the middle of what is stored change, as on a failing disk.
    Changed,
    /// The newest batch is cut short on disk, as by a crash before `commit` returned:
    /// nobody was told that it is there.
    Torn,
}

/// What a harness can show about durability. Larger includes smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Shows {
    /// How an open store behaves.
    Functional,
    /// That a store keeps its data when it is closed and opened again.
    Reopen,
    /// That it keeps its data when its process is killed.
    Sigkill,
    /// That it keeps its data when the power fails: what was not synced is lost,
    /// from a real ext4, and from disks made from a record of what the store asked
    /// of the kernel. A machine that cannot do the one or the other skips it.
    PowerCut,
}

/// What a case runs on: the store under test, and another one of the same kind
/// that must not see the first.
#[derive(Debug)]
pub struct Stores<H> {
    /// Makes the store under test.
    pub harness: H,
    /// Makes the other store.
    pub other: H,
}

impl<H: BackendHarness> Stores<H> {
    /// Opens the store under test.
    pub(crate) fn open(&self) -> Result<H::Backend, StorageError> {
        self.harness.open()
    }
}

/// Runs every case and reports, for those without a test runner; the standard error
/// shows meanwhile how it goes. The seed is random, or that of the environment variable
/// `REPLIQ_SEED`.
pub fn run<H: BackendHarness>(make: impl Fn() -> H) -> Report {
    run_all("backend", &cases(), || Stores { harness: make(), other: make() })
}

/// Runs one case, by its name, as a test of
/// [`backend_conformance!`](crate::backend_conformance).
///
/// # Panics
/// When the case fails; the message has its seed.
#[doc(hidden)]
pub fn test<H: BackendHarness>(make: impl Fn() -> H, name: &str) {
    let case = cases().into_iter().find(|case| case.name == name);
    let stores = Stores { harness: make(), other: make() };
    let report = case.map(|case| run_case(&case, stores, run_seed()));
    let failure = report.map_or_else(|| Some("no such case".to_owned()), CaseReport::failure);
    assert!(failure.is_none(), "{}", failure.unwrap_or_default());
}
