//! A map from keys to CRDTs, in which an edit wins over a removal.
//!
//! A child comes into being with its first edit and is known by its key: two
//! devices that create a child under one key offline get one child with the edits
//! of both. Edits of one child merge as its type says.
//!
//! A removal hides the child, as far as its author had seen it: if there is an edit
//! that the author had not seen, the child stays, *with all its content*, also what
//! the author had seen. Who edits a key whose child is hidden starts with a new
//! child, the next *generation*, and nothing of the former one comes back; two
//! devices that do so offline get the same new child. The youngest generation is the
//! one that shows: if somebody removes a key and creates it anew while somebody else
//! still edits the former child, the new child is shown and the edit of the former
//! one is not.
//!
//! # Example: an edit against a removal
//! ```
//! use repliq_core::ReplicaId;
//! use repliq_crdts::{CrdtMap, CrdtMapMut, OrSet, OrSetMut};
//!
//! let mut laptop = CrdtMap::<String, OrSet<String>>::new(ReplicaId::from_bytes([1; 16]));
//! let mut phone = CrdtMap::<String, OrSet<String>>::new(ReplicaId::from_bytes([2; 16]));
//! let key = || "shopping".to_string();
//!
//! // Both create the list offline: it is one list.
//! laptop.entry(key()).add("milk".to_string());
//! phone.entry(key()).add("bread".to_string());
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert_eq!(phone.get("shopping").map(OrSet::elements), Some(vec![&"bread".into(), &"milk".into()]));
//!
//! // One removes it while the other adds to it: it stays, with all its content.
//! laptop.remove(key());
//! assert!(laptop.is_empty());
//! phone.entry(key()).add("eggs".to_string());
//! laptop.merge(phone.clone())?;
//! phone.merge(laptop.clone())?;
//! assert_eq!(laptop.get("shopping").map(OrSet::len), Some(3));
//! assert_eq!(*laptop, *phone);
//!
//! // Who creates it anew after its removal starts afresh.
//! laptop.remove(key());
//! laptop.edit(|tx| tx.entry(key()).add("tea".to_string()))?;
//! phone.merge(laptop)?;
//! assert_eq!(phone.get("shopping").map(OrSet::elements), Some(vec![&"tea".to_string()]));
//! # Ok::<(), repliq_core::CrdtError>(())
//! ```
//!
//! # What is kept
//! Of a child its latest edit by each replica that no removal has seen, and its
//! latest removal by each replica until [`Crdt::prune`]. Of a hidden child all its
//! content, because an edit may still bring it back; [`Crdt::prune`] forgets it when
//! all its removals are within the cut's version. What stays for good is the key
//! and the number of its generation: without it, who has pruned and who has not
//! would take different children for the first one.

mod kind;
mod ops;
mod saved;

use crate::bounds::Key;
use crate::dots::{Dots, check_named, is_named};
use crate::keyed::{Absent, Keyed};
use kind::KindOf;
use repliq_core::{
    AsTx, Author, Crdt, CrdtError, Cursor, Cut, Dot, Effects, ReplicaId, Stamp, Standalone, Tx,
    Version, decode, encode,
};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

pub use ops::{CrdtMapEvent, CrdtMapOp};

/// A map from keys to CRDTs, in which an edit wins over a removal; see the
/// [module](self) for what that means under concurrency.
///
/// Its own part of a read or an edit is O(1) amortised, besides O(n) in the
/// replicas that edited the same child. It holds at most 2^32 - 1 keys, removed ones
/// included. Its [`KIND`](Crdt::KIND) names its children's:
/// `crdt-map/1<or-set/1>`.
#[derive(Clone)]
pub struct CrdtMap<K, C> {
    entries: Keyed<K, Entry<C>>,
    /// How many entries are visible.
    visible: usize,
}

/// The youngest child of a key.
#[derive(Clone, PartialEq, Eq)]
struct Entry<C> {
    generation: u32,
    /// The latest edit by each replica that no removal has seen.
    edits: Dots,
    /// The latest removal by each replica, unless it was pruned.
    removals: Dots,
    /// Invariant: the default if the entry is forgotten.
    child: C,
}

