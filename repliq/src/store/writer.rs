//! The single writer. It turns any number of submissions into one batch, and
//! after a failed commit what it has in memory is what the backend holds, or it
//! refuses to go on. It has no thread, no clock and no randomness of its own.

use super::HashMap;
use super::accept::check_name;
use super::cache::Cache;
use super::error::StoreError;
use super::held::HeldIndex;
use super::key;
use super::open;
use super::reader::StoreReader;
use super::record::{DocumentNum, Epoch, IdentityRecord, Record, ReplicaNum, SpaceNum};
use super::refusal::{Refusal, Verdict};
use super::shared::Shared;
use super::stage::{DocumentState, Place, Stage, Staged, Stop};
use super::submission::{Cursor, Outcome, Submission};
use repliq_core::{Hlc, Millis, ReplicaId, StorageBackend, StorageError};
use std::sync::Arc;

/// How many documents the writer remembers the heads of.
const DOCUMENTS: usize = 10_000;

/// The writer of a store; there is one for each backend.
pub(crate) struct Store {
    shared: Arc<Shared>,
    memory: Memory,
    run_epoch: Epoch,
    /// False while a commit runs: if the backend panics, it stays false.
    settled: bool,
}

/// What the writer remembers; all of it can be read again.
pub(super) struct Memory {
    pub(super) documents: Cache<Place, DocumentState>,
    pub(super) names: Cache<Vec<u8>, DocumentNum>,
    pub(super) held: HashMap<SpaceNum, HeldIndex>,
}

impl Store {
    /// Opens the store of a backend, or makes one if the backend is empty. Reads
    /// meta only: the cost follows the spaces and replicas, not the documents.
    /// `run_epoch` must be random: it tells this run from one on a copy.
    /// `fresh` and `created` are for a new store.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`] and [`StoreError::NewerFormat`] leave the data
    /// untouched; [`StoreError::Storage`] says that it is damaged or unreadable.
    pub(crate) fn open(
        backend: Arc<dyn StorageBackend>,
        fresh: ReplicaId,
        run_epoch: u64,
        created: Millis,
    ) -> Result<Self, StoreError> {
        Self::remembering(backend, fresh, run_epoch, created, DOCUMENTS)
    }

    /// As [`Store::open`], remembering the heads of at most so many documents.
    pub(super) fn remembering(
        backend: Arc<dyn StorageBackend>,
        fresh: ReplicaId,
        run_epoch: u64,
        created: Millis,
        documents: usize,
    ) -> Result<Self, StoreError> {
        let fresh = IdentityRecord { replica: fresh, created };
        let published = open::open(backend.as_ref(), fresh)?;
        let memory = Memory {
            documents: Cache::new(documents),
            names: Cache::new(documents),
            held: HashMap::default(),
        };
        let shared = Arc::new(Shared::new(backend, published));
        Ok(Self { shared, memory, run_epoch: Epoch(run_epoch), settled: true })
    }

    /// A reader, for any thread.
    pub(crate) fn reader(&self) -> StoreReader {
        StoreReader::new(self.shared.clone())
    }

    /// The replica that this store is.
    pub(crate) fn replica(&self) -> ReplicaId {
        self.shared.published.read().identity.replica
    }

    /// The last timestamp given out or seen: where the clock resumes.
    pub(crate) fn last(&self) -> Hlc {
        self.shared.published.read().last()
    }

    /// Makes all submissions durable in one batch of the backend. Returns one
    /// outcome for each, in their order. `wall` is the time now.
    ///
    /// # Errors
    /// [`StoreError::Storage`]: nothing of it is stored, and the store can be
    /// used on. [`StoreError::Broken`]: it is unknown what is durable, now and
    /// on every later call; close the store and open it again.
    pub(crate) fn commit(
        &mut self,
        submissions: &[Submission],
        wall: Millis,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.shared.published.read().usable()?;
        if !std::mem::replace(&mut self.settled, false) {
            return Err(StoreError::Broken);
        }
        let first_new = self.shared.published.read().replicas.next();
        let result = self.stage_and_write(submissions, wall);
        if result.is_err() {
            self.take_back(first_new);
        }
        self.settled = true;
        result
    }

    fn stage_and_write(
        &mut self,
        submissions: &[Submission],
        wall: Millis,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut stage = Stage::new(&self.shared, &mut self.memory, wall, self.run_epoch);
        let mut outcomes = Vec::with_capacity(submissions.len());
        for submission in submissions {
            outcomes.push(stage.submission(submission)?);
        }
        let staged = stage.finish();
        let committing = self.shared.committing.lock();
        if !staged.batch.is_empty() {
            self.announce(&staged);
            self.write(&staged)?;
        }
        publish(&self.shared, &mut self.memory, staged);
        drop(committing);
        Ok(outcomes)
    }

