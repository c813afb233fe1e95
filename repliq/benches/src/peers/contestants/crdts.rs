//! crdts: small generic types, each an ordered map underneath.
//!
//! It has no transactions and no encoding of its own: several ops are applied
//! one by one, and travel one after the other in postcard. A map holds multi-value
//! registers, the register it has that needs no clock of the app. Its text (a
//! list of letters) and its list find a position by walking there, so it takes
//! part in the list row only.

use crate::peers::peer::{Counter, Counters, List, Lists, Map, Maps, Peer, Set, Sets};
use crdts::{CmRDT, PNCounter};

type Actor = u8;
type Register = crdts::MVReg<i64, Actor>;
type Entries = crdts::Map<String, Register, Actor>;

pub(crate) struct Crdts;

impl Peer for Crdts {
    fn name(&self) -> &'static str {
        "crdts"
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

/// A value, and who edits it.
struct Held<C> {
    value: C,
    actor: Actor,
}

impl Maps for Crdts {
    fn empty(&self, author: u8) -> Box<dyn Map> {
        Box::new(Held { value: Entries::new(), actor: author })
    }

    fn load(&self, saved: &[u8], author: u8) -> Box<dyn Map> {
        let value: Entries = postcard::from_bytes(saved).expect("it was saved");
        Box::new(Held { value, actor: author })
    }
}

type EntryOp = <Entries as CmRDT>::Op;

impl Held<Entries> {
    fn op(&self, key: &str, value: i64) -> EntryOp {
        let context = self.value.read_ctx().derive_add_ctx(self.actor);
        self.value.update(key, context, |register, context| register.write(value, context))
    }
}

impl Map for Held<Entries> {
    fn set(&mut self, entries: &[(String, i64)]) {
        for (key, value) in entries {
            let op = self.op(key, *value);
            self.value.apply(op);
        }
    }

    fn set_encoded(&mut self, entries: &[(String, i64)]) -> Vec<u8> {
        let mut update = Vec::new();
        for (key, value) in entries {
            let op = self.op(key, *value);
            update = postcard::to_extend(&op, update).expect("it serializes");
            self.value.apply(op);
        }
        update
    }

    fn apply(&mut self, update: &[u8]) {
        let mut rest = update;
        while !rest.is_empty() {
            let (op, behind): (EntryOp, _) = postcard::take_from_bytes(rest).expect("an update");
            self.value.apply(op);
            rest = behind;
        }
    }

    fn sum(&self, keys: &[String]) -> i64 {
        let value = |key: &String| {
            let register = self.value.get(key).val.expect("it is there");
            register.read().val.into_iter().sum::<i64>()
        };
        keys.iter().map(value).sum()
    }

    fn len(&self) -> usize {
        self.value.len().val
    }

    fn save(&mut self) -> Vec<u8> {
        postcard::to_allocvec(&self.value).expect("it serializes")
    }
}

impl Sets for Crdts {
    fn empty(&self, author: u8) -> Box<dyn Set> {
        Box::new(Held { value: crdts::Orswot::<String, Actor>::new(), actor: author })
    }
}

impl Set for Held<crdts::Orswot<String, Actor>> {
    fn add(&mut self, elements: &[String]) {
        for element in elements {
            let context = self.value.read_ctx().derive_add_ctx(self.actor);
            let op = self.value.add(element.clone(), context);
            self.value.apply(op);
        }
    }

    fn len(&self) -> usize {
        self.value.iter().count()
    }
}

impl Counters for Crdts {
    fn empty(&self, author: u8) -> Box<dyn Counter> {
        Box::new(Held { value: PNCounter::<Actor>::new(), actor: author })
    }
}

impl Counter for Held<PNCounter<Actor>> {
    fn increment(&mut self, times: usize) {
        for _ in 0..times {
            let op = self.value.inc(self.actor);
            self.value.apply(op);
        }
    }

    fn value(&self) -> i64 {
        i64::try_from(self.value.read()).expect("it counts ones")
    }
}

impl Lists for Crdts {
    fn empty(&self, author: u8) -> Box<dyn List> {
        Box::new(Held { value: crdts::List::<i64, Actor>::new(), actor: author })
    }
}

impl List for Held<crdts::List<i64, Actor>> {
    fn insert(&mut self, elements: &[(usize, i64)]) {
        for (index, element) in elements {
            let op = self.value.insert_index(*index, *element, self.actor);
            self.value.apply(op);
        }
    }

    fn elements(&self) -> Vec<i64> {
        self.value.iter().copied().collect()
    }
}
