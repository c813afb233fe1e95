//! A document's state as it was at some version, cut into chunks. A new one
//! replaces the old in the same batch; the log is not touched. A reader gets a
//! snapshot as a whole, or the one that replaced it, never parts of two.

use super::error::{StoreError, damaged};
use super::key::{self, Family};
use super::record::DocumentRecord;
use super::record::{CHUNK_BYTES, DocumentNum, MAX_CHUNKS, Record, SnapshotRecord, SpaceNum};
use super::refusal::Refusal;
use super::shared::Shared;
use super::stage::{Place, Stage, Stop};
use super::submission::Snapshot;
use repliq_core::{StorageError, Version};

impl Stage<'_> {
    /// Puts a snapshot in the place of the one before.
    pub(super) fn replace_snapshot(
        &mut self,
        space: &str,
        document: &str,
        snapshot: &Snapshot,
    ) -> Result<(), Stop> {
        let bytes = snapshot.bytes.len() as u64;
        if bytes.div_ceil(CHUNK_BYTES as u64) > MAX_CHUNKS {
            return Err(Refusal::SnapshotTooLarge { bytes }.into());
        }
        self.space_num(space).ok_or(Refusal::UnknownSpace)?;
        let place = self.find(space, document)?.ok_or(Refusal::UnknownDocument)?;
        for (replica, count) in snapshot.version.iter() {
            if self.head(place, replica)?.next < count {
                return Err(Refusal::SnapshotAhead.into());
            }
        }
        let (space, num) = place;
        let staged = self.document(place)?;
        staged.meta_due = true;
        let old = staged.state.snapshot.take();
        let chunks = snapshot.bytes.chunks(CHUNK_BYTES);
        let record = SnapshotRecord {
            version: snapshot.version.clone(),
            unsaid: snapshot.unsaid.clone(),
            bytes,
            chunks: chunks.len() as u64,
            generation: old.as_ref().map_or(1, |old| old.generation.saturating_add(1)),
        };
        let generation = record.generation;
        staged.state.snapshot = Some(record);
        for index in 0..old.as_ref().map_or(0, |old| old.chunks) {
            let generation = old.as_ref().map_or(0, |old| old.generation);
            self.staged.batch.delete(key::chunk(space, num, generation, index));
        }
        for (index, chunk) in (0..).zip(chunks) {
            self.staged.batch.put(key::chunk(space, num, generation, index), chunk);
        }
        Ok(())
    }
}

/// What one look at a snapshot gave.
enum Look {
    Settled(Option<Snapshot>),
    /// A commit is about to replace it, or just did.
    Moving,
}

/// The snapshot of a document.
pub(super) fn read(shared: &Shared, place: Place) -> Result<Option<Snapshot>, StoreError> {
    if let Look::Settled(snapshot) = look(shared, place)? {
        return Ok(snapshot);
    }
    let _no_commit = shared.committing.lock();
    shared.published.read().usable()?;
    match look(shared, place)? {
        Look::Settled(snapshot) => Ok(snapshot),
        Look::Moving => Err(damaged(Family::Snapshot, "chunks are missing").into()),
    }
}

fn look(shared: &Shared, place: Place) -> Result<Look, StorageError> {
    let (space, document) = place;
    let Some(value) = shared.backend.get(&key::document(space, document))? else {
        return Ok(Look::Settled(None));
    };
    let Some(record) = DocumentRecord::from_value(&value)?.snapshot else {
        return Ok(Look::Settled(None));
    };
    if !is_durable(shared, place, &record.version) {
        return Ok(Look::Moving);
    }
    Ok(match chunks(shared, space, document, &record)? {
        Some(bytes) => Look::Settled(Some(Snapshot {
            version: record.version,
            unsaid: record.unsaid,
            bytes: bytes.into(),
        })),
        None => Look::Moving,
    })
}

/// Whether a version covers nothing that a running commit writes.
fn is_durable(shared: &Shared, place: Place, version: &Version) -> bool {
    let published = shared.published.read();
    let Some(before) = published.in_flight.get(&place) else { return true };
    before.iter().all(|(num, head)| {
        let replica = published.replicas.id(*num);
        replica.is_none_or(|replica| version.get(replica) <= head.next)
    })
}

/// All chunks put together, or `None` if they are not the ones of this record.
fn chunks(
    shared: &Shared,
    space: SpaceNum,
    document: DocumentNum,
    record: &SnapshotRecord,
) -> Result<Option<Vec<u8>>, StorageError> {
    let prefix = key::snapshot(space, document, record.generation);
    let (Ok(count), Ok(size)) = (usize::try_from(record.chunks), usize::try_from(record.bytes))
    else {
        return Err(damaged(Family::Document, "a snapshot is larger than memory"));
    };
    let pairs = shared.backend.scan(&prefix, None, count.saturating_add(1))?;
    if pairs.len() != count || pairs.iter().map(|(_, chunk)| chunk.len()).sum::<usize>() != size {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(size);
    for (expected, (key, chunk)) in (0..).zip(&pairs) {
        let [_, _, _, index] = key::numbers(Family::Snapshot, key)?;
        if index != expected {
            return Err(damaged(Family::Snapshot, "chunks are missing"));
        }
        bytes.extend_from_slice(chunk);
    }
    Ok(Some(bytes))
}
