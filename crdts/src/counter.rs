//! Counters: one that only grows, and one that goes both ways.
//!
//! Every addition counts exactly once, whoever made it and in whatever order it
//! arrives: the value is the sum of all additions seen. A counter keeps one sum a
//! replica, so that two states can be merged: of each replica the sum of the one
//! that has seen more of it stays. It never refuses an addition and never stops at
//! a limit that one device sees earlier than another: sums have 128 bits, which
//! 2^64 additions of the largest amount, more than sequence numbers can count, do
//! not exceed.
//!
//! # Example: two devices count offline
//! ```
//! use repliq_core::ReplicaId;
//! use repliq_crdts::{GCounter, GCounterMut, PnCounter, PnCounterMut};
//!
//! let mut visits = GCounter::new(ReplicaId::from_bytes([1; 16]));
//! let mut elsewhere = GCounter::new(ReplicaId::from_bytes([2; 16]));
//! visits.increment();
//! elsewhere.add(2);
//! visits.merge(elsewhere.clone())?;
//! visits.merge(elsewhere)?; // again: counts once
//! assert_eq!(visits.value(), 3);
//!
//! let mut stock = PnCounter::new(ReplicaId::from_bytes([1; 16]));
//! stock.add(10);
//! let mut till = PnCounter::new(ReplicaId::from_bytes([2; 16]));
//! till.merge(stock.clone())?;
//! till.add(-4);
//! stock.decrement(); // at the same time
//! stock.merge(till.clone())?;
//! till.merge(stock.clone())?;
//! assert_eq!(stock.value(), 5);
//! assert_eq!(*stock, *till);
//!
//! // Nobody can hold on to the last one: two who sell it at once leave -1.
//! stock.add(-5);
//! till.add(-1);
//! stock.merge(till)?;
//! assert_eq!(stock.value(), -1);
//! # Ok::<(), repliq_core::CrdtError>(())
//! ```

mod sums;

use repliq_core::{Author, Crdt, CrdtError, Effects, ReplicaId, Stamp, Standalone, Version};
use serde::{Deserialize, Serialize};
use std::fmt;
use sums::Sums;

/// A counter that only grows; see the [module](self) for what it does under
/// concurrency. Reads are O(1), additions O(log n) in the replicas that added.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GCounter(Sums<u128>);

/// A counter that goes both ways; see the [module](self) for what it does under
/// concurrency. Reads are O(1), additions O(log n) in the replicas that added.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PnCounter(Sums<i128>);

/// An intent on a [`GCounter`]: to add this much.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GCounterOp(pub u64);

/// An intent on a [`PnCounter`]: to add this much, or to take it away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PnCounterOp(pub i64);

/// A visible change of a [`GCounter`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GCounterEvent {
    /// The counter has this value from now on.
    Changed {
        /// Its value.
        value: u128,
    },
}

/// A visible change of a [`PnCounter`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PnCounterEvent {
    /// The counter has this value from now on.
    Changed {
        /// Its value.
        value: i128,
    },
}

/// What takes back one addition of a [`GCounter`].
pub struct GCounterUndo(sums::Undo<u128>);

/// What takes back one addition of a [`PnCounter`].
pub struct PnCounterUndo(sums::Undo<i128>);

impl sums::Report<u128> for Effects<GCounter> {
    fn changed(&mut self, value: u128) {
        self.event(|| GCounterEvent::Changed { value });
    }

    fn undo(&mut self, undo: sums::Undo<u128>) {
        let replica = undo.replica();
        self.undo_onto(|last| last.0.replica() == replica, || GCounterUndo(undo));
    }
}

impl sums::Report<i128> for Effects<PnCounter> {
    fn changed(&mut self, value: i128) {
        self.event(|| PnCounterEvent::Changed { value });
    }

    fn undo(&mut self, undo: sums::Undo<i128>) {
        let replica = undo.replica();
        self.undo_onto(|last| last.0.replica() == replica, || PnCounterUndo(undo));
    }
}

impl Crdt for GCounter {
    const KIND: &'static str = "g-counter/1";
    type Op = GCounterOp;
    type Event = GCounterEvent;
    type Undo = GCounterUndo;

    fn may_grow(_op: &Self::Op) -> bool {
        true
    }

    /// Additions right after one another are one addition.
    fn grow(last: &mut Self::Op, next: &mut Self::Op) -> bool {
        last.0.checked_add(next.0).map(|both| last.0 = both).is_some()
    }

    #[inline]
    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        self.0.add(at.dot.replica, u128::from(op.0), fx);
        Ok(())
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        self.0.join(mine, other.0, theirs, fx);
    }

    fn rollback(&mut self, undo: Self::Undo) {
        self.0.rollback(undo.0);
    }
}

impl Crdt for PnCounter {
    const KIND: &'static str = "pn-counter/1";
    type Op = PnCounterOp;
    type Event = PnCounterEvent;
    type Undo = PnCounterUndo;

    fn may_grow(_op: &Self::Op) -> bool {
        true
    }

    /// Additions right after one another are one addition.
    fn grow(last: &mut Self::Op, next: &mut Self::Op) -> bool {
        last.0.checked_add(next.0).map(|both| last.0 = both).is_some()
    }

    #[inline]
    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        self.0.add(at.dot.replica, i128::from(op.0), fx);
        Ok(())
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        self.0.join(mine, other.0, theirs, fx);
    }

    fn rollback(&mut self, undo: Self::Undo) {
        self.0.rollback(undo.0);
    }
}

impl GCounter {
    /// A counter at 0 on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare counter cannot be edited")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    /// The sum of all additions. O(1).
    #[must_use]
    pub const fn value(&self) -> u128 {
        self.0.total()
    }
}

impl PnCounter {
    /// A counter at 0 on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare counter cannot be edited")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    /// The sum of all additions. O(1).
    #[must_use]
    pub const fn value(&self) -> i128 {
        self.0.total()
    }
}

/// The edits of a [`GCounter`], wherever ops can be authored: in a transaction,
/// or on a [`Standalone`].
pub trait GCounterMut: Author<GCounter> {
    /// Adds `amount`; adding 0 is no edit.
    fn add(&mut self, amount: u64) {
        if amount != 0 {
            // A counter refuses nothing.
            let _ = self.author(GCounterOp(amount));
        }
    }

    /// Adds 1.
    fn increment(&mut self) {
        self.add(1);
    }
}

impl<A: Author<GCounter> + ?Sized> GCounterMut for A {}

/// The edits of a [`PnCounter`], wherever ops can be authored: in a transaction,
/// or on a [`Standalone`].
pub trait PnCounterMut: Author<PnCounter> {
    /// Adds `amount`, which may be negative; adding 0 is no edit.
    fn add(&mut self, amount: i64) {
        if amount != 0 {
            // A counter refuses nothing.
            let _ = self.author(PnCounterOp(amount));
        }
    }

    /// Adds 1.
    fn increment(&mut self) {
        self.add(1);
    }

    /// Takes 1 away.
    fn decrement(&mut self) {
        self.add(-1);
    }
}

impl<A: Author<PnCounter> + ?Sized> PnCounterMut for A {}

impl fmt::Debug for GCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GCounter").field(&self.value()).finish()
    }
}

impl fmt::Debug for PnCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PnCounter").field(&self.value()).finish()
    }
}
