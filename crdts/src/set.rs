//! A set in which the last addition or removal of an element wins.
//!
//! Of several edits of one element, the larger `(time, addition > removal,
//! replica id, sequence number)` stays, compared from left to right: an addition
//! and a removal of exactly the same time leave the element in, whoever made
//! them. Every replica that has seen the same edits shows the same set.
//!
//! # Example: an addition and a removal at the same time
//! ```
//! use repliq_core::{Millis, ReplicaId};
//! use repliq_crdts::{LwwSet, LwwSetMut};
//!
//! let noon = || Millis(1_000);
//! let mut laptop = LwwSet::new(ReplicaId::from_bytes([1; 16])).with_wall(noon);
//! let mut phone = LwwSet::new(ReplicaId::from_bytes([2; 16])).with_wall(noon);
//!
//! laptop.add("milk".to_string());
//! phone.remove("milk".to_string()); // the larger replica id, but a removal
//!
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert!(laptop.contains("milk"));
//! assert_eq!(*laptop, *phone);
//!
//! // Of two edits of different times the later one wins.
//! phone.remove("milk".to_string());
//! laptop.merge(phone.clone())?;
//! assert!(!laptop.contains("milk"));
//! assert_eq!(laptop.elements(), Vec::<&String>::new());
//! # Ok::<(), repliq_core::CrdtError>(())
//! ```
//!
//! # What is kept of a removed element
//! The element and the removal's stamp, until [`Crdt::prune`], under the same
//! conditions as for a map: see [`map`](crate::map).

use crate::bounds::Key;
use crate::lww::{Content, Lww, Report, Undo};
use repliq_core::{Author, Crdt, CrdtError, Cut, Effects, ReplicaId, Stamp, Standalone, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::Hash;

/// A set in which the last addition or removal of an element wins; see the
/// [module](self) for what that means under concurrency.
///
/// Reads and edits are O(1) amortised. It holds at most 2^32 - 1 elements,
/// removed ones included until they are pruned.
#[derive(Clone)]
pub struct LwwSet<T>(Lww<T, Membership>);

/// An intent on an [`LwwSet`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SetOp<T> {
    /// Puts an element in.
    Add(T),
    /// Takes an element out.
    Remove(T),
}

/// A visible change of an [`LwwSet`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetEvent<T> {
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

/// What takes back one edit of an [`LwwSet`].
pub struct SetUndo<T>(Undo<T, Membership>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
struct Membership {
    is_in: bool,
}

impl Content for Membership {
    const REMOVED: Self = Self { is_in: false };

    fn is_live(&self) -> bool {
        self.is_in
    }

    fn precedence(&self) -> u8 {
        u8::from(self.is_in)
    }

    fn compare_encoded(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn looks_like(&self, other: &Self) -> bool {
        self == other
    }
}

impl<T: Key> Report<T, Membership> for Effects<LwwSet<T>> {
    fn changed(&mut self, element: &T, content: &Membership) {
        let element = || element.clone();
        self.event(|| match content.is_in {
            true => SetEvent::Added { element: element() },
            false => SetEvent::Removed { element: element() },
        });
    }

    fn undo(&mut self, undo: Undo<T, Membership>) {
        Self::undo(self, || SetUndo(undo));
    }
}

impl<T: Key> Crdt for LwwSet<T> {
    const KIND: &'static str = "lww-set/1";
    type Op = SetOp<T>;
    type Event = SetEvent<T>;
    type Undo = SetUndo<T>;

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        let (element, is_in) = match op {
            SetOp::Add(element) => (element, true),
            SetOp::Remove(element) => (element, false),
        };
        self.0.write(element, Membership { is_in }, at, fx)
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        self.0.join(mine, other.0, theirs, fx);
    }

    fn rollback(&mut self, undo: Self::Undo) {
        self.0.rollback(undo.0);
    }

    fn prune(&mut self, cut: &Cut) {
        self.0.prune(cut);
    }
}

impl<T: Key> LwwSet<T> {
    /// An empty set on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare set cannot be edited: it has no replica id")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }
}

impl<T: Hash + Eq> LwwSet<T> {
    /// Whether `element` is in. O(1).
    #[must_use]
    pub fn contains<Q>(&self, element: &Q) -> bool
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(element).is_some()
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
    pub const fn len(&self) -> usize {
        self.0.live()
    }

    /// Whether no element is in. O(1).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, in an order that may differ between replicas that hold the
    /// same. O(n) for all, removed elements included.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(element, _)| element)
    }
}

/// The edits of an [`LwwSet`], wherever ops can be authored: in a transaction,
/// or on a [`Standalone`].
pub trait LwwSetMut<T: Key>: Author<LwwSet<T>> {
    /// Puts `element` in. O(1) amortised.
    fn add(&mut self, element: T) {
        // The only refusal, at 2^32 elements, poisons the transaction by itself.
        let _ = self.author(SetOp::Add(element));
    }

    /// Takes `element` out, also for replicas that have it while this one does not.
    /// O(1) amortised.
    fn remove(&mut self, element: T) {
        let _ = self.author(SetOp::Remove(element));
    }
}

impl<T: Key, A: Author<LwwSet<T>> + ?Sized> LwwSetMut<T> for A {}

impl<T> Default for LwwSet<T> {
    fn default() -> Self {
        Self(Lww::default())
    }
}

/// Equal sets have seen edits that leave the same: they also agree on what was
/// removed and on every stamp.
impl<T: Hash + Eq> PartialEq for LwwSet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Hash + Eq> Eq for LwwSet<T> {}

impl<T: fmt::Debug + Hash + Eq> fmt::Debug for LwwSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<T: Ord + Hash + Serialize> Serialize for LwwSet<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Ord + Hash + Deserialize<'de>> Deserialize<'de> for LwwSet<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Lww::deserialize(deserializer).map(Self)
    }
}
