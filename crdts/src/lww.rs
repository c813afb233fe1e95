//! Last writer wins per key: what [`LwwMap`](crate::LwwMap) and
//! [`LwwSet`](crate::LwwSet) share.
//!
//! Every key keeps the winner of all writes to it that were seen, removals
//! included, so writes commute. It never compares wall times itself and never
//! drops a removal before [`Lww::prune`] is told that nobody can write an older
//! value any more.

use crate::keyed::{Absent, Keyed};
use crate::stamps::{Authors, Dots, ShortStamp};
use repliq_core::{CrdtError, Cut, Stamp, Version};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::Hash;

/// What is written to a key.
pub(crate) trait Content: Sized {
    /// The content that a removal writes.
    const REMOVED: Self;

    /// Whether a reader sees the key.
    fn is_live(&self) -> bool;

    /// Whether a reader sees no difference.
    fn looks_like(&self, other: &Self) -> bool;

    /// What decides between two writes of the same time, before their authors do.
    fn precedence(&self) -> u8;

    /// What decides between two writes of the same stamp.
    fn compare_encoded(&self, other: &Self) -> Ordering;
}

/// A content and when and by whom it was written.
#[derive(Clone)]
pub(crate) struct Written<T> {
    pub(crate) stamp: ShortStamp,
    pub(crate) content: T,
}

/// Keys and the winning write of each.
#[derive(Clone)]
pub(crate) struct Lww<K, T> {
    pub(crate) keyed: Keyed<K, Written<T>>,
    pub(crate) authors: Authors,
    live: usize,
}

/// What a write replaced: given to [`Lww::rollback`], newest first. Small, because
/// a transaction keeps one for each write; only a join drops keys.
pub(crate) enum Undo<K, T> {
    Inserted(u32),
    Replaced(u32, Written<T>),
    Dropped(u32, Box<(K, Written<T>)>),
}

/// Where changes are told.
pub(crate) trait Report<K, T> {
    /// A reader sees this content of this key from now on.
    fn changed(&mut self, key: &K, content: &T);

    /// This takes back what was just done.
    fn undo(&mut self, undo: Undo<K, T>);
}

impl<K, T> Default for Lww<K, T> {
    fn default() -> Self {
        Self { keyed: Keyed::default(), authors: Authors::default(), live: 0 }
    }
}

impl<K: Hash + Eq, T: Content> Lww<K, T> {
    /// How many keys a reader sees. O(1).
    pub(crate) const fn live(&self) -> usize {
        self.live
    }

