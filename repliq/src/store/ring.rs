//! The end of every feed, kept in memory: a commit is fanned out to a hundred
//! sessions without reading it back. It holds at most a mebibyte over all spaces
//! together, the newest entries, each space's without a hole. It never reads.

use super::HashMap;
use super::record::{FeedNumber, SpaceNum};
use super::submission::FeedEntry;
use std::collections::VecDeque;

/// How much the ring holds, in bytes.
const RING_BYTES: usize = 1 << 20;

/// What an entry takes beside its body, roughly.
const ENTRY_BYTES: usize = 128;

/// The newest entries of all feeds.
#[derive(Default)]
pub(super) struct Ring {
    spaces: HashMap<SpaceNum, VecDeque<FeedEntry>>,
    /// Whose entry is the next to go: one for each entry, oldest first.
    oldest: VecDeque<SpaceNum>,
    bytes: usize,
}

impl Ring {
    /// Adds the entry after the space's last one, and drops the oldest over the limit.
    pub(super) fn push(&mut self, space: SpaceNum, entry: FeedEntry) {
        self.bytes += cost(&entry);
        self.spaces.entry(space).or_default().push_back(entry);
        self.oldest.push_back(space);
        while self.bytes > RING_BYTES {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(space) = self.oldest.pop_front() else { return };
        let Some(entries) = self.spaces.get_mut(&space) else { return };
        if let Some(entry) = entries.pop_front() {
            self.bytes -= cost(&entry);
        }
        if entries.is_empty() {
            self.spaces.remove(&space);
        }
    }

    /// The entries after `after`, if the ring goes back as far.
    pub(super) fn after(
        &self,
        space: SpaceNum,
        after: FeedNumber,
    ) -> Option<impl Iterator<Item = &FeedEntry>> {
        let entries = self.spaces.get(&space)?;
        let first = entries.front()?.n;
        let skip = after.next().0.checked_sub(first.0)?;
        let skip = usize::try_from(skip).ok().filter(|skip| *skip < entries.len())?;
        Some(entries.range(skip..))
    }
}

pub(super) fn cost(entry: &FeedEntry) -> usize {
    entry.change.body.len() + ENTRY_BYTES
}
