//! A leaf of the tree: up to sixteen neighbouring runs.
//!
//! What is known of its runs stands in an array each, so that a search reads
//! one or two cache lines and has no branch to guess wrongly. It never knows how
//! many elements stand before it.

use crate::seq::run::{NONE, Run};

/// How many runs a leaf holds.
pub(super) const RUNS: usize = 16;

/// Invariant: the extents from `len` on are 0, which no run has.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Leaf {
    extents: [u32; RUNS],
    firsts: [u32; RUNS],
    lefts: [u32; RUNS],
    rights: [u32; RUNS],
    len: usize,
    pub(super) parent: u32,
    pub(super) previous: u32,
    pub(super) next: u32,
}

impl Leaf {
    pub(super) const fn new(parent: u32, previous: u32, next: u32) -> Self {
        let [extents, firsts, lefts, rights] = [[0; RUNS]; 4];
        Self { extents, firsts, lefts, rights, len: 0, parent, previous, next }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The run in a slot that has one.
    #[inline]
    pub(super) const fn run(&self, slot: usize) -> Run {
        Run::from_parts(self.firsts[slot], self.extents[slot], self.lefts[slot], self.rights[slot])
    }

    /// The first and the last element of the run in a slot, if it has one.
    #[inline]
    pub(super) fn ends(&self, slot: usize) -> Option<(u32, u32)> {
        let first = self.firsts.get(slot)?;
        let last = (self.extents[slot] >> 1).checked_sub(1)?;
        Some((*first, first + last))
    }

    /// The offset of an element in the run in a slot, if that has it.
    #[inline]
    pub(super) fn offset_in(&self, slot: usize, element: u32) -> Option<u32> {
        let offset = element.wrapping_sub(*self.firsts.get(slot)?);
        (offset < self.extents[slot] >> 1).then_some(offset)
    }

    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<Run> {
        (slot < self.len()).then(|| self.run(slot))
    }

    #[inline]
    pub(super) const fn set(&mut self, slot: usize, run: Run) {
        self.firsts[slot] = run.first();
        self.extents[slot] = run.extent();
        self.lefts[slot] = run.left();
        self.rights[slot] = run.right();
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        (0..self.len()).map(|slot| self.run(slot))
    }

    /// How many elements a reader sees.
    pub(super) fn visible(&self) -> u32 {
        self.visible_before(RUNS)
    }

    /// How many elements a reader sees before a slot.
    #[inline]
    pub(super) fn visible_before(&self, slot: usize) -> u32 {
        self.extents[..slot].iter().map(|extent| visible(*extent)).sum()
    }

    /// The run that ends with or after the `left`-th visible element, and how many
    /// of its elements go up to there; `left` is at least 1.
    #[inline]
    pub(super) fn after_visible(&self, mut left: u32) -> Option<(usize, u32)> {
        for (slot, extent) in self.extents.iter().enumerate() {
            let visible = visible(*extent);
            if left <= visible {
                return Some((slot, left));
            }
            left -= visible;
        }
        None
    }

    /// The slot of the run that has an element, which must be in one.
    #[inline]
    pub(super) fn slot_of(&self, element: u32) -> usize {
        let runs = self.firsts.iter().zip(&self.extents).zip(0_u32..);
        let found = runs.map(
            |((first, extent), slot)| {
                if element.wrapping_sub(*first) < extent >> 1 { slot } else { 0 }
            },
        );
        found.sum::<u32>() as usize
    }

    /// Adds a run behind the others, if there is room.
    #[inline]
    pub(super) const fn push(&mut self, run: Run) {
        self.set(self.len, run);
        self.len += 1;
    }

    /// Puts runs into the slots from `at` on, and what is there behind them; they must
    /// fit in.
    #[inline]
    pub(super) fn insert<const MORE: usize>(&mut self, at: usize, runs: [Run; MORE]) {
        let moved = u32::try_from(at).unwrap_or(NONE);
        for column in [&mut self.extents, &mut self.firsts, &mut self.lefts, &mut self.rights] {
            // No branch to guess wrongly, and no call: every slot gets one of two.
            let held = *column;
            let both = held[MORE..].iter().zip(&held);
            for ((new, (stays, comes)), slot) in column[MORE..].iter_mut().zip(both).zip(0_u32..) {
                *new = if slot < moved { *stays } else { *comes };
            }
        }
        self.len += MORE;
        for (slot, run) in (at..).zip(runs) {
            self.set(slot, run);
        }
    }

    /// Takes the runs in the slots from `at` on out.
    #[inline]
    fn remove<const FEWER: usize>(&mut self, at: usize) {
        let moved = u32::try_from(at).unwrap_or(NONE);
        for column in [&mut self.extents, &mut self.firsts, &mut self.lefts, &mut self.rights] {
            let held = *column;
            let both = held.iter().zip(&held[FEWER..]);
            for ((new, (stays, comes)), slot) in column.iter_mut().zip(both).zip(0_u32..) {
                *new = if slot < moved { *stays } else { *comes };
            }
        }
        self.extents[RUNS - FEWER..].fill(0);
        self.len -= FEWER;
    }

    /// Marks `len` elements of the run in a slot from an offset on, which are not
    /// marked so, and joins what fits together then. There must be room for two more
    /// runs. Returns the slot where the next edit is mostly made: that of the living
    /// run beside them.
    #[inline]
    pub(super) fn mark(&mut self, slot: usize, offset: u32, len: u32, dead: bool) -> usize {
        let run = self.run(slot);
        let rest = offset + len;
        let marked = run.part(offset, rest).with_dead(dead);
        if offset > 0 {
            self.set(slot, run.part(0, offset));
        }
        match (offset > 0, rest < run.len()) {
            (false, false) => return self.mark_whole(slot, marked),
            (true, true) => self.insert(slot + 1, [marked, run.part(rest, run.len())]),
            (true, false) => match self.get(slot + 1) {
                Some(next) if marked.continues_with(next) => {
                    self.set(slot + 1, marked.joined(next));
                }
                _ => self.insert(slot + 1, [marked]),
            },
            (false, true) => {
                self.set(slot, run.part(rest, run.len()));
                match slot.checked_sub(1).map(|before| (before, self.run(before))) {
                    Some((before, previous)) if previous.continues_with(marked) => {
                        self.set(before, previous.joined(marked));
                    }
                    _ => {
                        self.insert(slot, [marked]);
                        return slot + 1;
                    }
                }
            }
        }
        slot
    }

    fn mark_whole(&mut self, slot: usize, marked: Run) -> usize {
        let before = slot.saturating_sub(1);
        let previous = slot.checked_sub(1).map(|before| self.run(before));
        let previous = previous.filter(|previous| previous.continues_with(marked));
        let next = self.get(slot + 1).filter(|next| marked.continues_with(*next));
        match (previous, next) {
            (None, None) => self.set(slot, marked),
            (None, Some(next)) => {
                self.set(slot, marked.joined(next));
                self.remove::<1>(slot + 1);
            }
            (Some(previous), None) => {
                self.set(before, previous.joined(marked));
                self.remove::<1>(slot);
            }
            (Some(previous), Some(next)) => {
                self.set(before, previous.joined(marked).joined(next));
                self.remove::<2>(slot);
            }
        }
        before
    }

    /// Replaces the runs in the slots `from` to before `to`; they must fit in.
    pub(super) fn replace(&mut self, from: usize, to: usize, runs: &[Run]) {
        let len = self.len();
        let end = from + runs.len();
        if end != to {
            for column in [&mut self.extents, &mut self.firsts, &mut self.lefts, &mut self.rights] {
                column.copy_within(to..len, end);
            }
            let new = len + end - to;
            if new < len {
                self.extents[new..len].fill(0);
            }
            self.len = new;
        }
        for (slot, run) in (from..).zip(runs) {
            self.set(slot, *run);
        }
    }

    /// Moves the runs from slot `kept` on into an empty leaf.
    pub(super) fn split_into(&mut self, kept: usize, new: &mut Self) {
        let moved = self.len() - kept;
        new.extents[..moved].copy_from_slice(&self.extents[kept..kept + moved]);
        new.firsts[..moved].copy_from_slice(&self.firsts[kept..kept + moved]);
        new.lefts[..moved].copy_from_slice(&self.lefts[kept..kept + moved]);
        new.rights[..moved].copy_from_slice(&self.rights[kept..kept + moved]);
        new.len = moved;
        self.extents[kept..].fill(0);
        self.len = kept;
    }

    /// Whether this is the last leaf.
    pub(super) const fn is_last(&self) -> bool {
        self.next == NONE
    }
}

/// How many elements a reader sees of a run with this extent.
const fn visible(extent: u32) -> u32 {
    // No branch: the lowest bit says that it is dead.
    (extent >> 1) & (extent & 1).wrapping_sub(1)
}
