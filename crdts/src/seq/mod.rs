//! The engine under every type with positions: the order of elements that many
//! replicas insert and delete.
//!
//! It promises that equal histories give equal orders, and that a concurrent
//! run of insertions is never interleaved with another ([`order`]). It holds
//! every element that ever was, dead ones as well, in a few bytes a run. It never
//! knows what an element is: whoever uses it keeps that by the element's handle,
//! a number counted from 0 in the order of arrival.

mod absorb;
mod guess;
mod identity;
mod order;
mod places;
pub(crate) mod room;
mod run;
mod said;
mod saved;
mod tree;

pub(crate) use identity::Refusal;
pub(crate) use run::{MAX_ELEMENTS, NONE, Run};
pub(crate) use saved::{Columns, Damage, Handles, Packing, pack, unpack, unpacked_len};

use identity::Identity;
use order::Newcomer;
use repliq_core::Dot;
use std::cmp::Ordering;
use tree::{Spot, Tree};

/// The order of a sequence and who made each of its elements.
#[derive(Clone, Default)]
pub(crate) struct Seq {
    tree: Tree,
    identity: Identity,
    open: Option<Open>,
}

/// Where the latest insertion ended, while nothing else has changed since and
/// nothing is between its last element and their right origin: the next one
/// mostly goes on there.
#[derive(Clone, Copy)]
struct Open {
    /// The dot after that of its last element.
    dot: Dot,
    /// How many visible elements stand before its end, or [`NONE`] if that was not
    /// known when it was made.
    index: u32,
}

/// Elements with consecutive handles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Elements {
    pub(crate) first: u32,
    pub(crate) len: u32,
}

/// The origins of an insertion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origins {
    pub(crate) left: u32,
    pub(crate) right: u32,
    /// Whether the left origin has the same right origin.
    pub(crate) inherited: bool,
}

/// Where an op says that something is inserted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    left: u32,
    right: u32,
    /// Right after the left origin.
    after: Spot,
}

impl Seq {
    /// How many elements a reader sees. O(1).
    pub(crate) const fn visible(&self) -> u32 {
        self.tree.visible()
    }

    /// How many elements there are, dead ones included. O(1).
    pub(crate) const fn elements(&self) -> u32 {
        self.identity.len()
    }