    /// Tells readers what is about to change, so that they do not see it early.
    fn announce(&self, staged: &Staged) {
        let moved = staged.documents.iter().filter(|(_, document)| !document.before.is_empty());
        let before = moved.map(|(place, document)| (*place, document.before.clone())).collect();
        self.shared.published.write().in_flight = before;
    }

    /// Commits the batch. After an error of the backend it finds out whether the
    /// batch is there, and if so commits it once more to have it durable.
    fn write(&self, staged: &Staged) -> Result<(), StoreError> {
        let backend = self.shared.backend.as_ref();
        let Err(error) = backend.commit(staged.batch.clone()) else { return Ok(()) };
        if !staged.is_remembered() {
            return Err(error.into());
        }
        let durable = match is_there(backend, staged) {
            Ok(false) => return Err(error.into()),
            Ok(true) => backend.commit(staged.batch.clone()).is_ok(),
            Err(_) => false,
        };
        if durable {
            return Ok(());
        }
        self.shared.published.write().broken = true;
        Err(StoreError::Broken)
    }

    /// Forgets everything that a batch which is not there may have touched.
    fn take_back(&mut self, first_new: Option<ReplicaNum>) {
        self.memory.held.clear();
        let mut published = self.shared.published.write();
        published.in_flight.clear();
        if let Some(num) = first_new {
            published.replicas.forget_from(num);
        }
    }
}

/// Whether the backend holds what the batch writes. The meta of a space changes
/// with every change, so one value tells; a batch without one is compared whole.
fn is_there(backend: &dyn StorageBackend, staged: &Staged) -> Result<bool, StorageError> {
    let dirty = staged.spaces.iter().find(|(_, space)| space.dirty);
    if let Some((num, space)) = dirty {
        let value = backend.get(&key::space(*num))?;
        return Ok(value.is_some_and(|value| value == space.space.record.to_value()));
    }
    for (key, value) in staged.batch.iter() {
        if backend.get(key)?.as_deref() != value {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a durable batch visible.
fn publish(shared: &Shared, memory: &mut Memory, staged: Staged) {
    for (place, document) in staged.documents {
        memory.documents.insert(place, document.state);
    }
    for (key, num) in staged.names {
        memory.names.insert(key, num);
    }
    let mut published = shared.published.write();
    for (space, entry) in staged.entries {
        published.ring.push(space, entry);
    }
    for (num, staged) in staged.spaces {
        published.spaces.insert(num, staged.space);
    }
    published.space_names.extend(staged.space_names);
    published.in_flight.clear();
}

impl Stage<'_> {
    fn submission(&mut self, submission: &Submission) -> Result<Outcome, StorageError> {
        Ok(match submission {
            Submission::Local { space, document, kind, change } => {
                Outcome::Local(self.local(space, document, kind, change)?)
            }
            Submission::Remote(remote) => {
                let verdicts = self.remote(remote)?;
                let refused = verdicts.iter().any(|v| matches!(v, Verdict::Refused(_)));
                let advanced = !refused
                    && match &remote.cursor {
                        Some(cursor) => {
                            let written = self.cursor(&remote.space, cursor);
                            recorded(written)?.is_ok()
                        }
                        None => true,
                    };
                Outcome::Remote { verdicts, advanced }
            }
            Submission::Release { space } => self.release(space)?,
            Submission::Snapshot { space, document, snapshot } => {
                let written = self.replace_snapshot(space, document, snapshot);
                Outcome::Recorded(recorded(written)?)
            }
            Submission::Cursor { space, cursor } => {
                Outcome::Recorded(recorded(self.cursor(space, cursor))?)
            }
            Submission::Lease { space, replica, lease } => {
                let written = self.space_num(space).ok_or(Refusal::UnknownSpace).map(|num| {
                    self.staged.batch.put(key::lease(num, *replica), lease.to_value());
                });
                Outcome::Recorded(written)
            }
        })
    }

    fn cursor(&mut self, space: &str, cursor: &Cursor) -> Result<(), Stop> {
        check_name("peer", &cursor.peer, 1)?;
        let num = self.space_num(space).ok_or(Refusal::UnknownSpace)?;
        self.staged.batch.put(key::cursor(num, &cursor.peer), cursor.position.to_value());
        Ok(())
    }
}

fn recorded(written: Result<(), Stop>) -> Result<Result<(), Refusal>, StorageError> {
    written.map_or_else(|stop| stop.refusal().map(Err), |()| Ok(Ok(())))
}
