//! Reading, from any thread, while the writer goes on. Everything a reader gives
//! out is durable, and every call is bounded by what is asked of it. It never
//! writes, and it never waits for the writer, but for a snapshot that is just
//! being replaced.

use super::changes::ChangeReader;
use super::error::{StoreError, damaged};
use super::heads::{self, Heads};
use super::key::{self, Family};
use super::open::document_num;
use super::record::{
    DocumentInfo, DocumentNum, DocumentRecord, Epoch, FeedNumber, FeedRecord, Position, Record,
    ReplicaNum, SpaceNum, is_damage,
};
use super::shared::{Shared, Space};
use super::snapshot;
use super::stage::Place;
use super::submission::{FeedEntry, Snapshot};
use bytes::Bytes;
use repliq_core::{Change, Dot, StorageError, Version};
use std::sync::Arc;

/// How many entries of a feed one scan asks for.
const SCAN_LIMIT: usize = 128;

/// Reads a store; clone it for every thread.
#[derive(Clone)]
pub(crate) struct StoreReader {
    shared: Arc<Shared>,
}

impl StoreReader {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The space of this name, if anything was ever stored in it.
    pub(crate) fn space(&self, name: &str) -> Option<SpaceNum> {
        self.shared.published.read().space_names.get(name).copied()
    }

    /// All spaces with their names.
    #[cfg(test)]
    pub(crate) fn spaces(&self) -> Vec<(SpaceNum, String)> {
        let published = self.shared.published.read();
        published.spaces.iter().map(|(num, space)| (*num, space.record.name.clone())).collect()
    }

    /// The position of the last change of a space; number 0 if there is none.
    pub(crate) fn head(&self, space: SpaceNum) -> Position {
        self.of_space(space, Space::head).unwrap_or_default()
    }

    /// The epoch in which a change was numbered; `None` if there is no such
    /// number, or it was given out more than 64 runs ago.
    pub(crate) fn epoch_of(&self, space: SpaceNum, n: FeedNumber) -> Option<Epoch> {
        self.of_space(space, |space| space.epoch_of(n)).flatten()
    }

    /// Whether this very store gave out this position: not a copy of it that
    /// went another way. Number 0 is valid with any epoch.
    pub(crate) fn is_valid(&self, space: SpaceNum, position: Position) -> bool {
        position.n.0 == 0 || self.epoch_of(space, position.n) == Some(position.epoch)
    }

    fn of_space<R>(&self, num: SpaceNum, read: impl FnOnce(&Space) -> R) -> Option<R> {
        self.shared.published.read().spaces.get(&num).map(read)
    }

    /// The changes of a space after number `after`, in the order of the feed: at
    /// most `max_items`, and at most `max_bytes` of bodies, but at least one if
    /// there is one. Recent ones come from memory; older ones cost a get each.
    ///
    /// # Errors
    /// [`StoreError`] when the backend fails or what it holds is damaged.
    pub(crate) fn feed(
        &self,
        space: SpaceNum,
        after: FeedNumber,
        max_bytes: usize,
        max_items: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let mut page = Page { entries: Vec::new(), left: max_bytes, max_items };
        let mut after = after;
        loop {
            let head = {
                let published = self.shared.published.read();
                published.usable()?;
                if let Some(recent) = published.ring.after(space, after) {
                    page.fill(recent.cloned());
                    return Ok(page.entries);
                }
                published.spaces.get(&space).map_or(FeedNumber(0), |space| space.record.head)
            };
            let wanted = max_items.saturating_sub(page.entries.len()).min(SCAN_LIMIT);
            if after >= head || wanted == 0 {
                return Ok(page.entries);
            }
            let stored = self.stored_feed(space, after, head, wanted)?;
            for record in stored {
                after = after.next();
                let entry = self.stored_entry(space, after, record)?;
                if !page.push(entry) {
                    return Ok(page.entries);
                }
            }
        }
    }

    /// As [`StoreReader::feed`], if memory has them all: it never waits for the
    /// backend.
    pub(crate) fn recent_feed(
        &self,
        space: SpaceNum,
        after: FeedNumber,
        max_bytes: usize,
        max_items: usize,
    ) -> Option<Vec<FeedEntry>> {
        let published = self.shared.published.read();
        let mut page = Page { entries: Vec::new(), left: max_bytes, max_items };
        page.fill(published.ring.after(space, after)?.cloned());
        Some(page.entries)
    }

