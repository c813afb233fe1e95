//! A backend that can be shut: after that every call is refused and the backend
//! underneath is dropped, however many handles still point here. That is what
//! frees the lock of a store when a replica is closed.

use parking_lot::RwLock;
use repliq_core::{Batch, Durability, Pair, StorageBackend, StorageError, StorageErrorKind};

pub(crate) struct Gate(RwLock<Option<Box<dyn StorageBackend>>>);

impl Gate {
    pub(crate) fn new(backend: impl StorageBackend) -> Self {
        Self(RwLock::new(Some(Box::new(backend))))
    }

    /// Drops the backend. Waits for calls under way.
    pub(crate) fn shut(&self) {
        let backend = self.0.write().take();
        drop(backend);
    }

    fn through<R>(
        &self,
        call: impl FnOnce(&dyn StorageBackend) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        match &*self.0.read() {
            Some(backend) => call(&**backend),
            None => Err(StorageErrorKind::Closed.into()),
        }
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
        self.0.read().as_ref().map_or(Durability::Volatile, |backend| backend.durability())
    }
}
