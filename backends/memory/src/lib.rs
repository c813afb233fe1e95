//! A volatile storage backend for Repliq: a sorted map behind a lock.
//!
//! It promises the whole contract of [`StorageBackend`] except durability: the
//! data is gone with the last clone. It never touches a disk, never fails, and
//! never bounds its memory, so it suits tests and throwaway replicas.

use parking_lot::RwLock;
use repliq_core::{Batch, Pair, StorageBackend, StorageError};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// A store in memory. Clones are handles to the same data, so a test can keep
/// one and "reopen" the store later. [`Durability`](repliq_core::Durability) is
/// volatile.
///
/// With n keys stored, `get` costs O(log n), `scan` O(log n + limit), and
/// `commit` O(log n) for each write. Reads run beside each other; a commit waits
/// for the reads that have begun.
///
/// ```
/// use repliq_backend_memory::MemoryBackend;
/// use repliq_core::{Batch, StorageBackend};
///
/// let store = MemoryBackend::new();
/// let mut batch = Batch::new();
/// batch.put("key", "value");
/// store.commit(batch)?;
/// assert_eq!(store.clone().get(b"key")?.as_deref(), Some(b"value".as_slice()));
/// # Ok::<(), repliq_core::StorageError>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryBackend {
    pairs: Arc<RwLock<BTreeMap<Vec<u8>, Vec<u8>>>>,
}

impl MemoryBackend {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryBackend").finish_non_exhaustive()
    }
}

impl StorageBackend for MemoryBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.pairs.read().get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(self
            .pairs
            .read()
            .range::<[u8], _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        let mut pairs = self.pairs.write();
        for (key, value) in batch {
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
        Ok(())
    }

    fn commits_at_once(&self) -> bool {
        true
    }
}
