//! Devices that run different versions of an app, take in ops and states of each
//! other, and are updated and set back at any moment.

use crate::support::{replica, v1, v2, v3};
use repliq::prelude::*;
use repliq::{
    CrdtError, Dot, Effects, Hlc, OpReader, OpWriter, Stamp, Transaction, TransactionLog, Version,
    decode, decode_state, encode,
};
use repliq_conformance::Rng;

/// A version of the app, with a state of the note in it.
pub(crate) trait App {
    fn apply(&mut self, ops: &[u8], at: Stamp);
    fn join(&mut self, mine: &Version, other: &[u8], theirs: &Version);
    /// Makes an edit; the ops, one after the other, and their slots.
    fn edit(&mut self, rng: &mut Rng, next: Dot, first: Hlc) -> (Vec<u8>, u64, u64);
    fn bytes(&self) -> Vec<u8>;
}

/// What users of a version do.
pub(crate) trait Used: Crdt {
    fn edit(rng: &mut Rng, tx: &mut Tx<'_, Self>);
}

impl<C: Used> App for C {
    fn apply(&mut self, ops: &[u8], mut at: Stamp) {
        let mut reader = OpReader::new(ops);
        while let Some(op) = reader.next_op::<C::Op>().unwrap() {
            let slots = C::slots(&op);
            // As the engine has it: undone at once, and done again.
            let mut effects = Effects::new(true, true);
            let before = encode(self);
            Crdt::apply(self, op.clone(), at, &mut effects).unwrap();
            effects.take_undos().into_iter().rev().for_each(|undo| self.rollback(undo));
            assert_eq!(encode(self), before);
            Crdt::apply(self, op, at, &mut Effects::silent()).unwrap();
            at.hlc = at.hlc.plus(1);
            at.dot.seq += slots;
        }
    }

    fn join(&mut self, mine: &Version, other: &[u8], theirs: &Version) {
        let mut effects = Effects::new(true, true);
        let before = encode(self);
        Crdt::join(self, mine, decode_state(other).unwrap(), theirs, &mut effects);
        effects.take_undos().into_iter().rev().for_each(|undo| self.rollback(undo));
        assert_eq!(encode(self), before);
        Crdt::join(self, mine, decode_state(other).unwrap(), theirs, &mut Effects::silent());
    }

    fn edit(&mut self, rng: &mut Rng, next: Dot, first: Hlc) -> (Vec<u8>, u64, u64) {
        let mut effects = Effects::silent();
        let log = Recorder { first, writer: OpWriter::new(Vec::new()) };
        let mut transaction = Transaction::new(self, next, &mut effects, log);
        for _ in 0..=rng.below(3) {
            C::edit(rng, &mut Tx::from_cursor(&mut transaction));
        }
        let (extent, mut log) = transaction.finish().unwrap();
        (log.writer.finish().unwrap().to_vec(), extent.slots, extent.ops)
    }

    fn bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

/// As the engine writes them.
struct Recorder<C: Crdt> {
    first: Hlc,
    writer: OpWriter<C>,
}

impl<C: Crdt> TransactionLog<C> for Recorder<C> {
    fn begin(&mut self) -> Hlc {
        self.first
    }

    fn grow(&mut self, op: &mut C::Op) -> Option<u64> {
        self.writer.grow(op)
    }

    fn record(&mut self, op: &C::Op) -> Result<(), CrdtError> {
        self.writer.write(op)
    }
}

fn type_in(rng: &mut Rng, text: &mut Tx<'_, Text>) {
    let len = text.len();
    if rng.below(4) == 0 && len > 3 {
        let at = rng.below(len - 2);
        (0..2).for_each(|_| text.delete(at..=at).unwrap());
    } else {
        let at = rng.below(len + 1);
        for (index, letter) in (at..).zip(rng.below(1000).to_string().chars()) {
            text.insert(index, letter.encode_utf8(&mut [0; 4])).unwrap();
        }
    }
}

fn tag(rng: &mut Rng, tags: &mut Tx<'_, OrSet<String>>) {
    let tag = rng.below(4).to_string();
    if rng.below(3) == 0 { tags.remove(tag) } else { tags.add(tag) }
}

impl Used for v1::Note {
    fn edit(rng: &mut Rng, note: &mut Tx<'_, Self>) {
        use v1::NoteMut;
        match rng.below(2) {
            0 => note.title().set(rng.bits().to_string()),
            _ => tag(rng, &mut note.tags()),
        }
    }
}

impl Used for v2::Note {
    fn edit(rng: &mut Rng, note: &mut Tx<'_, Self>) {
        use v2::{AuthorMut, NoteMut};
        let place = rng.below(3).to_string();
        match rng.below(9) {
            0 => note.name().set(rng.bits().to_string()),
            1 => tag(rng, &mut note.tags()),
            2 => note.author().name().set(rng.bits().to_string()),
            3 => note.author().likes().add(rng.below(9) as i64 - 4),
            4 => note.places().remove(place),
            5 | 6 => type_in(rng, &mut note.places().entry(place)),
            _ => type_in(rng, &mut note.body()),
        }
    }
}

impl Used for v3::Note {
    fn edit(rng: &mut Rng, note: &mut Tx<'_, Self>) {
        use v3::{AuthorMut, NoteMut};
        match rng.below(4) {
            0 => note.title().set(rng.bits().to_string()),
            1 => note.author().name().set(rng.bits().to_string()),
            _ => type_in(rng, &mut note.body()),
        }
    }
}

/// A state as one of the versions reads it.
pub(crate) fn read(version: usize, bytes: &[u8]) -> Box<dyn App> {
    fn read<C: Used>(bytes: &[u8]) -> Box<dyn App> {
        Box::new(decode::<C>(bytes).unwrap())
    }
    match version % 3 {
        0 => read::<v1::Note>(bytes),
        1 => read::<v2::Note>(bytes),
        _ => read::<v3::Note>(bytes),
    }
}

/// A transaction as it is sent.
struct Sent {
    dot: Dot,
    end: u64,
    first: Hlc,
    past: Version,
    ops: Vec<u8>,
}

struct Device {
    id: ReplicaId,
    app: Box<dyn App>,
    seen: Version,
    last: u64,
}

/// Devices, and everything that was ever said.
pub(crate) struct World {
    devices: Vec<Device>,
    sent: Vec<Sent>,
}

impl World {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let empty = encode(&v1::Note::default());
        let device = |number: usize| Device {
            id: replica(number as u8 + 1),
            app: read(number, &empty),
            seen: Version::new(),
            last: 0,
        };
        Self { devices: (0..2 + rng.below(3)).map(device).collect(), sent: Vec::new() }
    }

