//! diamond-types-extended: the fork of diamond-types with maps and sets.
//!
//! It keeps no text between reads: `content` replays the history each time. So
//! it takes part where work ends with one read, and not where a text has to be
//! readable after every edit. Fast path: objects by their id, updates are
//! `ops_since` through postcard and merged borrowed. It has no other form to
//! save. Replicas start from one first change, which makes the object.

use crate::peers::peer::{Map, Maps, Peer, Set, Sets, Text, Texts};
use crate::peers::trace::Edit;
use diamond_types_extended::{CrdtId, Document, Frontier, SerializedOps, Transaction, Uuid, Value};

pub(crate) struct DiamondTypesExtended;

impl Peer for DiamondTypesExtended {
    fn name(&self) -> &'static str {
        "diamond-types-extended"
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
}

/// A document, and the object in it that is measured.
struct Held {
    document: Document,
    object: CrdtId,
    agent: u32,
    marked: Frontier,
}

impl Held {
    fn new(author: u8, make: impl FnOnce(&mut Transaction<'_>) -> CrdtId) -> Self {
        let mut document = Document::new();
        let first = document.create_agent(Uuid::from_u128(1));
        let object = document.transact(first, make);
        Self::own(document, object, author)
    }

    fn load(saved: &[u8], author: u8, find: impl FnOnce(&Document) -> CrdtId) -> Self {
        let mut document = Document::new();
        apply(&mut document, saved);
        let object = find(&document);
        Self::own(document, object, author)
    }

    fn own(mut document: Document, object: CrdtId, author: u8) -> Self {
        let agent = document.create_agent(Uuid::from_u128(u128::from(author) + 2));
        let marked = document.version().clone();
        Self { document, object, agent, marked }
    }

    fn since(&self, version: &Frontier) -> Vec<u8> {
        postcard::to_allocvec(&self.document.ops_since(version)).expect("it serializes")
    }

    fn save(&self) -> Vec<u8> {
        self.since(&Frontier::root())
    }
}

fn apply(document: &mut Document, update: &[u8]) {
    let ops: SerializedOps<'_> = postcard::from_bytes(update).expect("an update");
    document.merge_ops_borrowed(ops).expect("it fits");
}

impl Texts for DiamondTypesExtended {
    fn is_live(&self) -> bool {
        false
    }

    fn empty(&self, author: u8) -> Box<dyn Text> {
        Box::new(Letters(Held::new(author, |transaction| transaction.root().create_text("it"))))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Text> {
        Box::new(Letters(Held::load(saved, author, |document| {
            document.root().get_text("it").expect("the text").id()
        })))
    }
}

struct Letters(Held);

impl Text for Letters {
    fn edit(&mut self, edits: &[Edit]) {
        let object = self.0.object;
        self.0.document.transact(self.0.agent, |transaction| {
            let mut text = transaction.text_by_id(object).expect("the text");
            for Edit { position, deleted, inserted } in edits {
                if *deleted > 0 {
                    text.delete(*position..position + deleted);
                }
                if !inserted.is_empty() {
                    text.insert(*position, inserted);
                }
            }
        });
    }

    fn edit_encoded(&mut self, edits: &[Edit]) -> Vec<u8> {
        let before = self.0.document.version().clone();
        self.edit(edits);
        self.0.since(&before)
    }

    fn mark(&mut self) {
        self.0.marked = self.0.document.version().clone();
    }

    fn since(&mut self, _parts: &[Vec<u8>]) -> Vec<u8> {
        self.0.since(&self.0.marked)
    }

    fn apply(&mut self, update: &[u8]) {
        apply(&mut self.0.document, update);
    }

    fn text(&self) -> String {
        self.0.document.get_text_by_id(self.0.object).expect("the text").content()
    }

    fn save(&mut self) -> Vec<u8> {
        self.0.save()
    }
}

impl Maps for DiamondTypesExtended {
    fn empty(&self, author: u8) -> Box<dyn Map> {
        Box::new(Entries(Held::new(author, |transaction| transaction.root().create_map("it"))))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Map> {
        Box::new(Entries(Held::load(saved, author, |document| {
            document.root().get_map("it").expect("the map").id()
        })))
    }
}

struct Entries(Held);

impl Map for Entries {
    fn set(&mut self, entries: &[(String, i64)]) {
        let object = self.0.object;
        self.0.document.transact(self.0.agent, |transaction| {
            let mut map = transaction.map_by_id(object);
            for (key, value) in entries {
                map.set(key, *value);
            }
        });
    }

    fn set_encoded(&mut self, entries: &[(String, i64)]) -> Vec<u8> {
        let before = self.0.document.version().clone();
        self.set(entries);
        self.0.since(&before)
    }

    fn apply(&mut self, update: &[u8]) {
        apply(&mut self.0.document, update);
    }

    fn sum(&self, keys: &[String]) -> i64 {
        let map = self.0.document.get_map(&["it"]).expect("the map");
        let value = |key: &String| match map.get(key) {
            Some(Value::Int(value)) => value,
            other => panic!("{other:?} at {key}"),
        };
        keys.iter().map(value).sum()
    }

    fn len(&self) -> usize {
        self.0.document.get_map(&["it"]).expect("the map").len()
    }

    fn save(&mut self) -> Vec<u8> {
        self.0.save()
    }
}

impl Sets for DiamondTypesExtended {
    fn empty(&self, author: u8) -> Box<dyn Set> {
        Box::new(Elements(Held::new(author, |transaction| transaction.root().create_set("it"))))
    }
}

struct Elements(Held);

impl Set for Elements {
    fn add(&mut self, elements: &[String]) {
        let object = self.0.object;
        self.0.document.transact(self.0.agent, |transaction| {
            let mut set = transaction.set_by_id(object).expect("the set");
            elements.iter().for_each(|element| set.add_str(element));
        });
    }

    fn len(&self) -> usize {
        self.0.document.get_set_by_id(self.0.object).expect("the set").len()
    }
}
