//! yrs: the port of Yjs, a linked list of runs.
//!
//! Fast path: one write transaction for what belongs together, updates of
//! version 1, also to save (version 2 is smaller and slower), byte offsets, and no
//! search for dangling formatting, which plain text has none of. Deleted content
//! is garbage collected, as by default: what is left of it is that something was
//! there.

use crate::peers::peer::{List, Lists, Map, Maps, Peer, Text, Texts};
use crate::peers::trace::{Edit, Unit};
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Array, ArrayRef, ClientID, Doc, GetString, Map as _, MapRef, Number, OffsetKind, Options,
    Out, ReadTxn, StateVector, Text as _, TextRef, Transact, TransactionMut, Update,
};

pub(crate) struct Yrs;

impl Peer for Yrs {
    fn name(&self) -> &'static str {
        "yrs"
    }

    fn texts(&self) -> Option<&dyn Texts> {
        Some(self)
    }

    fn maps(&self) -> Option<&dyn Maps> {
        Some(self)
    }

    fn lists(&self) -> Option<&dyn Lists> {
        Some(self)
    }
}

fn document(author: u8) -> Doc {
    let id = ClientID::new(0x1234_5600 + u64::from(author));
    Doc::with_options(Options {
        offset_kind: OffsetKind::Bytes,
        cleanup_formatting: false,
        ..Options::with_client_id(id)
    })
}

fn apply(document: &Doc, update: &[u8]) {
    let update = Update::decode_v1(update).expect("an update");
    document.transact_mut().apply_update(update).expect("it fits");
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("it is small")
}

impl Texts for Yrs {
    fn unit(&self) -> Unit {
        Unit::Bytes
    }

    fn empty(&self, author: u8) -> Box<dyn Text> {
        let document = document(author);
        let text = document.get_or_insert_text("text");
        Box::new(Document { document, text, marked: StateVector::default() })
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Text> {
        let mut text = Texts::empty(self, author);
        text.apply(saved);
        text
    }
}

struct Document {
    document: Doc,
    text: TextRef,
    marked: StateVector,
}

impl Document {
    fn make(text: &TextRef, transaction: &mut TransactionMut<'_>, edits: &[Edit]) {
        for Edit { position, deleted, inserted } in edits {
            if *deleted > 0 {
                text.remove_range(transaction, small(*position), small(*deleted));
            }
            if !inserted.is_empty() {
                text.insert(transaction, small(*position), inserted);
            }
        }
    }
}

impl Text for Document {
    fn edit(&mut self, edits: &[Edit]) {
        Self::make(&self.text, &mut self.document.transact_mut(), edits);
    }

    fn edit_encoded(&mut self, edits: &[Edit]) -> Vec<u8> {
        let mut transaction = self.document.transact_mut();
        Self::make(&self.text, &mut transaction, edits);
        transaction.encode_update_v1()
    }

    fn mark(&mut self) {
        self.marked = self.document.transact().state_vector();
    }

    fn since(&mut self, _parts: &[Vec<u8>]) -> Vec<u8> {
        self.document.transact().encode_state_as_update_v1(&self.marked)
    }

    fn apply(&mut self, update: &[u8]) {
        apply(&self.document, update);
    }

    fn text(&self) -> String {
        self.text.get_string(&self.document.transact())
    }

    fn save(&mut self) -> Vec<u8> {
        self.document.transact().encode_state_as_update_v1(&StateVector::default())
    }
}

impl Maps for Yrs {
    fn empty(&self, author: u8) -> Box<dyn Map> {
        let document = document(author);
        let map = document.get_or_insert_map("map");
        Box::new(Entries { document, map })
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Map> {
        let mut map = Maps::empty(self, author);
        map.apply(saved);
        map
    }
}

struct Entries {
    document: Doc,
    map: MapRef,
}

impl Map for Entries {
    fn set(&mut self, entries: &[(String, i64)]) {
        let mut transaction = self.document.transact_mut();
        for (key, value) in entries {
            self.map.insert(&mut transaction, key.as_str(), Any::from(*value));
        }
    }

    fn set_encoded(&mut self, entries: &[(String, i64)]) -> Vec<u8> {
        let mut transaction = self.document.transact_mut();
        for (key, value) in entries {
            self.map.insert(&mut transaction, key.as_str(), Any::from(*value));
        }
        transaction.encode_update_v1()
    }

    fn apply(&mut self, update: &[u8]) {
        apply(&self.document, update);
    }

    fn sum(&self, keys: &[String]) -> i64 {
        let transaction = self.document.transact();
        let value = |key: &String| match self.map.get(&transaction, key) {
            Some(Out::Any(Any::Number(Number::Int(value)))) => value,
            other => panic!("{other:?} at {key}"),
        };
        keys.iter().map(value).sum()
    }

    fn len(&self) -> usize {
        self.map.len(&self.document.transact()) as usize
    }

    fn save(&mut self) -> Vec<u8> {
        self.document.transact().encode_state_as_update_v1(&StateVector::default())
    }
}

impl Lists for Yrs {
    fn empty(&self, author: u8) -> Box<dyn List> {
        let document = document(author);
        let array = document.get_or_insert_array("list");
        Box::new(Elements { document, array })
    }
}

struct Elements {
    document: Doc,
    array: ArrayRef,
}

impl List for Elements {
    fn insert(&mut self, elements: &[(usize, i64)]) {
        let mut transaction = self.document.transact_mut();
        for (index, element) in elements {
            self.array.insert(&mut transaction, small(*index), Any::from(*element));
        }
    }

    fn elements(&self) -> Vec<i64> {
        let transaction = self.document.transact();
        let number = |out| match out {
            Out::Any(Any::Number(Number::Int(number))) => number,
            other => panic!("{other:?} in a list of numbers"),
        };
        self.array.iter(&transaction).map(number).collect()
    }
}
