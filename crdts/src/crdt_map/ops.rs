//! What is said to a [`CrdtMap`](super::CrdtMap) and what it tells.

use repliq_core::{Crdt, Dot};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An intent on a [`CrdtMap`](super::CrdtMap) to children whose ops are `O`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CrdtMapOp<K, O> {
    /// Edits the child of a key, which the first edit creates.
    Edit {
        /// The key.
        key: K,
        /// Which child of the key: how many before it were removed.
        generation: u32,
        /// What is said to the child.
        op: O,
    },
    /// Removes a key.
    Remove {
        /// The key.
        key: K,
        /// Which child of the key.
        generation: u32,
        /// The latest edit of the child by each replica that its author had seen,
        /// in ascending order.
        seen: Vec<Dot>,
    },
}

/// A visible change of a [`CrdtMap`](super::CrdtMap).
pub enum CrdtMapEvent<K, C: Crdt> {
    /// The key has this child from now on, and not the one that it may have had:
    /// it was created, or an edit brought it back.
    Shown {
        /// The key.
        key: K,
        /// A copy of the child at that moment.
        child: Arc<C>,
    },
    /// The child of the key has changed.
    Changed {
        /// The key.
        key: K,
        /// What has changed.
        event: C::Event,
    },
    /// The key is there no more.
    Removed {
        /// The key.
        key: K,
    },
}

impl<K: Clone, C: Crdt> Clone for CrdtMapEvent<K, C> {
    fn clone(&self) -> Self {
        match self {
            Self::Shown { key, child } => {
                Self::Shown { key: key.clone(), child: Arc::clone(child) }
            }
            Self::Changed { key, event } => {
                Self::Changed { key: key.clone(), event: event.clone() }
            }
            Self::Removed { key } => Self::Removed { key: key.clone() },
        }
    }
}

impl<K: fmt::Debug, C: Crdt + fmt::Debug> fmt::Debug for CrdtMapEvent<K, C>
where
    C::Event: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown { key, child } => {
                f.debug_struct("Shown").field("key", key).field("child", child).finish()
            }
            Self::Changed { key, event } => {
                f.debug_struct("Changed").field("key", key).field("event", event).finish()
            }
            Self::Removed { key } => f.debug_struct("Removed").field("key", key).finish(),
        }
    }
}
