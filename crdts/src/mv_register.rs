//! A single value that keeps all of what was written at the same time.
//!
//! A write replaces the values that its author had seen and no others. So of
//! writes made one after the other the last stays, and of writes that did not
//! know each other every one stays visible until somebody, having seen them,
//! writes again. Nothing is kept of a value once it is replaced.
//!
//! # Example: two devices decide differently, and somebody settles it
//! ```
//! use repliq_core::{Millis, ReplicaId};
//! use repliq_crdts::{MvRegister, MvRegisterMut};
//!
//! let mut laptop = MvRegister::new(ReplicaId::from_bytes([1; 16])).with_wall(|| Millis(1_000));
//! let mut phone = MvRegister::new(ReplicaId::from_bytes([2; 16])).with_wall(|| Millis(2_000));
//!
//! laptop.set("Rome".to_string());
//! phone.merge(laptop.clone())?;
//! laptop.set("Paris".to_string());
//! phone.set("Lisbon".to_string()); // at the same time: neither has seen the other
//!
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert!(laptop.values().eq(["Paris", "Lisbon"])); // "Rome" was seen by both
//! assert_eq!(*laptop, *phone);
//!
//! phone.set("Porto".to_string());
//! laptop.merge(phone)?;
//! assert!(laptop.values().eq(["Porto"]));
//! # Ok::<(), repliq_core::CrdtError>(())
//! ```

use crate::bounds::Value;
use crate::dots::{check_named, is_named};
use repliq_core::{
    Author, Crdt, CrdtError, Dot, Effects, ReplicaId, Stamp, Standalone, Tx, Version,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A single value that keeps all of what was written at the same time; see the
/// [module](self) for what that means under concurrency.
///
/// Nobody has written it at first. Reads and edits are O(n) in the values that
/// are visible: at most one a replica, and as a rule one in all.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Stamp, T)>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct MvRegister<T> {
    /// In the order of the stamps.
    values: Vec<(Stamp, T)>,
}

/// An intent on an [`MvRegister`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MvRegisterOp<T> {
    /// Writes a value.
    Set {
        /// The value.
        value: T,
        /// The writes that its author had seen and that are to go, in ascending
        /// order. What the author itself wrote before goes in any case.
        replaces: Vec<Dot>,
    },
}

/// A visible change of an [`MvRegister`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MvRegisterEvent<T> {
    /// These are the values from now on.
    Changed {
        /// The values, in the order of [`MvRegister::values`].
        values: Vec<T>,
    },
}

/// What takes back one step of an [`MvRegister`].
pub struct MvRegisterUndo<T> {
    added: Vec<Stamp>,
    removed: Vec<(Stamp, T)>,
}

impl<T: Value> MvRegister<T> {
    /// An unwritten register on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare register cannot be edited")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    /// Takes values out and puts others in, in any order.
    fn change(
        &mut self,
        mut goes: impl FnMut(Stamp) -> bool,
        comes: Vec<(Stamp, T)>,
        fx: &mut Effects<Self>,
    ) {
        let removed: Vec<_> = self.values.extract_if(.., |(stamp, _)| goes(*stamp)).collect();
        if removed.is_empty() && comes.is_empty() {
            return;
        }
        let added = comes.iter().map(|(stamp, _)| *stamp).collect();
        self.values.extend(comes);
        self.values.sort_by_key(|(stamp, _)| *stamp);
        fx.undo(|| MvRegisterUndo { added, removed });
        fx.event(|| MvRegisterEvent::Changed { values: self.values().cloned().collect() });
    }

    fn holds(&self, stamp: Stamp) -> bool {
        self.values.iter().any(|(held, _)| *held == stamp)
    }
}

impl<T> MvRegister<T> {
    /// The values that were written last and did not know each other, in the
    /// order of `(time, replica id, sequence number)`: the same on every replica
    /// that has seen the same. None before the first write.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.values.iter().map(|(_, value)| value)
    }
}

impl<T: Value> Crdt for MvRegister<T> {
    const KIND: &'static str = "mv-register/1";
    type Op = MvRegisterOp<T>;
    type Event = MvRegisterEvent<T>;
    type Undo = MvRegisterUndo<T>;

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        let MvRegisterOp::Set { value, replaces } = op;
        check_named(&replaces, at.dot)?;
        let replaced = |held: Stamp| is_named(held.dot, &replaces, at.dot);
        self.change(replaced, vec![(at, value)], fx);
        Ok(())
    }

    fn join(&mut self, mine: &Version, mut other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        let replaced_there = |held: Stamp| theirs.contains(held.dot) && !other.holds(held);
        let gone: Vec<_> = self
            .values
            .iter()
            .map(|(held, _)| *held)
            .filter(|&held| replaced_there(held))
            .collect();
        other.values.retain(|(held, _)| !mine.contains(held.dot) && !self.holds(*held));
        self.change(|held| gone.contains(&held), other.values, fx);
    }

    fn rollback(&mut self, undo: Self::Undo) {
        let MvRegisterUndo { added, removed } = undo;
        self.values.retain(|(stamp, _)| !added.contains(stamp));
        self.values.extend(removed);
        self.values.sort_by_key(|(stamp, _)| *stamp);
    }

    /// Replaces what it replaced when it was first said, and what its author
    /// has written again since.
    fn reauthor(
        op: Self::Op,
        at: Stamp,
        before: &Self,
        tx: &mut Tx<'_, Self>,
    ) -> Result<(), CrdtError> {
        let MvRegisterOp::Set { value, mut replaces } = op;
        let own = before.values.iter().map(|(stamp, _)| stamp.dot);
        replaces.extend(own.filter(|dot| dot.replica == at.dot.replica));
        replaces.sort_unstable();
        replaces.dedup();
        tx.push(MvRegisterOp::Set { value, replaces })
    }
}

/// The edits of an [`MvRegister`], wherever ops can be authored: in a
/// transaction, or on a [`Standalone`].
pub trait MvRegisterMut<T: Value>: Author<MvRegister<T>> {
    /// Writes `value` in place of all values that are visible here.
    fn set(&mut self, value: T) {
        let mut replaces: Vec<_> =
            self.current().values.iter().map(|(stamp, _)| stamp.dot).collect();
        replaces.sort_unstable();
        // It names only what it has seen, so nothing is refused.
        let _ = self.author(MvRegisterOp::Set { value, replaces });
    }
}

impl<T: Value, A: Author<MvRegister<T>> + ?Sized> MvRegisterMut<T> for A {}

impl<T> Default for MvRegister<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl<T: fmt::Debug> fmt::Debug for MvRegister<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values()).finish()
    }
}

impl<T> TryFrom<Vec<(Stamp, T)>> for MvRegister<T> {
    type Error = &'static str;

    fn try_from(values: Vec<(Stamp, T)>) -> Result<Self, Self::Error> {
        if values.is_sorted_by(|a, b| a.0 < b.0) {
            Ok(Self { values })
        } else {
            Err("values are out of order")
        }
    }
}
