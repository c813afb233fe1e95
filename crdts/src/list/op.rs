//! What is said about a list: the ops that are logged and sent.

mod inserted;

pub use inserted::Inserted;

use crate::text::{LeftOrigin, RightOrigin, Stretch, Target};
use serde::{Deserialize, Serialize};

/// An intent on a [`List`](crate::List). It names elements by the dots they were
/// inserted with: the `n`-th value of an insertion has the `n`-th slot of its op,
/// counted from 0.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ListOp<T> {
    /// Inserts elements between two places. It takes a slot a value.
    Insert {
        /// The place before.
        left: LeftOrigin,
        /// The place after.
        right: RightOrigin,
        /// The values, at least one.
        values: Inserted<T>,
    },
    /// Gives an element another value. It takes one slot.
    Set {
        /// The element.
        element: Target,
        /// Its value from now on.
        value: T,
    },
    /// Gives an element another place. It takes one slot, whose dot is that of
    /// the new place.
    Move {
        /// The element.
        element: Target,
        /// The place before the new one.
        left: LeftOrigin,
        /// The place after the new one.
        right: RightOrigin,
    },
    /// Deletes elements. It takes one slot.
    Delete(Vec<Stretch>),
}

impl<T> ListOp<T> {
    pub(super) fn slots(&self) -> u64 {
        match self {
            Self::Insert { values, .. } => values.len().max(1) as u64,
            Self::Set { .. } | Self::Move { .. } | Self::Delete(_) => 1,
        }
    }

    pub(super) const fn may_grow(&self) -> bool {
        match self {
            Self::Insert { .. } => true,
            Self::Delete(stretches) => stretches.len() == 1,
            Self::Set { .. } | Self::Move { .. } => false,
        }
    }

    /// Inserting on behind, and deleting on beside, what was inserted or deleted last;
    /// see [`Crdt::grow`](repliq_core::Crdt::grow).
    pub(super) fn grow(&mut self, next: &mut Self) -> bool
    where
        T: Clone,
    {
        match (self, next) {
            (
                Self::Insert { right: held, values, .. },
                Self::Insert { left: LeftOrigin::Back(1), right, values: more },
            ) if *right == RightOrigin::Inherited
                || (*right, *held) == (RightOrigin::End, RightOrigin::End) =>
            {
                values.extend(more);
                true
            }
            (Self::Delete(held), Self::Delete(more)) => {
                match (held.as_mut_slice(), more.as_mut_slice()) {
                    ([held], [more]) => held.grow(more),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}
