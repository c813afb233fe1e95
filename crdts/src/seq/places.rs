//! Which leaf each element is in, as a tree of tables by the digits of handles.
//!
//! Finding a leaf takes three steps at most, and a stretch in one leaf takes
//! memory for its two ends only, however long it is. It never knows what else is
//! in a leaf, nor in what order.
#![allow(clippy::indexing_slicing, reason = "digits and numbers of tables are made here")]

use crate::seq::room;
use crate::seq::run::NONE;

/// How many bits of a handle a page, a table and an entry at the top stand for.
const PAGE_BITS: u32 = 4;
const TABLE_BITS: u32 = 6;
const TOP_BITS: u32 = PAGE_BITS + 2 * TABLE_BITS;

const PAGE: usize = 1 << PAGE_BITS;
const TABLE: usize = 1 << TABLE_BITS;

/// A leaf, or [`NONE`], for all that an entry stands for; else this bit and the
/// number of the table, or of the page at the lowest level, that has it apart.
const APART: u32 = 1 << 31;

/// A map from the handles `0..end` to leaves, or to [`NONE`].
///
/// Invariant: the tables hold what is true of the handles below `tail`; those
/// from there on are all in `tail_leaf`.
#[derive(Clone)]
pub(crate) struct Places {
    top: Vec<u32>,
    tables: Vec<[u32; TABLE]>,
    pages: Vec<[u32; PAGE]>,
    free_tables: Vec<u32>,
    free_pages: Vec<u32>,
    /// The latest handles mostly get their leaf together: they wait here.
    tail: u32,
    tail_leaf: u32,
    end: u32,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            top: Vec::new(),
            tables: Vec::new(),
            pages: Vec::new(),
            free_tables: Vec::new(),
            free_pages: Vec::new(),
            tail: 0,
            tail_leaf: NONE,
            end: 0,
        }
    }
}

const fn is_apart(entry: u32) -> bool {
    entry & APART != 0 && entry != NONE
}

const fn number(entry: u32) -> usize {
    (entry & !APART) as usize
}

const fn digit(handle: u32, below: u32) -> usize {
    (handle >> below) as usize & (TABLE - 1)
}

impl Places {
    /// The handle after the last.
    pub(crate) const fn end(&self) -> u32 {
        self.end
    }

    /// The leaf of an element. O(1).
    #[inline]
    pub(crate) fn get(&self, element: u32) -> u32 {
        if element >= self.tail {
            return if element < self.end { self.tail_leaf } else { NONE };
        }
        let (entry, is_page) = self.lowest(element);
        if is_page { self.pages[number(entry)][element as usize & (PAGE - 1)] } else { entry }
    }

    /// What stands for a handle below `tail`, and whether that is a page.
    #[inline]
    fn lowest(&self, element: u32) -> (u32, bool) {
        let mut entry = self.top[(element >> TOP_BITS) as usize];
        for below in [PAGE_BITS + TABLE_BITS, PAGE_BITS] {
            if !is_apart(entry) {
                return (entry, false);
            }
            entry = self.tables[number(entry)][digit(element, below)];
        }
        (entry, is_apart(entry))
    }

    /// The lowest table for a handle, if there is one.
    #[inline]
    fn lowest_table(&self, element: u32) -> Option<usize> {
        let above = *self.top.get((element >> TOP_BITS) as usize)?;
        let held = |entry: u32| is_apart(entry).then(|| number(entry));
        held(self.tables[held(above)?][digit(element, PAGE_BITS + TABLE_BITS)])
    }

    /// Puts the elements from `first` to before `end` into a leaf. O(1) but for
    /// the number of entries that stand for all of them.
    #[inline]
    pub(crate) fn set(&mut self, first: u32, end: u32, leaf: u32) {
        let is_set = end <= self.tail
            && (self.set_in_page(first, end, leaf) || self.set_in_table(first, end, leaf));
        if !is_set {
            self.set_any(first, end, leaf);
        }
    }

    /// Puts elements that one page stands for into a leaf, if that is there.
    #[inline]
    fn set_in_page(&mut self, first: u32, end: u32, leaf: u32) -> bool {
        if first >> PAGE_BITS != (end - 1) >> PAGE_BITS {
            return false;
        }
        let Some(table) = self.lowest_table(first) else { return false };
        let page = self.tables[table][digit(first, PAGE_BITS)];
        if !is_apart(page) {
            return false;
        }
        let from = first as usize & (PAGE - 1);
        for held in &mut self.pages[number(page)][from..from + (end - first) as usize] {
            *held = leaf;
        }
        true
    }

