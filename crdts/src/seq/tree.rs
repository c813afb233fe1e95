//! The order of a sequence: a B+tree of runs, in the order a reader sees them.
//!
//! It finds the place of an element and of a position in O(log n), and keeps the
//! leaf of the latest edit at hand, so that typing costs O(1). It never decides
//! where an element belongs, and knows no dots.
#![allow(clippy::indexing_slicing, reason = "numbers of leaves, nodes and slots are made here")]

mod bulk;
mod edit;
mod growth;
mod leaf;

pub(crate) use bulk::Bulk;

use crate::seq::guess::Start;
use crate::seq::places::Places;
use crate::seq::run::{NONE, Run};
use leaf::Leaf;

/// How many children a node has.
const FANOUT: usize = 16;

/// A place in a leaf: before the element at `offset` of a run, or after its last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    leaf: u32,
    run: usize,
    offset: u32,
}

/// Invariants: leaf 0 is the first; `places` holds the leaf of every element, or
/// [`NONE`]; the counts in the nodes are exact but for the hot leaf's `delta`.
#[derive(Clone)]
pub(crate) struct Tree {
    leaves: Vec<Leaf>,
    nodes: Vec<Node>,
    root: u32,
    height: u32,
    visible: u32,
    places: Places,
    hot: Hot,
    tip: Tip,
    /// Where the leaf starts in which the latest search by position ended: the next
    /// edit is mostly made there.
    start: Start,
}

/// Children are leaves in the lowest nodes, and nodes in the others.
#[derive(Clone)]
struct Node {
    children: [u32; FANOUT],
    visible: [u32; FANOUT],
    len: usize,
    parent: u32,
}

/// The leaf of the latest edit, and by how much more it shows than the nodes above
/// it say.
#[derive(Clone, Copy)]
struct Hot {
    leaf: u32,
    delta: i32,
    /// How many visible elements stand before it, or [`NONE`] if nobody asked.
    start: u32,
    /// How many it has.
    visible: u32,
}

impl Hot {
    const NOWHERE: Self = Self { leaf: NONE, delta: 0, start: NONE, visible: 0 };
}

/// The run of the latest edit and how many visible elements of its leaf stand
/// before it: the next edit mostly concerns it too.
#[derive(Clone, Copy)]
struct Tip {
    leaf: u32,
    run: usize,
    before: u32,
}

impl Node {
    const EMPTY: Self =
        Self { children: [NONE; FANOUT], visible: [0; FANOUT], len: 0, parent: NONE };

    fn slot_of(&self, child: u32) -> usize {
        // No child is there twice, and there is none in the slots that are free: so
        // this needs no branches, and finds all of them at once.
        let slots = self.children.iter().zip(0_u32..);
        slots.map(|(held, slot)| if *held == child { slot } else { 0 }).sum::<u32>() as usize
    }

    fn visible_before(&self, slot: usize) -> u32 {
        self.visible[..slot].iter().sum()
    }

    /// The child that has the `left`-th visible element, of which there must be as
    /// many, and which of its own that is.
    #[inline]
    fn slot_at(&self, mut left: u32) -> (usize, u32) {
        let last = self.len.saturating_sub(1).min(FANOUT - 1);
        for (slot, visible) in self.visible[..last].iter().enumerate() {
            if left <= *visible {
                return (slot, left);
            }
            left -= visible;
        }
        (last, left)
    }

    fn insert(&mut self, slot: usize, child: u32, visible: u32) {
        self.children.copy_within(slot..self.len, slot + 1);
        self.visible.copy_within(slot..self.len, slot + 1);
        self.children[slot] = child;
        self.visible[slot] = visible;
        self.len += 1;
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            leaves: vec![Leaf::new(NONE, NONE, NONE)],
            nodes: Vec::new(),
            root: 0,
            height: 0,
            visible: 0,
            places: Places::default(),
            hot: Hot::NOWHERE,
            tip: Tip { leaf: 0, run: 0, before: 0 },
            start: Start::default(),
        }
    }
}

impl Tree {
    /// How many elements a reader sees. O(1).
    pub(crate) const fn visible(&self) -> u32 {
        self.visible
    }

