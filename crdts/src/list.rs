//! A list that several people edit, and whose elements can be moved.
//!
//! An insertion stays between the two elements it was made between, and what two
//! people insert at one place stands one after the other, the same way round
//! everywhere (the order is that of [`Text`](crate::Text)). An element keeps its
//! identity for life: moved twice at once it ends at one place, the later move's,
//! and is not doubled; given two values at once it has the later one; moved by
//! one and changed by another it is both. A deletion is final: it wins over moves
//! and changes of the same element made at the same time. (Moves as in
//! Kleppmann, "Moving Elements in List CRDTs", `PaPoC` 2020.)
//!
//! # Example: two devices tidy up the same shopping list
//! ```
//! use repliq_core::ReplicaId;
//! use repliq_crdts::{List, ListMut};
//!
//! let mut laptop = List::new(ReplicaId::from_bytes([1; 16]));
//! laptop.insert_each(0, ["milk", "bread", "eggs", "tea"].map(String::from))?;
//! let mut phone = List::new(ReplicaId::from_bytes([2; 16]));
//! phone.merge(laptop.clone())?;
//!
//! laptop.move_to(3, 0)?; // tea first
//! laptop.delete(1..=1)?; // no milk: it is at 1 now
//! phone.set(3, "green tea".to_string())?; // the same tea
//! phone.insert(2, "butter".to_string())?; // between bread and eggs
//! phone.move_to(0, 1)?; // milk after bread
//!
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert!(laptop.iter().eq(["green tea", "bread", "butter", "eggs"]));
//! assert_eq!(*laptop, *phone);
//! # Ok::<(), repliq_core::EditError>(())
//! ```
//!
//! # What is kept of an element
//! Of a deleted one that it was there, between which others, in a few bytes a
//! run; not its value. A move leaves one such place behind. [`Crdt::prune`]
//! forgets nothing yet, for the reason given at [`Text`](crate::text).

mod edit;
mod homes;
mod join;
mod op;
mod reauthor;
mod saved;
mod values;

pub use edit::ListMut;
pub use op::{Inserted, ListOp};

use crate::bounds::Value;
use crate::hash::Seeded;
use crate::seq::{Elements, NONE, Refusal, Seq};
use crate::text::{LeftOrigin, RightOrigin, Stretch, Target};
use hashbrown::HashMap;
use homes::{Home, Homes, remove_from};
use repliq_core::{Crdt, CrdtError, Effects, ReplicaId, Stamp, Standalone, Tx, Version};
use std::fmt;
use values::Values;

/// A list that several people edit, and whose elements can be moved; see the
/// [module](self) for what that means under concurrency.
///
/// It holds at most 2^31 - 1 elements, deleted ones and moves included.
#[derive(Clone)]
pub struct List<T> {
    seq: Seq,
    /// The value of every living element, by its handle.
    values: Values<T>,
    /// When a living element was given another value than it was inserted with.
    written: HashMap<u32, Stamp, Seeded>,
    homes: Homes,
}

/// A visible change of a [`List`], by positions as they are when it happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListEvent<T> {
    /// Elements were inserted.
    Inserted {
        /// The index of the first of them.
        index: usize,
        /// Their values.
        values: Vec<T>,
    },
    /// Elements were deleted.
    Deleted {
        /// The index of the first of them.
        index: usize,
        /// How many they were.
        len: usize,
    },
    /// An element has another value.
    Set {
        /// The index of the element.
        index: usize,
        /// Its value from now on.
        value: T,
    },
    /// An element was taken out at one index and put in at another.
    Moved {
        /// The index where it was.
        from: usize,
        /// The index where it is.
        to: usize,
    },
}

/// What takes back one step of an edit of a [`List`].
pub struct ListUndo<T>(Step<T>);

enum Step<T> {
    /// Places from this one on were added.
    Added(u32),
    Deleted(Deleted<T>),
    /// An element had this value, given to it then.
    Set(u32, T, Option<Stamp>),
    /// An element was at home there.
    Moved(u32, Option<Home>),
}

/// Living elements with consecutive handles that were deleted, all of them at
/// their own places or a single one at its home.
struct Deleted<T> {
    first: u32,
    values: Vec<T>,
    written: Vec<(u32, Stamp)>,
    home: Option<Home>,
}

impl<T> ListUndo<T> {
    /// Whether this takes out these later places as well.
    const fn covers(&self, later: Elements) -> bool {
        matches!(self.0, Step::Added(first) if first <= later.first)
    }
}

impl<T: Value> Crdt for List<T> {
    const KIND: &'static str = "list/1";
    type Op = ListOp<T>;
    type Event = ListEvent<T>;
    type Undo = ListUndo<T>;

    fn slots(op: &ListOp<T>) -> u64 {
        op.slots()
    }

    fn may_grow(op: &ListOp<T>) -> bool {
        op.may_grow()
    }

    fn grow(last: &mut ListOp<T>, next: &mut ListOp<T>) -> bool {
        last.grow(next)
    }

