//! A store as simple as can be: a list of changes, checked as a real store
//! checks them. What is in `Durable` survives a crash; there is nothing else.

use repliq_core::{Chain, Change, ChangeHeader, Dot, Hlc, KeyId, Millis, ReplicaId, Version};
use repliq_sync::{
    Arrival, DocumentName, DocumentSummary, OutgoingChange, Position, Refusal, Summary, Verdict,
};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const NOW: Millis = Millis(1_000_000_000);
pub(crate) const KIND: &str = "lww-map/1";

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) document: DocumentName,
    pub(crate) change: Change,
    /// Who gave it to us: the peer, in which session, and whether a cursor was
    /// saved with it.
    origin: Option<(ReplicaId, u64, bool)>,
    epoch: u64,
}

#[derive(Clone, Default)]
struct Document {
    kind: Arc<str>,
    version: Version,
    chains: BTreeMap<ReplicaId, Chain>,
    log: Vec<Change>,
}

#[derive(Clone, Default)]
pub(crate) struct Durable {
    pub(crate) feed: Vec<Entry>,
    documents: BTreeMap<Arc<str>, Document>,
    pub(crate) cursors: BTreeMap<ReplicaId, Position>,
}

pub(crate) struct Store {
    pub(crate) replica: ReplicaId,
    /// The id new changes are made under; another one after a restore.
    author: ReplicaId,
    pub(crate) relay: bool,
    epoch: u64,
    pub(crate) durable: Durable,
    pub(crate) backup: Option<Durable>,
}

pub(crate) fn name(document: &str) -> DocumentName {
    DocumentName { name: document.into(), kind: KIND.into() }
}

pub(crate) fn replica(number: u64) -> ReplicaId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ReplicaId::from_bytes(bytes)
}

impl Store {
    pub(crate) fn new(number: u64, epoch: u64) -> Self {
        Self {
            replica: replica(number),
            author: replica(number),
            relay: false,
            epoch,
            durable: Durable::default(),
            backup: None,
        }
    }

