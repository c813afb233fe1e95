//! Repliq, through its public API.
//!
//! What an app does alone in memory goes through `Standalone`; what needs an
//! encoded change, made or taken, through [`held`]. Saved is what `Storage::put`
//! writes, with every letter that was deleted. Full history is the log of changes as
//! they travel: it also has who deleted what, and when.

mod held;

use crate::peers::peer::{Counter, Counters, List, Lists, Map, Maps, Peer, Set, Sets, Text, Texts};
use crate::peers::trace::Edit;
use held::Held;
use repliq::crdts::{
    List as RepliqList, ListMut, LwwMap, LwwMapMut, OrSet, OrSetMut, PnCounter, PnCounterMut,
    Text as RepliqText, TextMut,
};
use repliq::{Crdt, Loaded, ReplicaId, Saved, Standalone, Stored, Tx};

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

/// A value on its own, until changes are to come out of it or go into it.
enum Replica<C: Crdt> {
    Alone(Standalone<C>),
    Held(Held<C>),
}

impl<C: Crdt> Replica<C> {
    fn new(author: u8) -> Self {
        Self::Alone(Standalone::new(id(author)))
    }

    fn load(saved: &[u8], author: u8) -> Self {
        let saved = Saved::from_bytes(saved).expect("it was saved");
        Self::Alone(Standalone::resume(saved, id(author)))
    }

    fn state(&self) -> &C {
        match self {
            Self::Alone(alone) => alone,
            Self::Held(held) => &held.state,
        }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Tx<'_, C>)) {
        match self {
            Self::Alone(alone) => alone.edit(edit).expect("no op is refused"),
            Self::Held(held) => drop(held.commit(edit)),
        }
    }

    fn held(&mut self) -> &mut Held<C> {
        if let Self::Alone(alone) = self {
            assert!(alone.version().is_empty(), "a standalone does not give its value back");
            *self = Self::Held(Held::new(alone.replica()));
        }
        match self {
            Self::Held(held) => held,
            Self::Alone(_) => unreachable!("it was replaced"),
        }
    }

    fn save(&mut self) -> Vec<u8> {
        if let Self::Held(held) = self {
            let held = std::mem::replace(held, Held::new(id(0)));
            *self = Self::Alone(held.into_standalone());
        }
        match self {
            Self::Alone(alone) => alone.to_bytes().expect("it is not nested"),
            Self::Held(_) => unreachable!("it was replaced"),
        }
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
        self.held().commit(|text| make(text, edits))
    }

    fn mark(&mut self) {}

    fn since(&mut self, parts: &[Vec<u8>]) -> Vec<u8> {
        parts.concat()
    }

    fn apply(&mut self, update: &[u8]) {
        self.held().apply(update);
    }

    fn text(&self) -> String {
        self.state().to_string()
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
        self.held().commit(|map| set(map, entries))
    }

    fn apply(&mut self, update: &[u8]) {
        self.held().apply(update);
    }

    fn sum(&self, keys: &[String]) -> i64 {
        keys.iter().map(|key| self.state().get(key.as_str()).expect("it is there")).sum()
    }

    fn len(&self) -> usize {
        self.state().len()
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
        self.state().len()
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
        i64::try_from(self.state().value()).expect("it counts ones")
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
        self.state().iter().copied().collect()
    }
}
