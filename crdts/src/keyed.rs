//! The engine under every type that is looked up by key: a hash table of `u32`
//! into an arena of slots.
//!
//! It promises that a slot keeps its number as long as its key is held, so an
//! undo names a slot instead of cloning a key. It knows nothing of stamps,
//! tombstones or what an entry means, and never iterates in hash order.

use crate::hash::Seeded;
use hashbrown::HashTable;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

/// A map from `K` to `E` in numbered slots.
///
/// Invariants: `table` holds the number of every occupied slot once, under the
/// hash of its key; `free` holds the number of every vacant slot.
#[derive(Clone)]
pub(crate) struct Keyed<K, E> {
    table: HashTable<u32>,
    slots: Vec<Option<Slot<K, E>>>,
    free: Vec<u32>,
    hasher: Seeded,
}

/// A key and what is kept for it.
#[derive(Clone)]
pub(crate) struct Slot<K, E> {
    pub(crate) key: K,
    pub(crate) entry: E,
}

/// A key is not held; with its hash, so that inserting it does not hash again.
#[derive(Clone, Copy)]
pub(crate) struct Absent {
    hash: u64,
}

/// All 2^32 slot numbers are taken.
#[derive(Debug)]
pub(crate) struct Full;

impl<K, E> Default for Keyed<K, E> {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hasher: Seeded::default(),
        }
    }
}

impl<K, E> Keyed<K, E> {
    /// How many keys are held.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The slot with this number, if it is occupied.
    pub(crate) fn at(&self, slot: u32) -> Option<&Slot<K, E>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The entry in the slot with this number, if it is occupied.
    pub(crate) fn entry_mut(&mut self, slot: u32) -> Option<&mut E> {
        self.slots.get_mut(slot as usize)?.as_mut().map(|slot| &mut slot.entry)
    }

    /// As [`Keyed::entry_mut`], with the key.
    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<(&K, &mut E)> {
        let slot = self.slots.get_mut(slot as usize)?.as_mut()?;
        Some((&slot.key, &mut slot.entry))
    }

    /// Every occupied slot in the order of the slots, which is the order of
    /// insertion until a slot is used again.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot<K, E>> {
        self.slots.iter().flatten()
    }

    /// As [`Keyed::iter`], and gives the slots away.
    pub(crate) fn into_slots(self) -> impl Iterator<Item = Slot<K, E>> {
        self.slots.into_iter().flatten()
    }

    /// The numbers of the occupied slots whose contents pass `test`.
    pub(crate) fn numbers(&self, mut test: impl FnMut(&K, &E) -> bool) -> Vec<u32> {
        let passing = |(number, slot): (usize, &Option<Slot<K, E>>)| {
            let slot = slot.as_ref()?;
            test(&slot.key, &slot.entry).then(|| u32::try_from(number).ok())?
        };
        self.slots.iter().enumerate().filter_map(passing).collect()
    }

    /// The slot at the end of the arena, if it is occupied.
    pub(crate) fn last(&self) -> Option<&Slot<K, E>> {
        self.slots.last()?.as_ref()
    }

    /// Drops every key whose contents do not pass `test`. O(n).
    pub(crate) fn retain(&mut self, mut test: impl FnMut(&K, &E) -> bool) {
        let Self { table, slots, free, .. } = self;
        table.retain(|&mut number| {
            let Some(place) = slots.get_mut(number as usize) else { return false };
            let keep = place.as_ref().is_some_and(|slot| test(&slot.key, &slot.entry));
            if !keep {
                *place = None;
                free.push(number);
            }
            keep
        });
    }
}

