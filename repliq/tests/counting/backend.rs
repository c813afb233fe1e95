//! A backend that counts keys read and bytes committed.

use repliq::{Batch, Durability, Pair, StorageBackend, StorageError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

/// What one batch wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Keys and values together.
    pub bytes: usize,
    /// How many keys, by the first byte of the key: its family.
    pub keys: BTreeMap<u8, usize>,
}

impl Written {
    /// How many keys of these families.
    pub fn keys_of(&self, families: &[u8]) -> usize {
        families.iter().filter_map(|family| self.keys.get(family)).sum()
    }

    /// How many keys.
    pub fn all_keys(&self) -> usize {
        self.keys.values().sum()
    }
}

#[derive(Default)]
struct Counts {
    gets: AtomicU64,
    scans: AtomicU64,
    pairs: AtomicU64,
    bytes: AtomicU64,
    batches: Mutex<Vec<Written>>,
    /// Held by a test to make commits wait.
    commits: Mutex<()>,
}

/// What was read since the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Calls of `get`.
    pub gets: u64,
    /// Calls of `scan`.
    pub scans: u64,
    /// Pairs that scans gave.
    pub pairs: u64,
    /// Bytes of values that gets gave, and of pairs that scans gave.
    pub bytes: u64,
}

impl Reads {
    /// Keys looked at: one a get, one a scan for where it starts, one a pair.
    pub const fn keys(&self) -> u64 {
        self.gets + self.scans + self.pairs
    }
}

/// A backend around a backend. Clones share the counts.
#[derive(Clone)]
pub struct Counting<B> {
    inner: B,
    counts: Arc<Counts>,
}

impl<B> Counting<B> {
    pub fn new(inner: B) -> Self {
        Self { inner, counts: Arc::default() }
    }

    /// What was read since the last call.
    pub fn take_reads(&self) -> Reads {
        let Counts { gets, scans, pairs, bytes, .. } = &*self.counts;
        Reads {
            gets: gets.swap(0, SeqCst),
            scans: scans.swap(0, SeqCst),
            pairs: pairs.swap(0, SeqCst),
            bytes: bytes.swap(0, SeqCst),
        }
    }

    /// The batches committed since the last call.
    pub fn take_batches(&self) -> Vec<Written> {
        std::mem::take(&mut *self.counts.batches.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes every commit wait until the guard is dropped.
    pub fn hold_commits(&self) -> std::sync::MutexGuard<'_, ()> {
        self.counts.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, bytes: usize) {
        self.counts.bytes.fetch_add(bytes as u64, SeqCst);
    }
}

impl<B: StorageBackend> StorageBackend for Counting<B> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let found = self.inner.get(key)?;
        self.counts.gets.fetch_add(1, SeqCst);
        self.read(found.as_ref().map_or(0, Vec::len));
        Ok(found)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let pairs = self.inner.scan(prefix, after, limit)?;
        self.counts.scans.fetch_add(1, SeqCst);
        self.counts.pairs.fetch_add(pairs.len() as u64, SeqCst);
        self.read(pairs.iter().map(|(key, value)| key.len() + value.len()).sum());
        Ok(pairs)
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        let mut written = Written { bytes: batch.bytes(), ..Written::default() };
        for (key, _) in batch.iter() {
            let family = key.first().copied().unwrap_or_default();
            *written.keys.entry(family).or_default() += 1;
        }
        drop(self.hold_commits());
        self.inner.commit(batch)?;
        self.counts.batches.lock().unwrap_or_else(PoisonError::into_inner).push(written);
        Ok(())
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}
