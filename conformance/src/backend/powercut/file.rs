//! What a disk holds of one file: the bytes that were synced, and the changes
//! since, of which any part may survive a power cut. It keeps them all until a
//! sync covers them, and never says that anything else is safe.

use crate::Rng;

/// How lucky one power cut is.
pub(super) struct Luck<'a> {
    rng: &'a mut Rng,
    /// In quarters: how likely a change survives. 0 and 4 are certain.
    likely: usize,
    /// What the disk writes as a whole, in bytes.
    unit: usize,
    /// Whether names survive in the order in which they changed, as on a file
    /// system with a journal, or each for itself.
    in_order: bool,
}

impl<'a> Luck<'a> {
    pub(super) fn new(rng: &'a mut Rng) -> Self {
        let likely = rng.below(5);
        let unit = if rng.below(2) == 0 { 512 } else { 4096 };
        let in_order = rng.below(2) == 0;
        Self { rng, likely, unit, in_order }
    }

    /// How many of so many changes to one thing survive, in their order.
    pub(super) fn kept(&mut self, of: usize) -> usize {
        match self.likely {
            0 => 0,
            likely if self.rng.below(4) < likely => of,
            _ => self.rng.below(of),
        }
    }

    /// Whether each of so many changes of names survives.
    pub(super) fn kept_names(&mut self, of: usize) -> Vec<bool> {
        if self.in_order {
            let kept = self.kept(of);
            (0..of).map(|name| name < kept).collect()
        } else {
            (0..of).map(|_| self.kept(1) == 1).collect()
        }
    }

    pub(super) fn described(&self) -> String {
        let Self { likely, unit, in_order, .. } = self;
        format!("{likely}/4 survive, units of {unit} bytes, names in order: {in_order}")
    }
}

/// A change of what a file holds.
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Zero { from: usize, to: usize },
    SetLength(usize),
}

struct Unsynced {
    /// The call that made it.
    call: usize,
    change: Change,
    /// How long the file is after it.
    length: usize,
}

/// What is known of one file.
#[derive(Default)]
pub(super) struct FileState {
    synced: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

impl FileState {
    /// A file of which all is on the disk.
    pub(super) fn synced(bytes: Vec<u8>) -> Self {
        Self { synced: bytes, unsynced: Vec::new() }
    }

    /// How long the file is for the process that writes it.
    pub(super) fn length(&self) -> usize {
        self.unsynced.last().map_or(self.synced.len(), |last| last.length)
    }

    pub(super) fn change(&mut self, call: usize, change: Change) {
        let before = self.length();
        let length = match &change {
            Change::Write { at, bytes } => before.max(at + bytes.len()),
            Change::Zero { .. } => before,
            Change::SetLength(length) => *length,
        };
        self.unsynced.push(Unsynced { call, change, length });
    }

    /// The calls whose changes are not on the disk.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = usize> {
        self.unsynced.iter().map(|unsynced| unsynced.call)
    }

    /// The changes of these calls, given in order, are on the disk.
    pub(super) fn sync(&mut self, calls: &[usize]) {
        let (now, later) = std::mem::take(&mut self.unsynced)
            .into_iter()
            .partition(|unsynced| calls.binary_search(&unsynced.call).is_ok());
        self.unsynced = later;
        for Unsynced { change, length, .. } in now {
            let before = self.synced.len();
            self.synced.resize(before.max(length), 0);
            if let Some((from, to)) = touched(&change, before) {
                write(&mut self.synced, &change, from, to);
            }
            if let Change::SetLength(length) = change {
                self.synced.truncate(length);
            }
        }
    }