    /// Puts elements that one lowest table stands for into a leaf, if that is there.
    #[inline]
    fn set_in_table(&mut self, first: u32, end: u32, leaf: u32) -> bool {
        if first >> (PAGE_BITS + TABLE_BITS) != (end - 1) >> (PAGE_BITS + TABLE_BITS) {
            return false;
        }
        let Some(table) = self.lowest_table(first) else { return false };
        let mut at = first;
        while at < end {
            let start = at >> PAGE_BITS << PAGE_BITS;
            let until = (end - start).min(1 << PAGE_BITS);
            let held = self.tables[table][digit(at, PAGE_BITS)];
            let new = self.filled(held, PAGE_BITS, at - start, until, leaf);
            self.tables[table][digit(at, PAGE_BITS)] = new;
            at = start + until;
        }
        true
    }

    fn set_any(&mut self, first: u32, end: u32, leaf: u32) {
        if first > self.end {
            self.begin_tail(self.end, NONE);
            self.end = first;
        }
        if end >= self.end && first >= self.tail {
            // What goes on where the tail is belongs to it.
            if leaf != self.tail_leaf || self.tail == self.end {
                self.begin_tail(first, leaf);
            }
            self.end = end;
        } else {
            self.begin_tail(self.end, NONE);
            self.overwrite(first, end.min(self.end), leaf);
            if end > self.end {
                self.begin_tail(self.end, leaf);
                self.end = end;
            }
        }
    }

    /// Puts the elements up to before `end` where the last one is.
    #[inline]
    pub(crate) const fn extend(&mut self, end: u32) {
        self.end = end;
    }

    /// Forgets the elements from `first` on.
    pub(crate) fn truncate(&mut self, first: u32) {
        self.end = self.end.min(first);
        self.tail = self.tail.min(first);
        let kept = (self.tail as usize).div_ceil(1 << TOP_BITS);
        while self.top.len() > kept {
            let entry = self.top.pop().unwrap_or(NONE);
            self.release(entry, TOP_BITS);
        }
    }

    /// Puts the elements from `first` on, which is after all that were put before,
    /// into a leaf. Up to where, [`Places::extend`] says.
    #[inline]
    pub(crate) fn append(&mut self, first: u32, leaf: u32) {
        if leaf != self.tail_leaf {
            self.begin_tail(first, leaf);
            self.end = first;
        }
    }

    /// Lets another tail begin at `first`, which is not before this one's start.
    fn begin_tail(&mut self, first: u32, leaf: u32) {
        if self.tail < first {
            // Nothing is known yet of what comes after, so pages are filled up.
            let whole = first.next_multiple_of(1 << PAGE_BITS);
            if !self.set_in_page(self.tail, first, self.tail_leaf)
                && !self.set_in_table(self.tail, whole, self.tail_leaf)
            {
                self.overwrite(self.tail, whole, self.tail_leaf);
            }
        }
        (self.tail, self.tail_leaf) = (first, leaf);
    }

    fn overwrite(&mut self, first: u32, end: u32, leaf: u32) {
        let needed = (end as usize).div_ceil(1 << TOP_BITS);
        if self.top.len() < needed {
            self.top.resize(needed, leaf);
        }
        let mut at = first;
        while at < end {
            let slot = at >> TOP_BITS;
            let start = slot << TOP_BITS;
            let to = (end - start).min(1 << TOP_BITS);
            let held = self.top[slot as usize];
            self.top[slot as usize] = self.filled(held, TOP_BITS, at - start, to, leaf);
            at = start + to;
        }
    }

    /// The entry instead of `held`, which stands for as many handles as `bits`
    /// tell apart, when those `from` to before `to` are in a leaf.
    #[inline]
    fn filled(&mut self, held: u32, bits: u32, from: u32, to: u32, leaf: u32) -> u32 {
        if !is_apart(held) && (held == leaf || from == 0 && to == 1 << bits) {
            return leaf;
        }
        self.filled_apart(held, bits, from, to, leaf)
    }

    fn filled_apart(&mut self, held: u32, bits: u32, from: u32, to: u32, leaf: u32) -> u32 {
        if from == 0 && to == 1 << bits {
            self.release(held, bits);
            return leaf;
        }
        if bits == PAGE_BITS {
            let page = if is_apart(held) { held } else { self.new_page(held) };
            self.pages[number(page)][from as usize..to as usize].fill(leaf);
            return page;
        }
        let table = if is_apart(held) { held } else { self.new_table(held) };
        let below = bits - TABLE_BITS;
        let mut at = from;
        while at < to {
            let start = at >> below << below;
            let until = (to - start).min(1 << below);
            let held = self.tables[number(table)][digit(at, below)];
            let new = self.filled(held, below, at - start, until, leaf);
            self.tables[number(table)][digit(at, below)] = new;
            at = start + until;
        }
        table
    }

