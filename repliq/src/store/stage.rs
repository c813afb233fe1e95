//! A batch in the making: what the submissions so far have changed, kept apart
//! from the store until the backend has it. Each submission sees those before
//! it. Dropping a stage leaves no trace on disk; it never commits.

use super::HashMap;
use super::error::damaged;
use super::heads;
use super::key::{self, Family};
use super::open::document_num;
use super::record::{
    DocumentInfo, DocumentNum, DocumentRecord, Epoch, EpochStart, FeedNumber, FeedRecord, Head,
    MAX_EPOCHS, Record, ReplicaNum, SnapshotRecord, SpaceNum, SpaceRecord, is_damage,
};
use super::refusal::Refusal;
use super::shared::{Shared, Space};
use super::submission::{FeedEntry, last_stamp};
use super::writer::Memory;
use repliq_core::{
    Batch, Chain, Change, ChangeHeader, Millis, ReplicaId, StorageError, StorageErrorKind,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// After how many changes the heads of a document are written into its meta.
const CHECKPOINT_AFTER: u64 = 64;

/// A document in its space.
pub(super) type Place = (SpaceNum, DocumentNum);

/// A document as the writer knows it.
pub(super) struct DocumentState {
    pub(super) info: Arc<DocumentInfo>,
    pub(super) heads: BTreeMap<ReplicaNum, Head>,
    /// How many changes were logged since the heads were written down.
    pub(super) since: u64,
    pub(super) snapshot: Option<SnapshotRecord>,
}

/// A document that the batch looked at.
pub(super) struct StagedDocument {
    pub(super) state: DocumentState,
    /// The heads that the batch moves, as they were.
    pub(super) before: BTreeMap<ReplicaNum, Head>,
    /// Whether its meta must be written in any case.
    pub(super) meta_due: bool,
}

/// A space that the batch looked at.
pub(super) struct StagedSpace {
    pub(super) space: Space,
    /// Whether its meta has changed.
    pub(super) dirty: bool,
    epochs_changed: bool,
}

/// What a batch changes, besides the writes themselves.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) batch: Batch,
    pub(super) spaces: BTreeMap<SpaceNum, StagedSpace>,
    pub(super) space_names: HashMap<Arc<str>, SpaceNum>,
    pub(super) documents: HashMap<Place, StagedDocument>,
    pub(super) names: HashMap<Vec<u8>, DocumentNum>,
    pub(super) entries: Vec<(SpaceNum, FeedEntry)>,
    /// Where in the batch the last write of a key is, for the first `indexed`
    /// writes: few batches are ever asked.
    written: HashMap<Vec<u8>, usize>,
    indexed: usize,
}

/// A batch in the making.
pub(super) struct Stage<'a> {
    pub(super) shared: &'a Shared,
    pub(super) memory: &'a mut Memory,
    pub(super) wall: Millis,
    run_epoch: Epoch,
    pub(super) staged: Staged,
}

/// Who hands in a change.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    /// As in [`FeedRecord::origin`].
    pub(super) num: u64,
    pub(super) replica: Option<ReplicaId>,
}

/// Why a step does not go on: for this one arrival, or for the whole batch.
pub(super) enum Stop {
    Refused(Refusal),
    Failed(StorageError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StorageError> for Stop {
    /// Damage concerns only those who need the damaged value, all else everybody.
    fn from(error: StorageError) -> Self {
        if is_damage(&error) {
            Self::Refused(Refusal::Damaged(error.to_string().into()))
        } else {
            Self::Failed(error)
        }
    }
}

impl Stop {
    /// The refusal, or what ends the batch.
    pub(super) fn refusal(self) -> Result<Refusal, StorageError> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Failed(error) => Err(error),
        }
    }
}

