//! Stamps in 16 bytes instead of 32: the author is a number into a table.
//!
//! An author is a replica id with the upper half of a sequence number, so that a
//! stamp keeps only the lower half; both are lossless. Numbers mean something
//! only beside their own table and are never written down.

use crate::hash::Seeded;
use hashbrown::HashMap;
use repliq_core::{Dot, Hlc, ReplicaId, Stamp, Version};

/// A stamp beside an [`Authors`] table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ShortStamp {
    pub(crate) hlc: Hlc,
    author: u32,
    sequence: u32,
}

impl ShortStamp {
    /// The author's number.
    pub(crate) const fn author(self) -> u32 {
        self.author
    }
}

/// The authors of short stamps.
///
/// It only grows while a document is open (an undo may hold an old number); a
/// document that is loaded starts with the authors it still refers to.
#[derive(Clone, Default)]
pub(crate) struct Authors {
    table: Vec<Author>,
    numbers: HashMap<Author, u32, Seeded>,
    recent: u32,
}

/// A replica and the upper half of its sequence numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Author {
    pub(crate) replica: ReplicaId,
    upper: u32,
}

impl Author {
    /// Which dots of this author a version contains.
    pub(crate) fn dots_within(&self, version: &Version) -> Dots {
        let start = u64::from(self.upper) << 32;
        Dots { count: version.get(self.replica).saturating_sub(start) }
    }
}

/// The first dots of one author.
#[derive(Clone, Copy)]
pub(crate) struct Dots {
    count: u64,
}

impl Dots {
    /// Whether the dot of a stamp of the same author is one of them.
    pub(crate) const fn contains(self, stamp: ShortStamp) -> bool {
        (stamp.sequence as u64) < self.count
    }
}

impl Authors {
    /// The authors by number.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Author> {
        self.table.iter()
    }

    /// Shortens a stamp. `None` when all 2^32 numbers are taken.
    pub(crate) fn shorten(&mut self, stamp: Stamp) -> Option<ShortStamp> {
        let Stamp { hlc, dot: Dot { replica, seq } } = stamp;
        let author = self.number(Author { replica, upper: upper(seq) })?;
        Some(ShortStamp { hlc, author, sequence: lower(seq) })
    }

    /// The stamp that was shortened to this one.
    pub(crate) fn expand(&self, short: ShortStamp) -> Stamp {
        let found = self.table.get(short.author as usize);
        let (replica, upper) = found.map_or_else(Default::default, |a| (a.replica, a.upper));
        let seq = u64::from(upper) << 32 | u64::from(short.sequence);
        Stamp { hlc: short.hlc, dot: Dot { replica, seq } }
    }

    /// Runs of edits have one author, so the last one is tried first.
    fn number(&mut self, author: Author) -> Option<u32> {
        if self.table.get(self.recent as usize) == Some(&author) {
            return Some(self.recent);
        }
        let number = match self.numbers.get(&author) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.table.len()).ok()?;
                self.table.push(author);
                self.numbers.insert(author, number);
                number
            }
        };
        self.recent = number;
        Some(number)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it is the lower half")]
const fn lower(seq: u64) -> u32 {
    seq as u32
}

#[allow(clippy::cast_possible_truncation, reason = "the upper half fits after the shift")]
const fn upper(seq: u64) -> u32 {
    (seq >> 32) as u32
}
