//! What a store holds, by the names of its spaces: how the engine reads.

use crate::error::Error;
use crate::store::{
    ChangeReader, DocumentInfo, DocumentNum, FeedEntry, FeedNumber, Heads, Snapshot, SpaceNum,
    StoreError, StoreReader,
};
use repliq_core::Version;
use repliq_sync::{DocumentSummary, Position, Summary};
use std::sync::Arc;

/// How many entries of a feed are read at once.
const FEED_ITEMS: usize = 1024;
/// How many documents are listed at once.
const DOCUMENTS: usize = 1024;

/// Reads a store from any thread. Every call sees what is durable, and is
/// bounded by what it is asked for.
#[derive(Clone)]
pub(crate) struct View(StoreReader);

/// A document as it stands in the store.
pub(crate) struct Stored {
    pub(crate) info: Arc<DocumentInfo>,
    space: SpaceNum,
    reader: StoreReader,
}

impl View {
    pub(crate) const fn new(reader: StoreReader) -> Self {
        Self(reader)
    }

    /// Where the feed of a space ends.
    pub(crate) fn head(&self, space: &str) -> Position {
        self.0.space(space).map_or(Position::default(), |num| self.0.head(num).into())
    }

    /// Whether this is a place in the feed of a space.
    pub(crate) fn is_place(&self, space: &str, place: Position) -> bool {
        self.0.space(space).is_some_and(|num| self.0.is_valid(num, place.into()))
    }

    /// Whether changes of a space wait for their time.
    pub(crate) fn holds(&self, space: &str) -> bool {
        self.0.space(space).is_some_and(|num| self.0.holds(num))
    }

    /// How far the feed of a peer is held.
    pub(crate) fn cursor(&self, space: &str, peer: &[u8]) -> Result<Option<Position>, StoreError> {
        let Some(num) = self.0.space(space) else { return Ok(None) };
        Ok(self.0.cursor(num, peer)?.map(Position::from))
    }

    /// Entries of the feed after a number, all of one epoch, and the place of
    /// the last of them; from memory only. `None` when they are not there.
    pub(crate) fn recent_feed(
        &self,
        space: &str,
        after: u64,
        max_bytes: usize,
    ) -> Option<(Vec<FeedEntry>, Position)> {
        let num = self.0.space(space)?;
        let entries = self.0.recent_feed(num, FeedNumber(after), max_bytes, FEED_ITEMS)?;
        Some(self.one_epoch(num, entries))
    }

    /// As [`View::recent_feed`], from memory or the backend.
    pub(crate) fn feed(
        &self,
        space: &str,
        after: u64,
        max_bytes: usize,
    ) -> Result<(Vec<FeedEntry>, Position), StoreError> {
        let Some(num) = self.0.space(space) else { return Ok(Default::default()) };
        let entries = self.0.feed(num, FeedNumber(after), max_bytes, FEED_ITEMS)?;
        Ok(self.one_epoch(num, entries))
    }

    fn one_epoch(&self, num: SpaceNum, mut entries: Vec<FeedEntry>) -> (Vec<FeedEntry>, Position) {
        // Epochs that were forgotten count as one: their cursors are void anyway.
        let epoch_of = |entry: &FeedEntry| self.0.epoch_of(num, entry.n).unwrap_or_default();
        let Some(epoch) = entries.first().map(epoch_of) else { return Default::default() };
        let same = entries.partition_point(|entry| epoch_of(entry) == epoch);
        entries.truncate(same);
        let number = entries.last().map_or(0, |last| last.n.0);
        (entries, Position { epoch: epoch.0, number })
    }

    /// What is held of every document of a space. The cost follows their number.
    pub(crate) fn summary(&self, space: &str) -> Result<Summary, StoreError> {
        let Some(num) = self.0.space(space) else { return Ok(Summary::default()) };
        let mut held = Vec::new();
        let mut after = DocumentNum::default();
        loop {
            let documents = self.0.documents(num, after, DOCUMENTS)?;
            let Some(last) = documents.last() else { return Ok(Summary::new(held)) };
            after = last.num;
            for info in &documents {
                let heads = self.0.heads(num, info.num)?;
                let chains = heads.0.values().map(|head| head.chain).collect();
                let (name, version) = (Arc::clone(&info.name), heads.version());
                held.push(DocumentSummary { name, version, chains });
            }
        }
    }

    /// A document of a space, if there is one.
    pub(crate) fn document(&self, space: &str, name: &str) -> Result<Option<Stored>, StoreError> {
        let Some(num) = self.0.space(space) else { return Ok(None) };
        let info = self.0.document(num, name)?;
        Ok(info.map(|info| Stored { info, space: num, reader: self.0.clone() }))
    }
}

impl Stored {
    pub(crate) fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        Ok(self.reader.snapshot(self.space, self.info.num)?)
    }

    pub(crate) fn heads(&self) -> Result<Heads, Error> {
        Ok(self.reader.heads(self.space, self.info.num)?)
    }

    /// The changes that `after` lacks, in causal order.
    pub(crate) fn changes(&self, after: &Version) -> Result<ChangeReader, StoreError> {
        self.reader.changes(self.space, self.info.num, after)
    }
}
