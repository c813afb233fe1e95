//! How a tree is made at once, from all its runs in order: leaf by leaf, and then
//! the nodes above them, level by level.

use super::growth::number;
use super::{FANOUT, Leaf, Node, Tree};
use crate::seq::places::Places;
use crate::seq::run::{NONE, Run};

/// How many runs or children are put together: what is inserted later finds room.
const FILLED: usize = FANOUT - 2;

/// A tree that is being made.
pub(crate) struct Bulk {
    leaves: Vec<Leaf>,
    /// The first handle of each run that was pushed, and its leaf.
    pushed: Vec<(u32, u32)>,
    elements: u32,
}

impl Bulk {
    /// Room for so many runs.
    pub(crate) fn with_capacity(runs: usize) -> Self {
        let mut leaves = Vec::with_capacity(runs / FILLED + 1);
        leaves.push(Leaf::new(NONE, NONE, NONE));
        Self { leaves, pushed: Vec::with_capacity(runs), elements: 0 }
    }

    /// Adds a run after those before.
    pub(crate) fn push(&mut self, run: Run) {
        let place = self.leaves.len() - 1;
        let leaf = &mut self.leaves[place];
        self.pushed.push((run.first(), number(place)));
        self.elements += run.len();
        match leaf.runs[..leaf.len].last_mut() {
            Some(last) if last.continues_with(run) => *last = last.joined(run),
            _ if leaf.len < FILLED => {
                leaf.runs[leaf.len] = run;
                leaf.len += 1;
            }
            _ => {
                leaf.next = number(place + 1);
                let mut next = Leaf::new(NONE, number(place), NONE);
                (next.runs[0], next.len) = (run, 1);
                self.leaves.push(next);
                if let Some((_, leaf)) = self.pushed.last_mut() {
                    *leaf = number(place + 1);
                }
            }
        }
    }

    /// The tree of all runs, of which the handles go from 0 on without holes.
    /// `by_handle` says the numbers of the runs in the order of their handles.
    pub(crate) fn finish(self, by_handle: impl Iterator<Item = usize>) -> Tree {
        let places = Places::of(by_handle.map(|run| self.pushed[run]), self.elements);
        let mut tree = Tree { leaves: self.leaves, places, ..Tree::default() };
        tree.leaves.shrink_to_fit();
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
            for visible in below.chunks(FILLED) {
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
            below = below.chunks(FILLED).map(|visible| visible.iter().sum()).collect();
            first_below = first;
            self.height += 1;
        }
        self.root = first_below;
    }
}