/// What takes back one step of a [`CrdtMap`].
pub struct CrdtMapUndo<C: Crdt>(Undo<C>);

enum Undo<C: Crdt> {
    Inserted(u32),
    Replaced(u32, Entry<C>),
    Marked(u32, Dots, Dots),
    Edited(u32, C::Undo),
}

impl<C> Entry<C> {
    const fn is_visible(&self) -> bool {
        !matches!(self.edits, Dots::None)
    }

    /// Whether nothing but the generation is kept.
    const fn is_forgotten(&self) -> bool {
        matches!((&self.edits, &self.removals), (Dots::None, Dots::None))
    }
}

impl<K: Key, C: Crdt> CrdtMap<K, C> {
    /// An empty map on its own, which `replica` is going to edit.
    #[allow(clippy::new_ret_no_self, reason = "a bare map cannot be edited: it has no replica id")]
    #[must_use]
    pub fn new(replica: ReplicaId) -> Standalone<Self> {
        Standalone::new(replica)
    }

    fn edit(
        &mut self,
        key: K,
        generation: u32,
        op: C::Op,
        at: Stamp,
        fx: &mut Effects<Self>,
    ) -> Result<(), CrdtError> {
        if generation == u32::MAX {
            return Err(CrdtError::Limit("a key is created at most 2^32 - 1 times"));
        }
        let fresh = |op| -> Result<_, CrdtError> {
            let mut child = C::default();
            let last = last_slot::<C>(&op, at);
            child.apply(op, at, &mut Effects::silent())?;
            Ok(Entry { generation, edits: Dots::One(last), removals: Dots::None, child })
        };
        let slot = match self.entries.locate(&key) {
            Ok(slot) => slot,
            Err(absent) => {
                let entry = fresh(op)?;
                return self.insert(absent, key, entry, fx);
            }
        };
        let held = self.entries.at(slot).map_or(0, |held| held.entry.generation);
        match generation.cmp(&held) {
            Ordering::Less => {}
            Ordering::Equal => self.edit_child(slot, op, at, fx)?,
            Ordering::Greater => {
                let entry = fresh(op)?;
                self.replace(slot, entry, fx);
            }
        }
        Ok(())
    }

    fn edit_child(
        &mut self,
        slot: u32,
        op: C::Op,
        at: Stamp,
        fx: &mut Effects<Self>,
    ) -> Result<(), CrdtError> {
        let Some(held) = self.entries.at(slot) else { return Ok(()) };
        let edits = held.entry.edits.with(last_slot::<C>(&op, at));
        let removals = held.entry.removals.clone();
        self.with_child(slot, fx, |child, fx| child.apply(op, at, fx)).transpose()?;
        self.mark(slot, edits, removals, fx);
        Ok(())
    }

    /// Does something to a child. Its events are told if a reader sees it.
    fn with_child<R>(
        &mut self,
        slot: u32,
        fx: &mut Effects<Self>,
        run: impl FnOnce(&mut C, &mut Effects<C>) -> R,
    ) -> Option<R> {
        let (key, entry) = self.entries.at_mut(slot)?;
        if entry.is_visible() {
            return Some(fx.nested(
                |fx| run(&mut entry.child, fx),
                |event| CrdtMapEvent::Changed { key: key.clone(), event },
                |undo| CrdtMapUndo(Undo::Edited(slot, undo)),
            ));
        }
        let mut hidden = Effects::new(false, fx.wants_undo());
        let result = run(&mut entry.child, &mut hidden);
        for undo in hidden.take_undos() {
            fx.undo(|| CrdtMapUndo(Undo::Edited(slot, undo)));
        }
        Some(result)
    }

    fn remove(
        &mut self,
        key: &K,
        generation: u32,
        seen: &[Dot],
        at: Stamp,
        fx: &mut Effects<Self>,
    ) -> Result<(), CrdtError> {
        check_named(seen, at.dot)?;
        if let Ok(slot) = self.entries.locate(key)
            && let Some(held) = self.entries.at(slot)
            && held.entry.generation == generation
        {
            let edits = held.entry.edits.filtered(|dot| !is_named(dot, seen, at.dot));
            let removals = held.entry.removals.with(at.dot);
            self.mark(slot, edits, removals, fx);
        }
        Ok(())
    }

