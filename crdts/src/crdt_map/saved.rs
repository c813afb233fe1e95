//! How a [`CrdtMap`] is written and read.
//!
//! The form is `(replica ids, rows)`, with the ids that occur in ascending order
//! and a row `(key, generation, edits, removals, child)` for every key in ascending
//! order, an edit or removal being `(index of the id, seq)` and the child absent
//! where nothing is kept of it: equal states give equal bytes, and reading refuses
//! anything else.

use super::{CrdtMap, Entry};
use crate::dots::{ReadDots, Replicas, ReplicasReader, SavedDots};
use repliq_core::ReplicaId;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::hash::Hash;

type Row<'a, K, C> = (&'a K, u32, SavedDots<'a>, SavedDots<'a>, Option<&'a C>);
type ReadRow<K, C> = (K, u32, ReadDots, ReadDots, Option<C>);

impl<K: Ord + Hash + Serialize, C: Serialize> Serialize for CrdtMap<K, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let marks = self.entries.iter().flat_map(|slot| [&slot.entry.edits, &slot.entry.removals]);
        let replicas = Replicas::of(marks);
        let mut slots: Vec<_> = self.entries.iter().collect();
        slots.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let rows: Vec<_> =
            slots.into_iter().map(|slot| row(&replicas, &slot.key, &slot.entry)).collect();
        (replicas.ids(), rows).serialize(serializer)
    }
}

fn row<'a, K, C>(replicas: &'a Replicas, key: &'a K, entry: &'a Entry<C>) -> Row<'a, K, C> {
    let child = (!entry.is_forgotten()).then_some(&entry.child);
    let [edits, removals] = [&entry.edits, &entry.removals].map(|dots| replicas.shorten(dots));
    (key, entry.generation, edits, removals, child)
}

impl<'de, K, C> Deserialize<'de> for CrdtMap<K, C>
where
    K: Ord + Hash + Deserialize<'de>,
    C: Default + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (ids, rows) = <(Vec<ReplicaId>, Vec<ReadRow<K, C>>)>::deserialize(deserializer)?;
        read(ids, rows).map_err(D::Error::custom)
    }
}

fn read<K: Ord + Hash, C: Default>(
    ids: Vec<ReplicaId>,
    rows: Vec<ReadRow<K, C>>,
) -> Result<CrdtMap<K, C>, &'static str> {
    if !rows.is_sorted_by(|a, b| a.0 < b.0) {
        return Err("keys are out of order");
    }
    let mut replicas = ReplicasReader::new(ids)?;
    let mut map = CrdtMap::default();
    map.entries.reserve(rows.len());
    for (key, generation, edits, removals, child) in rows {
        let (edits, removals) = (replicas.expand(&edits)?, replicas.expand(&removals)?);
        let is_kept = child.is_some();
        let entry = Entry { generation, edits, removals, child: child.unwrap_or_default() };
        if entry.is_forgotten() == is_kept {
            return Err("a child is missing, or there is one too many");
        }
        map.visible += usize::from(entry.is_visible());
        let absent = map.entries.locate(&key).err().ok_or("a key occurs twice")?;
        map.entries.insert(absent, key, entry).map_err(|_| "there are too many keys")?;
    }
    replicas.finish()?;
    Ok(map)
}
