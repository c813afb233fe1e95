//! How a tree is made at once, from all its runs in order: leaf by leaf, and then
//! the nodes above them, level by level.

use super::growth::number;
use super::leaf::{Leaf, RUNS};
use super::{FANOUT, Node, Tree};
use crate::seq::places::Places;
use crate::seq::run::{NONE, Run};

/// How many runs and how many children are put together: what is inserted later
/// finds room.
const FILLED_LEAF: usize = RUNS - 2;
const FILLED_NODE: usize = FANOUT - 2;

/// A tree that is being made.
pub(crate) struct Bulk {
    leaves: Vec<Leaf>,
    places: Places,
    elements: u32,
}

impl Bulk {
    /// Room for so many runs.
    pub(crate) fn with_capacity(runs: usize) -> Self {
        let mut leaves = Vec::with_capacity(runs / FILLED_LEAF + 1);
        leaves.push(Leaf::new(NONE, NONE, NONE));
        Self { leaves, places: Places::default(), elements: 0 }
    }

    /// Adds a run after those before, and tells its leaf.
    #[inline]
    pub(crate) fn push(&mut self, run: Run) -> u32 {
        let place = self.leaves.len() - 1;
        let leaf = &mut self.leaves[place];
        self.elements += run.len();
        let len = leaf.len();
        match len.checked_sub(1).map(|last| (last, leaf.run(last))) {
            Some((slot, last)) if last.continues_with(run) => leaf.set(slot, last.joined(run)),
            _ if len < FILLED_LEAF => leaf.push(run),
            _ => {
                leaf.next = number(place + 1);
                let mut next = Leaf::new(NONE, number(place), NONE);
                next.push(run);
                self.leaves.push(next);
                return number(place + 1);
            }
        }
        number(place)
    }

    /// Says in which leaf the elements are from one on, in the order of handles.
    #[inline]
    pub(crate) fn place(&mut self, first: u32, leaf: u32) {
        self.places.append(first, leaf);
    }

    /// The tree of all runs, which all have been told the place of.
    pub(crate) fn finish(mut self) -> Tree {
        self.leaves.shrink_to_fit();
        self.places.extend(self.elements);
        let mut tree = Tree { leaves: self.leaves, places: self.places, ..Tree::default() };
        tree.build_nodes();
        tree
    }
}

impl Tree {
    fn build_nodes(&mut self) {
        let mut below: Vec<u32> = self.leaves.iter().map(Leaf::visible).collect();
        self.visible = below.iter().sum();
        let mut first_below = 0;
        while below.len() > 1 {
            let first = number(self.nodes.len());
            let mut child = first_below;
            for visible in below.chunks(FILLED_NODE) {
                let parent = number(self.nodes.len());
                let mut node = Node::EMPTY;
                for visible in visible {
                    node.children[node.len] = child;
                    node.visible[node.len] = *visible;
                    node.len += 1;
                    self.set_parent(self.height + 1, child, parent);
                    child += 1;
                }
                self.nodes.push(node);
            }
            below = below.chunks(FILLED_NODE).map(|visible| visible.iter().sum()).collect();
            first_below = first;
            self.height += 1;
        }
        self.root = first_below;
    }
}