    /// What a reader sees of `key`.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.keyed.get(key).map(|written| &written.content).filter(|content| content.is_live())
    }

    /// Every key that a reader sees, in the order of the slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &T)> {
        self.keyed
            .iter()
            .filter(|slot| slot.entry.content.is_live())
            .map(|slot| (&slot.key, &slot.entry.content))
    }

    /// Writes `content` to `key`, unless a larger write is held. Amortised O(1).
    pub(crate) fn write(
        &mut self,
        key: K,
        content: T,
        at: Stamp,
        report: &mut impl Report<K, T>,
    ) -> Result<(), CrdtError> {
        match self.keyed.locate(&key) {
            Ok(slot) if self.holds_larger(slot, &content, at) => Ok(()),
            Ok(slot) => self.replace(slot, content, at, report),
            Err(absent) => self.insert(absent, key, content, at, report),
        }
    }

    /// Whether what the slot holds wins over this write, or is this write.
    fn holds_larger(&self, slot: u32, content: &T, at: Stamp) -> bool {
        self.keyed.at(slot).is_some_and(|held| {
            let Written { stamp, content: held } = &held.entry;
            let by_time = stamp.hlc.cmp(&at.hlc);
            by_time
                .then_with(|| held.precedence().cmp(&content.precedence()))
                .then_with(|| self.authors.expand(*stamp).cmp(&at))
                .then_with(|| held.compare_encoded(content))
                .is_ge()
        })
    }

    fn replace(
        &mut self,
        slot: u32,
        content: T,
        at: Stamp,
        report: &mut impl Report<K, T>,
    ) -> Result<(), CrdtError> {
        let stamp = self.authors.shorten(at).ok_or(TOO_MANY)?;
        let is_live = content.is_live();
        if let Some(entry) = self.keyed.entry_mut(slot) {
            let seen = !entry.content.looks_like(&content);
            let old = std::mem::replace(entry, Written { stamp, content });
            self.live = self.live - usize::from(old.content.is_live()) + usize::from(is_live);
            self.tell(slot, seen, Undo::Replaced(slot, old), report);
        }
        Ok(())
    }

    fn insert(
        &mut self,
        absent: Absent,
        key: K,
        content: T,
        at: Stamp,
        report: &mut impl Report<K, T>,
    ) -> Result<(), CrdtError> {
        let stamp = self.authors.shorten(at).ok_or(TOO_MANY)?;
        let is_live = content.is_live();
        let slot = self.keyed.insert(absent, key, Written { stamp, content });
        let slot = slot.map_err(|_| TOO_MANY)?;
        self.live += usize::from(is_live);
        self.tell(slot, is_live, Undo::Inserted(slot), report);
        Ok(())
    }

    fn tell(&self, slot: u32, seen: bool, undo: Undo<K, T>, report: &mut impl Report<K, T>) {
        report.undo(undo);
        if let Some(held) = self.keyed.at(slot).filter(|_| seen) {
            report.changed(&held.key, &held.entry.content);
        }
    }

    /// Takes back the latest write that is not yet taken back. O(1).
    pub(crate) fn rollback(&mut self, undo: Undo<K, T>) {
        let live = |content: &T| usize::from(content.is_live());
        match undo {
            Undo::Inserted(slot) => {
                let taken = self.keyed.take(slot);
                self.live -= taken.map_or(0, |(_, written)| live(&written.content));
            }
            Undo::Replaced(slot, old) => {
                if let Some(entry) = self.keyed.entry_mut(slot) {
                    self.live = self.live + live(&old.content) - live(&entry.content);
                    *entry = old;
                }
            }
            Undo::Dropped(slot, dropped) => {
                let (key, old) = *dropped;
                self.live += live(&old.content);
                self.keyed.put_back(slot, key, old);
            }
        }
    }

    /// Merges another state. O(n + m).
    ///
    /// A key is absent from a state that has seen a write to it only because the
    /// winner of all writes seen there was a removal and was pruned. So that
    /// removal wins over a write that both have seen, wherever it is absent.
    pub(crate) fn join(
        &mut self,
        mine: &Version,
        other: Self,
        theirs: &Version,
        report: &mut impl Report<K, T>,
    ) {
        for slot in self.pruned_in(&other, theirs) {
            self.drop_slot(slot, report);
        }
        let Self { keyed, authors, .. } = other;
        for slot in keyed.into_slots() {
            let at = authors.expand(slot.entry.stamp);
            let pruned_here = mine.contains(at.dot) && self.keyed.locate(&slot.key).is_err();
            if !pruned_here {
                // A state of 2^32 keys cannot take more, and a join cannot say so.
                let _ = self.write(slot.key, slot.entry.content, at, report);
            }
        }
    }

    /// The slots whose key the other state has pruned.
    fn pruned_in(&self, other: &Self, theirs: &Version) -> Vec<u32> {
        let seen_there: Vec<Dots> =
            self.authors.iter().map(|author| author.dots_within(theirs)).collect();
        self.keyed.numbers(|key, written| {
            let stamp = written.stamp;
            let dots = seen_there.get(stamp.author() as usize);
            dots.is_some_and(|dots| dots.contains(stamp)) && other.keyed.locate(key).is_err()
        })
    }

    fn drop_slot(&mut self, slot: u32, report: &mut impl Report<K, T>) {
        if let Some((key, old)) = self.keyed.take(slot) {
            if old.content.is_live() {
                self.live -= 1;
                report.changed(&key, &T::REMOVED);
            }
            report.undo(Undo::Dropped(slot, Box::new((key, old))));
        }
    }

    /// Forgets the removals below the cut. O(n).
    ///
    /// A removal goes when everybody holds it and its time is before the floor:
    /// whatever is still to come was written after it was seen, and by a later
    /// time, so it wins whether or not the removal is still here.
    pub(crate) fn prune(&mut self, cut: &Cut) {
        let Self { keyed, authors, .. } = self;
        keyed.retain(|_, written| {
            let below = written.stamp.hlc < cut.floor
                && cut.version.contains(authors.expand(written.stamp).dot);
            written.content.is_live() || !below
        });
    }
}

impl<K: Hash + Ord, T: Content> Lww<K, T> {
    /// Makes room for `keys` more keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.keyed.reserve(keys);
    }

    /// Adds a write that was saved.
    pub(crate) fn append(&mut self, key: K, content: T, at: Stamp) -> Result<(), &'static str> {
        if self.keyed.last().is_some_and(|last| last.key >= key) {
            return Err("keys are out of order");
        }
        let absent = self.keyed.locate(&key).err().ok_or("a key occurs twice")?;
        let stamp = self.authors.shorten(at).ok_or("there are too many authors")?;
        self.live += usize::from(content.is_live());
        let inserted = self.keyed.insert(absent, key, Written { stamp, content });
        inserted.map(drop).map_err(|_| "there are too many keys")
    }
}

const TOO_MANY: CrdtError = CrdtError::Limit("a map or set holds at most 2^32 keys and authors");

impl<K: Hash + Eq, T: Content + PartialEq> PartialEq for Lww<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.keyed.len() == other.keyed.len()
            && self.keyed.iter().all(|slot| {
                other.keyed.get(&slot.key).is_some_and(|theirs| {
                    self.authors.expand(slot.entry.stamp) == other.authors.expand(theirs.stamp)
                        && slot.entry.content == theirs.content
                })
            })
    }
}