    /// Every run, in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let next = |leaf: &&'_ Leaf| self.leaves.get(leaf.next as usize);
        std::iter::successors(self.leaves.first(), next).flat_map(Leaf::runs)
    }

    /// The runs from this place on, the first without what is before the place.
    pub(crate) fn runs_from(&self, spot: Spot) -> impl Iterator<Item = Run> + '_ {
        let mut leaf = &self.leaves[spot.leaf as usize];
        let mut run = spot.run;
        let mut offset = spot.offset;
        std::iter::from_fn(move || {
            loop {
                if let Some(found) = leaf.get(run) {
                    let from = std::mem::take(&mut offset);
                    run += 1;
                    if from < found.len() {
                        return Some(found.part(from, found.len()));
                    }
                } else {
                    leaf = self.leaves.get(leaf.next as usize)?;
                    run = 0;
                    offset = 0;
                }
            }
        })
    }

    /// The place before everything.
    pub(crate) const fn start(&self) -> Spot {
        Spot { leaf: 0, run: 0, offset: 0 }
    }

    /// The place right after the `index` first visible elements, of which there
    /// must be as many. O(log n), near the latest edit O(1).
    pub(crate) fn after_visible(&self, index: u32) -> Spot {
        if let Some(spot) = self.within_tip(index) {
            return spot;
        }
        if index == 0 {
            self.start.set(0, 0);
            return self.start();
        }
        let (mut child, mut left) = (self.root, index);
        let Hot { leaf: hot, start, delta, visible } = self.hot;
        if start != NONE || delta != 0 {
            let start = self.hot_start();
            if index > start + visible {
                left = left.wrapping_sub(delta.cast_unsigned());
            } else if index > start {
                return self.within(hot, start, index - start).unwrap_or_else(|| self.start());
            }
        }
        for _ in 0..self.height {
            let node = &self.nodes[child as usize];
            let (slot, within) = node.slot_at(left);
            (child, left) = (node.children[slot], within);
        }
        self.within(child, index - left, left).unwrap_or_else(|| self.start())
    }

    /// The place before the `index`-th visible element, which there must be.
    pub(crate) fn at_visible(&self, index: u32) -> Spot {
        let spot = self.after_visible(index + 1);
        Spot { offset: spot.offset - 1, ..spot }
    }

    #[inline]
    fn within_tip(&self, index: u32) -> Option<Spot> {
        let Tip { leaf, run, before } = self.tip;
        let start = self.tip_start()? + before;
        let offset = index.checked_sub(start).filter(|offset| *offset > 0)?;
        let visible = self.leaves.get(leaf as usize)?.get(run)?.visible();
        (offset <= visible).then_some(Spot { leaf, run, offset })
    }

    /// How many visible elements stand before the leaf of the tip, if that is known.
    #[inline]
    fn tip_start(&self) -> Option<u32> {
        self.start_if_hot(self.tip.leaf)
    }

    /// How many visible elements stand before a leaf, if it is the hot one and that is
    /// known.
    #[inline]
    fn start_if_hot(&self, leaf: u32) -> Option<u32> {
        let Hot { leaf: hot, start, .. } = self.hot;
        (hot == leaf && start != NONE).then_some(start)
    }

    /// How many visible elements stand before the hot leaf, which there must be.
    #[inline]
    fn hot_start(&self) -> u32 {
        if self.hot.start == NONE { self.counted_before(self.hot.leaf) } else { self.hot.start }
    }

    /// The `index`-th visible element, if it and the `count - 1` after it are in
    /// the run of the latest edit.
    #[inline]
    pub(crate) fn living_in_tip(&self, index: u32, count: u32) -> Option<u32> {
        let Tip { leaf, run, before } = self.tip;
        let offset = index.checked_sub(self.tip_start()? + before)?;
        let run = self.leaves.get(leaf as usize)?.get(run)?;
        let left = run.visible().checked_sub(offset)?;
        (count <= left).then_some(run.first() + offset)
    }

    /// The place right after the `left` first visible elements of a leaf that starts
    /// at `start`, if it has as many; `left` is at least 1.
    #[inline]
    fn within(&self, leaf: u32, start: u32, left: u32) -> Option<Spot> {
        let (run, offset) = self.leaves[leaf as usize].after_visible(left)?;
        self.start.set(leaf, start);
        Some(Spot { leaf, run, offset })
    }

    /// The right origin of the element before a place that is not at the start of
    /// its run.
    pub(crate) fn right_before(&self, spot: Spot) -> u32 {
        self.leaves[spot.leaf as usize].run(spot.run).right()
    }

    /// The run around a place that is not at its start.
    pub(crate) fn run_before(&self, spot: Spot) -> Option<(Run, u32)> {
        let run = self.leaves[spot.leaf as usize].get(spot.run);
        run.filter(|_| spot.offset > 0).map(|run| (run, spot.offset))
    }

    /// Whether the element has a place.
    pub(crate) fn holds(&self, element: u32) -> bool {
        self.places.get(element) != NONE
    }

    /// The place before an element, which must have one. O(1).
    #[inline]
    pub(crate) fn before(&self, element: u32) -> Spot {
        let Tip { leaf, run, .. } = self.tip;
        if let Some(offset) = self.leaves[leaf as usize].offset_in(run, element) {
            return Spot { leaf, run, offset };
        }
        // An op mostly concerns the place that its author looked up just before.
        self.before_in(self.start.leaf(), element).unwrap_or_else(|| self.search_before(element))
    }

    #[inline]
    fn before_in(&self, leaf: u32, element: u32) -> Option<Spot> {
        let held = self.leaves.get(leaf as usize)?;
        let run = held.slot_of(element);
        let offset = held.offset_in(run, element)?;
        Some(Spot { leaf, run, offset })
    }

    fn search_before(&self, element: u32) -> Spot {
        let leaf = self.places.get(element);
        self.before_in(leaf, element).unwrap_or(Spot { leaf, run: 0, offset: 0 })
    }

    /// The place after an element, or the start for [`NONE`]. O(1).
    pub(crate) fn after(&self, element: u32) -> Spot {
        if element == NONE {
            return self.start();
        }
        let spot = self.before(element);
        Spot { offset: spot.offset + 1, ..spot }
    }

    /// The run of an element, and its offset in there.
    pub(crate) fn run_of(&self, element: u32) -> (Run, u32) {
        let spot = self.before(element);
        (self.leaves[spot.leaf as usize].run(spot.run), spot.offset)
    }

    /// The element after a place, or [`NONE`].
    pub(crate) fn next(&self, spot: Spot) -> u32 {
        let leaf = &self.leaves[spot.leaf as usize];
        match (leaf.ends(spot.run), leaf.ends(spot.run + 1)) {
            (Some((first, last)), _) if spot.offset <= last - first => first + spot.offset,
            (_, Some((next, _))) => next,
            _ => self.runs_from(spot).next().map_or(NONE, Run::first),
        }
    }

    /// The element before a place, or [`NONE`].
    pub(crate) fn previous(&self, spot: Spot) -> u32 {
        let mut leaf = &self.leaves[spot.leaf as usize];
        if spot.offset > 0 {
            return leaf.ends(spot.run).map_or(NONE, |(first, _)| first + spot.offset - 1);
        }
        let mut run = spot.run;
        loop {
            if let Some((_, last)) = run.checked_sub(1).and_then(|before| leaf.ends(before)) {
                return last;
            }
            match self.leaves.get(leaf.previous as usize) {
                Some(previous) => leaf = previous,
                None => return NONE,
            }
            run = leaf.len();
        }
    }

    /// How many visible elements stand before a place. O(log n).
    pub(crate) fn index(&self, spot: Spot) -> u32 {
        let leaf = &self.leaves[spot.leaf as usize];
        let within = leaf.get(spot.run).filter(|run| !run.is_dead()).map_or(0, |_| spot.offset);
        let before = leaf.visible_before(spot.run) + within;
        if spot.leaf == self.hot.leaf {
            return self.hot_start() + before;
        }
        let mut start = self.counted_before(spot.leaf);
        if self.hot.delta != 0 && self.leaf_is_before(self.hot.leaf, spot.leaf) {
            start = start.wrapping_add(self.hot.delta.cast_unsigned());
        }
        start + before
    }

    /// Whether element `a` stands before element `b`. O(log n).
    pub(crate) fn is_before(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.before(a), self.before(b));
        if a.leaf == b.leaf {
            (a.run, a.offset) < (b.run, b.offset)
        } else {
            self.leaf_is_before(a.leaf, b.leaf)
        }
    }

    fn leaf_is_before(&self, mut a: u32, mut b: u32) -> bool {
        let (mut above_a, mut above_b) =
            (self.leaves[a as usize].parent, self.leaves[b as usize].parent);
        while above_a != above_b {
            (a, b) = (above_a, above_b);
            above_a = self.nodes[a as usize].parent;
            above_b = self.nodes[b as usize].parent;
        }
        match self.nodes.get(above_a as usize) {
            Some(node) => node.slot_of(a) < node.slot_of(b),
            None => false,
        }
    }

    /// What the nodes say stands before a leaf.
    fn counted_before(&self, leaf: u32) -> u32 {
        let mut child = leaf;
        let mut parent = self.leaves[leaf as usize].parent;
        let mut before = 0;
        while parent != NONE {
            let node = &self.nodes[parent as usize];
            before += node.visible_before(node.slot_of(child));
            (child, parent) = (parent, node.parent);
        }
        before
    }
}
