//! A backend that can be shut: after that every call is refused and the backend
//! underneath is dropped, however many handles still point here. That is what
//! frees the lock of a store when a replica is closed. A call that never returns
//! keeps the backend, not whoever shuts it.

use parking_lot::RwLock;
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) struct Gate {
    backend: RwLock<Option<Box<dyn StorageBackend>>>,
    shut: AtomicBool,
}

impl Gate {
    pub(crate) fn new(backend: impl StorageBackend) -> Self {
        Self { backend: RwLock::new(Some(Box::new(backend))), shut: AtomicBool::new(false) }
    }

    /// Drops the backend. Waits for calls under way, but no longer than this: the
    /// last of them drops it then.
    pub(crate) fn shut(&self, patience: Duration) {
        self.shut.store(true, Ordering::SeqCst);
        if let Some(mut backend) = self.backend.try_write_for(patience) {
            drop(backend.take());
        }
    }

    fn through<R>(
        &self,
        call: impl FnOnce(&dyn StorageBackend) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        if self.shut.load(Ordering::SeqCst) {
            return Err(StorageErrorKind::Closed.into());
        }
        let result = match &*self.backend.read() {
            Some(backend) => call(&**backend),
            None => Err(StorageErrorKind::Closed.into()),
        };
        if self.shut.load(Ordering::SeqCst)
            && let Some(mut backend) = self.backend.try_write()
        {
            drop(backend.take());
        }
        result
    }
}

impl StorageBackend for Gate {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.through(|backend| backend.get(key))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.through(|backend| backend.scan(prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.through(|backend| backend.commit(batch))
    }

    fn durability(&self) -> Durability {
        self.backend.read().as_ref().map_or(Durability::Volatile, |backend| backend.durability())
    }
}