    fn new_page(&mut self, leaf: u32) -> u32 {
        if let Some(free) = self.free_pages.pop() {
            self.pages[number(free)] = [leaf; PAGE];
            return free;
        }
        room::push(&mut self.pages, [leaf; PAGE]);
        apart(self.pages.len() - 1)
    }

    fn new_table(&mut self, leaf: u32) -> u32 {
        if let Some(free) = self.free_tables.pop() {
            self.tables[number(free)] = [leaf; TABLE];
            return free;
        }
        room::push(&mut self.tables, [leaf; TABLE]);
        apart(self.tables.len() - 1)
    }

    fn release(&mut self, entry: u32, bits: u32) {
        if !is_apart(entry) {
            return;
        }
        if bits == PAGE_BITS {
            self.free_pages.push(entry);
            return;
        }
        for child in self.tables[number(entry)] {
            self.release(child, bits - TABLE_BITS);
        }
        self.free_tables.push(entry);
    }
}

fn apart(number: usize) -> u32 {
    // There are fewer pages than elements, and tables than pages: fewer than 2^31.
    u32::try_from(number).map_or(NONE, |number| number | APART)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the places say and what they must say, in one.
    #[derive(Default)]
    struct Checked {
        places: Places,
        model: Vec<u32>,
    }

    impl Checked {
        fn set(&mut self, first: u32, len: u32, leaf: u32) {
            let end = first + len;
            self.model.resize(self.model.len().max(end as usize), NONE);
            self.model[first as usize..end as usize].fill(leaf);
            self.places.set(first, end, leaf);
        }

        fn truncate(&mut self, first: u32) {
            self.model.truncate(first as usize);
            self.places.truncate(first);
        }

        fn check(&self) -> Result<(), TestCaseError> {
            prop_assert_eq!(self.places.end() as usize, self.model.len());
            for (element, leaf) in (0..).zip(&self.model) {
                prop_assert_eq!(self.places.get(element), *leaf, "of {}", element);
            }
            prop_assert_eq!(self.places.get(self.places.end()), NONE);
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn every_element_is_where_it_was_put_last(
            steps in prop::collection::vec((0_u32..400, 1_u32..100, 0_u32..5, 0_u8..20), 1..120)
        ) {
            let mut checked = Checked::default();
            for (first, len, leaf, kind) in steps {
                match kind {
                    0 => checked.truncate(first),
                    1..15 => checked.set(first, 1 + len % 3, leaf),
                    _ => checked.set(first, len, leaf),
                }
                checked.check()?;
            }
        }

        #[test]
        fn long_stretches_end_where_they_end(
            steps in prop::collection::vec(
                (0_u32..2, 0_u32..9, 0_u32..4, 1_u32..70_000, 0_u32..3, 0_u8..12), 1..20)
        ) {
            let mut checked = Checked::default();
            for (tops, tables, pages, len, leaf, kind) in steps {
                // Mostly at the edges of what pages, tables and the top stand for.
                let first = (tops << TOP_BITS) + (tables << 10) + (pages << PAGE_BITS);
                let len = match kind {
                    0..4 => len,
                    4 => 1 << PAGE_BITS,
                    5 => 1 << 10,
                    6 => 1 << TOP_BITS,
                    _ => 1 + len % 40,
                };
                if kind == 11 {
                    checked.truncate(first);
                } else {
                    checked.set(first, len, leaf);
                }
            }
            checked.check()?;
        }
    }

    #[test]
    fn a_stretch_takes_memory_for_its_ends_only() {
        let mut places = Places::default();
        for leaf in 0..10 {
            places.set(leaf * 100_000_000, (leaf + 1) * 100_000_000, leaf);
        }
        for _ in 0..1000 {
            places.set(5, 1_999_999_990, 11);
            places.set(7, 1_999_999_980, 12);
        }
        assert!(places.pages.len() < 100 && places.tables.len() < 100);
        assert_eq!([places.get(6), places.get(7), places.get(999_999_979)], [11, 12, 12]);
        assert_eq!([places.get(999_999_999), places.get(1_999_999_990)], [12, NONE]);
    }
}
