//! What writer and readers share: the backend, and in memory what the last
//! commit published. A reader sees nothing that is not durable: what a running
//! commit writes is listed in `in_flight`, and taken out of what readers find.
//! Its locks are held for moments, never while the backend works.

use super::HashMap;
use super::cache::Cache;
use super::error::{StoreError, damaged};
use super::key::Family;
use super::record::{
    DocumentInfo, DocumentNum, Epoch, EpochStart, FeedNumber, Head, IdentityRecord, Position,
    ReplicaNum, SpaceNum, SpaceRecord,
};
use super::ring::Ring;
use parking_lot::{Mutex, RwLock};
use repliq_core::{Hlc, ReplicaId, StorageBackend, StorageError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many names of documents are remembered for readers.
const DOCUMENT_NAMES: usize = 10_000;

pub(super) struct Shared {
    pub(super) backend: Arc<dyn StorageBackend>,
    pub(super) published: RwLock<Published>,
    /// Held by the writer while the backend commits: who has it sees no commit
    /// under way. `published` may be locked under it, never the other way round.
    pub(super) committing: Mutex<()>,
    pub(super) documents: Mutex<Cache<(SpaceNum, DocumentNum), Arc<DocumentInfo>>>,
}

/// The store as of the last durable commit.
pub(super) struct Published {
    pub(super) identity: IdentityRecord,
    pub(super) replicas: Replicas,
    pub(super) spaces: BTreeMap<SpaceNum, Space>,
    pub(super) space_names: HashMap<Arc<str>, SpaceNum>,
    pub(super) ring: Ring,
    /// The heads before the running commit, of all that it moves.
    pub(super) in_flight: HashMap<(SpaceNum, DocumentNum), BTreeMap<ReplicaNum, Head>>,
    pub(super) broken: bool,
}

/// A space in memory.
#[derive(Clone)]
pub(super) struct Space {
    pub(super) record: SpaceRecord,
    pub(super) epochs: Vec<EpochStart>,
    /// Whether this run has numbered a change here.
    pub(super) in_this_run: bool,
}

impl Shared {
    pub(super) fn new(backend: Arc<dyn StorageBackend>, published: Published) -> Self {
        Self {
            backend,
            published: RwLock::new(published),
            committing: Mutex::new(()),
            documents: Mutex::new(Cache::new(DOCUMENT_NAMES)),
        }
    }
}

impl Published {
    /// # Errors
    /// [`StoreError::Broken`] when what is stored may not be durable.
    pub(super) const fn usable(&self) -> Result<(), StoreError> {
        if self.broken { Err(StoreError::Broken) } else { Ok(()) }
    }

    /// The last timestamp given out or seen in any space.
    pub(super) fn last(&self) -> Hlc {
        self.spaces.values().map(|space| space.record.last).max().unwrap_or_default()
    }
}

impl Space {
    /// The epoch in which `n` was given out; `None` if it was not, or too long ago.
    pub(super) fn epoch_of(&self, n: FeedNumber) -> Option<Epoch> {
        if n.0 == 0 || n > self.record.head {
            return None;
        }
        let entry = self.epochs.iter().rev().find(|entry| entry.first <= n)?;
        Some(entry.epoch)
    }

    /// The position of the last change.
    pub(super) fn head(&self) -> Position {
        let n = self.record.head;
        Position { epoch: self.epoch_of(n).unwrap_or_default(), n }
    }
}

/// All replicas the store has heard of, each under a small number.
#[derive(Default)]
pub(super) struct Replicas {
    ids: Vec<ReplicaId>,
    nums: HashMap<ReplicaId, ReplicaNum>,
}

impl Replicas {
    /// The number of this replica, if it has one.
    pub(super) fn num(&self, id: ReplicaId) -> Option<ReplicaNum> {
        self.nums.get(&id).copied()
    }

    /// The replica with this number.
    pub(super) fn id(&self, num: ReplicaNum) -> Option<ReplicaId> {
        self.ids.get(usize::try_from(num.0).ok()?).copied()
    }

    /// The replica with this number, which stands in a key or value of `family`.
    pub(super) fn named_in(
        &self,
        family: Family,
        num: ReplicaNum,
    ) -> Result<ReplicaId, StorageError> {
        self.id(num).ok_or_else(|| damaged(family, "it names a replica that is not in the table"))
    }

    /// The replica behind the `origin` of a feed entry or a held change.
    pub(super) fn origin(
        &self,
        family: Family,
        origin: u64,
    ) -> Result<Option<ReplicaId>, StorageError> {
        let Some(num) = origin.checked_sub(1) else { return Ok(None) };
        let num = super::key::narrow(family, num)?;
        self.named_in(family, ReplicaNum(num)).map(Some)
    }

    /// The number that the next new replica gets; `None` when there are 2^32 - 1.
    pub(super) fn next(&self) -> Option<ReplicaNum> {
        u32::try_from(self.ids.len()).ok().filter(|num| *num < u32::MAX).map(ReplicaNum)
    }

    /// Adds a replica; `false` if its number is not the next or it has one.
    pub(super) fn add(&mut self, num: ReplicaNum, id: ReplicaId) -> bool {
        if self.next() != Some(num) || self.nums.contains_key(&id) {
            return false;
        }
        self.ids.push(id);
        self.nums.insert(id, num);
        true
    }

    /// Takes back everything that was added from this number on.
    pub(super) fn forget_from(&mut self, num: ReplicaNum) {
        let kept = usize::try_from(num.0).unwrap_or(usize::MAX).min(self.ids.len());
        for id in self.ids.drain(kept..) {
            self.nums.remove(&id);
        }
    }
}
