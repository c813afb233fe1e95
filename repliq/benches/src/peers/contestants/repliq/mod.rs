//! Repliq, through its public API: `Standalone`, alone, with changes out of it and
//! into it, and merged.
//!
//! A change travels by itself, with its author's replica id and its place among that
//! author's changes, so a receiver needs nothing else to place it. All that a replica
//! holds goes to another one as its state, which is merged: that is what Repliq has for
//! a history of many changes, and it has every letter that was deleted, but not who
//! deleted it and when. Saved is the same state, as `Storage::put` writes it. Full history
//! is the log of changes as they travel: it also has who deleted what, and when.

use crate::peers::peer::{Counter, Counters, List, Lists, Map, Maps, Peer, Set, Sets, Text, Texts};
use crate::peers::trace::Edit;
use repliq::crdts::{
    List as RepliqList, ListMut, LwwMap, LwwMapMut, OrSet, OrSetMut, PnCounter, PnCounterMut,
    Text as RepliqText, TextMut,
};
use repliq::{Change, Crdt, Loaded, ReplicaId, Saved, Standalone, Stored, Tx};

pub(crate) struct Repliq;

impl Peer for Repliq {
    fn name(&self) -> &'static str {
        "repliq"
    }

    fn texts(&self) -> Option<&dyn Texts> {
        Some(self)
    }

    fn maps(&self) -> Option<&dyn Maps> {
        Some(self)
    }

    fn sets(&self) -> Option<&dyn Sets> {
        Some(self)
    }

    fn counters(&self) -> Option<&dyn Counters> {
        Some(self)
    }

    fn lists(&self) -> Option<&dyn Lists> {
        Some(self)
    }
}

/// A value on its own, and what travels of it.
struct Replica<C: Crdt>(Standalone<C>);

impl<C: Crdt> Replica<C> {
    fn new(author: u8) -> Self {
        Self(Standalone::new(id(author)))
    }

    fn load(saved: &[u8], author: u8) -> Self {
        let saved = Saved::from_bytes(saved).expect("it was saved");
        Self(Standalone::resume(saved, id(author)))
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Tx<'_, C>)) {
        self.0.edit(edit).expect("no op is refused");
    }

    fn edit_encoded(&mut self, edit: impl FnOnce(&mut Tx<'_, C>)) -> Vec<u8> {
        let ((), change) = self.0.commit(edit).expect("no op is refused");
        change.map(|change| change.to_bytes()).unwrap_or_default()
    }

    /// Decodes changes, one after the other, and applies them.
    fn apply(&mut self, update: &[u8]) {
        let mut rest = update;
        while !rest.is_empty() {
            let (change, behind) = Change::read(rest).expect("a change");
            self.0.apply(&change).expect("it fits");
            rest = behind;
        }
    }

    fn save(&self) -> Vec<u8> {
        self.0.to_bytes().expect("it is not nested")
    }
}

fn id(author: u8) -> ReplicaId {
    let mut bytes = *b"benchmark\0\0\0\0\0\0\0";
    bytes[15] = author;
    ReplicaId::from_bytes(bytes)
}

impl Texts for Repliq {
    fn empty(&self, author: u8) -> Box<dyn Text> {
        Box::new(Replica::<RepliqText>::new(author))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Text> {
        Box::new(Replica::<RepliqText>::load(saved, author))
    }
}

fn make(text: &mut Tx<'_, RepliqText>, edits: &[Edit]) {
    for Edit { position, deleted, inserted } in edits {
        if *deleted > 0 {
            text.delete(*position..position + deleted).expect("it is there");
        }
        if !inserted.is_empty() {
            text.insert(*position, inserted).expect("it is there");
        }
    }
}

impl Text for Replica<RepliqText> {
    fn edit(&mut self, edits: &[Edit]) {
        Self::edit(self, |text| make(text, edits));
    }

    fn edit_encoded(&mut self, edits: &[Edit]) -> Vec<u8> {
        Self::edit_encoded(self, |text| make(text, edits))
    }

    fn mark(&mut self) {}

    fn since(&mut self, parts: &[Vec<u8>]) -> Vec<u8> {
        parts.concat()
    }

    fn apply(&mut self, update: &[u8]) {
        Self::apply(self, update);
    }

    fn whole(&mut self, _parts: &[Vec<u8>]) -> Vec<u8> {
        Self::save(self)
    }

    fn merge(&mut self, whole: &[u8]) {
        let saved = Saved::from_bytes(whole).expect("a state");
        self.0.merge(Standalone::resume(saved, id(0))).expect("it is not damaged");
    }

    fn text(&self) -> String {
        self.0.to_string()
    }

    fn save(&mut self) -> Vec<u8> {
        Self::save(self)
    }
}

type Entries = LwwMap<String, i64>;

impl Maps for Repliq {
    fn empty(&self, author: u8) -> Box<dyn Map> {
        Box::new(Replica::<Entries>::new(author))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Map> {
        Box::new(Replica::<Entries>::load(saved, author))
    }
}

fn set(map: &mut Tx<'_, Entries>, entries: &[(String, i64)]) {
    for (key, value) in entries {
        map.set(key.clone(), *value);
    }
}

impl Map for Replica<Entries> {
    fn set(&mut self, entries: &[(String, i64)]) {
        self.edit(|map| set(map, entries));
    }

    fn set_encoded(&mut self, entries: &[(String, i64)]) -> Vec<u8> {
        Self::edit_encoded(self, |map| set(map, entries))
    }

    fn apply(&mut self, update: &[u8]) {
        Self::apply(self, update);
    }

    fn sum(&self, keys: &[String]) -> i64 {
        keys.iter().map(|key| self.0.get(key.as_str()).expect("it is there")).sum()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn save(&mut self) -> Vec<u8> {
        Self::save(self)
    }
}

impl Sets for Repliq {
    fn empty(&self, author: u8) -> Box<dyn Set> {
        Box::new(Replica::<OrSet<String>>::new(author))
    }
}

impl Set for Replica<OrSet<String>> {
    fn add(&mut self, elements: &[String]) {
        self.edit(|set| elements.iter().for_each(|element| set.add(element.clone())));
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl Counters for Repliq {
    fn empty(&self, author: u8) -> Box<dyn Counter> {
        Box::new(Replica::<PnCounter>::new(author))
    }
}

impl Counter for Replica<PnCounter> {
    fn increment(&mut self, times: usize) {
        self.edit(|counter| (0..times).for_each(|_| counter.increment()));
    }

    fn value(&self) -> i64 {
        i64::try_from(self.0.value()).expect("it counts ones")
    }
}

impl Lists for Repliq {
    fn empty(&self, author: u8) -> Box<dyn List> {
        Box::new(Replica::<RepliqList<i64>>::new(author))
    }
}

impl List for Replica<RepliqList<i64>> {
    fn insert(&mut self, elements: &[(usize, i64)]) {
        self.edit(|list| {
            for (index, element) in elements {
                list.insert(*index, *element).expect("it is there");
            }
        });
    }

    fn elements(&self) -> Vec<i64> {
        self.0.iter().copied().collect()
    }
}
