//! How a tree is made at once, from all its runs in order: leaf by leaf, and then
//! the nodes above them, level by level.

use super::growth::number;
use super::{FANOUT, Leaf, Node, Tree};
use crate::seq::places::Places;
use crate::seq::run::{NONE, Run};

/// How many runs or children are put together: what is inserted later finds room.
const FILLED: usize = FANOUT - 2;

impl Tree {
    /// The tree of these runs, of which the handles go from 0 on without holes.
    /// O(n log n), O(n) where handles ascend.
    pub(crate) fn of(runs: impl Iterator<Item = Run>) -> Self {
        let mut tree = Self { leaves: Vec::new(), ..Self::default() };
        let mut leaf = Leaf::new(NONE, NONE, NONE);
        for run in runs {
            match leaf.runs[..leaf.len].last_mut() {
                Some(last) if last.continues_with(run) => *last = last.joined(run),
                _ => {
                    if leaf.len == FILLED {
                        let full = tree.leaves.len();
                        leaf.next = number(full + 1);
                        let next = Leaf::new(NONE, number(full), NONE);
                        tree.leaves.push(std::mem::replace(&mut leaf, next));
                    }
                    leaf.runs[leaf.len] = run;
                    leaf.len += 1;
                }
            }
        }
        tree.leaves.push(leaf);
        tree.places = tree.places_of_leaves();
        tree.build_nodes();
        tree
    }

    fn places_of_leaves(&self) -> Places {
        let mut runs = Vec::with_capacity(self.leaves.len() * FILLED);
        let mut end = 0;
        for (place, leaf) in (0..).zip(&self.leaves) {
            for run in leaf.runs() {
                if end != run.first() || runs.last().is_none_or(|(_, leaf)| *leaf != place) {
                    runs.push((run.first(), place));
                }
                end = run.end();
            }
        }
        runs.sort_unstable();
        let elements = self.leaves.iter().flat_map(Leaf::runs).map(|run| run.len()).sum();
        Places::of(&runs, elements)
    }

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