impl Staged {
    /// Whether memory is to hold what the batch writes. Cursors and leases are read
    /// from the backend each time: whether such a batch is there, and whether it
    /// stays, changes nothing for anybody.
    pub(super) fn is_remembered(&self) -> bool {
        self.documents.values().any(|document| document.meta_due || !document.before.is_empty())
            || self.spaces.values().any(|space| space.dirty)
    }
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        memory: &'a mut Memory,
        wall: Millis,
        run_epoch: Epoch,
    ) -> Self {
        Self { shared, memory, wall, run_epoch, staged: Staged::default() }
    }

    /// The space of this name.
    pub(super) fn space_num(&self, name: &str) -> Option<SpaceNum> {
        let staged = self.staged.space_names.get(name).copied();
        staged.or_else(|| self.shared.published.read().space_names.get(name).copied())
    }

    /// The space with this number, to look at and to change.
    pub(super) fn space(&mut self, num: SpaceNum) -> Result<&mut StagedSpace, Stop> {
        match self.staged.spaces.entry(num) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let published = self.shared.published.read();
                let space = published.spaces.get(&num).ok_or(Refusal::UnknownSpace)?.clone();
                Ok(entry.insert(StagedSpace { space, dirty: false, epochs_changed: false }))
            }
        }
    }

    /// The document of this name, if there is one; its state is staged then.
    pub(super) fn find(&mut self, space: &str, document: &str) -> Result<Option<Place>, Stop> {
        let Some(space) = self.space_num(space) else { return Ok(None) };
        let key = key::document_name(space, document);
        let known = self.staged.names.get(&key).copied();
        let num = match known.or_else(|| self.memory.names.get(key.as_slice())) {
            Some(num) => num,
            None => {
                let Some(value) = self.shared.backend.get(&key)? else { return Ok(None) };
                let num = document_num(&value, &self.space(space)?.space)?;
                self.memory.names.insert(key, num);
                num
            }
        };
        self.document((space, num))?;
        Ok(Some((space, num)))
    }

    /// The state of a document that there is, to look at and to change.
    pub(super) fn document(&mut self, place: Place) -> Result<&mut StagedDocument, Stop> {
        if !self.staged.documents.contains_key(&place) {
            let state = match self.memory.documents.take(&place) {
                Some(state) => state,
                None => self.read_document(place)?,
            };
            let staged = StagedDocument { state, before: BTreeMap::new(), meta_due: false };
            self.staged.documents.insert(place, staged);
        }
        self.staged.documents.get_mut(&place).ok_or(Stop::Refused(Refusal::UnknownDocument))
    }

    fn read_document(&self, (space, num): Place) -> Result<DocumentState, Stop> {
        let backend = self.shared.backend.as_ref();
        let value = backend
            .get(&key::document(space, num))?
            .ok_or_else(|| damaged(Family::Document, "a document that has a name is missing"))?;
        let record = DocumentRecord::from_value(&value)?;
        let (heads, since) = heads::read(backend, space, num, &record.checkpoint, |num| {
            self.shared.published.read().replicas.named_in(Family::Log, num)
        })?;
        let info = DocumentInfo { num, name: record.name.into(), kind: record.kind.into() };
        Ok(DocumentState { info: Arc::new(info), heads, since, snapshot: record.snapshot })
    }

    /// Makes the document, which [`Stage::find`] did not find, together with its
    /// space if there is none yet.
    pub(super) fn make(&mut self, space: &str, name: &str, kind: &str) -> Result<Place, Stop> {
        let space = match self.space_num(space) {
            Some(num) => num,
            None => self.make_space(space)?,
        };
        let staged = self.space(space)?;
        staged.space.record.documents += 1;
        staged.dirty = true;
        let num = DocumentNum(staged.space.record.documents);
        let key = key::document_name(space, name);
        self.staged.batch.put(key.clone(), num.to_value());
        self.staged.names.insert(key, num);
        let info = Arc::new(DocumentInfo { num, name: name.into(), kind: kind.into() });
        let state = DocumentState { info, heads: BTreeMap::new(), since: 0, snapshot: None };
        let document = StagedDocument { state, before: BTreeMap::new(), meta_due: true };
        self.staged.documents.insert((space, num), document);
        Ok((space, num))
    }

    fn make_space(&mut self, name: &str) -> Result<SpaceNum, Stop> {
        let published = self.shared.published.read();
        let durable = published.spaces.keys().next_back();
        let last = durable.max(self.staged.spaces.keys().next_back());
        let num = last.map_or(Some(0), |num| num.0.checked_add(1)).ok_or_else(numbers_used_up)?;
        drop(published);
        let record = SpaceRecord {
            name: name.to_owned(),
            head: FeedNumber::default(),
            last: repliq_core::Hlc::default(),
            documents: 0,
            held: super::record::HeldTotals::default(),
        };
        let space = Space { record, epochs: Vec::new(), in_this_run: false };
        let num = SpaceNum(num);
        self.staged.space_names.insert(name.into(), num);
        let staged = StagedSpace { space, dirty: true, epochs_changed: false };
        self.staged.spaces.insert(num, staged);
        Ok(num)
    }

    /// The number of a replica, new if it has none.
    pub(super) fn intern(&mut self, id: ReplicaId) -> Result<ReplicaNum, Stop> {
        if let Some(num) = self.replica_num(id) {
            return Ok(num);
        }
        let replicas = &mut self.shared.published.write().replicas;
        let num = replicas.next().ok_or_else(numbers_used_up)?;
        replicas.add(num, id);
        self.staged.batch.put(key::replica(num), id.to_value());
        Ok(num)
    }

    /// The number of a replica, if it has one.
    pub(super) fn replica_num(&self, id: ReplicaId) -> Option<ReplicaNum> {
        self.shared.published.read().replicas.num(id)
    }

    /// Whom a submission comes from; `None` is this store itself.
    pub(super) fn origin(&mut self, replica: Option<ReplicaId>) -> Result<Origin, Stop> {
        let num = match replica {
            Some(id) => u64::from(self.intern(id)?.0) + 1,
            None => 0,
        };
        Ok(Origin { num, replica })
    }

    /// How much the document holds of a replica.
    pub(super) fn head(&mut self, place: Place, replica: ReplicaId) -> Result<Head, Stop> {
        let Some(num) = self.replica_num(replica) else { return Ok(Head::default()) };
        Ok(self.document(place)?.state.heads.get(&num).copied().unwrap_or_default())
    }

    /// The value that an earlier submission of the batch wrote under this key.
    pub(super) fn staged_value(&mut self, key: &[u8]) -> Option<&[u8]> {
        let Staged { batch, written, indexed, .. } = &mut self.staged;
        for (at, (key, _)) in batch.iter().enumerate().skip(*indexed) {
            written.insert(key.to_vec(), at);
        }
        *indexed = batch.len();
        let (_, value) = batch.iter().nth(*written.get(key)?)?;
        value
    }

    /// Logs and numbers a change that was found right. `chain` is the one after it.
    pub(super) fn apply(
        &mut self,
        place: Place,
        change: &Change,
        header: &ChangeHeader,
        chain: Chain,
        origin: Origin,
    ) -> Result<FeedEntry, Stop> {
        let replica = self.intern(change.replica())?;
        let (space, document) = place;
        let n = self.number(space, last_stamp(header.hlc, header.slots))?;
        let seq = change.dot.seq;
        let key = key::log(space, document, replica, seq);
        self.staged.batch.put(key, change.body.as_ref());
        let record = FeedRecord { document, replica, seq, origin: origin.num };
        self.staged.batch.put(key::feed(space, n), record.to_value());

        let staged = self.document(place)?;
        let next = seq.saturating_add(header.slots);
        let head = Head { next, chain };
        let before = staged.state.heads.insert(replica, head).unwrap_or_default();
        staged.before.entry(replica).or_insert(before);
        staged.state.since += 1;
        let document = staged.state.info.clone();
        let entry = FeedEntry { n, origin: origin.replica, document, change: change.clone() };
        self.staged.entries.push((space, entry.clone()));
        Ok(entry)
    }

    /// The next number of the feed, for a change whose last timestamp is `last`.
    fn number(&mut self, space: SpaceNum, last: repliq_core::Hlc) -> Result<FeedNumber, Stop> {
        let epoch = self.run_epoch;
        let staged = self.space(space)?;
        let record = &mut staged.space.record;
        record.head = record.head.next();
        record.last = record.last.max(last);
        let n = record.head;
        staged.dirty = true;
        if !staged.space.in_this_run {
            staged.space.in_this_run = true;
            staged.epochs_changed = true;
            let epochs = &mut staged.space.epochs;
            epochs.push(EpochStart { first: n, epoch });
            let over = epochs.len().saturating_sub(MAX_EPOCHS);
            epochs.drain(..over);
        }
        Ok(n)
    }

    /// Adds the meta to the batch, which then is complete.
    pub(super) fn finish(mut self) -> Staged {
        let batch = &mut self.staged.batch;
        for ((space, num), document) in &mut self.staged.documents {
            let state = &mut document.state;
            if document.meta_due || state.since >= CHECKPOINT_AFTER {
                batch.put(key::document(*space, *num), meta(state).to_value());
                state.since = 0;
            }
        }
        for (num, staged) in &self.staged.spaces {
            if staged.epochs_changed {
                batch.put(key::epochs(*num), staged.space.epochs.to_value());
            }
            if staged.dirty {
                batch.put(key::space(*num), staged.space.record.to_value());
            }
        }
        self.staged
    }
}

/// The meta of a document as it is written.
pub(super) fn meta(state: &DocumentState) -> DocumentRecord {
    DocumentRecord {
        name: state.info.name.as_ref().to_owned(),
        kind: state.info.kind.as_ref().to_owned(),
        checkpoint: state.heads.iter().map(|(num, head)| (*num, *head)).collect(),
        snapshot: state.snapshot.clone(),
    }
}

fn numbers_used_up() -> StorageError {
    StorageError::new(StorageErrorKind::Unsupported, "all 2^32 numbers of the store are used up")
}
