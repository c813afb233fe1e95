//! A single value of which the last write wins.
//!
//! Of two writes the larger `(time, replica id, sequence number, value)` stays,
//! compared from left to right, so every replica that has seen the same writes
//! shows the same value. It keeps that one write and nothing else: where nobody
//! may lose what was written, take an [`MvRegister`](crate::MvRegister).
//!
//! # Example: two devices rename a note offline
//! ```
//! use repliq_core::{Millis, ReplicaId};
//! use repliq_crdts::{LwwRegister, LwwRegisterMut};
//!
//! let mut laptop = LwwRegister::new(ReplicaId::from_bytes([1; 16])).with_wall(|| Millis(1_000));
//! let mut phone = LwwRegister::new(ReplicaId::from_bytes([2; 16])).with_wall(|| Millis(2_000));
//! assert_eq!(laptop.get(), None);
//!
//! phone.set("Groceries".to_string()); // a second later than the laptop
//! laptop.set("Shopping".to_string());
//!
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert_eq!(laptop.get().map(String::as_str), Some("Groceries"));
//! assert_eq!(*laptop, *phone);
//!
//! // Who has seen a write writes after it, whatever the own clock says.
//! laptop.set("Market".to_string());
//! phone.merge(laptop)?;
//! assert_eq!(phone.get().map(String::as_str), Some("Market"));
//! # Ok::<(), repliq_core::CrdtError>(())
//! ```

use crate::bounds::Value;
use repliq_core::{
    Author, Crdt, CrdtError, Effects, ReplicaId, Stamp, Standalone, Version, encode,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A single value of which the last write wins; see the [module](self) for what
/// that means under concurrency.
///
/// Nobody has written it at first. Reads and edits are O(1).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LwwRegister<T>(Option<(Stamp, T)>);

/// An intent on an [`LwwRegister`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RegisterOp<T> {
    /// Writes a value.
    Set(T),
}

/// A visible change of an [`LwwRegister`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegisterEvent<T> {
    /// This is the value from now on. It may have been an equal one before.
    Set {
        /// The value.
        value: T,
    },
}

/// What takes back one write of an [`LwwRegister`].
pub struct RegisterUndo<T>(Option<(Stamp, T)>);

impl<T: Value> LwwRegister<T> {
    /// An unwritten register on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare register cannot be edited")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    fn write(&mut self, at: Stamp, value: T, fx: &mut Effects<Self>) {
        let held_is_larger = self.0.as_ref().is_some_and(|(stamp, held)| {
            stamp.cmp(&at).then_with(|| encode(held).cmp(&encode(&value))).is_ge()
        });
        if held_is_larger {
            return;
        }
        fx.event(|| RegisterEvent::Set { value: value.clone() });
        let old = self.0.replace((at, value));
        fx.undo(|| RegisterUndo(old));
    }
}

impl<T> LwwRegister<T> {
    /// The value, or `None` before the first write. O(1).
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|(_, value)| value)
    }
}

impl<T: Value> Crdt for LwwRegister<T> {
    const KIND: &'static str = "lww-register/1";
    type Op = RegisterOp<T>;
    type Event = RegisterEvent<T>;
    type Undo = RegisterUndo<T>;

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        let RegisterOp::Set(value) = op;
        self.write(at, value, fx);
        Ok(())
    }

    fn join(&mut self, _: &Version, other: Self, _: &Version, fx: &mut Effects<Self>) {
        if let Some((at, value)) = other.0 {
            self.write(at, value, fx);
        }
    }

    fn rollback(&mut self, undo: Self::Undo) {
        self.0 = undo.0;
    }
}

/// The edits of an [`LwwRegister`], wherever ops can be authored: in a
/// transaction, or on a [`Standalone`].
pub trait LwwRegisterMut<T: Value>: Author<LwwRegister<T>> {
    /// Writes `value`. O(1).
    fn set(&mut self, value: T) {
        // A register refuses nothing.
        let _ = self.author(RegisterOp::Set(value));
    }
}

impl<T: Value, A: Author<LwwRegister<T>> + ?Sized> LwwRegisterMut<T> for A {}

impl<T> Default for LwwRegister<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: fmt::Debug> fmt::Debug for LwwRegister<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LwwRegister").field(&self.get()).finish()
    }
}
