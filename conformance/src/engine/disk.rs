//! A backend around any backend that stops taking commits when a case says so.
//!
//! It promises that a commit it refuses left nothing behind, so that what a store
//! holds after [`Disk::fail_after`] is what it would hold had its process died
//! between two commits. It never touches what is read.

use crate::Failure;
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How many commits still pass; all of them without a number.
    left: Option<usize>,
    has_failed: bool,
}

/// The disk of one store: sound until a case says otherwise. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<watch::Sender<State>>);

impl Disk {
    /// Lets so many more commits pass and refuses every later one.
    pub fn fail_after(&self, commits: usize) {
        self.0.send_replace(State { left: Some(commits), has_failed: false });
    }

    /// Takes every commit again.
    pub fn repair(&self) {
        self.0.send_replace(State::default());
    }

    /// Whether a commit was refused since [`Disk::fail_after`].
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.borrow().has_failed
    }

    /// Waits until a commit was refused.
    pub async fn failed(&self) {
        let mut state = self.0.subscribe();
        let _ = state.wait_for(|state| state.has_failed).await;
    }

    /// Asks for one commit.
    ///
    /// # Errors
    /// The disk takes none.
    pub fn commit(&self) -> Result<(), Failure> {
        let mut passes = true;
        self.0.send_modify(|state| match &mut state.left {
            None => {}
            Some(0) => {
                state.has_failed = true;
                passes = false;
            }
            Some(left) => *left -= 1,
        });
        if passes { Ok(()) } else { Err("the disk takes no commit, as this case wants it".into()) }
    }
}

/// A backend on a [`Disk`].
pub struct Failing {
    inner: Box<dyn StorageBackend>,
    disk: Disk,
}

impl Failing {
    /// This backend on that disk.
    #[must_use]
    pub fn new(inner: Box<dyn StorageBackend>, disk: Disk) -> Self {
        Self { inner, disk }
    }
}

impl std::fmt::Debug for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failing").field("disk", &self.disk).finish_non_exhaustive()
    }
}

impl StorageBackend for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.disk.commit().map_err(|_| StorageErrorKind::Io)?;
        self.inner.commit(batch)
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}
