//! Loro: an event graph with rich containers, and a snapshot format that is read
//! lazily.
//!
//! Fast path: one pending transaction, committed at its end; updates come from
//! `subscribe_local_update`, which exports what a commit added; updates travel
//! in mode `Updates`, and it is saved in mode `Snapshot`, the fast one to load.

use crate::peers::peer::{Counter, Counters, List, Lists, Map, Maps, Peer, Text, Texts};
use crate::peers::trace::Edit;
use loro::{
    ExportMode, LoroCounter, LoroDoc, LoroList, LoroMap, LoroText, LoroValue, Subscription,
    ValueOrContainer, VersionVector,
};
use std::sync::{Arc, Mutex};

pub(crate) struct Loro;

impl Peer for Loro {
    fn name(&self) -> &'static str {
        "loro"
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

/// A document, and where it leaves what a commit added.
struct Document {
    document: LoroDoc,
    latest: Arc<Mutex<Vec<u8>>>,
    subscription: Option<Subscription>,
    marked: VersionVector,
}

impl Document {
    fn new(document: LoroDoc, author: u8) -> Self {
        document.set_peer_id(0x1234_5678_9abc_de00 + u64::from(author)).expect("a peer id");
        Self {
            document,
            latest: Arc::default(),
            subscription: None,
            marked: VersionVector::default(),
        }
    }

    fn load(saved: &[u8], author: u8) -> Self {
        Self::new(LoroDoc::from_snapshot(saved).expect("it was saved"), author)
    }

    /// Commits, and says what the commit added.
    fn committed(&mut self) -> Vec<u8> {
        self.document.commit();
        std::mem::take(&mut *self.latest.lock().expect("no panic"))
    }

    fn subscribe(&mut self) {
        if self.subscription.is_none() {
            let latest = Arc::clone(&self.latest);
            let keep = move |update: &Vec<u8>| {
                latest.lock().expect("no panic").clone_from(update);
                true
            };
            self.subscription = Some(self.document.subscribe_local_update(Box::new(keep)));
        }
    }

    fn apply(&self, update: &[u8]) {
        let status = self.document.import(update).expect("an update");
        assert!(status.pending.is_none());
    }

    fn save(&self) -> Vec<u8> {
        self.document.export(ExportMode::Snapshot).expect("it can be saved")
    }
}

impl Texts for Loro {
    fn empty(&self, author: u8) -> Box<dyn Text> {
        Box::new(Letters::new(Document::new(LoroDoc::new(), author)))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Text> {
        Box::new(Letters::new(Document::load(saved, author)))
    }
}

struct Letters {
    document: Document,
    text: LoroText,
}

impl Letters {
    fn new(document: Document) -> Self {
        let text = document.document.get_text("text");
        Self { document, text }
    }

    fn make(&self, edits: &[Edit]) {
        for Edit { position, deleted, inserted } in edits {
            if *deleted > 0 {
                self.text.delete(*position, *deleted).expect("it is there");
            }
            if !inserted.is_empty() {
                self.text.insert(*position, inserted).expect("it is there");
            }
        }
    }
}

impl Text for Letters {
    fn edit(&mut self, edits: &[Edit]) {
        self.make(edits);
        self.document.document.commit();
    }

    fn edit_encoded(&mut self, edits: &[Edit]) -> Vec<u8> {
        self.document.subscribe();
        self.make(edits);
        self.document.committed()
    }

    fn mark(&mut self) {
        self.document.marked = self.document.document.oplog_vv();
    }

    fn since(&mut self, _parts: &[Vec<u8>]) -> Vec<u8> {
        let mode = ExportMode::updates(&self.document.marked);
        self.document.document.export(mode).expect("it can be exported")
    }

    fn apply(&mut self, update: &[u8]) {
        self.document.apply(update);
    }

    fn text(&self) -> String {
        self.text.to_string()
    }

    fn save(&mut self) -> Vec<u8> {
        self.document.save()
    }
}

impl Maps for Loro {
    fn empty(&self, author: u8) -> Box<dyn Map> {
        Box::new(Entries::new(Document::new(LoroDoc::new(), author)))
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Map> {
        Box::new(Entries::new(Document::load(saved, author)))
    }
}

struct Entries {
    document: Document,
    map: LoroMap,
}

impl Entries {
    fn new(document: Document) -> Self {
        let map = document.document.get_map("map");
        Self { document, map }
    }

    fn make(&self, entries: &[(String, i64)]) {
        for (key, value) in entries {
            self.map.insert(key, *value).expect("it takes any key");
        }
    }
}

impl Map for Entries {
    fn set(&mut self, entries: &[(String, i64)]) {
        self.make(entries);
        self.document.document.commit();
    }

    fn set_encoded(&mut self, entries: &[(String, i64)]) -> Vec<u8> {
        self.document.subscribe();
        self.make(entries);
        self.document.committed()
    }

    fn apply(&mut self, update: &[u8]) {
        self.document.apply(update);
    }

    fn sum(&self, keys: &[String]) -> i64 {
        let value = |key: &String| match self.map.get(key) {
            Some(ValueOrContainer::Value(LoroValue::I64(value))) => value,
            other => panic!("{other:?} at {key}"),
        };
        keys.iter().map(value).sum()
    }

    fn len(&self) -> usize {
        self.map.len()
    }

    fn save(&mut self) -> Vec<u8> {
        self.document.save()
    }
}

impl Counters for Loro {
    fn empty(&self, author: u8) -> Box<dyn Counter> {
        let document = Document::new(LoroDoc::new(), author);
        let counter = document.document.get_counter("counter");
        Box::new(Total { document, counter })
    }
}

struct Total {
    document: Document,
    counter: LoroCounter,
}

impl Counter for Total {
    fn increment(&mut self, times: usize) {
        for _ in 0..times {
            self.counter.increment(1.0).expect("it is attached");
        }
        self.document.document.commit();
    }

    #[allow(clippy::cast_possible_truncation, reason = "it counts ones")]
    fn value(&self) -> i64 {
        self.counter.get_value() as i64
    }
}

impl Lists for Loro {
    fn empty(&self, author: u8) -> Box<dyn List> {
        let document = Document::new(LoroDoc::new(), author);
        let list = document.document.get_list("list");
        Box::new(Elements { document, list })
    }
}

struct Elements {
    document: Document,
    list: LoroList,
}

impl List for Elements {
    fn insert(&mut self, elements: &[(usize, i64)]) {
        for (index, element) in elements {
            self.list.insert(*index, *element).expect("it is there");
        }
        self.document.document.commit();
    }

    fn elements(&self) -> Vec<i64> {
        let number = |value| match value {
            LoroValue::I64(number) => number,
            other => panic!("{other:?} in a list of numbers"),
        };
        self.list.to_vec().into_iter().map(number).collect()
    }
}
