//! How a store's pairs lie in sled: one tree, told apart by the first byte of
//! the key. Every record is small enough that sled keeps it in its log, because
//! sled's blob files are neither fsynced nor safe when a process is killed.
//!
//! | sled key | sled value |
//! | --- | --- |
//! | `00` | the number of the last commit (8 bytes) |
//! | `01`, key | `00`, value: up to [`INLINE`] bytes |
//! | `01`, key | `01`, chunk id (12 bytes), length (8 bytes): a larger value |
//! | `02`, chunk id, chunk number (4 bytes) | up to [`INLINE`] bytes of the value |
//!
//! Sled writes a leaf of some 16 records anew with every tenth change to it. So
//! large values lie apart from the small ones that change often, and the number,
//! which changes with every commit, beside the smallest keys and not the chunks:
//! with values of 64 KiB among the others a store grew by 16 MiB in 500 commits.
//!
//! A chunk id is the number of its commit (8 bytes) and the position in that
//! commit (4 bytes). Integers are big-endian.

use crate::failure;
use repliq_core::{Batch, StorageError, StorageErrorKind};
use std::collections::BTreeMap;

/// The largest value, or piece of one, in one sled record.
pub(crate) const INLINE: usize = 4 << 10;

/// The longest key, in bytes. An index node of sled holds at most some 320 keys
/// and becomes a blob file from 2 MiB on.
pub(crate) const MAX_KEY: usize = 4 << 10;

const LAST_COMMIT: u8 = 0;
pub(crate) const PAIR: u8 = 1;
const CHUNK: u8 = 2;

const WHOLE: u8 = 0;
const CHUNKED: u8 = 1;

/// Refuses keys that would make sled write blob files.
pub(crate) fn check(batch: &Batch) -> Result<(), StorageError> {
    match batch.iter().map(|(key, _)| key.len()).max() {
        Some(longest) if longest > MAX_KEY => Err(StorageError::new(
            StorageErrorKind::Unsupported,
            format!("a key has {longest} bytes, sled stores keep up to {MAX_KEY}: shorten it"),
        )),
        _ => Ok(()),
    }
}

/// The sled key of a key.
pub(crate) fn pair_key(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(PAIR);
    out.extend_from_slice(key);
    out
}

/// The number of the last commit that sled holds, 0 if none.
pub(crate) fn last_commit(db: &sled::Db) -> Result<u64, StorageError> {
    match db.get([LAST_COMMIT]).map_err(failure::from_sled)? {
        None => Ok(0),
        Some(bytes) => (*bytes).try_into().map(u64::from_be_bytes).map_err(failure::damaged),
    }
}

/// Whether any value is stored in chunks.
pub(crate) fn has_chunks(db: &sled::Db) -> Result<bool, StorageError> {
    match db.scan_prefix([CHUNK]).next() {
        None => Ok(false),
        Some(found) => found.map(|_| true).map_err(failure::from_sled),
    }
}

/// The value that a pair's record stands for.
pub(crate) fn value(db: &sled::Db, record: &[u8]) -> Result<Vec<u8>, StorageError> {
    match record.split_first() {
        Some((&WHOLE, value)) => Ok(value.to_vec()),
        Some((&CHUNKED, place)) => {
            let (id, length) = split_place(place)?;
            let mut value = Vec::new();
            for chunk in db.scan_prefix(chunk_prefix(id)) {
                value.extend_from_slice(&chunk.map_err(failure::from_sled)?.1);
            }
            let whole = value.len() as u64 == u64::from_be_bytes(*length);
            if whole { Ok(value) } else { Err(failure::damaged("a value lost chunks")) }
        }
        _ => Err(failure::damaged("a record of an unknown kind")),
    }
}

/// Commit number `number` as records. `has_chunks` says whether old values may
/// lie in chunks that must go, and is set when this commit writes some.
pub(crate) fn records(
    db: &sled::Db,
    number: u64,
    batch: Batch,
    has_chunks: &mut bool,
) -> Result<sled::Batch, StorageError> {
    let mut writes = BTreeMap::new();
    for (key, value) in batch {
        writes.insert(key, value);
    }
    let mut records = sled::Batch::default();
    let old_chunks = *has_chunks;
    for (position, (key, value)) in (0_u32..).zip(writes) {
        let key = pair_key(&key);
        if old_chunks {
            remove_chunks(db, &key, &mut records)?;
        }
        match value {
            None => records.remove(key),
            Some(value) if value.len() <= INLINE => {
                records.insert(key, [[WHOLE].as_slice(), &value].concat());
            }
            Some(value) => {
                let id = [number.to_be_bytes().as_slice(), &position.to_be_bytes()].concat();
                for (index, chunk) in (0_u32..).zip(value.chunks(INLINE)) {
                    records.insert([chunk_prefix(&id), index.to_be_bytes().into()].concat(), chunk);
                }
                let length = (value.len() as u64).to_be_bytes();
                records.insert(key, [[CHUNKED].as_slice(), &id, &length].concat());
                *has_chunks = true;
            }
        }
    }
    records.insert(&[LAST_COMMIT], &number.to_be_bytes());
    Ok(records)
}

fn remove_chunks(db: &sled::Db, key: &[u8], records: &mut sled::Batch) -> Result<(), StorageError> {
    let old = db.get(key).map_err(failure::from_sled)?;
    if let Some((&CHUNKED, place)) = old.as_deref().and_then(<[u8]>::split_first) {
        for chunk in db.scan_prefix(chunk_prefix(split_place(place)?.0)).keys() {
            records.remove(chunk.map_err(failure::from_sled)?);
        }
    }
    Ok(())
}

fn chunk_prefix(id: &[u8]) -> Vec<u8> {
    [[CHUNK].as_slice(), id].concat()
}

/// Where the chunks of a value are, and how long it is.
fn split_place(place: &[u8]) -> Result<(&[u8], &[u8; 8]), StorageError> {
    place.split_last_chunk().ok_or_else(|| failure::damaged("a record without its length"))
}
