//! How the order changes: runs come, go, and are marked. What is next to each
//! other and fits together is joined; the latest run is kept at hand.

use super::leaf::Leaf;
use super::{Hot, Spot, Tip, Tree};
use crate::seq::run::{NONE, Run};

impl Tree {
    /// How many visible elements stand before the end of the run of the latest
    /// edit, or [`NONE`] if nobody asked for its place, if elements that go on there can be joined to it: it is alive, ends
    /// with the element before `first`, and nothing is between it and its right
    /// origin.
    pub(crate) fn open_end(&self, first: u32) -> Option<u32> {
        let Tip { leaf: number, run: slot, before } = self.tip;
        let leaf = self.leaves.get(number as usize)?;
        let run = leaf.get(slot)?;
        if run.is_dead() || run.end() != first || self.hot.leaf != number {
            return None;
        }
        let next = match leaf.get(slot + 1) {
            Some(next) => next.first(),
            None if leaf.is_last() => NONE,
            None => self.next(Spot { leaf: number, run: slot, offset: run.len() }),
        };
        let end = self.tip_start().map_or(NONE, |start| start + before + run.len());
        (next == run.right()).then_some(end)
    }

    /// Joins `len` more elements to the run of the latest edit. Nothing must have
    /// changed since [`Tree::open_end`] said that it can be done.
    #[inline]
    pub(crate) fn extend(&mut self, len: u32) {
        let Tip { leaf, run, .. } = self.tip;
        let leaf = &mut self.leaves[leaf as usize];
        let longer = leaf.run(run).longer(len);
        leaf.set(run, longer);
        self.places.extend(longer.end());
        self.count(len, 0);
    }

    /// Puts a run of new elements at a place.
    pub(crate) fn insert(&mut self, spot: Spot, run: Run) {
        self.heat(spot.leaf);
        let leaf = &mut self.leaves[spot.leaf as usize];
        let held = leaf.run(spot.run);
        if spot.offset > 0 && spot.offset == held.len() && held.continues_with(run) {
            leaf.set(spot.run, held.joined(run));
            self.places.set(run.first(), run.end(), spot.leaf);
            self.count(run.visible(), 0);
            self.touch(spot.leaf, spot.run);
        } else {
            self.splice(spot, 0, Some(run));
        }
    }

    /// Marks elements with consecutive handles dead or alive, and tells which
    /// stretches of them were not before they change, with their places.
    pub(crate) fn mark(
        &mut self,
        first: u32,
        len: u32,
        dead: bool,
        mut changes: impl FnMut(&Self, Spot, u32, u32),
    ) {
        let end = first + len;
        let mut element = first;
        while element < end {
            let spot = self.before(element);
            let run = self.leaves[spot.leaf as usize].run(spot.run);
            let count = (run.len() - spot.offset).min(end - element);
            if run.is_dead() != dead {
                changes(self, spot, element, count);
                self.heat(spot.leaf);
                let Spot { leaf, run, offset } = self.make_room(spot);
                self.heat(leaf);
                let run = self.leaves[leaf as usize].mark(run, offset, count, dead);
                let (more, fewer) = if dead { (0, count) } else { (count, 0) };
                self.count(more, fewer);
                self.touch(leaf, run);
            }
            element += count;
        }
    }

    /// Takes the elements from `first` on out; their handles may be used again.
    pub(crate) fn truncate(&mut self, first: u32) {
        let end = self.places.end();
        let mut element = first;
        while element < end {
            if !self.holds(element) {
                element += 1;
                continue;
            }
            let spot = self.before(element);
            let run = self.leaves[spot.leaf as usize].run(spot.run);
            let count = (run.len() - spot.offset).min(end - element);
            self.heat(spot.leaf);
            self.splice(spot, count, None);
            element += count;
        }
        self.places.truncate(first);
    }

    /// Replaces `removed` elements of one run, from a place on, by a run; joins
    /// what fits together around it. The place must be in the hot leaf.
    fn splice(&mut self, spot: Spot, removed: u32, middle: Option<Run>) {
        let spot = self.make_room(spot);
        self.heat(spot.leaf);
        let gone = self.replace(spot, removed, middle);
        self.count(middle.map_or(0, Run::visible), gone);
        self.touch(spot.leaf, spot.run + usize::from(spot.offset > 0));
    }

