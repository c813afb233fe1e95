//! Where a new element belongs: FugueMax (Weidner and Kleppmann, "The Art of the
//! Fugue", 2023), on the list of elements instead of on its tree.
//!
//! It promises that the place depends on the elements alone and not on the order
//! they came in, whatever origins they claim, so that replicas cannot diverge.
//! It never changes anything.
//!
//! Every element is a child of one of its origins: a *left child* of its right
//! origin if both have the same left origin, else a *right child* of its left
//! origin. A reader sees the left children of an element and what is below them,
//! then the element, then its right children and what is below them. Left
//! children ascend by dot. Right children descend by right origin, then ascend
//! by dot.
//!
//! A left child has the left origin of its parent, and that one of its own, and
//! so on. So the left origin of any element is the parent of the first right
//! child that is met on the way up from it, and one comparison tells whether an
//! element is below another: that is what both searches here stand on.

use crate::seq::Seq;
use crate::seq::run::NONE;
use crate::seq::tree::Spot;
use repliq_core::Dot;

/// An element that has no place yet, by its dot and its origins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer {
    pub(crate) dot: Dot,
    pub(crate) left: u32,
    pub(crate) right: u32,
}

impl Seq {
    /// The place of a new element if nothing is between its origins. O(1) near
    /// the latest edit, else O(log n).
    pub(super) fn place_between(&self, new: Newcomer) -> Option<Spot> {
        // Neither origin has a child there that the element could stand beside.
        let after = self.tree.after(new.left);
        (self.tree.next(after) == new.right).then_some(after)
    }

    /// The place of a new element among what others put between its origins.
    /// Linear in the runs that are there.
    pub(super) fn place_among(&self, new: Newcomer) -> Spot {
        if self.is_left_child(new.left, new.right) {
            self.place_of_left_child(new)
        } else {
            self.place_of_right_child(new)
        }
    }

    fn place_of_right_child(&self, new: Newcomer) -> Spot {
        let mut spot = self.tree.after(new.left);
        loop {
            let element = self.tree.next(spot);
            if element == NONE {
                return spot;
            }
            let (run, offset) = self.tree.run_of(element);
            let left = run.left_at(offset);
            if left == new.left {
                // The leftmost below a sibling: what it hangs from is that sibling.
                let sibling = self.right_child_above(element);
                if self.precedes(new, sibling) {
                    return spot;
                }
                spot = self.tree.after(sibling);
            } else if left == NONE || (new.left != NONE && self.tree.is_before(left, new.left)) {
                return spot;
            } else {
                spot = self.tree.after(run.end() - 1);
            }
        }
    }

    fn place_of_left_child(&self, new: Newcomer) -> Spot {
        let mut spot = self.tree.before(new.right);
        loop {
            let Some(top) = self.sharing_left(self.tree.previous(spot), new.left) else {
                return spot;
            };
            let (run, offset) = self.tree.run_of(top);
            let right = run.right();
            if !self.is_left_child(run.left_at(offset), right) {
                return spot;
            }
            let sibling = right == new.right;
            if sibling && new.dot > self.identity.dot(top)
                || !sibling && !self.tree.is_before(right, new.right)
            {
                return spot;
            }
            spot = self.tree.before(top);
        }
    }

    /// The ancestor of `element`, itself included, that starts a run with the left
    /// origin `left`; `None` if `left` is met first. (Inside of a run there are
    /// only right children, so no left child of what follows is missed.)
    fn sharing_left(&self, mut element: u32, left: u32) -> Option<u32> {
        while element != NONE {
            let (run, _) = self.tree.run_of(element);
            if run.contains(left) {
                return None;
            }
            if run.left() == left {
                return Some(run.first());
            }
            element = run.left();
        }
        None
    }

    /// The first right child on the way up from `element`.
    fn right_child_above(&self, mut element: u32) -> u32 {
        loop {
            let (run, offset) = self.tree.run_of(element);
            if !self.is_left_child(run.left_at(offset), run.right()) {
                return element;
            }
            element = run.right();
        }
    }

    fn is_left_child(&self, left: u32, right: u32) -> bool {
        right != NONE && {
            let (run, offset) = self.tree.run_of(right);
            run.left_at(offset) == left
        }
    }

    /// Whether a new right child stands before another of the same parent.
    fn precedes(&self, new: Newcomer, sibling: u32) -> bool {
        let right = self.tree.run_of(sibling).0.right();
        if right == new.right {
            return new.dot < self.identity.dot(sibling);
        }
        right != NONE && (new.right == NONE || self.tree.is_before(right, new.right))
    }
}
