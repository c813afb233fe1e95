//! A backend for tests: a map that counts what is touched and fails on demand.

use parking_lot::Mutex;
use repliq_core::{Batch, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

pub(super) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// How a commit goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Succeeds,
    FailsApplied,
    FailsNotApplied,
}

type Hook = Box<dyn FnMut() + Send>;

#[derive(Default)]
pub(super) struct Probe {
    map: Mutex<Map>,
    /// What the next commits do; afterwards all succeed.
    pub(super) fates: Mutex<VecDeque<Fate>>,
    pub(super) reads_fail: AtomicBool,
    pub(super) commits: AtomicUsize,
    pub(super) writes: AtomicUsize,
    pub(super) gets: AtomicUsize,
    pub(super) scanned: AtomicUsize,
    /// Called when a commit is applied and has not returned.
    pub(super) under_way: Mutex<Option<Hook>>,
}

impl Probe {
    pub(super) fn of(map: Map) -> Arc<Self> {
        Arc::new(Self { map: Mutex::new(map), ..Self::default() })
    }

    pub(super) fn map(&self) -> Map {
        self.map.lock().clone()
    }

    pub(super) fn set(&self, key: Vec<u8>, value: Vec<u8>) {
        self.map.lock().insert(key, value);
    }

    pub(super) fn plan(&self, fates: &[Fate]) {
        *self.fates.lock() = fates.iter().copied().collect();
    }

    /// Keys that were got or scanned since the last call.
    pub(super) fn touched(&self) -> usize {
        self.gets.swap(0, Relaxed) + self.scanned.swap(0, Relaxed)
    }

    fn readable(&self) -> Result<(), StorageError> {
        if self.reads_fail.load(Relaxed) { Err(StorageErrorKind::Io.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Probe {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.readable()?;
        self.gets.fetch_add(1, Relaxed);
        Ok(self.map.lock().get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.readable()?;
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.to_vec()),
            _ => Bound::Included(prefix.to_vec()),
        };
        let map = self.map.lock();
        let all = map.range((from, Bound::Unbounded));
        let within = all.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        let pairs: Vec<Pair> = within.map(|(key, value)| (key.clone(), value.clone())).collect();
        self.scanned.fetch_add(pairs.len(), Relaxed);
        Ok(pairs)
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        let fate = self.fates.lock().pop_front().unwrap_or(Fate::Succeeds);
        self.commits.fetch_add(1, Relaxed);
        self.writes.fetch_add(batch.len(), Relaxed);
        if fate != Fate::FailsNotApplied {
            let mut map = self.map.lock();
            for (key, value) in batch {
                match value {
                    Some(value) => map.insert(key, value),
                    None => map.remove(&key),
                };
            }
        }
        let hook = self.under_way.lock().take();
        if let Some(mut hook) = hook {
            hook();
        }
        if fate == Fate::Succeeds { Ok(()) } else { Err(StorageErrorKind::Io.into()) }
    }
}
