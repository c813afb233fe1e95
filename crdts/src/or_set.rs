//! A set in which an addition wins over a removal made at the same time.
//!
//! A removal takes back the additions that its author had seen, and no others.
//! So an element is in as long as there is an addition of it that nobody has
//! taken back: whoever adds it again while somebody else removes it keeps it, and
//! clocks play no part. Nothing is left behind of an element that was removed.
//!
//! # Example: an addition against a removal
//! ```
//! use repliq_core::ReplicaId;
//! use repliq_crdts::{OrSet, OrSetMut};
//!
//! let mut laptop = OrSet::new(ReplicaId::from_bytes([1; 16]));
//! let mut phone = OrSet::new(ReplicaId::from_bytes([2; 16]));
//! laptop.add("urgent".to_string());
//! laptop.add("home".to_string());
//! phone.merge(laptop.clone())?;
//!
//! phone.remove("urgent".to_string());
//! phone.remove("home".to_string());
//! laptop.add("urgent".to_string()); // at the same time, and it is in already
//!
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert_eq!(laptop.elements(), ["urgent"]); // the phone had not seen this addition
//! assert_eq!(*laptop, *phone);
//!
//! phone.remove("urgent".to_string()); // now it has
//! laptop.merge(phone)?;
//! assert!(laptop.is_empty());
//! # Ok::<(), repliq_core::CrdtError>(())
//! ```
//!
//! # What is kept of an element
//! The latest addition of every replica that no removal has taken back; as a rule
//! that is one, in 32 bytes. When states are merged, an addition that one state has
//! seen and does not hold was taken back there.

mod saved;

use crate::bounds::Key;
use crate::dots::{Dots, check_named, is_named};
use crate::keyed::Keyed;
use repliq_core::{
    Author, Crdt, CrdtError, Dot, Effects, ReplicaId, Stamp, Standalone, Tx, Version,
};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

/// A set in which an addition wins over a removal made at the same time; see the
/// [module](self) for what that means under concurrency.
///
/// Reads and edits are O(1) amortised, besides O(n) in the replicas that added
/// the same element. It holds at most 2^32 - 1 elements.
#[derive(Clone)]
pub struct OrSet<T> {
    /// The additions of an element that count: never none.
    elements: Keyed<T, Dots>,
}

/// An intent on an [`OrSet`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OrSetOp<T> {
    /// Puts an element in.
    Add(T),
    /// Takes an element out.
    Remove {
        /// The element.
        element: T,
        /// The additions that its author had seen, in ascending order. What the
        /// author itself added before goes in any case.
        seen: Vec<Dot>,
    },
}

/// A visible change of an [`OrSet`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OrSetEvent<T> {
    /// The element is in from now on; it was not before.
    Added {
        /// The element that came in.
        element: T,
    },
    /// The element is out from now on; it was in before.
    Removed {
        /// The element that went out.
        element: T,
    },
}

/// What takes back one step of an [`OrSet`].
pub struct OrSetUndo<T>(Undo<T>);

/// Small, because a transaction keeps one for each op, and most insert.
enum Undo<T> {
    Inserted(u32),
    Replaced(u32, Box<Dots>),
    Dropped(u32, Box<(T, Dots)>),
}

impl<T: Key> OrSet<T> {
    /// An empty set on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare set cannot be edited: it has no replica id")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    fn add(&mut self, element: T, dot: Dot, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match self.elements.locate(&element) {
            Ok(slot) => {
                let dots = self.elements.at(slot).map(|held| held.entry.with(dot));
                self.replace(slot, dots.unwrap_or_default(), fx);
            }
            Err(absent) => {
                let slot = self.elements.insert(absent, element, Dots::One(dot));
                self.tell_inserted(slot.map_err(|_| TOO_MANY)?, fx);
            }
        }
        Ok(())
    }

    fn tell_inserted(&self, slot: u32, fx: &mut Effects<Self>) {
        fx.undo(|| OrSetUndo(Undo::Inserted(slot)));
        if let Some(held) = self.elements.at(slot) {
            fx.event(|| OrSetEvent::Added { element: held.key.clone() });
        }
    }

    /// Leaves these additions of an element; none takes it out.
    fn replace(&mut self, slot: u32, dots: Dots, fx: &mut Effects<Self>) {
        if dots.is_empty() {
            if let Some((element, old)) = self.elements.take(slot) {
                fx.event(|| OrSetEvent::Removed { element: element.clone() });
                fx.undo(|| OrSetUndo(Undo::Dropped(slot, Box::new((element, old)))));
            }
        } else if let Some(held) = self.elements.entry_mut(slot)
            && *held != dots
        {
            let old = std::mem::replace(held, dots);
            fx.undo(|| OrSetUndo(Undo::Replaced(slot, Box::new(old))));
        }
    }

    /// What a removal by somebody who sees this state names, or `None` when the
    /// element is not in.
    fn removal(&self, element: T) -> Option<OrSetOp<T>> {
        let seen = self.elements.get(&element)?.as_slice().to_vec();
        Some(OrSetOp::Remove { element, seen })
    }
}

