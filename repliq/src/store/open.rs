//! Opening: is this a store, is it one we can read, and what does its meta say.
//! It reads families 00 to 05 and nothing of any document, so its cost follows
//! the spaces and replicas. It writes only what makes a new store one.

use super::HashMap;
use super::error::{StoreError, damaged};
use super::key::{self, Family};
use super::record::{
    DocumentNum, EpochStart, FORMAT, IdentityRecord, Record, ReplicaNum, SpaceNum, SpaceRecord,
    format_value, read_format,
};
use super::ring::Ring;
use super::shared::{Published, Replicas, Space};
use repliq_core::{Batch, Pair, ReplicaId, StorageBackend, StorageError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many pairs of meta one scan asks for.
const SCAN_LIMIT: usize = 256;

/// Reads the meta of a store, or makes a new one with the identity `fresh`.
pub(super) fn open(
    backend: &dyn StorageBackend,
    fresh: IdentityRecord,
) -> Result<Published, StoreError> {
    let written = match backend.get(&key::format())? {
        Some(value) => {
            check_format(&value)?;
            true
        }
        None if backend.scan(&[], None, 1)?.is_empty() => false,
        None => return Err(StoreError::NotAStore),
    };
    let identity = match backend.get(&key::identity())? {
        Some(value) => IdentityRecord::from_value(&value)?,
        None => begin(backend, written, fresh)?,
    };
    let mut published = Published {
        identity,
        replicas: replicas(backend)?,
        spaces: spaces(backend)?,
        space_names: HashMap::default(),
        ring: Ring::default(),
        in_flight: HashMap::default(),
        broken: false,
    };
    for (num, space) in &published.spaces {
        let name = Arc::from(space.record.name.as_str());
        if published.space_names.insert(name, *num).is_some() {
            return Err(damaged(Family::Space, "two spaces have one name").into());
        }
    }
    Ok(published)
}

/// Prepares a backend for values kept by name: the format record to write with
/// the first of them, or nothing if it is there.
///
/// # Errors
/// As [`open`].
pub(crate) fn claim_for_named_values(
    backend: &dyn StorageBackend,
) -> Result<Option<Pair>, StoreError> {
    match backend.get(&key::format())? {
        Some(value) => check_format(&value).map(|()| None),
        None if backend.scan(&[], None, 1)?.is_empty() => {
            Ok(Some((key::format(), format_value(FORMAT))))
        }
        None => Err(StoreError::NotAStore),
    }
}

fn check_format(value: &[u8]) -> Result<(), StoreError> {
    match read_format(value) {
        None | Some(0) => Err(StoreError::NotAStore),
        Some(found) if found > FORMAT => Err(StoreError::NewerFormat { found, supported: FORMAT }),
        Some(_) => Ok(()),
    }
}

/// Makes a replica of an empty store, or of one that holds named states only.
fn begin(
    backend: &dyn StorageBackend,
    written: bool,
    fresh: IdentityRecord,
) -> Result<IdentityRecord, StoreError> {
    let others = backend.scan(&[], Some(&key::format()), 1)?;
    let first = others.first().and_then(|(key, _)| key.first());
    if first.is_some_and(|first| *first < Family::NamedState as u8) {
        return Err(damaged(Family::Identity, "it is missing").into());
    }
    let mut batch = Batch::new();
    if !written {
        batch.put(key::format(), format_value(FORMAT));
    }
    batch.put(key::identity(), fresh.to_value());
    backend.commit(batch)?;
    Ok(fresh)
}

fn replicas(backend: &dyn StorageBackend) -> Result<Replicas, StorageError> {
    let mut replicas = Replicas::default();
    all(backend, Family::Replica, |key, value| {
        let [num] = key::numbers(Family::Replica, key)?;
        let num = ReplicaNum(key::narrow(Family::Replica, num)?);
        if replicas.add(num, ReplicaId::from_value(value)?) {
            Ok(())
        } else {
            Err(damaged(Family::Replica, "the table has a hole, or a replica twice"))
        }
    })?;
    Ok(replicas)
}

fn spaces(backend: &dyn StorageBackend) -> Result<BTreeMap<SpaceNum, Space>, StorageError> {
    let mut spaces = BTreeMap::new();
    all(backend, Family::Space, |key, value| {
        let [num] = key::numbers(Family::Space, key)?;
        let num = SpaceNum(key::narrow(Family::Space, num)?);
        let record = SpaceRecord::from_value(value)?;
        spaces.insert(num, Space { record, epochs: Vec::new(), in_this_run: false });
        Ok(())
    })?;
    all(backend, Family::Epochs, |key, value| {
        let [num] = key::numbers(Family::Epochs, key)?;
        let num = SpaceNum(key::narrow(Family::Epochs, num)?);
        let space = spaces
            .get_mut(&num)
            .ok_or_else(|| damaged(Family::Epochs, "they are of a space that is not there"))?;
        space.epochs = Vec::<EpochStart>::from_value(value)?;
        Ok(())
    })?;
    for space in spaces.values() {
        let reaches = space.epochs.last().is_none_or(|last| last.first <= space.record.head);
        let begun = space.record.head.0 == 0 || !space.epochs.is_empty();
        if !reaches || !begun {
            return Err(damaged(Family::Epochs, "they do not fit the head of the feed"));
        }
    }
    Ok(spaces)
}

/// Goes through all pairs of a family, a bounded number at a time.
fn all(
    backend: &dyn StorageBackend,
    family: Family,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let prefix = key::family(family);
    let mut after: Option<Vec<u8>> = None;
    loop {
        let pairs = backend.scan(&prefix, after.as_deref(), SCAN_LIMIT)?;
        for (key, value) in &pairs {
            take(key, value)?;
        }
        if pairs.len() < SCAN_LIMIT {
            return Ok(());
        }
        after = pairs.into_iter().next_back().map(|(key, _)| key);
    }
}

/// The number under which a document's name is filed.
pub(super) fn document_num(value: &[u8], space: &Space) -> Result<DocumentNum, StorageError> {
    let num = DocumentNum::from_value(value)?;
    if num.0 == 0 || num.0 > space.record.documents {
        return Err(damaged(Family::DocumentName, "it names a document that is not there"));
    }
    Ok(num)
}
