//! The order of a sequence: a B+tree of runs, in the order a reader sees them.
//!
//! It finds the place of an element and of a position in O(log n), and keeps the
//! leaf of the latest edit at hand, so that typing costs O(1). It never decides
//! where an element belongs, and knows no dots.
#![allow(clippy::indexing_slicing, reason = "numbers of leaves, nodes and slots are made here")]

mod growth;

use crate::seq::places::Places;
use crate::seq::run::{NONE, Run};

/// How many runs a leaf holds, and how many children a node.
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
    /// Where the latest edit was: only a guess, to be tried first.
    tip: (u32, usize),
}

#[derive(Clone)]
struct Leaf {
    runs: [Run; FANOUT],
    len: usize,
    parent: u32,
    previous: u32,
    next: u32,
}

/// Children are leaves in the lowest nodes, and nodes in the others.
#[derive(Clone)]
struct Node {
    children: [u32; FANOUT],
    visible: [u32; FANOUT],
    len: usize,
    parent: u32,
}

/// The leaf of the latest edit: where it starts, and by how much more it shows
/// than the nodes above it say.
#[derive(Clone, Copy)]
struct Hot {
    leaf: u32,
    start: u32,
    delta: i32,
}

impl Hot {
    const NOWHERE: Self = Self { leaf: NONE, start: 0, delta: 0 };
}

impl Leaf {
    const fn new(parent: u32, previous: u32, next: u32) -> Self {
        let nothing = Run::new(0, 0, NONE, NONE);
        Self { runs: [nothing; FANOUT], len: 0, parent, previous, next }
    }

    fn runs(&self) -> &[Run] {
        &self.runs[..self.len]
    }

    fn visible(&self) -> u32 {
        self.runs().iter().map(|run| run.visible()).sum()
    }

    fn visible_before(&self, spot: Spot) -> u32 {
        let before: u32 = self.runs()[..spot.run].iter().map(|run| run.visible()).sum();
        match self.runs().get(spot.run) {
            Some(run) if !run.is_dead() => before + spot.offset,
            _ => before,
        }
    }
}

impl Node {
    const EMPTY: Self =
        Self { children: [NONE; FANOUT], visible: [0; FANOUT], len: 0, parent: NONE };

    fn slot_of(&self, child: u32) -> usize {
        self.children[..self.len].iter().position(|held| *held == child).unwrap_or(0)
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
            tip: (0, 0),
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
        self.runs_from(self.start())
    }

