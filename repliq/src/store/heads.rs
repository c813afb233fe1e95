//! The heads of a document: how much of each replica it holds, and the chain
//! over it. They are read from the checkpoint in the document's meta and the log
//! after it, replica by replica, at a cost that follows what came since. It never
//! reads a change that a checkpoint covers.

use super::error::damaged;
use super::key::{self, Family};
use super::record::{DocumentNum, Head, ReplicaNum, SpaceNum};
use bytes::Bytes;
use repliq_core::{
    Chain, Change, ChangeHeader, Dot, ReplicaId, StorageBackend, StorageError, Version,
};
use std::collections::BTreeMap;

/// How many log entries one scan asks for at most.
const SCAN_LIMIT: usize = 64;

/// Above this many bytes in one scan, the next asks for fewer entries.
const SCAN_BYTES: usize = 256 << 10;

/// What a document holds, by replica.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Heads(pub(crate) BTreeMap<ReplicaId, Head>);

impl Heads {
    /// The same without the chains.
    pub(crate) fn version(&self) -> Version {
        self.0.iter().map(|(replica, head)| (*replica, head.next)).collect()
    }

    /// The chain after what is held of this replica.
    pub(crate) fn chain(&self, replica: ReplicaId) -> Chain {
        self.0.get(&replica).map_or(Chain::START, |head| head.chain)
    }
}

/// How many pairs to ask for next: few at first, more as they are used up, fewer
/// when they are large (a scan has no limit in bytes, and a body may have 16 MiB).
#[derive(Clone, Copy, Debug)]
pub(super) struct Appetite(usize);

impl Appetite {
    pub(super) const SMALL: Self = Self(1);

    pub(super) const fn limit(self) -> usize {
        self.0
    }

    pub(super) fn after(self, scanned_bytes: usize) -> Self {
        let wanted = if scanned_bytes > SCAN_BYTES { self.0 / 4 } else { self.0 * 4 };
        Self(wanted.clamp(1, SCAN_LIMIT))
    }
}

/// The heads by replica number, and how many changes came after the checkpoint.
pub(super) fn read(
    backend: &dyn StorageBackend,
    space: SpaceNum,
    document: DocumentNum,
    checkpoint: &[(ReplicaNum, Head)],
    replicas: impl Fn(ReplicaNum) -> Result<ReplicaId, StorageError>,
) -> Result<(BTreeMap<ReplicaNum, Head>, u64), StorageError> {
    let prefix = key::log_of(space, document);
    let mut tail = Tail {
        heads: checkpoint.iter().copied().collect(),
        current: None,
        since: 0,
        replicas,
        place: (space, document),
    };
    let mut after: Option<Vec<u8>> = None;
    let mut appetite = Appetite::SMALL;
    loop {
        let pairs = backend.scan(&prefix, after.as_deref(), appetite.limit())?;
        let at_end = pairs.len() < appetite.limit();
        appetite = appetite.after(pairs.iter().map(|(_, body)| body.len()).sum());
        let mut jump = None;
        for (key, body) in pairs {
            jump = tail.take(&key, body)?;
            after = Some(key);
            if jump.is_some() {
                break;
            }
        }
        if jump.is_some() {
            after = jump;
            appetite = Appetite::SMALL;
        } else if at_end {
            return Ok((tail.heads, tail.since));
        }
    }
}

struct Tail<F> {
    heads: BTreeMap<ReplicaNum, Head>,
    current: Option<ReplicaNum>,
    since: u64,
    replicas: F,
    place: (SpaceNum, DocumentNum),
}

impl<F: Fn(ReplicaNum) -> Result<ReplicaId, StorageError>> Tail<F> {
    /// Goes on with one log entry, or says after which key to look instead.
    fn take(&mut self, key: &[u8], body: Vec<u8>) -> Result<Option<Vec<u8>>, StorageError> {
        let [_, _, num, seq] = key::numbers(Family::Log, key)?;
        let num = ReplicaNum(key::narrow(Family::Log, num)?);
        let head = self.heads.get(&num).copied().unwrap_or_default();
        let first_of_replica = self.current.replace(num) != Some(num);
        if first_of_replica && seq < head.next {
            let (space, document) = self.place;
            return Ok(Some(key::log(space, document, num, head.next - 1)));
        }
        let replica = (self.replicas)(num)?;
        let change = Change { dot: Dot { replica, seq }, body: Bytes::from(body) };
        let header = follow(&change, head)?;
        let next = seq.saturating_add(header.slots);
        self.heads.insert(num, Head { next, chain: change.chain_after() });
        self.since += 1;
        Ok(None)
    }
}

/// The header of a logged change that must come right after `head`.
pub(super) fn follow(change: &Change, head: Head) -> Result<ChangeHeader, StorageError> {
    let (header, _) = change.open().map_err(|error| damaged(Family::Log, &error.to_string()))?;
    if change.dot.seq != head.next || header.chain != head.chain {
        return Err(damaged(Family::Log, "a change does not follow the one before it"));
    }
    Ok(header)
}
