//! The values of the store and the numbers they are filed under. Each has one
//! encoding, written down in `docs/STORAGE.md` byte by byte, and reading it back
//! checks every bound that the writer keeps. It never touches a backend.

use super::error::damaged;
use super::key::{Family, push_ordered, take_ordered};
use bytes::Bytes;
use repliq_core::{
    Chain, Hlc, Millis, ReplicaId, StorageError, StorageErrorKind, Version, decode, encode,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The newest format this code reads and the one it writes.
pub(crate) const FORMAT: u16 = 1;

/// The longest name of a space, a document, a kind or a peer, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// How many epochs of a space are remembered.
pub(super) const MAX_EPOCHS: usize = 64;

/// The size of a snapshot's chunks, the last one excepted.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// The most chunks a snapshot may have: 64 GiB of them.
pub(super) const MAX_CHUNKS: u64 = 1 << 20;

/// A space's number in this store, from 0.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub(crate) struct SpaceNum(pub(crate) u32);

/// A document's number in its space of this store, from 1 in the order of creation.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub(crate) struct DocumentNum(pub(crate) u64);

/// A replica's number in this store, from 0: short for its 16 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub(crate) struct ReplicaNum(pub(crate) u32);

/// A change's place in a space's feed, from 1; 0 is before the first.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub(crate) struct FeedNumber(pub(crate) u64);

impl FeedNumber {
    /// The number after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One run of a store, drawn at random when it opens.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub(crate) struct Epoch(pub(crate) u64);

/// How far a feed was read: the last number, and the epoch it was given in.
/// With 0 the epoch says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) epoch: Epoch,
    pub(crate) n: FeedNumber,
}

/// How much of one replica a document holds, and the chain over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The number of slots held: the sequence number that comes next.
    pub(crate) next: u64,
    /// The chain after the last change held.
    pub(crate) chain: Chain,
}

/// A document by its names; none of them ever changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DocumentInfo {
    pub(crate) num: DocumentNum,
    pub(crate) name: Arc<str>,
    /// The `Crdt::KIND` it was created with.
    pub(crate) kind: Arc<str>,
}

/// When a device was last heard of, and how far into our feed it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LeaseRecord {
    pub(crate) seen: Millis,
    /// Up to where it holds this store's feed durably.
    pub(crate) acked: Position,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct IdentityRecord {
    pub(super) replica: ReplicaId,
    pub(super) created: Millis,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SpaceRecord {
    pub(super) name: String,
    pub(super) head: FeedNumber,
    /// The last timestamp given out or seen in this space; held changes excepted.
    pub(super) last: Hlc,
    /// How many document numbers were given out.
    pub(super) documents: u64,
    pub(super) held: HeldTotals,
}

/// What the held changes of a space amount to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct HeldTotals {
    pub(super) changes: u64,
    pub(super) bytes: u64,
}

/// The changes from `first` on were numbered in this run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct EpochStart {
    pub(super) first: FeedNumber,
    pub(super) epoch: Epoch,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct DocumentRecord {
    pub(super) name: String,
    pub(super) kind: String,
    /// The heads at some moment, by rising replica number; the log may go on after them.
    pub(super) checkpoint: Vec<(ReplicaNum, Head)>,
    pub(super) snapshot: Option<SnapshotRecord>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SnapshotRecord {
    pub(super) version: Version,
    pub(super) unsaid: Version,
    pub(super) bytes: u64,
    pub(super) chunks: u64,
    pub(super) generation: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct FeedRecord {
    pub(super) document: DocumentNum,
    pub(super) replica: ReplicaNum,
    pub(super) seq: u64,
    /// 0 for this store itself, else 1 + the number of the replica it came from.
    pub(super) origin: u64,
}

/// A value with one encoding, and the bounds it keeps.
pub(super) trait Record: Serialize + DeserializeOwned {
    const FAMILY: Family;

    fn is_sound(&self) -> bool {
        true
    }

    fn to_value(&self) -> Vec<u8> {
        encode(self)
    }

    fn from_value(value: &[u8]) -> Result<Self, StorageError> {
        let record: Self =
            decode(value).map_err(|error| damaged(Self::FAMILY, &error.to_string()))?;
        if record.is_sound() {
            Ok(record)
        } else {
            Err(damaged(Self::FAMILY, "a value is out of its bounds"))
        }
    }
}

impl Record for IdentityRecord {
    const FAMILY: Family = Family::Identity;
}

impl Record for ReplicaId {
    const FAMILY: Family = Family::Replica;
}

impl Record for SpaceRecord {
    const FAMILY: Family = Family::Space;

    fn is_sound(&self) -> bool {
        self.name.len() <= MAX_NAME_BYTES && self.head.0 < u64::MAX && self.documents < u64::MAX
    }
}

impl Record for Vec<EpochStart> {
    const FAMILY: Family = Family::Epochs;

    fn is_sound(&self) -> bool {
        let rising = self.is_sorted_by(|a, b| a.first < b.first);
        !self.is_empty() && self.len() <= MAX_EPOCHS && rising
    }
}

impl Record for DocumentNum {
    const FAMILY: Family = Family::DocumentName;
}

impl Record for DocumentRecord {
    const FAMILY: Family = Family::Document;

    fn is_sound(&self) -> bool {
        let rising = self.checkpoint.is_sorted_by(|a, b| a.0 < b.0);
        let names = self.name.len() <= MAX_NAME_BYTES && self.kind.len() <= MAX_NAME_BYTES;
        let held = self.checkpoint.iter().all(|(_, head)| head.next > 0);
        let chunks = self.snapshot.as_ref().is_none_or(|snapshot| {
            snapshot.chunks == snapshot.bytes.div_ceil(CHUNK_BYTES as u64)
                && snapshot.chunks <= MAX_CHUNKS
                && snapshot.generation < u64::MAX
        });
        rising && names && held && chunks
    }
}

impl Record for FeedRecord {
    const FAMILY: Family = Family::Feed;
}

impl Record for Position {
    const FAMILY: Family = Family::Cursor;
}

impl Record for LeaseRecord {
    const FAMILY: Family = Family::Lease;
}

/// The value of [`Family::Format`]: fixed for all formats to come.
pub(super) fn format_value(format: u16) -> Vec<u8> {
    let mut value = b"repliq".to_vec();
    value.extend_from_slice(&format.to_be_bytes());
    value
}

/// The format a store was written in; `None` when this is no store's value.
pub(super) fn read_format(value: &[u8]) -> Option<u16> {
    let number = value.strip_prefix(b"repliq")?.first_chunk()?;
    Some(u16::from_be_bytes(*number))
}

/// The value of [`Family::Held`]: the origin as in [`FeedRecord`], then the body.
pub(super) fn held_value(origin: u64, body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(9 + body.len());
    push_ordered(&mut value, origin);
    value.extend_from_slice(body);
    value
}

/// Takes a value of [`Family::Held`] apart.
pub(super) fn read_held(value: Vec<u8>) -> Result<(u64, Bytes), StorageError> {
    let value = Bytes::from(value);
    let (origin, body) = take_ordered(&value)
        .ok_or_else(|| damaged(Family::Held, "a value does not say where it came from"))?;
    Ok((origin, value.slice_ref(body)))
}

/// Whether an error says that what is stored is damaged.
pub(super) fn is_damage(error: &StorageError) -> bool {
    error.kind == StorageErrorKind::Corrupt
}
