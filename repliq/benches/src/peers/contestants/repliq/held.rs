//! A value that makes and takes encoded changes: what a document of the engine
//! does to its value, without storage, sync and the hash that chains changes.
//!
//! [`Standalone`](repliq::Standalone) edits and merges, and does not tell its
//! ops; so this is put together from the public parts that an engine has:
//! `Transaction`, `Change`, `OpReader` and `Crdt::apply`. A change travels as its
//! dot, its length and its body, so a receiver needs nothing else to place it.

use repliq::{
    Chain, Change, ChangeHeader, Clock, Crdt, CrdtError, Dot, Effects, Hlc, KeyId, Millis,
    OpReader, ReplicaId, Saved, Stamp, Standalone, Transaction, TransactionLog, Tx, Version,
    encode_into,
};

pub(super) struct Held<C> {
    pub(super) state: C,
    version: Version,
    clock: Clock,
    replica: ReplicaId,
    /// What the next own change has to name as its past.
    unsaid: Version,
}

impl<C: Crdt> Held<C> {
    pub(super) fn new(replica: ReplicaId) -> Self {
        let Saved { version, last, state } = Saved::default();
        Self { state, version, clock: Clock::resume(last), replica, unsaid: Version::new() }
    }

    /// Makes several edits as one change, which is returned as it travels.
    pub(super) fn commit(&mut self, edit: impl FnOnce(&mut Tx<'_, C>)) -> Vec<u8> {
        let dot = Dot { replica: self.replica, seq: self.version.get(self.replica) };
        let log = Log { clock: &self.clock, first: Hlc(0), payload: Vec::with_capacity(32) };
        let mut effects = Effects::new(false, true);
        let mut transaction = Transaction::new(&mut self.state, dot, &mut effects, log);
        edit(&mut Tx::from_cursor(&mut transaction));
        let (extent, Log { first, payload, .. }) = transaction.finish().expect("no op is refused");

        self.clock.observe(first.plus(extent.ops - 1));
        self.version.advance(self.replica, dot.seq + extent.slots);
        let header = ChangeHeader {
            slots: extent.slots,
            hlc: first,
            chain: Chain::START,
            deps: std::mem::take(&mut self.unsaid),
            key: KeyId::PLAIN,
        };
        let Change { dot, body } = Change::new(dot, &header, &payload);
        let mut update = Vec::with_capacity(body.len() + 32);
        encode_into(&(dot, body.len()), &mut update);
        update.extend_from_slice(&body);
        update
    }

    /// Decodes changes, one after the other, and applies them.
    pub(super) fn apply(&mut self, update: &[u8]) {
        let mut rest = update;
        while !rest.is_empty() {
            let ((dot, body), behind): ((Dot, &[u8]), _) =
                postcard::take_from_bytes(rest).expect("a change");
            self.apply_change(&Change { dot, body: bytes::Bytes::copy_from_slice(body) });
            rest = behind;
        }
    }

    fn apply_change(&mut self, change: &Change) {
        let (header, payload) = change.open().expect("a change");
        let dot = change.dot;
        assert_eq!(self.version.get(dot.replica), dot.seq, "changes come in order");
        assert!(self.version.covers(&header.deps), "after what they were made on");
        let mut effects = Effects::new(false, true);
        let mut reader = OpReader::new(payload);
        let mut at = Stamp { hlc: header.hlc, dot };
        while let Some(op) = reader.next_op::<C::Op>().expect("an op") {
            let slots = C::slots(&op);
            self.state.apply(op, at, &mut effects).expect("it fits");
            at.hlc = at.hlc.plus(1);
            at.dot.seq += slots;
        }
        assert_eq!(at.dot.seq, dot.seq + header.slots);
        self.clock.observe(at.hlc);
        self.version.advance(dot.replica, at.dot.seq);
        self.unsaid.advance(dot.replica, at.dot.seq);
    }

    /// The value on its own, to go on with.
    pub(super) fn into_standalone(self) -> Standalone<C> {
        let saved = Saved { version: self.version, last: self.clock.last(), state: self.state };
        Standalone::resume(saved, self.replica)
    }
}

/// Encodes the ops of a transaction.
struct Log<'a> {
    clock: &'a Clock,
    first: Hlc,
    payload: Vec<u8>,
}

impl<C: Crdt> TransactionLog<C> for Log<'_> {
    fn begin(&mut self) -> Hlc {
        self.first = self.clock.peek(Millis::now());
        self.first
    }

    fn record(&mut self, op: &C::Op) -> Result<(), CrdtError> {
        Ok(repliq::try_encode_into(op, &mut self.payload)?)
    }
}