    /// Whether changes of a space wait for their time.
    pub(crate) fn holds(&self, space: SpaceNum) -> bool {
        self.of_space(space, |space| space.record.held.changes > 0).unwrap_or(false)
    }

    /// The feed's records after `after`, up to `head`: at least one.
    fn stored_feed(
        &self,
        space: SpaceNum,
        after: FeedNumber,
        head: FeedNumber,
        limit: usize,
    ) -> Result<Vec<FeedRecord>, StorageError> {
        let from = key::feed(space, after);
        let pairs = self.shared.backend.scan(&key::feed_of(space), Some(&from), limit)?;
        let mut records = Vec::with_capacity(pairs.len());
        let mut expected = after;
        for (key, value) in pairs {
            let [_, n] = key::numbers(Family::Feed, &key)?;
            if n > head.0 {
                break;
            }
            expected = expected.next();
            if n != expected.0 {
                break;
            }
            records.push(FeedRecord::from_value(&value)?);
        }
        if records.is_empty() {
            return Err(damaged(Family::Feed, "a number is missing"));
        }
        Ok(records)
    }

    fn stored_entry(
        &self,
        space: SpaceNum,
        n: FeedNumber,
        record: FeedRecord,
    ) -> Result<FeedEntry, StorageError> {
        let FeedRecord { document, replica, seq, origin } = record;
        let (author, origin) = {
            let replicas = &self.shared.published.read().replicas;
            (replicas.named_in(Family::Feed, replica)?, replicas.origin(Family::Feed, origin)?)
        };
        let body = self.shared.backend.get(&key::log(space, document, replica, seq))?;
        let body = body.ok_or_else(|| damaged(Family::Log, "a change of the feed is missing"))?;
        let change = Change { dot: Dot { replica: author, seq }, body: Bytes::from(body) };
        change.open().map_err(|error| damaged(Family::Log, &error.to_string()))?;
        let document = self
            .info((space, document))?
            .ok_or_else(|| damaged(Family::Document, "a document of the feed is missing"))?;
        Ok(FeedEntry { n, origin, document, change })
    }

    /// The document of this name, if there is one.
    ///
    /// # Errors
    /// As [`StoreReader::feed`].
    pub(crate) fn document(
        &self,
        space: SpaceNum,
        name: &str,
    ) -> Result<Option<Arc<DocumentInfo>>, StoreError> {
        let found = match self.document_num(space, name) {
            // A running commit may just be making it: look again when it is done.
            Err(error) if is_damage(&error) => {
                let _no_commit = self.shared.committing.lock();
                self.shared.published.read().usable()?;
                self.document_num(space, name)?
            }
            found => found?,
        };
        let Some(num) = found else { return Ok(None) };
        Ok(self.info((space, num))?)
    }

    fn document_num(
        &self,
        space: SpaceNum,
        name: &str,
    ) -> Result<Option<DocumentNum>, StorageError> {
        let value = self.shared.backend.get(&key::document_name(space, name))?;
        let num = value.and_then(|value| self.of_space(space, |space| document_num(&value, space)));
        num.transpose()
    }

