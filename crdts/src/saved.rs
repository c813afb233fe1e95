//! How last-writer-wins state is written and read.
//!
//! The form is `(replica ids, earliest time, rows)`, with the ids that occur in
//! ascending order and a row `(key, index of the id, seq, time - earliest time,
//! content)` for every key in ascending order: equal states give equal bytes.
//! Reading refuses anything else, never panics, and allocates in proportion to
//! what was read.

use crate::lww::{Content, Lww, Written};
use repliq_core::{Dot, Hlc, ReplicaId, Stamp};
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

/// How many slots are reserved on the word of a length alone. After that as many
/// as were read, so that a true length leaves no slot unused.
const RESERVED: usize = 1 << 12;

type Row<K, T> = (K, u32, u64, u64, T);

impl<K, T> Serialize for Lww<K, T>
where
    K: Ord + Hash + Serialize,
    T: Content + Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let header = Header::of(self);
        let mut out = serializer.serialize_tuple(3)?;
        out.serialize_element(&header.replicas)?;
        out.serialize_element(&header.earliest)?;
        out.serialize_element(&Rows { state: self, header: &header })?;
        out.end()
    }
}

struct Header {
    replicas: Vec<ReplicaId>,
    earliest: u64,
    /// The index in `replicas` of every author number.
    indexes: Vec<u32>,
}

impl Header {
    fn of<K, T>(state: &Lww<K, T>) -> Self {
        let mut used = vec![false; state.authors.iter().len()];
        let mut earliest = u64::MAX;
        for slot in state.keyed.iter() {
            let stamp = slot.entry.stamp;
            earliest = earliest.min(stamp.hlc.0);
            if let Some(used) = used.get_mut(stamp.author() as usize) {
                *used = true;
            }
        }
        if state.keyed.len() == 0 {
            earliest = 0;
        }
        let occurring = state.authors.iter().zip(&used).filter(|(_, used)| **used);
        let mut replicas: Vec<_> = occurring.map(|(author, _)| author.replica).collect();
        replicas.sort_unstable();
        replicas.dedup();
        let index = |replica| {
            let found = replicas.binary_search(replica).ok();
            found.and_then(|index| u32::try_from(index).ok()).unwrap_or(0)
        };
        let indexes = state.authors.iter().map(|author| index(&author.replica)).collect();
        Self { replicas, earliest, indexes }
    }
}

struct Rows<'a, K, T> {
    state: &'a Lww<K, T>,
    header: &'a Header,
}

impl<K: Ord + Serialize, T: Serialize> Serialize for Rows<'_, K, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut slots: Vec<_> = self.state.keyed.iter().collect();
        slots.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let mut out = serializer.serialize_seq(Some(slots.len()))?;
        for slot in slots {
            let Written { stamp, content } = &slot.entry;
            let index = self.header.indexes.get(stamp.author() as usize).copied().unwrap_or(0);
            let seq = self.state.authors.expand(*stamp).dot.seq;
            out.serialize_element(&(
                &slot.key,
                index,
                seq,
                stamp.hlc.0 - self.header.earliest,
                content,
            ))?;
        }
        out.end()
    }
}

impl<'de, K, T> Deserialize<'de> for Lww<K, T>
where
    K: Ord + Hash + Deserialize<'de>,
    T: Content + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(3, WholeVisitor(PhantomData))
    }
}

struct WholeVisitor<K, T>(PhantomData<(K, T)>);

impl<'de, K, T> Visitor<'de> for WholeVisitor<K, T>
where
    K: Ord + Hash + Deserialize<'de>,
    T: Content + Deserialize<'de>,
{
    type Value = Lww<K, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("replica ids, earliest time and rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let short = || A::Error::custom("a part is missing");
        let replicas: Vec<ReplicaId> = parts.next_element()?.ok_or_else(short)?;
        if !replicas.is_sorted_by(|a, b| a < b) {
            return Err(A::Error::custom("replica ids are out of order"));
        }
        let earliest = parts.next_element()?.ok_or_else(short)?;
        let rows = RowsVisitor { replicas, earliest, rows: PhantomData };
        parts.next_element_seed(rows)?.ok_or_else(short)
    }
}

struct RowsVisitor<K, T> {
    replicas: Vec<ReplicaId>,
    earliest: u64,
    rows: PhantomData<(K, T)>,
}

impl<'de, K, T> DeserializeSeed<'de> for RowsVisitor<K, T>
where
    K: Ord + Hash + Deserialize<'de>,
    T: Content + Deserialize<'de>,
{
    type Value = Lww<K, T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, K, T> Visitor<'de> for RowsVisitor<K, T>
where
    K: Ord + Hash + Deserialize<'de>,
    T: Content + Deserialize<'de>,
{
    type Value = Lww<K, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows in the order of their keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Self::Value, A::Error> {
        let mut state = Lww::default();
        let mut expected = rows.size_hint().unwrap_or(0);
        let mut reserved = 0;
        let mut used = vec![false; self.replicas.len()];
        let mut smallest = u64::MAX;
        while let Some((key, index, seq, later, content)) = rows.next_element::<Row<K, T>>()? {
            if reserved == 0 {
                reserved = expected.min(state.keyed.len().max(RESERVED));
                state.reserve(reserved);
                expected -= reserved;
            }
            reserved = reserved.saturating_sub(1);
            let replica = self.replicas.get(index as usize).copied();
            let replica = replica.ok_or_else(|| A::Error::custom("a replica id is missing"))?;
            let hlc = self.earliest.checked_add(later).map(Hlc);
            let hlc = hlc.ok_or_else(|| A::Error::custom("a time is out of range"))?;
            let stamp = Stamp { hlc, dot: Dot { replica, seq } };
            state.append(key, content, stamp).map_err(A::Error::custom)?;
            smallest = smallest.min(later);
            if let Some(used) = used.get_mut(index as usize) {
                *used = true;
            }
        }
        let canonical = if state.keyed.len() == 0 { self.earliest == 0 } else { smallest == 0 };
        if !canonical || used.contains(&false) {
            return Err(A::Error::custom("a replica id or the earliest time is not in use"));
        }
        Ok(state)
    }
}