impl<T: Key> Crdt for OrSet<T> {
    const KIND: &'static str = "or-set/1";
    type Op = OrSetOp<T>;
    type Event = OrSetEvent<T>;
    type Undo = OrSetUndo<T>;

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match op {
            OrSetOp::Add(element) => self.add(element, at.dot, fx),
            OrSetOp::Remove { element, seen } => {
                check_named(&seen, at.dot)?;
                if let Ok(slot) = self.elements.locate(&element)
                    && let Some(held) = self.elements.at(slot)
                {
                    let left = held.entry.filtered(|dot| !is_named(dot, &seen, at.dot));
                    self.replace(slot, left, fx);
                }
                Ok(())
            }
        }
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        let absent_there =
            self.elements.numbers(|element, _| other.elements.locate(element).is_err());
        for slot in absent_there {
            if let Some(held) = self.elements.at(slot) {
                let left = held.entry.filtered(|dot| !theirs.contains(dot));
                self.replace(slot, left, fx);
            }
        }
        for theirs_slot in other.elements.into_slots() {
            let (element, there) = (theirs_slot.key, theirs_slot.entry);
            match self.elements.locate(&element) {
                Ok(slot) => {
                    let held = self.elements.at(slot).map(|held| &held.entry);
                    let dots = held.map(|here| here.join(mine, &there, theirs));
                    self.replace(slot, dots.unwrap_or_default(), fx);
                }
                Err(absent) => {
                    let new = there.filtered(|dot| !mine.contains(dot));
                    // A set of 2^32 elements takes no more, and a join cannot say so.
                    if !new.is_empty()
                        && let Ok(slot) = self.elements.insert(absent, element, new)
                    {
                        self.tell_inserted(slot, fx);
                    }
                }
            }
        }
    }

    fn rollback(&mut self, undo: Self::Undo) {
        match undo.0 {
            Undo::Inserted(slot) => drop(self.elements.take(slot)),
            Undo::Replaced(slot, old) => {
                if let Some(held) = self.elements.entry_mut(slot) {
                    *held = *old;
                }
            }
            Undo::Dropped(slot, dropped) => {
                let (element, old) = *dropped;
                self.elements.put_back(slot, element, old);
            }
        }
    }

    /// A removal takes back what it took back when it was first said, and what its
    /// author has added again since.
    fn reauthor(
        op: Self::Op,
        at: Stamp,
        before: &Self,
        tx: &mut Tx<'_, Self>,
    ) -> Result<(), CrdtError> {
        let OrSetOp::Remove { element, mut seen } = op else { return tx.push(op) };
        let held = before.elements.get(&element).map(Dots::as_slice).unwrap_or_default();
        seen.extend(held.iter().filter(|dot| dot.replica == at.dot.replica));
        seen.sort_unstable();
        seen.dedup();
        tx.push(OrSetOp::Remove { element, seen })
    }
}

impl<T: Hash + Eq> OrSet<T> {
    /// Whether `element` is in. O(1).
    #[must_use]
    pub fn contains<Q>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.elements.locate(element).is_ok()
    }

    /// The elements in ascending order. O(n log n).
    #[must_use]
    pub fn elements(&self) -> Vec<&T>
    where
        T: Ord,
    {
        let mut elements: Vec<_> = self.iter().collect();
        elements.sort_unstable();
        elements
    }

    /// How many elements are in. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether no element is in. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, in an order that may differ between replicas that hold the
    /// same. O(n) for all.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.elements.iter().map(|slot| &slot.key)
    }
}

/// The edits of an [`OrSet`], wherever ops can be authored: in a transaction, or
/// on a [`Standalone`].
pub trait OrSetMut<T: Key>: Author<OrSet<T>> {
    /// Puts `element` in; if it is in already, keeps it in against removals that
    /// are made elsewhere at the same time. O(1) amortised.
    fn add(&mut self, element: T) {
        // The only refusal, at 2^32 elements, poisons the transaction by itself.
        let _ = self.author(OrSetOp::Add(element));
    }

    /// Takes `element` out, as far as it is in here: no edit if it is not. O(1)
    /// amortised.
    fn remove(&mut self, element: T) {
        if let Some(op) = self.current().removal(element) {
            // It names only what it has seen, so nothing is refused.
            let _ = self.author(op);
        }
    }
}

impl<T: Key, A: Author<OrSet<T>> + ?Sized> OrSetMut<T> for A {}

const TOO_MANY: CrdtError = CrdtError::Limit("a set holds at most 2^32 - 1 elements");

impl<T> Default for OrSet<T> {
    fn default() -> Self {
        Self { elements: Keyed::default() }
    }
}

/// Equal sets also agree on the additions that put their elements in.
impl<T: Hash + Eq> PartialEq for OrSet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.elements.iter().all(|held| other.elements.get(&held.key) == Some(&held.entry))
    }
}

impl<T: Hash + Eq> Eq for OrSet<T> {}

impl<T: fmt::Debug + Hash + Eq> fmt::Debug for OrSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
