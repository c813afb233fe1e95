//! Automerge: a JSON document with its whole history, hashed and compressed.
//!
//! Fast path: manual transactions without a patch log (`AutoCommit` keeps one),
//! `splice_text`, an update is the last local change as it is kept, and updates
//! go in by `load_incremental`. Replicas start from one first change, which makes
//! the object: objects that two replicas make by themselves are two.

use crate::peers::peer::{Counter, Counters, List, Lists, Map, Maps, Peer, Text, Texts};
use crate::peers::trace::Edit;
use automerge::transaction::{Transactable, Transaction};
use automerge::{
    ActorId, Automerge as Document, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, Value,
};

pub(crate) struct Automerge;

impl Peer for Automerge {
    fn name(&self) -> &'static str {
        "automerge"
    }

    fn texts(&self) -> Option<&dyn Texts> {
        Some(self)
    }

    fn maps(&self) -> Option<&dyn Maps> {
        Some(self)
    }

    fn counters(&self) -> Option<&dyn Counters> {
        Some(self)
    }

    fn lists(&self) -> Option<&dyn Lists> {
        Some(self)
    }
}

/// A document, and the object in it that is measured.
struct Held {
    document: Document,
    object: ObjId,
    marked: Vec<ChangeHash>,
}

impl Held {
    fn new(kind: ObjType, author: u8) -> Self {
        let mut document = Document::new().with_actor(ActorId::from(&[0; 16][..]));
        let mut transaction = document.transaction();
        let object = transaction.put_object(ROOT, "it", kind).expect("a new object");
        transaction.commit();
        Self::own(document, object, author)
    }

    fn load(saved: &[u8], author: u8) -> Self {
        let document = Document::load(saved).expect("it was saved");
        let (_, object) = document.get(ROOT, "it").expect("a read").expect("the object");
        Self::own(document, object, author)
    }

    fn own(document: Document, object: ObjId, author: u8) -> Self {
        let document = document.with_actor(ActorId::from(&[author + 1; 16][..]));
        let marked = document.get_heads();
        Self { document, object, marked }
    }

    fn transact(&mut self, make: impl FnOnce(&mut Transaction<'_>, &ObjId)) {
        let mut transaction = self.document.transaction();
        make(&mut transaction, &self.object);
        transaction.commit();
    }

    fn last_change(&self) -> Vec<u8> {
        let mut change = self.document.get_last_local_change().expect("one was made");
        change.bytes().into_owned()
    }

    fn apply(&mut self, update: &[u8]) {
        self.document.load_incremental(update).expect("an update");
    }
}

fn number(value: &Value<'_>) -> i64 {
    match value {
        Value::Scalar(scalar) => match scalar.as_ref() {
            ScalarValue::Int(number) => *number,
            other => panic!("{other:?} instead of a number"),
        },
        Value::Object(_) => panic!("an object instead of a number"),
    }
}

impl Texts for Automerge {
    fn empty(&self, author: u8) -> Box<dyn Text> {
        Box::new(Letters(Held::new(ObjType::Text, author)))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Text> {
        Box::new(Letters(Held::load(saved, author)))
    }
}

struct Letters(Held);

impl Text for Letters {
    fn edit(&mut self, edits: &[Edit]) {
        self.0.transact(|transaction, object| {
            for Edit { position, deleted, inserted } in edits {
                let deleted = isize::try_from(*deleted).expect("it is small");
                transaction.splice_text(object, *position, deleted, inserted).expect("it is there");
            }
        });
    }

    fn edit_encoded(&mut self, edits: &[Edit]) -> Vec<u8> {
        self.edit(edits);
        self.0.last_change()
    }

    fn mark(&mut self) {
        self.0.marked = self.0.document.get_heads();
    }

    fn since(&mut self, _parts: &[Vec<u8>]) -> Vec<u8> {
        self.0.document.save_after(&self.0.marked)
    }

    fn apply(&mut self, update: &[u8]) {
        self.0.apply(update);
    }

    fn text(&self) -> String {
        self.0.document.text(&self.0.object).expect("a text")
    }

    fn save(&mut self) -> Vec<u8> {
        self.0.document.save()
    }
}

impl Maps for Automerge {
    fn empty(&self, author: u8) -> Box<dyn Map> {
        Box::new(Entries(Held::new(ObjType::Map, author)))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Map> {
        Box::new(Entries(Held::load(saved, author)))
    }
}

struct Entries(Held);

impl Map for Entries {
    fn set(&mut self, entries: &[(String, i64)]) {
        self.0.transact(|transaction, object| {
            for (key, value) in entries {
                transaction.put(object, key.as_str(), *value).expect("it takes any key");
            }
        });
    }

    fn set_encoded(&mut self, entries: &[(String, i64)]) -> Vec<u8> {
        self.set(entries);
        self.0.last_change()
    }

    fn apply(&mut self, update: &[u8]) {
        self.0.apply(update);
    }

    fn sum(&self, keys: &[String]) -> i64 {
        let value = |key: &String| {
            let found = self.0.document.get(&self.0.object, key.as_str()).expect("a read");
            number(&found.expect("it is there").0)
        };
        keys.iter().map(value).sum()
    }

    fn len(&self) -> usize {
        self.0.document.length(&self.0.object)
    }

    fn save(&mut self) -> Vec<u8> {
        self.0.document.save()
    }
}

impl Counters for Automerge {
    fn empty(&self, author: u8) -> Box<dyn Counter> {
        let mut held = Held::new(ObjType::Map, author);
        held.transact(|transaction, object| {
            transaction.put(object, "counter", ScalarValue::counter(0)).expect("a counter");
        });
        Box::new(Total(held))
    }
}

struct Total(Held);

impl Counter for Total {
    fn increment(&mut self, times: usize) {
        self.0.transact(|transaction, object| {
            for _ in 0..times {
                transaction.increment(object, "counter", 1).expect("a counter");
            }
        });
    }

    fn value(&self) -> i64 {
        let found = self.0.document.get(&self.0.object, "counter").expect("a read");
        found.and_then(|(value, _)| value.as_i64()).expect("a counter")
    }
}

impl Lists for Automerge {
    fn empty(&self, author: u8) -> Box<dyn List> {
        Box::new(Elements(Held::new(ObjType::List, author)))
    }
}

struct Elements(Held);

impl List for Elements {
    fn insert(&mut self, elements: &[(usize, i64)]) {
        self.0.transact(|transaction, object| {
            for (index, element) in elements {
                transaction.insert(object, *index, *element).expect("it is there");
            }
        });
    }

    fn elements(&self) -> Vec<i64> {
        let values = self.0.document.list_range(&self.0.object, ..);
        values.map(|item| number(&item.value.into())).collect()
    }
}