    /// The documents of a space after number `after` in the order they were
    /// made, at most `limit`.
    ///
    /// # Errors
    /// As [`StoreReader::feed`].
    pub(crate) fn documents(
        &self,
        space: SpaceNum,
        after: DocumentNum,
        limit: usize,
    ) -> Result<Vec<Arc<DocumentInfo>>, StoreError> {
        let count = self.of_space(space, |space| space.record.documents).unwrap_or(0);
        let from = key::document(space, after);
        let pairs = self.shared.backend.scan(&key::documents(space), Some(&from), limit)?;
        let mut documents = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let [_, num] = key::numbers(Family::Document, &key)?;
            if num > count {
                break;
            }
            documents.push(Arc::new(info(DocumentNum(num), DocumentRecord::from_value(&value)?)));
        }
        Ok(documents)
    }

    /// The names of a document, from memory or its meta.
    fn info(&self, place: Place) -> Result<Option<Arc<DocumentInfo>>, StorageError> {
        let (space, num) = place;
        if let Some(info) = self.shared.documents.lock().get(&place) {
            return Ok(Some(info));
        }
        let Some(value) = self.shared.backend.get(&key::document(space, num))? else {
            return Ok(None);
        };
        let info = Arc::new(info(num, DocumentRecord::from_value(&value)?));
        self.shared.documents.lock().insert(place, info.clone());
        Ok(Some(info))
    }

    /// What a document holds: of each replica how much, and the chain over it.
    /// The cost follows the number of its replicas.
    ///
    /// # Errors
    /// As [`StoreReader::feed`].
    pub(crate) fn heads(
        &self,
        space: SpaceNum,
        document: DocumentNum,
    ) -> Result<Heads, StoreError> {
        let backend = self.shared.backend.as_ref();
        let value = backend.get(&key::document(space, document))?;
        let Some(value) = value else { return Ok(Heads::default()) };
        let record = DocumentRecord::from_value(&value)?;
        let (mut heads, _) =
            heads::read(backend, space, document, &record.checkpoint, |num: ReplicaNum| {
                self.shared.published.read().replicas.named_in(Family::Log, num)
            })?;
        let published = self.shared.published.read();
        published.usable()?;
        if let Some(before) = published.in_flight.get(&(space, document)) {
            heads.extend(before);
        }
        let mut held = Heads::default();
        for (num, head) in heads.into_iter().filter(|(_, head)| head.next > 0) {
            held.0.insert(published.replicas.named_in(Family::Document, num)?, head);
        }
        Ok(held)
    }

    /// The snapshot of a document, if it has one.
    ///
    /// # Errors
    /// As [`StoreReader::feed`].
    pub(crate) fn snapshot(
        &self,
        space: SpaceNum,
        document: DocumentNum,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.shared.published.read().usable()?;
        snapshot::read(&self.shared, (space, document))
    }

    /// The changes of a document that are not in `after`, in causal order, as of
    /// now: what is committed later is not among them.
    ///
    /// # Errors
    /// As [`StoreReader::feed`].
    pub(crate) fn changes(
        &self,
        space: SpaceNum,
        document: DocumentNum,
        after: &Version,
    ) -> Result<ChangeReader, StoreError> {
        let target = self.heads(space, document)?.version();
        Ok(ChangeReader::new(self.shared.clone(), (space, document), after, &target))
    }

    /// How far we have read the feed of a peer.
    ///
    /// # Errors
    /// As [`StoreReader::feed`].
    pub(crate) fn cursor(
        &self,
        space: SpaceNum,
        peer: &[u8],
    ) -> Result<Option<Position>, StoreError> {
        let value = self.shared.backend.get(&key::cursor(space, peer))?;
        Ok(value.map(|value| Position::from_value(&value)).transpose()?)
    }

    /// When a device was last heard of, and what it acknowledged.
    ///
    /// # Errors
    /// As [`StoreReader::feed`].
    #[cfg(test)]
    pub(crate) fn lease(
        &self,
        space: SpaceNum,
        replica: repliq_core::ReplicaId,
    ) -> Result<Option<super::LeaseRecord>, StoreError> {
        let value = self.shared.backend.get(&key::lease(space, replica))?;
        Ok(value.map(|value| super::LeaseRecord::from_value(&value)).transpose()?)
    }
}

fn info(num: DocumentNum, record: DocumentRecord) -> DocumentInfo {
    DocumentInfo { num, name: record.name.into(), kind: record.kind.into() }
}

/// Entries of a feed within the limits of one call.
struct Page {
    entries: Vec<FeedEntry>,
    left: usize,
    max_items: usize,
}

impl Page {
    fn fill(&mut self, entries: impl Iterator<Item = FeedEntry>) {
        for entry in entries {
            if !self.push(entry) {
                return;
            }
        }
    }

    /// Takes the entry if there is room, or if it is the first.
    fn push(&mut self, entry: FeedEntry) -> bool {
        let bytes = entry.change.body.len();
        let room = self.entries.is_empty() || bytes <= self.left;
        if self.entries.len() >= self.max_items || !room {
            return false;
        }
        self.left = self.left.saturating_sub(bytes);
        self.entries.push(entry);
        true
    }
}
