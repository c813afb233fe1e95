//! What a replica holds: a version vector over op slots.

use crate::{Dot, Hlc, ReplicaId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A version vector: for each replica, how many of its slots are held.
///
/// Slots of one replica are held without gaps, so one number per replica says
/// which. A replica of which nothing is held has no entry, so equal knowledge
/// means equal values and equal bytes.
#[derive(Clone, Default, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "BTreeMap<ReplicaId, u64>")]
pub struct Version(BTreeMap<ReplicaId, u64>);

impl Version {
    /// The empty version.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// How many slots of `replica` are held. O(log n) in the number of replicas.
    #[must_use]
    pub fn get(&self, replica: ReplicaId) -> u64 {
        self.0.get(&replica).copied().unwrap_or(0)
    }

    /// Whether this slot is held.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.get(dot.replica) > dot.seq
    }

    /// Whether everything in `other` is held. O(n log m).
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(replica, count)| self.get(replica) >= count)
    }

    /// Raises the count of `replica` to `count`; never lowers it.
    pub fn advance(&mut self, replica: ReplicaId, count: u64) {
        if count > 0 {
            let held = self.0.entry(replica).or_default();
            *held = (*held).max(count);
        }
    }

    /// Sets the count of `replica`, lower or higher than before; 0 removes it.
    pub fn set(&mut self, replica: ReplicaId, count: u64) {
        if count == 0 {
            self.0.remove(&replica);
        } else {
            self.0.insert(replica, count);
        }
    }

    /// Raises every count to that of `other` where it is larger (least upper bound).
    pub fn join(&mut self, other: &Self) {
        for (replica, count) in other.iter() {
            self.advance(replica, count);
        }
    }

    /// Lowers every count to that of `other` where it is smaller (greatest lower bound).
    pub fn meet(&mut self, other: &Self) {
        self.0.retain(|replica, count| {
            *count = (*count).min(other.get(*replica));
            *count > 0
        });
    }

    /// The entries in the order of their replica ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ReplicaId, u64)> + '_ {
        self.0.iter().map(|(replica, count)| (*replica, *count))
    }

    /// The number of replicas of which something is held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<BTreeMap<ReplicaId, u64>> for Version {
    /// Entries of 0, which nobody honest writes, are left out.
    fn from(mut entries: BTreeMap<ReplicaId, u64>) -> Self {
        entries.retain(|_, count| *count > 0);
        Self(entries)
    }
}

impl FromIterator<(ReplicaId, u64)> for Version {
    fn from_iter<I: IntoIterator<Item = (ReplicaId, u64)>>(entries: I) -> Self {
        let mut version = Self::new();
        for (replica, count) in entries {
            version.advance(replica, count);
        }
        version
    }
}

/// A stable version: every replica that still counts has acknowledged all of it.
/// What was removed below it may be forgotten.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The slots that everybody holds.
    pub version: Version,
    /// No op that is not yet held by everybody has an earlier timestamp.
    pub floor: Hlc,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn versions() -> impl Strategy<Value = Version> {
        prop::collection::vec((0_u8..6, 0_u64..5), 0..6).prop_map(|entries| {
            entries.into_iter().map(|(id, n)| (ReplicaId::from_bytes([id; 16]), n)).collect()
        })
    }

    proptest! {
        #[test]
        fn join_is_the_least_upper_bound_and_meet_the_greatest_lower(
            a in versions(), b in versions(), c in versions()
        ) {
            let mut join = a.clone();
            join.join(&b);
            prop_assert!(join.covers(&a) && join.covers(&b));
            if c.covers(&a) && c.covers(&b) {
                prop_assert!(c.covers(&join));
            }
            let mut meet = a.clone();
            meet.meet(&b);
            prop_assert!(a.covers(&meet) && b.covers(&meet));
            if a.covers(&c) && b.covers(&c) {
                prop_assert!(meet.covers(&c));
            }
        }

        #[test]
        fn equal_knowledge_is_equal_bytes(a in versions(), b in versions()) {
            let same = a.covers(&b) && b.covers(&a);
            prop_assert_eq!(same, crate::encode(&a) == crate::encode(&b));
        }
    }
}