    /// What a power cut leaves.
    pub(super) fn survivor(&self, luck: &mut Luck<'_>) -> Vec<u8> {
        let lengths: Vec<_> = self.unsynced.iter().map(|unsynced| unsynced.length).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0).max(self.synced.len());
        let units = longest.div_ceil(luck.unit);
        let mut changes = vec![0_usize; units];
        self.each_piece(luck.unit, |_, unit, _, _| {
            if let Some(count) = changes.get_mut(unit) {
                *count += 1;
            }
        });
        let mut left: Vec<_> = changes.into_iter().map(|count| luck.kept(count)).collect();
        let mut bytes = self.synced.clone();
        bytes.resize(longest, 0);
        self.each_piece(luck.unit, |change, unit, from, to| {
            if let Some(left) = left.get_mut(unit).filter(|left| **left > 0) {
                *left -= 1;
                write(&mut bytes, change, from, to);
            }
        });
        let kept = luck.kept(lengths.len()).checked_sub(1).and_then(|last| lengths.get(last));
        bytes.resize(kept.copied().unwrap_or(self.synced.len()), 0);
        bytes
    }

    /// Every change, cut at the units that the disk writes as a whole.
    fn each_piece(&self, unit: usize, mut piece: impl FnMut(&Change, usize, usize, usize)) {
        let mut before = self.synced.len();
        for Unsynced { change, length, .. } in &self.unsynced {
            if let Some((from, to)) = touched(change, before) {
                for number in from / unit..to.div_ceil(unit) {
                    let start = number * unit;
                    piece(change, number, from.max(start), to.min(start + unit));
                }
            }
            before = *length;
        }
    }
}

/// Which bytes of a file of this length a change gives a new value.
fn touched(change: &Change, before: usize) -> Option<(usize, usize)> {
    let (from, to) = match change {
        Change::Write { at, bytes } => (*at, at + bytes.len()),
        Change::Zero { from, to } => (*from, (*to).min(before)),
        Change::SetLength(length) => (*length, before),
    };
    (from < to).then_some((from, to))
}

/// Carries out one piece of a change.
fn write(bytes: &mut [u8], change: &Change, from: usize, to: usize) {
    let Some(place) = bytes.get_mut(from..to) else { return };
    match change {
        Change::Write { at, bytes } => {
            if let Some(new) = bytes.get(from - at..to - at) {
                place.copy_from_slice(new);
            }
        }
        Change::Zero { .. } | Change::SetLength(_) => place.fill(0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::collections::BTreeSet;

    fn survivors(file: &FileState) -> BTreeSet<Vec<u8>> {
        let mut rng = Rng::new(7);
        (0..2000).map(|_| file.survivor(&mut Luck::new(&mut rng))).collect()
    }

    fn write_at(at: usize, byte: u8, length: usize) -> Change {
        Change::Write { at, bytes: vec![byte; length] }
    }

    #[test]
    fn what_was_synced_survives_and_nothing_else_must() {
        let mut file = FileState::synced(b"old".to_vec());
        file.change(0, write_at(0, b'n', 3));
        assert_eq!(survivors(&file), [b"nnn".to_vec(), b"old".to_vec()].into());
        file.sync(&[0]);
        assert_eq!(survivors(&file), [b"nnn".to_vec()].into());
    }

    #[test]
    fn a_sync_covers_only_the_calls_that_had_returned() {
        let mut file = FileState::synced(vec![b'o'; 8192]);
        file.change(0, write_at(0, b'a', 1));
        file.change(1, write_at(8000, b'b', 1));
        file.sync(&[0]);
        let found = survivors(&file);
        assert!(found.iter().all(|bytes| bytes.first() == Some(&b'a')));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn writes_tear_at_units_and_come_out_of_order() {
        let mut file = FileState::synced(vec![b'o'; 1024]);
        file.change(0, write_at(0, b'a', 1024));
        file.change(1, write_at(512, b'b', 512));
        let found = survivors(&file);
        let shown: BTreeSet<_> =
            found.iter().map(|bytes| [*bytes.first().unwrap(), *bytes.last().unwrap()]).collect();
        assert_eq!(shown, [*b"oo", *b"oa", *b"ob", *b"ao", *b"aa", *b"ab"].into());
        let whole =
            |bytes: &Vec<u8>| bytes.chunks(512).all(|unit| unit.iter().min() == unit.iter().max());
        assert!(found.iter().all(whole));
    }

    #[test]
    fn a_length_may_be_lost_or_kept_without_the_bytes() {
        let mut file = FileState::default();
        file.change(0, write_at(0, b'a', 3));
        assert_eq!(survivors(&file), [vec![], vec![0; 3], b"aaa".to_vec()].into());
        file.sync(&[0]);
        file.change(1, Change::SetLength(1));
        file.change(2, Change::SetLength(2));
        let cut =
            [b"aaa".to_vec(), b"a".to_vec(), b"a\0".to_vec(), b"aa".to_vec(), b"a\0\0".to_vec()];
        assert_eq!(survivors(&file), cut.into());
        file.sync(&[1, 2]);
        assert_eq!(survivors(&file), [b"a\0".to_vec()].into());
    }
}
