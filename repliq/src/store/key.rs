//! The keys of the store: a family byte, then numbers or a name, so that the
//! bytes sort as their parts do and no key is a prefix of another's group.
//! Reading a key back checks every byte of it; damage is a typed error.
//! It never looks at a value, and never touches a backend.

use super::error::damaged;
use super::record::{DocumentNum, FeedNumber, ReplicaNum, SpaceNum};
use repliq_core::{ReplicaId, StorageError};

/// What a key is about: its first byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(super) enum Family {
    Format = 0x00,
    Identity = 0x01,
    Replica = 0x02,
    Space = 0x04,
    Epochs = 0x05,
    DocumentName = 0x06,
    Document = 0x07,
    Log = 0x08,
    Feed = 0x09,
    Snapshot = 0x0a,
    Held = 0x0b,
    Cursor = 0x0c,
    Lease = 0x0d,
    /// Written by `Storage`; the store leaves these keys alone.
    NamedState = 0x10,
}

/// Values below this take one byte; above it, `0xf7 + n` says that `n` follow.
const FIRST_LONG: u64 = 0xf8;

/// Appends `value` so that the bytes of larger values sort later.
pub(super) fn push_ordered(key: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    if value < FIRST_LONG {
        key.extend_from_slice(bytes.get(7..).unwrap_or_default());
        return;
    }
    let leading = (value.leading_zeros() / 8) as usize;
    let digits = bytes.get(leading..).unwrap_or_default();
    let count = u8::try_from(digits.len()).unwrap_or(8);
    key.push(0xf7 + count);
    key.extend_from_slice(digits);
}

/// Takes a number off the front; `None` when it is cut off or written longer
/// than it must be.
pub(super) fn take_ordered(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if u64::from(first) < FIRST_LONG {
        return Some((u64::from(first), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first - 0xf7))?;
    let value = digits.iter().fold(0_u64, |value, digit| value << 8 | u64::from(*digit));
    let minimal = digits.first() != Some(&0) && value >= FIRST_LONG;
    minimal.then_some((value, rest))
}

fn of(family: Family, numbers: &[u64]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + numbers.len() * 4);
    key.push(family as u8);
    for number in numbers {
        push_ordered(&mut key, *number);
    }
    key
}

fn named(family: Family, numbers: &[u64], name: &[u8]) -> Vec<u8> {
    let mut key = of(family, numbers);
    key.extend_from_slice(name);
    key
}

pub(super) fn format() -> Vec<u8> {
    of(Family::Format, &[])
}

pub(super) fn identity() -> Vec<u8> {
    of(Family::Identity, &[])
}

/// The prefix of all keys of a family.
pub(super) fn family(family: Family) -> Vec<u8> {
    of(family, &[])
}

pub(super) fn replica(num: ReplicaNum) -> Vec<u8> {
    of(Family::Replica, &[num.0.into()])
}

pub(super) fn space(space: SpaceNum) -> Vec<u8> {
    of(Family::Space, &[space.0.into()])
}

pub(super) fn epochs(space: SpaceNum) -> Vec<u8> {
    of(Family::Epochs, &[space.0.into()])
}

pub(super) fn document_name(space: SpaceNum, name: &str) -> Vec<u8> {
    named(Family::DocumentName, &[space.0.into()], name.as_bytes())
}

pub(super) fn documents(space: SpaceNum) -> Vec<u8> {
    of(Family::Document, &[space.0.into()])
}

pub(super) fn document(space: SpaceNum, document: DocumentNum) -> Vec<u8> {
    of(Family::Document, &[space.0.into(), document.0])
}

/// The prefix of a document's log.
pub(super) fn log_of(space: SpaceNum, document: DocumentNum) -> Vec<u8> {
    of(Family::Log, &[space.0.into(), document.0])
}

/// The prefix of one replica's changes in a document's log.
pub(super) fn log_by(space: SpaceNum, document: DocumentNum, replica: ReplicaNum) -> Vec<u8> {
    of(Family::Log, &[space.0.into(), document.0, replica.0.into()])
}

pub(super) fn log(
    space: SpaceNum,
    document: DocumentNum,
    replica: ReplicaNum,
    seq: u64,
) -> Vec<u8> {
    of(Family::Log, &[space.0.into(), document.0, replica.0.into(), seq])
}

/// The prefix of a space's feed.
pub(super) fn feed_of(space: SpaceNum) -> Vec<u8> {
    of(Family::Feed, &[space.0.into()])
}

pub(super) fn feed(space: SpaceNum, n: FeedNumber) -> Vec<u8> {
    of(Family::Feed, &[space.0.into(), n.0])
}

/// The prefix of a snapshot's chunks.
pub(super) fn snapshot(space: SpaceNum, document: DocumentNum, generation: u64) -> Vec<u8> {
    of(Family::Snapshot, &[space.0.into(), document.0, generation])
}

pub(super) fn chunk(
    space: SpaceNum,
    document: DocumentNum,
    generation: u64,
    index: u64,
) -> Vec<u8> {
    of(Family::Snapshot, &[space.0.into(), document.0, generation, index])
}

/// The prefix of a space's held changes.
pub(super) fn held_in(space: SpaceNum) -> Vec<u8> {
    of(Family::Held, &[space.0.into()])
}

pub(super) fn held(
    space: SpaceNum,
    document: DocumentNum,
    replica: ReplicaNum,
    seq: u64,
) -> Vec<u8> {
    of(Family::Held, &[space.0.into(), document.0, replica.0.into(), seq])
}

pub(super) fn cursor(space: SpaceNum, peer: &[u8]) -> Vec<u8> {
    named(Family::Cursor, &[space.0.into()], peer)
}

/// A value kept by name, without sync.
pub(crate) fn named_value(name: &str) -> Vec<u8> {
    named(Family::NamedState, &[], name.as_bytes())
}

pub(super) fn lease(space: SpaceNum, replica: ReplicaId) -> Vec<u8> {
    named(Family::Lease, &[space.0.into()], replica.as_bytes())
}

/// The numbers of a key that holds exactly `N` of them after its family.
pub(super) fn numbers<const N: usize>(
    family: Family,
    key: &[u8],
) -> Result<[u64; N], StorageError> {
    let bad = || damaged(family, "a key is malformed");
    let (first, mut rest) = key.split_first().ok_or_else(bad)?;
    if *first != family as u8 {
        return Err(bad());
    }
    let mut numbers = [0; N];
    for number in &mut numbers {
        (*number, rest) = take_ordered(rest).ok_or_else(bad)?;
    }
    if rest.is_empty() { Ok(numbers) } else { Err(bad()) }
}

/// A number of a key as the 32 bits it was written from.
pub(super) fn narrow(family: Family, number: u64) -> Result<u32, StorageError> {
    u32::try_from(number).map_err(|_| damaged(family, "a number in a key is too large"))
}