    fn apply(&mut self, op: ListOp<T>, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match op {
            ListOp::Insert { left, right, values } => {
                self.apply_insert(left, right, values, at, fx)
            }
            ListOp::Set { element, value } => {
                let element = self.named(element, at)?;
                self.set(element, value, at, fx);
                Ok(())
            }
            ListOp::Move { element, left, right } => self.apply_move(element, left, right, at, fx),
            ListOp::Delete(stretches) => {
                for elements in self.named_each(&stretches, at)? {
                    self.delete(elements, fx);
                }
                Ok(())
            }
        }
    }

    fn join(&mut self, _mine: &Version, other: Self, _theirs: &Version, fx: &mut Effects<Self>) {
        self.take_over(other, fx);
    }

    fn rollback(&mut self, undo: ListUndo<T>) {
        match undo.0 {
            Step::Added(first) => {
                let end = self.seq.elements();
                remove_from(&mut self.written, first, end);
                self.homes.truncate(first, end);
                self.seq.truncate(first);
                self.values.truncate(first);
            }
            Step::Set(element, value, written) => {
                self.write(element, value, written);
            }
            Step::Moved(element, home) => {
                self.settle(element, home);
            }
            Step::Deleted(deleted) => self.restore(deleted),
        }
    }

    fn reauthor(
        op: ListOp<T>,
        at: Stamp,
        before: &Self,
        tx: &mut Tx<'_, Self>,
    ) -> Result<(), CrdtError> {
        reauthor::reauthor(op, at, before, tx)
    }
}

impl<T: Value> List<T> {
    /// An empty list on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare list cannot be edited: it has no replica id")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    fn apply_insert(
        &mut self,
        left: LeftOrigin,
        right: RightOrigin,
        values: Inserted<T>,
        at: Stamp,
        fx: &mut Effects<Self>,
    ) -> Result<(), CrdtError> {
        let place = self.seq.find_place(left, right, at)?;
        let count = match u32::try_from(values.len()) {
            Ok(0) => return Err(CrdtError::Invalid("an insertion of nothing")),
            Ok(count) => count,
            Err(_) => return Err(refused(Refusal::Full)),
        };
        let added = self.seq.insert(at.dot, count, place).map_err(refused)?;
        self.values.extend(values);
        fx.undo_onto(|last| last.covers(added), || ListUndo(Step::Added(added.first)));
        fx.event(|| ListEvent::Inserted {
            index: self.seq.index(added.first) as usize,
            values: self.values.of(added).cloned().collect(),
        });
        Ok(())
    }

    fn apply_move(
        &mut self,
        element: Target,
        left: LeftOrigin,
        right: RightOrigin,
        at: Stamp,
        fx: &mut Effects<Self>,
    ) -> Result<(), CrdtError> {
        let element = self.named(element, at)?;
        let place = self.seq.find_place(left, right, at)?;
        let place = self.seq.insert(at.dot, 1, place).map_err(refused)?;
        self.values.push(None);
        self.homes.add_guest(place.first, element);
        self.seq.mark(place, true, |_, _| {});
        fx.undo(|| ListUndo(Step::Added(place.first)));
        self.relocate(element, Home { place: place.first, at }, fx);
        Ok(())
    }

    /// The element that an op names.
    fn named(&self, element: Target, at: Stamp) -> Result<u32, CrdtError> {
        let found = element.dot(at, None).and_then(|dot| self.seq.find(dot));
        found
            .filter(|found| !self.homes.is_guest(*found))
            .ok_or(CrdtError::Invalid("the element is not there"))
    }

    /// The elements that an op names.
    fn named_each(&self, stretches: &[Stretch], at: Stamp) -> Result<Vec<Elements>, CrdtError> {
        let found = self.seq.find_stretches(stretches, at)?;
        if found.iter().any(|elements| !self.homes.guests_in(*elements).is_empty()) {
            return Err(CrdtError::Invalid("an element to delete is not there"));
        }
        Ok(found)
    }

    fn value(&self, element: u32) -> Option<&T> {
        self.values.get(element)
    }

    /// The index of a living element.
    fn index_of(&self, element: u32) -> usize {
        self.seq.index(self.homes.place(element)) as usize
    }

    /// Gives an element another value, unless it is deleted or has a later one.
    fn set(&mut self, element: u32, value: T, at: Stamp, fx: &mut Effects<Self>) {
        let later = self.written.get(&element).is_some_and(|written| *written > at);
        if later || self.value(element).is_none() {
            return;
        }
        fx.event(|| ListEvent::Set { index: self.index_of(element), value: value.clone() });
        if let (Some(value), written) = self.write(element, value, Some(at)) {
            fx.undo(|| ListUndo(Step::Set(element, value, written)));
        }
    }

    /// Puts a value in place, and returns the one before.
    fn write(&mut self, element: u32, value: T, at: Option<Stamp>) -> (Option<T>, Option<Stamp>) {
        let written = match at {
            Some(at) => self.written.insert(element, at),
            None => self.written.remove(&element),
        };
        let held = self.values.get_mut(element);
        (held.and_then(|held| held.replace(value)), written)
    }

    /// Moves an element to a place, unless it is deleted or was moved later.
    fn relocate(&mut self, element: u32, home: Home, fx: &mut Effects<Self>) {
        let before = self.homes.home(element);
        if before.is_some_and(|before| before.at > home.at) || self.value(element).is_none() {
            return;
        }
        let old = self.homes.place(element);
        self.settle(element, Some(home));
        fx.undo(|| ListUndo(Step::Moved(element, before)));
        fx.event(|| {
            // The old place counts nothing any more, the new one counts one.
            let beyond = self.seq.are_in_order(home.place, old);
            let from = self.seq.index(old) as usize - usize::from(beyond);
            ListEvent::Moved { from, to: self.seq.index(home.place) as usize }
        });
    }

    /// Lets a living element be seen where it is at home from now on.
    fn settle(&mut self, element: u32, home: Option<Home>) {
        self.seq.mark(one(self.homes.place(element)), true, |_, _| {});
        self.homes.set_home(element, home);
        self.seq.mark(one(self.homes.place(element)), false, |_, _| {});
    }

    /// Deletes what of these elements is alive.
    fn delete(&mut self, elements: Elements, fx: &mut Effects<Self>) {
        let (mut from, end) = (elements.first, elements.first + elements.len);
        for element in self.homes.moved_in(elements) {
            self.delete_own(Elements { first: from, len: element - from }, fx);
            self.delete_moved(element, fx);
            from = element + 1;
        }
        self.delete_own(Elements { first: from, len: end - from }, fx);
    }

    /// Deletes what is alive of elements that stand at their own places.
    fn delete_own(&mut self, elements: Elements, fx: &mut Effects<Self>) {
        if elements.len == 0 {
            return;
        }
        let Self { seq, values, written, .. } = self;
        seq.mark(elements, true, |changed, index| {
            let deleted = Deleted::take(changed, values, written, None);
            fx.event(|| ListEvent::Deleted { index: index() as usize, len: changed.len as usize });
            fx.undo(|| ListUndo(Step::Deleted(deleted)));
        });
    }

    /// Deletes a living element that was moved.
    fn delete_moved(&mut self, element: u32, fx: &mut Effects<Self>) {
        let place = self.homes.place(element);
        let home = self.homes.set_home(element, None);
        let Self { seq, values, written, .. } = self;
        seq.mark(one(place), true, |_, index| {
            let deleted = Deleted::take(one(element), values, written, home);
            fx.event(|| ListEvent::Deleted { index: index() as usize, len: 1 });
            fx.undo(|| ListUndo(Step::Deleted(deleted)));
        });
    }

    fn restore(&mut self, deleted: Deleted<T>) {
        let mut len = 0;
        for (element, value) in (deleted.first..).zip(deleted.values) {
            if let Some(held) = self.values.get_mut(element) {
                *held = Some(value);
                len += 1;
            }
        }
        self.written.extend(deleted.written);
        if let Some(home) = deleted.home {
            self.homes.set_home(deleted.first, Some(home));
            self.seq.mark(one(home.place), false, |_, _| {});
        } else {
            self.seq.mark(Elements { first: deleted.first, len }, false, |_, _| {});
        }
    }

    /// How many elements a reader sees. O(1).
    #[must_use]
    pub const fn len(&self) -> usize {
        self.seq.visible() as usize
    }

    /// Whether a reader sees nothing. O(1).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at an index. O(log n).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        let index = u32::try_from(index).ok().filter(|index| *index < self.seq.visible())?;
        let run = self.seq.living_from(index).next()?;
        self.value(self.homes.element(run.first()))
    }

    /// The elements in order. O(places) in all, deleted ones included.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let places = self.seq.runs().filter(|run| !run.is_dead());
        places
            .flat_map(|run| run.first()..run.end())
            .filter_map(|place| self.value(self.homes.element(place)))
    }
}