    /// One thing happens somewhere.
    pub(crate) fn step(&mut self, rng: &mut Rng, joins: bool) {
        let (one, other) = (rng.below(self.devices.len()), rng.below(self.devices.len()));
        match rng.below(if joins { 9 } else { 8 }) {
            0..=2 => self.edit(rng, one),
            3..=5 => {
                if let Some(next) = self.deliverable(rng, one) {
                    self.deliver(one, next);
                }
            }
            6 | 7 => {
                let bytes = self.devices[one].app.bytes();
                self.devices[one].app = read(rng.below(3), &bytes);
            }
            _ if one != other => {
                let there = &self.devices[other];
                let (bytes, seen, last) = (there.app.bytes(), there.seen.clone(), there.last);
                let here = &mut self.devices[one];
                here.app.join(&here.seen, &bytes, &seen);
                here.seen.join(&seen);
                here.last = here.last.max(last);
            }
            _ => {}
        }
    }

    fn edit(&mut self, rng: &mut Rng, device: usize) {
        let device = &mut self.devices[device];
        let first = Hlc(device.last + 1 + rng.below(3) as u64);
        let dot = Dot { replica: device.id, seq: device.seen.get(device.id) };
        let past = device.seen.clone();
        let (ops, slots, count) = device.app.edit(rng, dot, first);
        if slots > 0 {
            let end = dot.seq + slots;
            device.seen.advance(device.id, end);
            device.last = first.0 + count;
            self.sent.push(Sent { dot, end, first, past, ops });
        }
    }

    fn is_next(sent: &Sent, seen: &Version) -> bool {
        seen.get(sent.dot.replica) == sent.dot.seq && seen.covers(&sent.past)
    }

    fn deliverable(&self, rng: &mut Rng, device: usize) -> Option<usize> {
        let seen = &self.devices[device].seen;
        let next: Vec<usize> =
            (0..self.sent.len()).filter(|&n| Self::is_next(&self.sent[n], seen)).collect();
        (!next.is_empty()).then(|| next[rng.below(next.len())])
    }

    fn deliver(&mut self, device: usize, sent: usize) {
        let (device, sent) = (&mut self.devices[device], &self.sent[sent]);
        device.app.apply(&sent.ops, Stamp { hlc: sent.first, dot: sent.dot });
        device.seen.advance(sent.dot.replica, sent.end);
        device.last = device.last.max(sent.first.0 + sent.end - sent.dot.seq);
    }

    /// What the version that knows everything makes of a device's state, and what
    /// it makes of all that the device has seen, told in order.
    pub(crate) fn updated_and_told(&self, device: usize) -> (v2::Note, v2::Note) {
        let device = &self.devices[device];
        let mut told: Box<v2::Note> = Box::default();
        let mut seen = Version::new();
        while seen != device.seen {
            let next = self
                .sent
                .iter()
                .find(|sent| device.seen.contains(sent.dot) && Self::is_next(sent, &seen));
            let next = next.unwrap();
            App::apply(&mut *told, &next.ops, Stamp { hlc: next.first, dot: next.dot });
            seen.advance(next.dot.replica, next.end);
        }
        (decode(&device.app.bytes()).unwrap(), *told)
    }

    pub(crate) fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Tells everybody everything.
    pub(crate) fn settle(&mut self, rng: &mut Rng) {
        for device in 0..self.devices.len() {
            while let Some(next) = self.deliverable(rng, device) {
                self.deliver(device, next);
            }
        }
    }
}