    fn insert(
        &mut self,
        absent: Absent,
        key: K,
        entry: Entry<C>,
        fx: &mut Effects<Self>,
    ) -> Result<(), CrdtError> {
        let full = CrdtError::Limit("a map holds at most 2^32 - 1 keys");
        let slot = self.entries.insert(absent, key, entry).map_err(|_| full)?;
        fx.undo(|| CrdtMapUndo(Undo::Inserted(slot)));
        self.tell_visibility(slot, false, true, fx);
        Ok(())
    }

    /// Puts another child in the place of one.
    fn replace(&mut self, slot: u32, entry: Entry<C>, fx: &mut Effects<Self>) {
        let Some(held) = self.entries.entry_mut(slot) else { return };
        let old = std::mem::replace(held, entry);
        let was = old.is_visible();
        fx.undo(|| CrdtMapUndo(Undo::Replaced(slot, old)));
        self.tell_visibility(slot, was, true, fx);
    }

    fn mark(&mut self, slot: u32, edits: Dots, removals: Dots, fx: &mut Effects<Self>) {
        let Some(held) = self.entries.entry_mut(slot) else { return };
        if held.edits == edits && held.removals == removals {
            return;
        }
        let was = held.is_visible();
        let edits = std::mem::replace(&mut held.edits, edits);
        let removals = std::mem::replace(&mut held.removals, removals);
        fx.undo(|| CrdtMapUndo(Undo::Marked(slot, edits, removals)));
        self.tell_visibility(slot, was, false, fx);
    }

    /// Counts and tells what became of an entry that `was` visible or not.
    fn tell_visibility(&mut self, slot: u32, was: bool, is_another: bool, fx: &mut Effects<Self>) {
        let Some(held) = self.entries.at(slot) else { return };
        let is = held.entry.is_visible();
        self.visible = self.visible + usize::from(is) - usize::from(was);
        let key = || held.key.clone();
        match (was, is) {
            (true, false) => fx.event(|| CrdtMapEvent::Removed { key: key() }),
            (false, true) => fx.event(|| shown(key(), &held.entry.child)),
            (true, true) if is_another => fx.event(|| shown(key(), &held.entry.child)),
            _ => {}
        }
    }

    fn join_entry(
        &mut self,
        slot: u32,
        mine: &Version,
        there: Entry<C>,
        theirs: &Version,
        fx: &mut Effects<Self>,
    ) {
        let Some(here) = self.entries.at(slot).map(|held| &held.entry) else { return };
        match there.generation.cmp(&here.generation) {
            Ordering::Less => return,
            Ordering::Greater => return self.replace(slot, there, fx),
            Ordering::Equal => {}
        }
        let (is_forgotten, generation) = (here.is_forgotten(), here.generation);
        let edits = here.edits.join(mine, &there.edits, theirs);
        let removals = here.removals.join(mine, &there.removals, theirs);
        let joined = Entry { generation, edits, removals, child: C::default() };
        if !joined.is_forgotten() {
            self.with_child(slot, fx, |child, fx| child.join(mine, there.child, theirs, fx));
            self.mark(slot, joined.edits, joined.removals, fx);
        } else if !is_forgotten {
            self.replace(slot, joined, fx);
        }
    }

    /// Which child of `key` an edit that is made now concerns.
    fn generation_to_edit(&self, key: &K) -> u32 {
        self.entries.get(key).map_or(0, |entry| match entry.is_visible() {
            true => entry.generation,
            false => entry.generation.saturating_add(1),
        })
    }

    /// What a removal by somebody who sees this state says, or `None` when the key
    /// is not there.
    fn removal(&self, key: K) -> Option<CrdtMapOp<K, C::Op>> {
        let entry = self.entries.get(&key).filter(|entry| entry.is_visible())?;
        let (generation, seen) = (entry.generation, entry.edits.as_slice().to_vec());
        Some(CrdtMapOp::Remove { key, generation, seen })
    }
}

/// The dot of an edit: that of its last slot, which is the same whether edits of a
/// child came apart or as one that grew.
fn last_slot<C: Crdt>(op: &C::Op, at: Stamp) -> Dot {
    Dot { seq: at.dot.seq.saturating_add(C::slots(op).saturating_sub(1)), ..at.dot }
}