    /// [`Tree::splice`] without counting, in a leaf that has room for two more runs:
    /// how many visible elements are gone.
    fn replace(&mut self, spot: Spot, removed: u32, middle: Option<Run>) -> u32 {
        let leaf = &mut self.leaves[spot.leaf as usize];
        if let Some(run) = middle.filter(|_| removed == 0)
            && Self::insert_apart(leaf, spot, run)
        {
            self.places.set(run.first(), run.end(), spot.leaf);
            return 0;
        }
        let mut pieces = Pieces::default();
        let from = spot.run.saturating_sub(1);
        let mut to = spot.run;
        let mut gone = 0;
        if from < spot.run {
            pieces.push(leaf.run(from));
        }
        match leaf.get(spot.run) {
            Some(run) => {
                let after = spot.offset + removed;
                gone = run.part(0, removed).visible();
                pieces.push_part(run, 0, spot.offset);
                pieces.extend(middle);
                pieces.push_part(run, after, run.len());
                to += 1;
                if let Some(next) = leaf.get(to) {
                    pieces.push(next);
                    to += 1;
                }
            }
            None => pieces.extend(middle),
        }
        leaf.replace(from, to, &pieces.runs[..pieces.len]);
        // Elements that are only marked have been moved with their leaf already.
        if let Some(run) = middle.filter(|_| removed == 0) {
            self.places.set(run.first(), run.end(), spot.leaf);
        }
        gone
    }

    /// Inserts a run into another or right after it, if it is joined to nothing there.
    #[inline]
    fn insert_apart(leaf: &mut Leaf, spot: Spot, run: Run) -> bool {
        let Some(held) = leaf.get(spot.run).filter(|_| spot.offset > 0) else { return false };
        let end = held.len();
        if spot.offset < end {
            // Nothing comes between an element and the one that continues it.
            leaf.set(spot.run, held.part(0, spot.offset));
            leaf.insert(spot.run + 1, [run, held.part(spot.offset, end)]);
            return true;
        }
        let next = leaf.get(spot.run + 1);
        if held.continues_with(run) || next.is_some_and(|next| run.continues_with(next)) {
            return false;
        }
        leaf.insert(spot.run + 1, [run]);
        true
    }

    /// Makes a run of the hot leaf that of the latest edit.
    #[inline]
    fn touch(&mut self, leaf: u32, run: usize) {
        let before = self.leaves[leaf as usize].visible_before(run);
        self.tip = Tip { leaf, run, before };
    }

    /// Counts a change of the hot leaf.
    #[inline]
    fn count(&mut self, more: u32, fewer: u32) {
        let delta = more.wrapping_sub(fewer);
        self.visible = self.visible.wrapping_add(delta);
        self.hot.delta = self.hot.delta.wrapping_add(delta.cast_signed());
        self.hot.visible = self.hot.visible.wrapping_add(delta);
        self.start.forget();
    }

    /// Makes a leaf the hot one.
    #[inline]
    fn heat(&mut self, leaf: u32) {
        if self.hot.leaf != leaf || self.hot.start == NONE {
            let start = self.start.of(leaf).unwrap_or(NONE);
            if self.hot.leaf != leaf {
                self.cool();
                self.hot.visible = self.leaves[leaf as usize].visible();
            }
            self.hot = Hot { leaf, start, ..self.hot };
        }
    }

    /// Brings the nodes above the hot leaf up to date.
    pub(super) fn cool(&mut self) {
        self.start.forget();
        let Hot { leaf, delta, .. } = std::mem::replace(&mut self.hot, Hot::NOWHERE);
        if leaf == NONE || delta == 0 {
            return;
        }
        let mut child = leaf;
        let mut parent = self.leaves[leaf as usize].parent;
        while parent != NONE {
            let node = &mut self.nodes[parent as usize];
            let slot = node.slot_of(child);
            node.visible[slot] = node.visible[slot].wrapping_add(delta.cast_unsigned());
            (child, parent) = (parent, node.parent);
        }
    }
}

/// Up to five neighbouring runs, joined where they fit together.
#[derive(Default)]
struct Pieces {
    runs: [Run; 5],
    len: usize,
}

impl Pieces {
    fn push(&mut self, run: Run) {
        if let Some(last) = self.len.checked_sub(1)
            && self.runs[last].continues_with(run)
        {
            self.runs[last] = self.runs[last].joined(run);
            return;
        }
        self.runs[self.len] = run;
        self.len += 1;
    }

    fn push_part(&mut self, run: Run, from: u32, to: u32) {
        if from < to {
            self.push(run.part(from, to));
        }
    }

    fn extend(&mut self, run: Option<Run>) {
        if let Some(run) = run {
            self.push(run);
        }
    }
}