impl<K: Hash + Eq, E> Keyed<K, E> {
    /// The number of the slot that holds `key`.
    pub(crate) fn locate<Q>(&self, key: &Q) -> Result<u32, Absent>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let holds = |&number: &u32| self.at(number).is_some_and(|slot| slot.key.borrow() == key);
        self.table.find(hash, holds).copied().ok_or(Absent { hash })
    }

    /// The entry of `key`.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.locate(key).ok().and_then(|slot| self.at(slot)).map(|slot| &slot.entry)
    }

    /// Holds a key that [`Keyed::locate`] just said is absent, and returns its
    /// slot. Amortised O(1).
    pub(crate) fn insert(&mut self, absent: Absent, key: K, entry: E) -> Result<u32, Full> {
        let slot = self.vacant().ok_or(Full)?;
        self.occupy(absent.hash, slot, Slot { key, entry });
        Ok(slot)
    }

    /// Makes room for `keys` more keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.slots.reserve_exact(keys);
        let wanted = self.table.len().saturating_add(keys);
        if wanted > self.table.capacity() {
            self.grow(wanted);
        }
    }

    /// Takes the contents of a slot out and leaves it vacant.
    pub(crate) fn take(&mut self, slot: u32) -> Option<(K, E)> {
        let Slot { key, entry } = self.slots.get_mut(slot as usize)?.take()?;
        let hash = self.hasher.hash_one(&key);
        if let Ok(found) = self.table.find_entry(hash, |&number| number == slot) {
            found.remove();
        }
        if slot as usize + 1 == self.slots.len() {
            self.slots.pop();
        } else {
            self.free.push(slot);
        }
        Some((key, entry))
    }

    /// Puts back what [`Keyed::take`] took out of this slot, as the exact
    /// reverse of it.
    pub(crate) fn put_back(&mut self, slot: u32, key: K, entry: E) {
        if self.free.last() == Some(&slot) {
            self.free.pop();
        }
        let hash = self.hasher.hash_one(&key);
        self.occupy(hash, slot, Slot { key, entry });
    }

    /// A vacant slot, or a new one at the end. A number in `free` is stale when
    /// its slot was put back after others were vacated.
    fn vacant(&mut self) -> Option<u32> {
        while let Some(slot) = self.free.pop() {
            if self.at(slot).is_none() {
                return Some(slot);
            }
        }
        u32::try_from(self.slots.len()).ok()
    }

    fn occupy(&mut self, hash: u64, slot: u32, contents: Slot<K, E>) {
        if self.table.len() == self.table.capacity() {
            self.grow(self.table.len().saturating_mul(2).max(4));
        }
        match self.slots.get_mut(slot as usize) {
            Some(vacant) => *vacant = Some(contents),
            None => self.append(slot, contents),
        }
        let Self { table, slots, hasher, .. } = self;
        table.insert_unique(hash, slot, |&number| rehash(slots, hasher, number));
    }

    /// Occupies a slot past the end. Slots skipped on the way become free.
    fn append(&mut self, slot: u32, contents: Slot<K, E>) {
        while let Ok(next) = u32::try_from(self.slots.len())
            && next < slot
        {
            self.free.push(next);
            self.slots.push(None);
        }
        self.slots.push(Some(contents));
    }

    /// Makes a larger table. Filling the new one in the order of the slots reads
    /// the keys one after the other; letting the table rehash itself would read
    /// them in the order of its buckets, a cache miss each.
    fn grow(&mut self, capacity: usize) {
        self.table = HashTable::new();
        let mut table = HashTable::with_capacity(capacity);
        for (number, slot) in self.slots.iter().enumerate() {
            if let (Some(slot), Ok(number)) = (slot, u32::try_from(number)) {
                let hash = self.hasher.hash_one(&slot.key);
                table
                    .insert_unique(hash, number, |&other| rehash(&self.slots, &self.hasher, other));
            }
        }
        self.table = table;
    }
}