/// A child is copied by its bytes: a CRDT need not be `Clone`.
fn shown<K, C: Crdt>(key: K, child: &C) -> CrdtMapEvent<K, C> {
    CrdtMapEvent::Shown { key, child: Arc::new(decode(&encode(child)).unwrap_or_default()) }
}

impl<K: Key, C: Crdt> Crdt for CrdtMap<K, C> {
    const KIND: &'static str = KindOf::<C>::NAME;
    type Op = CrdtMapOp<K, C::Op>;
    type Event = CrdtMapEvent<K, C>;
    type Undo = CrdtMapUndo<C>;

    fn slots(op: &Self::Op) -> u64 {
        match op {
            CrdtMapOp::Edit { op, .. } => C::slots(op),
            CrdtMapOp::Remove { .. } => 1,
        }
    }

    fn may_grow(op: &Self::Op) -> bool {
        matches!(op, CrdtMapOp::Edit { op, .. } if C::may_grow(op))
    }

    /// Edits of one child may be one edit of it.
    fn grow(last: &mut Self::Op, next: &mut Self::Op) -> bool {
        match (last, next) {
            (
                CrdtMapOp::Edit { key, generation, op },
                CrdtMapOp::Edit { key: same_key, generation: same_generation, op: next },
            ) if key == same_key && generation == same_generation => C::grow(op, next),
            _ => false,
        }
    }

    fn check(&self) -> Result<(), CrdtError> {
        self.entries.iter().try_for_each(|held| held.entry.child.check())
    }

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match op {
            CrdtMapOp::Edit { key, generation, op } => self.edit(key, generation, op, at, fx),
            CrdtMapOp::Remove { key, generation, seen } => {
                self.remove(&key, generation, &seen, at, fx)
            }
        }
    }

    /// A key is never forgotten, so what is absent on one side is new to it.
    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        for there in other.entries.into_slots() {
            match self.entries.locate(&there.key) {
                Ok(slot) => self.join_entry(slot, mine, there.entry, theirs, fx),
                Err(absent) => {
                    // A map of 2^32 keys takes no more, and a join cannot say so.
                    let _ = self.insert(absent, there.key, there.entry, fx);
                }
            }
        }
    }

    fn rollback(&mut self, undo: Self::Undo) {
        let (slot, was) = match &undo.0 {
            Undo::Inserted(slot)
            | Undo::Replaced(slot, _)
            | Undo::Marked(slot, ..)
            | Undo::Edited(slot, _) => (*slot, self.is_visible_at(*slot)),
        };
        match (undo.0, self.entries.entry_mut(slot)) {
            (Undo::Inserted(_), _) => drop(self.entries.take(slot)),
            (Undo::Replaced(_, old), Some(entry)) => *entry = old,
            (Undo::Marked(_, edits, removals), Some(entry)) => {
                (entry.edits, entry.removals) = (edits, removals);
            }
            (Undo::Edited(_, undo), Some(entry)) => entry.child.rollback(undo),
            (_, None) => {}
        }
        self.visible = self.visible + usize::from(self.is_visible_at(slot)) - usize::from(was);
    }

    /// Forgets the removals within the cut, and the content of the children that
    /// are hidden by none but them: whatever is still to come was said by somebody
    /// who knows them to be removed. O(n), besides what the children take.
    fn prune(&mut self, cut: &Cut) {
        for slot in self.entries.numbers(|_, _| true) {
            if let Some(entry) = self.entries.entry_mut(slot) {
                entry.removals = entry.removals.filtered(|dot| !cut.version.contains(dot));
                if entry.is_forgotten() {
                    entry.child = C::default();
                } else {
                    entry.child.prune(cut);
                }
            }
        }
    }

    /// An edit goes to the child that the key has by now. A removal concerns what
    /// it concerned when it was first said, and what its author has edited since.
    fn reauthor(
        op: Self::Op,
        at: Stamp,
        before: &Self,
        tx: &mut Tx<'_, Self>,
    ) -> Result<(), CrdtError> {
        match op {
            CrdtMapOp::Edit { key, op, .. } => {
                let absent = C::default();
                let before = before.get(&key).unwrap_or(&absent);
                C::reauthor(op, at, before, &mut tx.entry(key))
            }
            CrdtMapOp::Remove { key, mut seen, .. } => {
                let Some(now) = tx.entries.get(&key).filter(|entry| entry.is_visible()) else {
                    return Ok(());
                };
                let generation = now.generation;
                let held = before.entries.get(&key).map(|entry| entry.edits.as_slice());
                let own = held.unwrap_or_default().iter();
                seen.extend(own.filter(|dot| dot.replica == at.dot.replica));
                seen.sort_unstable();
                seen.dedup();
                tx.push(CrdtMapOp::Remove { key, generation, seen })
            }
        }
    }
}