    /// A new run of the store: its entries are numbered in another epoch.
    pub(crate) fn reopen(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    pub(crate) fn restore(&mut self, epoch: u64) {
        if let Some(backup) = self.backup.clone() {
            self.durable = backup;
            self.author = replica(1_000_000 + epoch);
        }
        self.reopen(epoch);
    }

    pub(crate) fn head(&self) -> Position {
        let number = self.durable.feed.len() as u64;
        Position { epoch: self.epoch_of(number).unwrap_or_default(), number }
    }

    pub(crate) fn epoch_of(&self, number: u64) -> Option<u64> {
        let index = usize::try_from(number.checked_sub(1)?).unwrap();
        self.durable.feed.get(index).map(|entry| entry.epoch)
    }

    pub(crate) fn is_place(&self, claim: Position) -> bool {
        claim.number == 0 || self.epoch_of(claim.number) == Some(claim.epoch)
    }

    pub(crate) fn version(&self, document: &str) -> Version {
        self.durable.documents.get(document).map(|d| d.version.clone()).unwrap_or_default()
    }

    pub(crate) fn versions(&self) -> BTreeMap<Arc<str>, Version> {
        let version = |(name, d): (&Arc<str>, &Document)| (Arc::clone(name), d.version.clone());
        self.durable.documents.iter().map(version).collect()
    }

    pub(crate) fn covers(&self, versions: &BTreeMap<Arc<str>, Version>) -> bool {
        let held = |name| self.durable.documents.get(name).map(|document| &document.version);
        versions.iter().all(|(name, version)| held(name).is_some_and(|held| held.covers(version)))
    }

    /// Every change of a document, by slot, whatever order it came in.
    pub(crate) fn contents(&self) -> BTreeMap<(Arc<str>, ReplicaId, u64), Vec<u8>> {
        let mut contents = BTreeMap::new();
        for entry in &self.durable.feed {
            let dot = entry.change.dot;
            let key = (Arc::clone(&entry.document.name), dot.replica, dot.seq);
            let before = contents.insert(key, entry.change.body.to_vec());
            assert!(before.is_none(), "a change is in the feed twice");
        }
        contents
    }

    pub(crate) fn write(&mut self, document: &str, payload: &[u8]) -> Change {
        self.write_as(&name(document), payload, 1, Hlc::from_millis(NOW))
    }

    pub(crate) fn write_as(
        &mut self,
        document: &DocumentName,
        payload: &[u8],
        slots: u64,
        hlc: Hlc,
    ) -> Change {
        let replica = self.author;
        let held = self.durable.documents.get(&document.name).cloned().unwrap_or_default();
        let mut deps = held.version.clone();
        deps.set(replica, 0);
        if let Some(last) = held.log.iter().rev().find(|change| change.dot.replica == replica) {
            let before = last.open().unwrap().0.deps;
            deps = deps.iter().filter(|(id, count)| before.get(*id) < *count).collect();
        }
        let chain = held.chains.get(&replica).copied().unwrap_or(Chain::START);
        let header = ChangeHeader { slots, hlc, chain, deps, key: KeyId::PLAIN };
        let dot = Dot { replica, seq: held.version.get(replica) };
        let change = Change::new(dot, &header, payload);
        self.append(document.clone(), change.clone(), &header, None);
        change
    }

    /// Writes under another id, as a replica would whose changes come through here.
    pub(crate) fn write_by(
        &mut self,
        number: u64,
        document: &DocumentName,
        payload: &[u8],
        hlc: Hlc,
    ) {
        let own = std::mem::replace(&mut self.author, replica(2_000_000 + number));
        self.write_as(document, payload, 1, hlc);
        self.author = own;
    }

    fn append(
        &mut self,
        document: DocumentName,
        change: Change,
        header: &ChangeHeader,
        origin: Option<(ReplicaId, u64, bool)>,
    ) {
        let held = self.durable.documents.entry(Arc::clone(&document.name)).or_default();
        held.kind = Arc::clone(&document.kind);
        held.version.advance(change.dot.replica, change.dot.seq + header.slots);
        held.chains.insert(change.dot.replica, change.chain_after());
        held.log.push(change.clone());
        self.durable.feed.push(Entry { document, change, origin, epoch: self.epoch });
    }

    /// One transaction: the arrivals, and the cursor unless one is refused.
    pub(crate) fn commit(
        &mut self,
        arrivals: &[Arrival],
        cursor: Option<Position>,
        peer: ReplicaId,
        session: u64,
    ) -> Vec<Verdict> {
        let before = self.durable.feed.len();
        let origin = (peer, session, cursor.is_some());
        let verdicts: Vec<Verdict> = arrivals.iter().map(|a| self.take(a, origin)).collect();
        if verdicts.iter().all(|verdict| *verdict == Verdict::Taken) {
            if let Some(cursor) = cursor {
                self.durable.cursors.insert(peer, cursor);
            }
        } else {
            for entry in &mut self.durable.feed[before..] {
                entry.origin = Some((peer, session, false));
            }
        }
        verdicts
    }

    fn take(&mut self, arrival: &Arrival, origin: (ReplicaId, u64, bool)) -> Verdict {
        let Arrival { document, change } = arrival;
        let (header, _) = change.open().unwrap();
        let default = Document { kind: Arc::clone(&document.kind), ..Document::default() };
        let held = self.durable.documents.get(&document.name).unwrap_or(&default);
        let author = change.dot.replica;
        let due = held.version.get(author);
        if held.kind != document.kind {
            return Verdict::Refused(Refusal::WrongKind { held: held.kind.to_string() });
        }
        if change.dot.seq < due {
            let same = held.log.iter().any(|own| own == change);
            return if same { Verdict::Taken } else { Verdict::Refused(Refusal::Fork) };
        }
        if change.dot.seq > due {
            return Verdict::Refused(Refusal::Gap { expected: due });
        }
        if header.chain != held.chains.get(&author).copied().unwrap_or(Chain::START) {
            return Verdict::Refused(Refusal::Fork);
        }
        if !held.version.covers(&header.deps) {
            return Verdict::Refused(Refusal::MissingDependency);
        }
        if self.relay && header.hlc.millis().0 > NOW.0 + 86_400_000 {
            return Verdict::Refused(Refusal::FutureStamp { now: NOW });
        }
        self.append(document.clone(), change.clone(), &header, Some(origin));
        Verdict::Taken
    }

    pub(crate) fn read_feed(
        &self,
        after: u64,
        max_bytes: usize,
        peer: ReplicaId,
        session: u64,
    ) -> (Vec<OutgoingChange>, Position) {
        let (mut changes, mut through, mut bytes) = (vec![], Position::default(), 0);
        for entry in &self.durable.feed[usize::try_from(after).unwrap()..] {
            if !changes.is_empty() && (bytes >= max_bytes || entry.epoch != through.epoch) {
                break;
            }
            bytes += entry.change.body.len();
            through = Position { epoch: entry.epoch, number: after + changes.len() as u64 + 1 };
            let skip = entry.origin.is_some_and(|(from, during, with_cursor)| {
                from == peer && (with_cursor || during == session)
            });
            let (document, change) = (entry.document.clone(), entry.change.clone());
            changes.push(OutgoingChange { document, change, skip });
        }
        (changes, through)
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary::new(self.durable.documents.iter().map(|(name, held)| DocumentSummary {
            name: Arc::clone(name),
            version: held.version.clone(),
            chains: held.chains.values().copied().collect(),
        }))
    }

    /// What `held` lacks of a document, from `start` on.
    pub(crate) fn read_document(
        &self,
        document: &str,
        held: &Version,
        start: usize,
        max_bytes: usize,
    ) -> (Vec<OutgoingChange>, usize, bool) {
        let own = &self.durable.documents[document];
        let (mut changes, mut bytes) = (vec![], 0);
        for (index, change) in own.log.iter().enumerate().skip(start) {
            if bytes >= max_bytes {
                return (changes, index, false);
            }
            if !held.contains(change.dot) {
                bytes += change.body.len();
                let document = DocumentName { name: document.into(), kind: Arc::clone(&own.kind) };
                changes.push(OutgoingChange { document, change: change.clone(), skip: false });
            }
        }
        (changes, own.log.len(), true)
    }
}
