//! What a replica holds: a version vector over op slots.

use crate::{Dot, Hlc, ReplicaId};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A version vector: for each replica, how many of its slots are held.
///
/// Slots of one replica are held without gaps, so one number per replica says
/// which. A replica of which nothing is held has no entry, so equal knowledge
/// means equal values and equal bytes.
///
/// Invariant: in ascending order of the replicas, none of which is there twice, and
/// no count is 0. Mostly there are one or two, which a list finds fastest.
#[derive(Clone, Default, Debug, PartialEq, Eq, Hash)]
pub struct Version(Vec<(ReplicaId, u64)>);

impl Version {
    /// The empty version.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Where a replica is, or where it would be put.
    #[inline]
    fn find(&self, replica: ReplicaId) -> Result<usize, usize> {
        // Mostly there is one, and equal is found sooner than less.
        match self.0.first() {
            Some((held, _)) if *held == replica => Ok(0),
            None => Err(0),
            Some(_) => self.search(replica),
        }
    }

    fn search(&self, replica: ReplicaId) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| held.cmp(&replica))
    }

    /// How many slots of `replica` are held. O(log n) in the number of replicas.
    #[must_use]
    #[inline]
    pub fn get(&self, replica: ReplicaId) -> u64 {
        let held = self.find(replica).ok().and_then(|at| self.0.get(at));
        held.map_or(0, |(_, count)| *count)
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

    /// Raises the count of `replica` to `count`; never lowers it. O(log n), O(n) for
    /// a replica of which nothing was held.
    #[inline]
    pub fn advance(&mut self, replica: ReplicaId, count: u64) {
        match self.find(replica) {
            Ok(at) => {
                if let Some((_, held)) = self.0.get_mut(at) {
                    *held = (*held).max(count);
                }
            }
            Err(at) if count > 0 => self.0.insert(at, (replica, count)),
            Err(_) => {}
        }
    }

    /// Sets the count of `replica`, lower or higher than before; 0 removes it.
    pub fn set(&mut self, replica: ReplicaId, count: u64) {
        match (self.find(replica), count) {
            (Ok(at), 0) => drop(self.0.remove(at)),
            (Ok(at), _) => {
                if let Some((_, held)) = self.0.get_mut(at) {
                    *held = count;
                }
            }
            (Err(_), 0) => {}
            (Err(at), _) => self.0.insert(at, (replica, count)),
        }
    }

    /// Raises every count to that of `other` where it is larger (least upper bound).
    /// O(n log m) where nothing is new, O(n + m) more where something is.
    pub fn join(&mut self, other: &Self) {
        let mut new = Vec::new();
        for (replica, count) in other.iter() {
            match self.find(replica).ok().and_then(|at| self.0.get_mut(at)) {
                Some((_, held)) => *held = (*held).max(count),
                None => new.push((replica, count)),
            }
        }
        if !new.is_empty() {
            self.0.append(&mut new);
            // Two ascending runs: linear.
            self.0.sort();
        }
    }

    /// Lowers every count to that of `other` where it is smaller (greatest lower bound).
    pub fn meet(&mut self, other: &Self) {
        self.0.retain_mut(|(replica, count)| {
            *count = (*count).min(other.get(*replica));
            *count > 0
        });
    }

    /// The entries in the order of their replica ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ReplicaId, u64)> + '_ {
        self.0.iter().copied()
    }

    /// The number of replicas of which something is held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Version;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count for each replica")
    }

    /// Nobody honest writes entries of 0, or out of order, or twice: see the
    /// [`FromIterator`] of [`Version`].
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Version, A::Error> {
        let mut held: Vec<(ReplicaId, u64)> = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            held.push(entry);
        }
        Ok(held.into_iter().collect())
    }
}

/// In any order; of two counts of one replica the larger.
impl FromIterator<(ReplicaId, u64)> for Version {
    fn from_iter<I: IntoIterator<Item = (ReplicaId, u64)>>(entries: I) -> Self {
        let mut held: Vec<_> = entries.into_iter().filter(|(_, count)| *count > 0).collect();
        if !held.is_sorted_by(|(one, _), (next, _)| one < next) {
            held.sort_unstable_by(|one, other| other.cmp(one));
            held.dedup_by_key(|(replica, _)| *replica);
            held.reverse();
        }
        Self(held)
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
        fn entries_of_nothing_out_of_order_and_twice_do_no_harm(
            entries in prop::collection::vec((0_u8..6, 0_u64..4), 0..9)
        ) {
            let id = |id: u8| ReplicaId::from_bytes([id; 16]);
            let mut bytes = vec![u8::try_from(entries.len()).unwrap()];
            entries.iter().for_each(|(replica, count)| crate::encode_into(&(id(*replica), count), &mut bytes));
            let iterated = entries.iter().map(|(replica, count)| (id(*replica), *count));
            let mut highest = Version::new();
            iterated.clone().for_each(|(replica, count)| highest.advance(replica, count));
            prop_assert_eq!(iterated.collect::<Version>(), highest.clone());
            prop_assert_eq!(crate::decode::<Version>(&bytes), Ok(highest));
        }

        #[test]
        fn equal_knowledge_is_equal_bytes(a in versions(), b in versions()) {
            let same = a.covers(&b) && b.covers(&a);
            prop_assert_eq!(same, crate::encode(&a) == crate::encode(&b));
        }
    }
}
