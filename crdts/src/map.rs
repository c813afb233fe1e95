//! A map in which the last write to a key wins.
//!
//! Two replicas that write different keys keep both writes; of two writes to one
//! key, the larger `(time, replica id, sequence number, value)` stays, compared
//! from left to right, and a removal is smaller than any value. So every replica
//! that has seen the same edits shows the same map, whatever order they came in.
//!
//! # Example: two devices edit offline
//! ```
//! use repliq_core::{Millis, ReplicaId};
//! use repliq_crdts::{LwwMap, LwwMapMut};
//!
//! let mut laptop = LwwMap::new(ReplicaId::from_bytes([1; 16])).with_wall(|| Millis(1_000));
//! let mut phone = LwwMap::new(ReplicaId::from_bytes([2; 16])).with_wall(|| Millis(2_000));
//!
//! laptop.set("title".to_string(), "Shopping".to_string());
//! laptop.set("colour".to_string(), "red".to_string());
//! phone.set("title".to_string(), "Groceries".to_string()); // a second later
//!
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert_eq!(laptop.get("title").map(String::as_str), Some("Groceries")); // the later write
//! assert_eq!(laptop.get("colour").map(String::as_str), Some("red")); // nobody else wrote it
//! assert_eq!(*laptop, *phone);
//!
//! // An edit against a removal: again the later of the two wins.
//! laptop.remove("title".to_string());
//! phone.set("title".to_string(), "Market".to_string());
//! phone.set("title".to_string(), "Farmers' market".to_string());
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert_eq!(laptop.get("title").map(String::as_str), Some("Farmers' market"));
//! assert_eq!(*laptop, *phone);
//! # Ok::<(), repliq_core::CrdtError>(())
//! ```
//!
//! # What is kept of a removed key
//! The key and the removal's stamp (a *tombstone*), also when the key was not
//! there, because an earlier write to it may still come. [`Crdt::prune`] forgets
//! a tombstone when its dot is within the cut's version and its time is before
//! the cut's floor. From then on the map may merge a change only if the change's
//! deps reach the cut; the engine sees to that, and a device that was away for
//! longer rebases.

use crate::bounds::{Key, Value};
use crate::lww::{Content, Lww, Report, Undo};
use repliq_core::{
    Author, Crdt, CrdtError, Cut, Effects, ReplicaId, Stamp, Standalone, Version, encode,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::Hash;

/// A map in which the last write to a key wins; see the [module](self) for what
/// that means under concurrency.
///
/// Reads and edits are O(1) amortised. It holds at most 2^32 - 1 keys, removed
/// ones included until they are pruned.
#[derive(Clone)]
pub struct LwwMap<K, V>(Lww<K, Option<V>>);

/// An intent on an [`LwwMap`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MapOp<K, V> {
    /// Writes a value to a key.
    Set(K, V),
    /// Removes a key.
    Remove(K),
}

/// A visible change of an [`LwwMap`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MapEvent<K, V> {
    /// The key has this value from now on. It may have had an equal one before.
    Set {
        /// The key that was written to.
        key: K,
        /// Its value.
        value: V,
    },
    /// The key is there no more.
    Removed {
        /// The key that was removed.
        key: K,
    },
}

/// What takes back one edit of an [`LwwMap`].
pub struct MapUndo<K, V>(Undo<K, Option<V>>);

impl<V: Serialize> Content for Option<V> {
    const REMOVED: Self = None;

    fn is_live(&self) -> bool {
        self.is_some()
    }

    /// Two values always count as different: a value need not be comparable.
    fn looks_like(&self, other: &Self) -> bool {
        self.is_none() && other.is_none()
    }

    fn precedence(&self) -> u8 {
        0
    }

    fn compare_encoded(&self, other: &Self) -> Ordering {
        self.as_ref().map(encode).cmp(&other.as_ref().map(encode))
    }
}

impl<K: Key, V: Value> Report<K, Option<V>> for Effects<LwwMap<K, V>> {
    fn changed(&mut self, key: &K, content: &Option<V>) {
        self.event(|| match content.clone() {
            Some(value) => MapEvent::Set { key: key.clone(), value },
            None => MapEvent::Removed { key: key.clone() },
        });
    }

    fn undo(&mut self, undo: Undo<K, Option<V>>) {
        Self::undo(self, || MapUndo(undo));
    }
}

impl<K: Key, V: Value> Crdt for LwwMap<K, V> {
    const KIND: &'static str = "lww-map/1";
    type Op = MapOp<K, V>;
    type Event = MapEvent<K, V>;
    type Undo = MapUndo<K, V>;

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match op {
            MapOp::Set(key, value) => self.0.write(key, Some(value), at, fx),
            MapOp::Remove(key) => self.0.write(key, None, at, fx),
        }
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

impl<K: Key, V: Value> LwwMap<K, V> {
    /// An empty map on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare map cannot be edited: it has no replica id")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }
}

impl<K: Hash + Eq, V: Serialize> LwwMap<K, V> {
    /// The value of `key`. O(1).
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(key).and_then(Option::as_ref)
    }

    /// Whether `key` has a value. O(1).
    #[must_use]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).is_some()
    }

    /// How many keys have a value. O(1).
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.live()
    }

    /// Whether no key has a value. O(1).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys and values, in an order that may differ between replicas that hold
    /// the same: sort where it matters. O(n) for all, removed keys included.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().filter_map(|(key, content)| Some((key, content.as_ref()?)))
    }

    /// The keys, in the order of [`LwwMap::iter`].
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order of [`LwwMap::iter`].
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

/// The edits of an [`LwwMap`], wherever ops can be authored: in a transaction,
/// or on a [`Standalone`].
pub trait LwwMapMut<K: Key, V: Value>: Author<LwwMap<K, V>> {
    /// Writes `value` to `key`. O(1) amortised.
    fn set(&mut self, key: K, value: V) {
        // The only refusal, at 2^32 keys, poisons the transaction by itself.
        let _ = self.author(MapOp::Set(key, value));
    }

    /// Removes `key`, also for replicas that have it while this one does not. O(1) amortised.
    fn remove(&mut self, key: K) {
        let _ = self.author(MapOp::Remove(key));
    }
}

impl<K: Key, V: Value, A: Author<LwwMap<K, V>> + ?Sized> LwwMapMut<K, V> for A {}

impl<K, V> Default for LwwMap<K, V> {
    fn default() -> Self {
        Self(Lww::default())
    }
}

/// Equal maps have seen writes that leave the same: they also agree on what was
/// removed and on every stamp.
impl<K: Hash + Eq, V: Serialize + PartialEq> PartialEq for LwwMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Hash + Eq, V: Serialize + Eq> Eq for LwwMap<K, V> {}

impl<K: fmt::Debug + Hash + Eq, V: fmt::Debug + Serialize> fmt::Debug for LwwMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Hash + Serialize, V: Serialize> Serialize for LwwMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, K, V> Deserialize<'de> for LwwMap<K, V>
where
    K: Ord + Hash + Deserialize<'de>,
    V: Serialize + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Lww::deserialize(deserializer).map(Self)
    }
}
