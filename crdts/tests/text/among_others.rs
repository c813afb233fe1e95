//! Editing by positions a text that others edit as well: what a search found is
//! true until somebody changes the text, and not a moment longer.

use crate::editing::text_of;
use proptest::prelude::*;
use repliq_core::{
    Crdt, CrdtError, Dot, EditError, Effects, Hlc, ReplicaId, Stamp, Transaction, TransactionLog,
    Tx,
};
use repliq_crdts::text::{LeftOrigin, RightOrigin, Typed};
use repliq_crdts::{Text, TextEvent, TextMut, TextOp};

/// A text that takes ops, and what a reader saw of it, letter by letter.
struct Replica {
    text: Text,
    id: ReplicaId,
    next: u64,
    shown: Vec<char>,
}

#[derive(Default)]
struct Log(Vec<TextOp>);

impl TransactionLog<Text> for &mut Log {
    fn begin(&mut self) -> Hlc {
        Hlc(1)
    }

    fn record(&mut self, op: &TextOp) -> Result<(), CrdtError> {
        self.0.push(op.clone());
        Ok(())
    }
}

impl Replica {
    fn new(replica: u8) -> Self {
        let id = ReplicaId::from_bytes([replica; 16]);
        Self { text: Text::default(), id, next: 0, shown: Vec::new() }
    }

    fn edit(
        &mut self,
        edit: impl FnOnce(&mut Tx<'_, Text>) -> Result<(), EditError>,
    ) -> Vec<(TextOp, Stamp)> {
        let mut log = Log::default();
        // Nobody asks for events of an own edit: they would look its place up.
        let mut effects = Effects::new(false, true);
        let dot = Dot { replica: self.id, seq: self.next };
        let mut transaction = Transaction::new(&mut self.text, dot, &mut effects, &mut log);
        edit(&mut Tx::from_cursor(&mut transaction)).unwrap();
        transaction.finish().unwrap();
        let stamped = log.0.into_iter().map(|op| {
            let at = Stamp { hlc: Hlc(1), dot: Dot { replica: self.id, seq: self.next } };
            self.next += Text::slots(&op);
            (op, at)
        });
        stamped.collect()
    }

    fn insert(&mut self, index: usize, text: &str) -> Vec<(TextOp, Stamp)> {
        self.shown.splice(index..index, text.chars());
        self.edit(|tx| tx.insert(index, text))
    }

    fn delete(&mut self, index: usize, len: usize) -> Vec<(TextOp, Stamp)> {
        let end = (index + len).min(self.shown.len());
        self.shown.drain(index..end);
        self.edit(|tx| tx.delete(index..end))
    }

    fn take(&mut self, op: TextOp, at: Stamp, told: bool) {
        let mut effects = Effects::new(told, false);
        self.text.apply(op, at, &mut effects).unwrap();
        if !told {
            self.shown = self.text.to_string().chars().collect();
        }
        for event in effects.take_events() {
            match event {
                TextEvent::Inserted { index, text } => {
                    self.shown.splice(index..index, text.chars());
                }
                TextEvent::Deleted { index, len } => drop(self.shown.drain(index..index + len)),
            }
        }
    }

    fn check(&self) {
        let shown: String = self.shown.iter().collect();
        assert_eq!(self.text.to_string(), shown);
        assert_eq!(self.text.len(), self.shown.len());
    }
}

/// What is done: by whom, what kind of edit, where, how long; how much of what
/// the other did is taken in before; whether anybody asks for events.
type Step = (usize, u8, prop::sample::Index, usize, usize, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0_usize..2;
    let place = any::<prop::sample::Index>();
    prop::collection::vec((who, 0_u8..12, place, 1_usize..7, 0_usize..4, any::<bool>()), 300..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn an_edit_is_made_where_its_author_sees_the_place(steps in steps()) {
        let mut replicas = [Replica::new(1), Replica::new(2)];
        let mut sent: [Vec<(TextOp, Stamp)>; 2] = Default::default();
        let mut taken = [0, 0];
        let mut last = [0, 0];
        for (who, kind, place, len, taking, told) in steps {
            let other = 1 - who;
            for (op, at) in sent[other].iter().skip(taken[who]).take(taking) {
                replicas[who].take(op.clone(), *at, told);
                taken[who] += 1;
            }
            let replica = &mut replicas[who];
            let long = replica.shown.len();
            let far = place.index(long + 1);
            let index = if kind % 3 == 0 { far } else { last[who].min(long) };
            let ops = match kind {
                0..=8 => {
                    let text: String = ('a'..='z').cycle().skip(far % 26).take(len).collect();
                    last[who] = index + len;
                    replica.insert(index, &text)
                }
                9 | 10 => {
                    last[who] = index.saturating_sub(len);
                    replica.delete(last[who], len)
                }
                _ => {
                    let slice = replica.text.slice(index..long).unwrap();
                    assert!(slice.chars().eq(replica.shown[index..].iter().copied()));
                    Vec::new()
                }
            };
            sent[who].extend(ops);
            if told {
                replica.check();
            }
        }
        for who in [0, 1] {
            for (op, at) in sent[1 - who].iter().skip(taken[who]) {
                replicas[who].take(op.clone(), *at, true);
            }
            replicas[who].check();
        }
        prop_assert_eq!(&replicas[0].shown, &replicas[1].shown);
    }
}

/// The place of an op that was only taken in has not been looked up.
#[test]
fn a_place_that_nobody_knows_is_no_place_to_go_on() {
    let mut replica = Replica::new(1);
    for seq in [0, 1] {
        let left = if seq == 0 { LeftOrigin::Start } else { LeftOrigin::Back(1) };
        let op = TextOp::Insert { left, right: RightOrigin::End, text: Typed::from('a') };
        let at = Stamp { hlc: Hlc(1), dot: Dot { replica: replica.id, seq } };
        replica.take(op, at, false);
    }
    replica.next = 2;
    for index in [u32::MAX as usize, usize::MAX] {
        let mut log = Log::default();
        let mut effects = Effects::new(false, true);
        let dot = Dot { replica: replica.id, seq: 2 };
        let mut transaction = Transaction::new(&mut replica.text, dot, &mut effects, &mut log);
        let refused = Tx::from_cursor(&mut transaction).insert(index, "b");
        assert_eq!(refused, Err(EditError::OutOfRange { index, len: 2 }));
    }
    let mut alone = text_of(1);
    alone.insert(0, "aa").unwrap();
    assert_eq!(replica.text, *alone);
}