    /// Every run, in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.tree.runs()
    }

    /// The living runs from the `index`-th visible element on.
    pub(crate) fn living_from(&self, index: u32) -> impl Iterator<Item = Run> + '_ {
        let spot = match self.visible().cmp(&index) {
            Ordering::Greater => self.tree.at_visible(index),
            _ => self.tree.after_visible(index),
        };
        self.tree.runs_from(spot).filter(|run| !run.is_dead())
    }

    /// The first of `count` visible elements from the `index`-th on, if they are
    /// all in one run. O(log n), O(1) near the latest edit.
    #[inline]
    pub(crate) fn living_run(&self, index: u32, count: u32) -> Option<u32> {
        self.tree.living_in_tip(index, count).or_else(|| {
            let run = self.living_from(index).next()?;
            (run.len() >= count).then_some(run.first())
        })
    }

    /// The runs after an element, or all of them for [`NONE`].
    pub(crate) fn runs_after(&self, element: u32) -> impl Iterator<Item = Run> + '_ {
        self.tree.runs_from(self.tree.after(element))
    }

    /// The element before another one, dead or alive, or [`NONE`].
    pub(crate) fn before(&self, element: u32) -> u32 {
        self.tree.previous(self.tree.before(element))
    }

    /// The origins of an insertion at visible position `index`: the element
    /// before it and the one after, dead or alive. O(log n), O(1) near the latest edit.
    pub(crate) fn origins(&self, index: u32) -> Origins {
        let spot = self.tree.after_visible(index);
        let right = self.tree.next(spot);
        match self.tree.run_before(spot) {
            Some((run, offset)) => {
                Origins { left: run.first() + offset - 1, right, inherited: run.right() == right }
            }
            None => Origins { left: NONE, right, inherited: false },
        }
    }

    /// Whether the element can be seen.
    pub(crate) fn is_living(&self, element: u32) -> bool {
        !self.tree.run_of(element).0.is_dead()
    }

    /// How many visible elements stand before this one. O(log n).
    pub(crate) fn index(&self, element: u32) -> u32 {
        self.tree.index(self.tree.before(element))
    }

    /// The dot of an element. O(log n).
    pub(crate) fn dot(&self, element: u32) -> Dot {
        self.identity.dot(element)
    }

    /// The dot of an element, and how many handles from it on continue it.
    pub(crate) fn stretch_at(&self, element: u32) -> (Dot, u32) {
        self.identity.stretch_at(element)
    }

    /// The element with this dot. O(log n).
    pub(crate) fn find(&self, dot: Dot) -> Option<u32> {
        self.identity.find(dot)
    }

    /// The elements with these dots, as far as they have consecutive handles.
    pub(crate) fn find_run(&self, dot: Dot, len: u64) -> Option<Elements> {
        let (first, held) = self.identity.find_run(dot)?;
        Some(Elements { first, len: u32::try_from(len).unwrap_or(u32::MAX).min(held) })
    }

    /// How many of `len` dots from `dot` on are not held, up to the first that is.
    pub(crate) fn gap(&self, dot: Dot, len: u32) -> u32 {
        self.identity.gap(dot, len)
    }

    /// Whether one element stands before another. The edges are before and after all.
    pub(crate) fn are_in_order(&self, left: u32, right: u32) -> bool {
        left == NONE || right == NONE || self.tree.is_before(left, right)
    }

    /// Whether one element may have been right before another once: it stands before
    /// it, and the left origin of that other one, which was there first, not between.
    pub(crate) fn may_have_met(&self, left: u32, right: u32) -> bool {
        if right == NONE || !self.are_in_order(left, right) {
            return right == NONE;
        }
        let between = self.left_of(right);
        between == left || between == NONE || left != NONE && self.are_in_order(between, left)
    }

    /// The left origin of an element.
    fn left_of(&self, element: u32) -> u32 {
        let (run, offset) = self.tree.run_of(element);
        run.left_at(offset)
    }

    /// Inserts `len` new elements, typed in one go, at a place that was found since
    /// the latest change.
    pub(crate) fn insert(&mut self, dot: Dot, len: u32, place: Place) -> Result<Elements, Refusal> {
        let Place { left, right, after } = place;
        let spot = if self.tree.next(after) == right {
            after
        } else if self.may_have_met(left, right) {
            self.place_among(Newcomer { dot, left, right })
        } else {
            return Err(Refusal::Unordered);
        };
        let elements = self.add(dot, len)?;
        self.tree.insert(spot, Run::new(elements.first, len, left, right));
        self.open = self.tree.open_end(self.elements()).map(|index| Open {
            // That it does not overflow has been checked.
            dot: Dot { seq: dot.seq + u64::from(len), ..dot },
            index,
        });
        Ok(elements)
    }

    /// Whether an insertion at visible position `index` with this dot goes on
    /// where the latest one ended, with that one's last element and right origin
    /// as its origins. O(1).
    #[inline]
    pub(crate) fn goes_on(&self, index: u32, dot: &Dot) -> bool {
        index != NONE && self.open.is_some_and(|open| open.index == index && open.dot == *dot)
    }

    /// [`Seq::insert`] of elements that go on where the latest insertion ended,
    /// with that one's last element and right origin as their origins. `None`, and
    /// nothing changes, if something else has changed since. O(1).
    #[inline]
    pub(crate) fn extend(&mut self, dot: Dot, len: u32) -> Option<Elements> {
        let open = self.open.as_mut().filter(|open| open.dot == dot)?;
        let first = self.identity.extend_latest(dot.seq, len)?;
        self.tree.extend(len);
        open.dot.seq += u64::from(len);
        open.index = open.index.saturating_add(len);
        Some(Elements { first, len })
    }

    /// Adds elements that have no place yet: [`Seq::put`] gives them one.
    pub(crate) fn add(&mut self, dot: Dot, len: u32) -> Result<Elements, Refusal> {
        self.open = None;
        let first = self.identity.add(dot, len)?;
        Ok(Elements { first, len })
    }

    /// Gives added elements their place.
    pub(crate) fn put(&mut self, elements: Elements, left: u32, right: u32, dead: bool) {
        let dot = self.identity.dot(elements.first);
        let new = Newcomer { dot, left, right };
        let spot = self.place_between(new).unwrap_or_else(|| self.place_among(new));
        let run = Run::new(elements.first, elements.len, left, right).with_dead(dead);
        self.tree.insert(spot, run);
    }

    /// Whether the element has been given its place.
    pub(crate) fn is_placed(&self, element: u32) -> bool {
        self.tree.holds(element)
    }

    /// Marks elements dead or alive, and tells which changed and at what place.
    pub(crate) fn mark(
        &mut self,
        elements: Elements,
        dead: bool,
        mut changes: impl FnMut(Elements, &dyn Fn() -> u32),
    ) {
        self.open = None;
        self.tree.mark(elements.first, elements.len, dead, |tree, spot, first, len| {
            changes(Elements { first, len }, &|| tree.index(spot));
        });
    }

    /// Takes out the elements from `first` on, physically.
    pub(crate) fn truncate(&mut self, first: u32) {
        self.open = None;
        self.tree.truncate(first);
        self.identity.truncate(first);
    }
}