impl<T> Deleted<T> {
    /// Takes the values of elements out.
    fn take(
        elements: Elements,
        values: &mut Values<T>,
        written: &mut HashMap<u32, Stamp, Seeded>,
        home: Option<Home>,
    ) -> Self {
        let Elements { first, len } = elements;
        let values = values.take(elements);
        let mut stamps = Vec::new();
        if !written.is_empty() {
            let removed = (first..first + len).filter_map(|element| written.remove_entry(&element));
            stamps.extend(removed);
        }
        Self { first, values, written: stamps, home }
    }
}

const fn one(first: u32) -> Elements {
    Elements { first, len: 1 }
}

fn refused(refusal: Refusal) -> CrdtError {
    match refusal {
        Refusal::Taken => CrdtError::Invalid("the dot of an element is taken"),
        Refusal::Overflow => CrdtError::Invalid("sequence numbers overflow"),
        Refusal::Unordered => CrdtError::Invalid("the origins are not in order"),
        Refusal::Full => CrdtError::Limit("a list has at most 2^31 - 1 elements"),
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            seq: Seq::default(),
            values: Values::default(),
            written: HashMap::default(),
            homes: Homes::default(),
        }
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Equal lists have seen edits that leave the same: they also agree on what was
/// deleted, on every place and on every winning edit.
impl<T: Value> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        repliq_core::encode(self) == repliq_core::encode(other)
    }
}

impl<T: Value> Eq for List<T> {}
