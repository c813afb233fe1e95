//! The promises of the store, and what its tests are made of.

mod arrivals;
mod backend;
mod commits;
mod damage;
mod failures;
mod feeds;
mod format;
mod held;
mod histories;
mod opening;
mod snapshots;

use super::*;
use backend::{Fate, Map, Probe};
use bytes::Bytes;
use repliq_core::{Chain, Change, ChangeHeader, Dot, Hlc, KeyId, Millis, ReplicaId, Version};
use std::sync::Arc;

pub(super) const WALL: Millis = Millis(1_700_000_000_000);
const DAY: u64 = 24 * 60 * 60 * 1000;

/// The replica with 16 bytes of this.
fn id(byte: u8) -> ReplicaId {
    ReplicaId::from_bytes([byte; 16])
}

/// The identity of the store under test.
fn own() -> ReplicaId {
    id(0xaa)
}

/// The peer that brings the changes of others.
fn peer() -> ReplicaId {
    id(0xbb)
}

fn open(backend: &Arc<Probe>) -> Store {
    open_as(backend, 1)
}

fn open_as(backend: &Arc<Probe>, epoch: u64) -> Store {
    Store::open(backend.clone(), own(), epoch, WALL).unwrap()
}

/// Authors the changes of one replica to one document.
#[derive(Clone)]
struct Pen {
    replica: ReplicaId,
    next: u64,
    chain: Chain,
}

impl Pen {
    fn new(byte: u8) -> Self {
        Self { replica: id(byte), next: 0, chain: Chain::START }
    }

    fn write(&mut self, payload: &[u8]) -> Change {
        self.full(Hlc::from_millis(WALL), 1, &[], payload)
    }

    fn at(&mut self, millis: u64) -> Change {
        self.full(Hlc::from_millis(Millis(millis)), 1, &[], b"x")
    }

    fn after(&mut self, deps: &[(ReplicaId, u64)]) -> Change {
        self.full(Hlc::from_millis(WALL), 1, deps, b"x")
    }

    fn full(&mut self, hlc: Hlc, slots: u64, deps: &[(ReplicaId, u64)], payload: &[u8]) -> Change {
        let deps: Version = deps.iter().copied().collect();
        let header = ChangeHeader { slots, hlc, chain: self.chain, deps, key: KeyId::PLAIN };
        let dot = Dot { replica: self.replica, seq: self.next };
        let change = Change::new(dot, &header, payload);
        self.next += slots;
        self.chain = change.chain_after();
        change
    }
}

fn local(document: &str, change: Change) -> Submission {
    local_in("s", document, "k/1", change)
}

fn local_in(space: &str, document: &str, kind: &str, change: Change) -> Submission {
    let chain = change.chain_after();
    let (space, document, kind) = (space.into(), document.into(), kind.into());
    Submission::Local { space, document, kind, change, chain }
}

fn arrival(document: &str, change: Change) -> Arrival {
    Arrival { document: document.into(), kind: "k/1".into(), change }
}

fn remote(skew: Skew, arrivals: Vec<Arrival>) -> Submission {
    Submission::Remote(Remote { space: "s".into(), from: peer(), arrivals, cursor: None, skew })
}

/// Hands in changes to document "d" as from a peer.
fn bring(store: &mut Store, skew: Skew, changes: &[Change]) -> Vec<Verdict> {
    bring_at(store, WALL, skew, changes)
}

fn bring_at(store: &mut Store, wall: Millis, skew: Skew, changes: &[Change]) -> Vec<Verdict> {
    let arrivals = changes.iter().map(|change| arrival("d", change.clone())).collect();
    match store.commit(&[remote(skew, arrivals)], wall).unwrap().remove(0) {
        Outcome::Remote { verdicts, .. } => verdicts,
        other => panic!("{other:?}"),
    }
}

fn refused(verdict: &Verdict) -> &Refusal {
    match verdict {
        Verdict::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn applied(n: u64) -> Verdict {
    Verdict::Applied(FeedNumber(n))
}

fn release(store: &mut Store, wall: Millis) -> (Vec<FeedEntry>, bool) {
    let outcomes = store.commit(&[Submission::Release { space: "s".into() }], wall).unwrap();
    match outcomes.into_iter().next() {
        Some(Outcome::Released { changes, more }) => (changes, more),
        other => panic!("{other:?}"),
    }
}

fn space(store: &Store) -> SpaceNum {
    store.reader().space("s").unwrap()
}

fn document(store: &Store, name: &str) -> DocumentNum {
    store.reader().document(space(store), name).unwrap().unwrap().num
}

fn all_feed(store: &Store) -> Vec<FeedEntry> {
    let mut entries: Vec<FeedEntry> = Vec::new();
    loop {
        let after = entries.last().map_or(FeedNumber(0), |entry| entry.n);
        let page = store.reader().feed(space(store), after, 1 << 20, 1000).unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

fn all_changes(store: &Store, name: &str, after: &Version, chunk: usize) -> Vec<Change> {
    let mut reader = store.reader().changes(space(store), document(store, name), after).unwrap();
    let mut changes = Vec::new();
    loop {
        let next = reader.next_chunk(chunk).unwrap();
        if next.is_empty() {
            return changes;
        }
        changes.extend(next);
    }
}