impl<K, C> CrdtMap<K, C> {
    fn is_visible_at(&self, slot: u32) -> bool {
        self.entries.at(slot).is_some_and(|held| held.entry.is_visible())
    }

    /// How many keys have a child. O(1).
    #[must_use]
    pub const fn len(&self) -> usize {
        self.visible
    }

    /// Whether no key has a child. O(1).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.visible == 0
    }

    /// Keys and children, in an order that may differ between replicas that hold
    /// the same: sort where it matters. O(n) for all, removed keys included.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &C)> {
        let visible = self.entries.iter().filter(|slot| slot.entry.is_visible());
        visible.map(|slot| (&slot.key, &slot.entry.child))
    }

    /// The keys that have a child, in the order of [`CrdtMap::iter`].
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }
}

impl<K: Hash + Eq, C> CrdtMap<K, C> {
    /// The child of `key`. O(1).
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<&C>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.get(key).filter(|entry| entry.is_visible()).map(|entry| &entry.child)
    }

    /// Whether `key` has a child. O(1).
    #[must_use]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).is_some()
    }
}

/// The edits of a [`CrdtMap`], wherever there is a transaction: in one, or on a
/// [`Standalone`].
pub trait CrdtMapMut<K: Key, C: Crdt>: AsTx<CrdtMap<K, C>> {
    /// The child of `key`, to be edited: `map.entry(key).add(element)`. If there is
    /// none, it reads as empty, and the first edit creates it. O(1) amortised.
    fn entry(&mut self, key: K) -> Tx<'_, C> {
        Tx::from_cursor(EntryCursor { map: self.tx(), key, absent: C::default() })
    }

    /// Removes `key`, as far as its child is seen here: no edit if there is none.
    /// O(1) amortised.
    fn remove(&mut self, key: K) {
        let mut tx = self.tx();
        if let Some(op) = tx.removal(key) {
            // It names only what it has seen, so nothing is refused.
            let _ = tx.push(op);
        }
    }
}

impl<K: Key, C: Crdt, A: AsTx<CrdtMap<K, C>> + ?Sized> CrdtMapMut<K, C> for A {}

struct EntryCursor<'a, K: Key, C: Crdt> {
    map: Tx<'a, CrdtMap<K, C>>,
    key: K,
    absent: C,
}

impl<K: Key, C: Crdt> Cursor<C> for EntryCursor<'_, K, C> {
    fn state(&self) -> &C {
        self.map.get(&self.key).unwrap_or(&self.absent)
    }

    fn push(&mut self, op: C::Op) -> Result<(), CrdtError> {
        let generation = self.map.generation_to_edit(&self.key);
        self.map.push(CrdtMapOp::Edit { key: self.key.clone(), generation, op })
    }

    fn next(&self) -> Option<Dot> {
        Author::next(&self.map)
    }
}

impl<K, C> Default for CrdtMap<K, C> {
    fn default() -> Self {
        Self { entries: Keyed::default(), visible: 0 }
    }
}

/// Equal maps also agree on what was removed and on the edits that count.
impl<K: Hash + Eq, C: PartialEq> PartialEq for CrdtMap<K, C> {
    fn eq(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|held| other.entries.get(&held.key) == Some(&held.entry))
    }
}

impl<K: Hash + Eq, C: Eq> Eq for CrdtMap<K, C> {}

impl<K: fmt::Debug, C: fmt::Debug> fmt::Debug for CrdtMap<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