fn rehash<K: Hash, E>(slots: &[Option<Slot<K, E>>], hasher: &Seeded, number: u32) -> u64 {
    let slot = slots.get(number as usize).and_then(Option::as_ref);
    slot.map_or(0, |slot| hasher.hash_one(&slot.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u8, u32),
        Drop(u8),
        Reserve(usize),
        RetainBelow(u32),
        UndoAll,
    }

    enum Undo {
        Inserted(u32),
        Replaced(u32, u32),
        Taken(u32, u8, u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (0_u8..40, 0_u32..1000).prop_map(|(key, entry)| Step::Set(key, entry)),
            4 => (0_u8..40).prop_map(Step::Drop),
            1 => (0_usize..100).prop_map(Step::Reserve),
            1 => (0_u32..1000).prop_map(Step::RetainBelow),
            1 => Just(Step::UndoAll),
        ];
        prop::collection::vec(step, 0..200)
    }

    fn set(keyed: &mut Keyed<u8, u32>, key: u8, entry: u32) -> Undo {
        match keyed.locate(&key) {
            Ok(slot) => {
                Undo::Replaced(slot, std::mem::replace(keyed.entry_mut(slot).unwrap(), entry))
            }
            Err(absent) => Undo::Inserted(keyed.insert(absent, key, entry).unwrap()),
        }
    }

    fn undo(keyed: &mut Keyed<u8, u32>, undo: Undo) {
        match undo {
            Undo::Inserted(slot) => drop(keyed.take(slot)),
            Undo::Replaced(slot, old) => *keyed.entry_mut(slot).unwrap() = old,
            Undo::Taken(slot, key, entry) => keyed.put_back(slot, key, entry),
        }
    }

    /// The invariants that stand on the type.
    fn check(keyed: &Keyed<u8, u32>, model: &BTreeMap<u8, u32>) {
        assert_eq!(keyed.len(), model.len());
        let held: BTreeMap<_, _> = keyed.iter().map(|slot| (slot.key, slot.entry)).collect();
        assert_eq!(&held, model);
        for key in 0..40 {
            assert_eq!(keyed.get(&key), model.get(&key));
        }
        // Numbers may be stale, or there twice, but no vacant slot is forgotten.
        let vacant = (0_u32..).zip(&keyed.slots).filter(|(_, slot)| slot.is_none());
        for (number, _) in vacant {
            assert!(keyed.free.contains(&number), "slot {number} is lost");
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_naive_map_holds_and_undoes_exactly(steps in steps()) {
            let (mut keyed, mut model) = (Keyed::default(), BTreeMap::new());
            let (mut undos, mut before) = (Vec::new(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Set(key, entry) => {
                        undos.push(set(&mut keyed, key, entry));
                        model.insert(key, entry);
                    }
                    Step::Drop(key) => {
                        if let Ok(slot) = keyed.locate(&key) {
                            let (key, entry) = keyed.take(slot).unwrap();
                            undos.push(Undo::Taken(slot, key, entry));
                        }
                        model.remove(&key);
                    }
                    Step::Reserve(keys) => keyed.reserve(keys),
                    Step::RetainBelow(limit) => {
                        keyed.retain(|_, entry| *entry < limit);
                        model.retain(|_, entry| *entry < limit);
                        undos.clear();
                        before = model.clone();
                    }
                    Step::UndoAll => {
                        undos.drain(..).rev().for_each(|step| undo(&mut keyed, step));
                        model = before.clone();
                    }
                }
                check(&keyed, &model);
            }
        }
    }

    #[test]
    fn what_is_put_back_after_others_were_dropped_is_not_overwritten() {
        let mut keyed = Keyed::default();
        for key in 0..3 {
            set(&mut keyed, key, 0);
        }
        let slot = keyed.locate(&0).ok().unwrap();
        keyed.take(slot);
        keyed.retain(|key, _| *key != 1);
        keyed.put_back(slot, 0, 7);
        for key in 3..6 {
            set(&mut keyed, key, 0);
        }
        let held: BTreeMap<_, _> = keyed.iter().map(|slot| (slot.key, slot.entry)).collect();
        assert_eq!(held, [(0, 7), (2, 0), (3, 0), (4, 0), (5, 0)].into());
        assert_eq!(keyed.len(), 5);
        assert!(held.keys().all(|key| keyed.get(key).is_some()));
    }

    #[test]
    fn equal_keys_hash_differently_from_table_to_table() {
        let (one, other) = (Keyed::<u8, ()>::default(), Keyed::<u8, ()>::default());
        let hashes =
            |keyed: &Keyed<u8, ()>| (0..4_u8).map(|key| keyed.hasher.hash_one(key)).collect();
        let (one, other): (Vec<_>, Vec<_>) = (hashes(&one), hashes(&other));
        assert_ne!(one, other);
    }
}
