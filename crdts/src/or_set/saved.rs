//! How an [`OrSet`] is written and read.
//!
//! The form is `(replica ids, rows)`, with the ids that occur in ascending order
//! and a row `(element, additions)` for every element in ascending order, an
//! addition being `(index of the id, seq)`: equal states give equal bytes, and
//! reading refuses anything else.

use super::OrSet;
use crate::dots::{Dots, ReadDots, Replicas, ReplicasReader, SavedDots};
use crate::keyed::Keyed;
use repliq_core::ReplicaId;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::hash::Hash;

impl<T: Ord + Hash + Serialize> Serialize for OrSet<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let replicas = Replicas::of(self.elements.iter().map(|slot| &slot.entry));
        let mut slots: Vec<_> = self.elements.iter().collect();
        slots.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let rows: Vec<(&T, SavedDots<'_>)> =
            slots.into_iter().map(|slot| (&slot.key, replicas.shorten(&slot.entry))).collect();
        (replicas.ids(), rows).serialize(serializer)
    }
}

impl<'de, T: Ord + Hash + Deserialize<'de>> Deserialize<'de> for OrSet<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (ids, rows) = <(Vec<ReplicaId>, Vec<(T, ReadDots)>)>::deserialize(deserializer)?;
        read(ids, rows).map_err(D::Error::custom)
    }
}

fn read<T: Ord + Hash>(
    ids: Vec<ReplicaId>,
    rows: Vec<(T, ReadDots)>,
) -> Result<OrSet<T>, &'static str> {
    if !rows.is_sorted_by(|a, b| a.0 < b.0) {
        return Err("elements are out of order");
    }
    let mut replicas = ReplicasReader::new(ids)?;
    let mut elements: Keyed<T, Dots> = Keyed::default();
    elements.reserve(rows.len());
    for (element, dots) in rows {
        let dots = replicas.expand(&dots)?;
        if dots.is_empty() {
            return Err("an element was never added");
        }
        let absent = elements.locate(&element).err().ok_or("an element occurs twice")?;
        elements.insert(absent, element, dots).map_err(|_| "there are too many elements")?;
    }
    replicas.finish()?;
    Ok(OrSet { elements })
}
