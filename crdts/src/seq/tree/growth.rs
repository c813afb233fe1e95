//! How the tree grows: leaves and nodes that are full are split in two. The order
//! and the counts stay what they were; nothing is ever merged again.

use super::leaf::{Leaf, RUNS};
use super::{FANOUT, Node, Spot, Tree};
use crate::seq::room;
use crate::seq::run::NONE;

impl Tree {
    /// Splits a leaf that has no room for two more runs; the place, where it is then.
    #[inline]
    pub(super) fn make_room(&mut self, spot: Spot) -> Spot {
        let len = self.leaves[spot.leaf as usize].len();
        if len + 2 <= RUNS { spot } else { self.split(spot, len) }
    }

    fn split(&mut self, spot: Spot, len: usize) -> Spot {
        let start = self.start_if_hot(spot.leaf);
        self.cool();
        // Who writes at the end of a leaf will go on there: leave the rest full.
        let kept = if spot.run + 1 >= len { len - 1 } else { len / 2 };
        let new = self.split_leaf(spot.leaf, kept);
        let (leaf, run) =
            if spot.run < kept { (spot.leaf, spot.run) } else { (new, spot.run - kept) };
        if let Some(start) = start {
            let before = if leaf == new { self.leaves[spot.leaf as usize].visible() } else { 0 };
            self.start.set(leaf, start + before);
        }
        Spot { leaf, run, ..spot }
    }

    fn split_leaf(&mut self, old: u32, kept: usize) -> u32 {
        let new = number(self.leaves.len());
        let next = self.leaves[old as usize].next;
        let mut leaf = Leaf::new(NONE, old, next);
        let left = &mut self.leaves[old as usize];
        left.split_into(kept, &mut leaf);
        left.next = new;
        if let Some(next) = self.leaves.get_mut(next as usize) {
            next.previous = new;
        }
        for run in leaf.runs() {
            self.places.set(run.first(), run.end(), new);
        }
        let visible = leaf.visible();
        // These double: to move all of them more often takes longer than it saves.
        self.leaves.push(leaf);
        self.add_child(1, old, new, visible);
        new
    }

    /// Puts a new child after `old` in its node, from which it took `visible`
    /// over. Children of level 1 are leaves.
    fn add_child(&mut self, level: u32, old: u32, new: u32, visible: u32) {
        let mut parent = self.parent(level, old);
        if parent == NONE {
            parent = number(self.nodes.len());
            let mut root = Node::EMPTY;
            root.insert(0, old, self.visible);
            self.nodes.push(root);
            self.set_parent(level, old, parent);
            self.root = parent;
            self.height += 1;
        } else if self.nodes[parent as usize].len == FANOUT {
            self.split_node(level, parent);
            parent = self.parent(level, old);
        }
        let node = &mut self.nodes[parent as usize];
        let slot = node.slot_of(old);
        // While nothing is counted, this is nothing that anybody asks for.
        node.visible[slot] = node.visible[slot].wrapping_sub(visible);
        node.insert(slot + 1, new, visible);
        self.set_parent(level, new, parent);
    }

    fn split_node(&mut self, level: u32, old: u32) {
        let new = number(self.nodes.len());
        let left = &mut self.nodes[old as usize];
        let mut node = Node::EMPTY;
        let kept = FANOUT / 2;
        node.len = left.len - kept;
        node.children[..node.len].copy_from_slice(&left.children[kept..left.len]);
        node.visible[..node.len].copy_from_slice(&left.visible[kept..left.len]);
        left.len = kept;
        left.visible[kept..].fill(0);
        for child in &node.children[..node.len] {
            self.set_parent(level, *child, new);
        }
        let visible =
            node.visible[..node.len].iter().fold(0, |all: u32, some| all.wrapping_add(*some));
        room::push(&mut self.nodes, node);
        self.add_child(level + 1, old, new, visible);
    }

    fn parent(&self, level: u32, child: u32) -> u32 {
        if level == 1 {
            self.leaves[child as usize].parent
        } else {
            self.nodes[child as usize].parent
        }
    }

    pub(super) fn set_parent(&mut self, level: u32, child: u32, parent: u32) {
        if level == 1 {
            self.leaves[child as usize].parent = parent;
        } else {
            self.nodes[child as usize].parent = parent;
        }
    }
}

pub(super) fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(NONE)
}