    /// The runs from this place on, the first without what is before the place.
    pub(crate) fn runs_from(&self, spot: Spot) -> impl Iterator<Item = Run> + '_ {
        let mut leaf = &self.leaves[spot.leaf as usize];
        let mut run = spot.run;
        let mut offset = spot.offset;
        std::iter::from_fn(move || {
            loop {
                if let Some(found) = leaf.runs().get(run) {
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
        if index == 0 {
            return self.start();
        }
        let (mut leaf, mut left) = (self.root, index);
        let hot = self.hot;
        if hot.leaf != NONE && index > hot.start {
            if let Some(spot) = self.within(hot.leaf, index - hot.start) {
                return spot;
            }
            left = left.wrapping_sub(hot.delta.cast_unsigned());
        }
        for _ in 0..self.height {
            let node = &self.nodes[leaf as usize];
            let mut slot = 0;
            while slot + 1 < node.len && left > node.visible[slot] {
                left -= node.visible[slot];
                slot += 1;
            }
            leaf = node.children[slot];
        }
        self.within(leaf, left).unwrap_or_else(|| self.start())
    }

    /// The place right after the `left` first visible elements of a leaf, if it
    /// has as many; `left` is at least 1.
    fn within(&self, leaf: u32, mut left: u32) -> Option<Spot> {
        for (number, run) in self.leaves[leaf as usize].runs().iter().enumerate() {
            if left <= run.visible() {
                return Some(Spot { leaf, run: number, offset: left });
            }
            left -= run.visible();
        }
        None
    }

    /// The run around a place that is not at its start.
    pub(crate) fn run_before(&self, spot: Spot) -> Option<(Run, u32)> {
        let run = self.leaves[spot.leaf as usize].runs().get(spot.run);
        run.filter(|_| spot.offset > 0).map(|run| (*run, spot.offset))
    }

    /// Whether the element has a place.
    pub(crate) fn holds(&self, element: u32) -> bool {
        self.places.get(element) != NONE
    }

    /// The place before an element, which must have one. O(1).
    pub(crate) fn before(&self, element: u32) -> Spot {
        let (leaf, run) = self.tip;
        let guess = self.leaves[leaf as usize].runs().get(run);
        if let Some(run) = guess.filter(|run| run.contains(element)) {
            return Spot { leaf, run: self.tip.1, offset: element - run.first() };
        }
        let leaf = self.places.get(element);
        let runs = self.leaves[leaf as usize].runs();
        let run = runs.iter().position(|run| run.contains(element)).unwrap_or(0);
        Spot { leaf, run, offset: element.wrapping_sub(runs[run].first()) }
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
        (self.leaves[spot.leaf as usize].runs[spot.run], spot.offset)
    }

    /// The element after a place, or [`NONE`].
    pub(crate) fn next(&self, spot: Spot) -> u32 {
        let runs = self.leaves[spot.leaf as usize].runs();
        match (runs.get(spot.run), runs.get(spot.run + 1)) {
            (Some(run), _) if spot.offset < run.len() => run.first() + spot.offset,
            (_, Some(next)) => next.first(),
            _ => self.runs_from(spot).next().map_or(NONE, Run::first),
        }
    }

    /// The element before a place, or [`NONE`].
    pub(crate) fn previous(&self, spot: Spot) -> u32 {
        let mut leaf = &self.leaves[spot.leaf as usize];
        if spot.offset > 0 {
            return leaf.runs[spot.run].first() + spot.offset - 1;
        }
        let mut run = spot.run;
        loop {
            if let Some(before) = run.checked_sub(1) {
                return leaf.runs[before].end() - 1;
            }
            match self.leaves.get(leaf.previous as usize) {
                Some(previous) => leaf = previous,
                None => return NONE,
            }
            run = leaf.len;
        }
    }

    /// How many visible elements stand before a place. O(log n).
    pub(crate) fn index(&self, spot: Spot) -> u32 {
        let before = self.leaves[spot.leaf as usize].visible_before(spot);
        if spot.leaf == self.hot.leaf {
            return self.hot.start + before;
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
            before += node.visible[..node.slot_of(child)].iter().sum::<u32>();
            (child, parent) = (parent, node.parent);
        }
        before
    }

    /// Puts a run of new elements at a place.
    pub(crate) fn insert(&mut self, spot: Spot, run: Run) {
        self.heat(spot.leaf);
        let leaf = &mut self.leaves[spot.leaf as usize];
        let held = leaf.runs[spot.run];
        if spot.offset > 0 && spot.offset == held.len() && held.continues_with(run) {
            leaf.runs[spot.run] = held.joined(run);
            self.tip = (spot.leaf, spot.run);
            self.places.set(run.first(), run.end(), spot.leaf);
            self.count(run.visible(), 0);
        } else {
            self.splice(spot, 0, Some(run));
        }
    }

    /// Puts a run of new elements after everything.
    pub(crate) fn append(&mut self, run: Run) {
        let leaf = self.last_leaf();
        let len = self.leaves[leaf as usize].len;
        let spot = match len.checked_sub(1) {
            Some(run) => Spot { leaf, run, offset: self.leaves[leaf as usize].runs[run].len() },
            None => Spot { leaf, run: 0, offset: 0 },
        };
        self.insert(spot, run);
    }

    fn last_leaf(&self) -> u32 {
        let mut last = self.root;
        for _ in 0..self.height {
            let node = &self.nodes[last as usize];
            last = node.children[node.len - 1];
        }
        last
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
            let run = self.leaves[spot.leaf as usize].runs[spot.run];
            let count = (run.len() - spot.offset).min(end - element);
            if run.is_dead() != dead {
                changes(self, spot, element, count);
                self.heat(spot.leaf);
                let marked = run.part(spot.offset, spot.offset + count).with_dead(dead);
                if self.moves_over(spot, run, marked) {
                    self.count(marked.visible(), run.visible().min(count));
                } else {
                    self.splice(spot, count, Some(marked));
                }
            }
            element += count;
        }
    }

    /// Gives marked elements from an end of their run to the run beside it, if
    /// they continue that one and something is left of theirs.
    fn moves_over(&mut self, spot: Spot, run: Run, marked: Run) -> bool {
        let leaf = &mut self.leaves[spot.leaf as usize];
        let end = spot.offset + marked.len();
        if spot.offset > 0 && end == run.len() {
            match leaf.runs().get(spot.run + 1).copied() {
                Some(next) if marked.continues_with(next) => {
                    leaf.runs[spot.run] = run.part(0, spot.offset);
                    leaf.runs[spot.run + 1] = marked.joined(next);
                }
                _ => return false,
            }
        } else if spot.run > 0 && spot.offset == 0 && end < run.len() {
            let previous = leaf.runs[spot.run - 1];
            if !previous.continues_with(marked) {
                return false;
            }
            leaf.runs[spot.run - 1] = previous.joined(marked);
            leaf.runs[spot.run] = run.part(end, run.len());
        } else {
            return false;
        }
        self.tip = (spot.leaf, spot.run);
        true
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
            let run = self.leaves[spot.leaf as usize].runs[spot.run];
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
        let leaf = &mut self.leaves[spot.leaf as usize];
        let mut pieces = Pieces::default();
        let from = spot.run.saturating_sub(1);
        let mut to = spot.run;
        let mut gone = 0;
        if from < spot.run {
            pieces.push(leaf.runs[from]);
        }
        match leaf.runs().get(spot.run).copied() {
            Some(run) => {
                let after = spot.offset + removed;
                gone = run.part(0, removed).visible();
                pieces.push_part(run, 0, spot.offset);
                pieces.extend(middle);
                pieces.push_part(run, after, run.len());
                to += 1;
                if let Some(next) = leaf.runs().get(to).copied() {
                    pieces.push(next);
                    to += 1;
                }
            }
            None => pieces.extend(middle),
        }
        leaf.runs.copy_within(to..leaf.len, from + pieces.len);
        leaf.runs[from..from + pieces.len].copy_from_slice(&pieces.runs[..pieces.len]);
        leaf.len = leaf.len + pieces.len - (to - from);
        self.tip = (spot.leaf, spot.run + usize::from(spot.offset > 0));
        // Elements that are only marked have been moved with their leaf already.
        if let Some(run) = middle.filter(|_| removed == 0) {
            self.places.set(run.first(), run.end(), spot.leaf);
        }
        self.heat(spot.leaf);
        self.count(middle.map_or(0, Run::visible), gone);
    }

    /// Counts a change of the hot leaf.
    const fn count(&mut self, more: u32, fewer: u32) {
        let delta = more.wrapping_sub(fewer);
        self.visible = self.visible.wrapping_add(delta);
        self.hot.delta = self.hot.delta.wrapping_add(delta.cast_signed());
    }

    /// Makes a leaf the hot one.
    fn heat(&mut self, leaf: u32) {
        if self.hot.leaf != leaf {
            self.cool();
            self.hot = Hot { leaf, start: self.counted_before(leaf), delta: 0 };
        }
    }

    /// Brings the nodes above the hot leaf up to date.
    fn cool(&mut self) {
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
