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
use super::stage::{DocumentState, Place, Stage, Staged, Stop, meta};
use super::submission::{Cursor, Outcome, Submission};
use repliq_core::{Batch, Hlc, Millis, ReplicaId, StorageBackend, StorageError};
use std::mem::take;
use std::sync::Arc;

/// How many documents the writer remembers the heads of.
const DOCUMENTS: usize = 10_000;

/// The writer of a store; there is one for each backend.
pub(crate) struct Store {
    shared: Arc<Shared>,
    memory: Memory,
    run_epoch: Epoch,
    progress: Progress,
}

/// How far the last commit came: it says what is left to do if the backend fails
/// or panics on the way.
#[derive(Default)]
#[allow(clippy::large_enum_variant, reason = "there is one, and every commit fills it")]
enum Progress {
    #[default]
    Done,
    /// Nothing is written, but replicas may be numbered, from this one on.
    Staging(Option<ReplicaNum>),
    /// Handed to the backend, and it is not known what became of it.
    Writing(Unsettled),
}

/// A batch without its values: those can be read back if they are there.
struct Unsettled {
    staged: Staged,
    keys: Keys,
    first_new: Option<ReplicaNum>,
}

/// The keys of a batch, laid end to end.
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    fn of(batch: &Batch) -> Self {
        let mut keys = Self { bytes: Vec::new(), ends: Vec::with_capacity(batch.len()) };
        for (key, _) in batch.iter() {
            keys.bytes.extend_from_slice(key);
            keys.ends.push(keys.bytes.len());
        }
        keys
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
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
        Ok(Self { shared, memory, run_epoch: Epoch(run_epoch), progress: Progress::Done })
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
    /// on every later call until [`Store::settle`] has found out.
    pub(crate) fn commit(
        &mut self,
        submissions: &[Submission],
        wall: Millis,
    ) -> Result<Vec<Outcome>, StoreError> {
        if !matches!(self.progress, Progress::Done) {
            self.shared.published.write().broken = true;
            return Err(StoreError::Broken);
        }
        let first_new = self.shared.published.read().replicas.next();
        self.progress = Progress::Staging(first_new);
        let mut stage = Stage::new(&self.shared, &mut self.memory, wall, self.run_epoch);
        let outcomes: Result<Vec<_>, _> =
            submissions.iter().map(|submission| stage.submission(submission)).collect();
        match outcomes.map(|outcomes| (outcomes, stage.finish())) {
            Ok((outcomes, staged)) => self.write(staged, first_new).map(|()| outcomes),
            Err(error) => {
                self.take_back();
                Err(error.into())
            }
        }
    }

    /// Commits the batch. After an error of the backend it finds out whether the
    /// batch is there, and if so commits it once more to have it durable.
    fn write(
        &mut self,
        mut staged: Staged,
        first_new: Option<ReplicaNum>,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let _committing = shared.committing.lock();
        let batch = take(&mut staged.batch);
        let is_remembered = staged.is_remembered();
        if batch.is_empty() {
            self.progress = Progress::Done;
            publish(&shared, &mut self.memory, staged);
            return Ok(());
        }
        self.announce(&staged);
        let keys = Keys::of(&batch);
        self.progress = Progress::Writing(Unsettled { staged, keys, first_new });
        let Err(error) = shared.backend.commit(batch) else {
            self.publish();
            return Ok(());
        };
        if !is_remembered {
            self.take_back();
            return Err(error.into());
        }
        match self.find_out() {
            Ok(true) => Ok(()),
            Ok(false) => Err(error.into()),
            Err(_) => {
                shared.published.write().broken = true;
                Err(StoreError::Broken)
            }
        }
    }

    /// Whether it is unknown what became of the last commit.
    pub(crate) const fn is_unsettled(&self) -> bool {
        !matches!(self.progress, Progress::Done)
    }

    /// Finds out what became of a commit that ended in [`StoreError::Broken`], or
    /// in a panic of the backend. Then the store can be used on. `true` if the
    /// commit is durable after all, and so the feed and its documents went on.
    ///
    /// # Errors
    /// [`StorageError`]: it still cannot be found out.
    pub(crate) fn settle(&mut self) -> Result<bool, StorageError> {
        let shared = Arc::clone(&self.shared);
        let _committing = shared.committing.lock();
        let is_durable = self.find_out()?;
        shared.published.write().broken = false;
        Ok(is_durable)
    }

    fn find_out(&mut self) -> Result<bool, StorageError> {
        let is_durable = match &self.progress {
            Progress::Done | Progress::Staging(_) => false,
            Progress::Writing(unsettled) => unsettled.is_durable(self.shared.backend.as_ref())?,
        };
        if is_durable {
            self.publish();
        } else {
            self.take_back();
        }
        Ok(is_durable)
    }

    /// Tells readers what is about to change, so that they do not see it early.
    fn announce(&self, staged: &Staged) {
        let moved = staged.documents.iter().filter(|(_, document)| !document.before.is_empty());
        let before = moved.map(|(place, document)| (*place, document.before.clone())).collect();
        self.shared.published.write().in_flight = before;
    }

    /// Makes the batch that was written visible.
    fn publish(&mut self) {
        if let Progress::Writing(unsettled) = take(&mut self.progress) {
            publish(&self.shared, &mut self.memory, unsettled.staged);
        }
    }

    /// Forgets everything that a batch which is not there may have touched.
    fn take_back(&mut self) {
        let first_new = match take(&mut self.progress) {
            Progress::Done => None,
            Progress::Staging(first_new) | Progress::Writing(Unsettled { first_new, .. }) => {
                first_new
            }
        };
        self.memory.held.clear();
        let mut published = self.shared.published.write();
        published.in_flight.clear();
        if let Some(num) = first_new {
            published.replicas.forget_from(num);
        }
    }
}

impl Unsettled {
    /// Whether the batch is there; if so, it is committed once more, with the
    /// values that are there, so that it is durable too.
    fn is_durable(&self, backend: &dyn StorageBackend) -> Result<bool, StorageError> {
        if !self.is_there(backend)? {
            return Ok(false);
        }
        let mut batch = Batch::new();
        for key in self.keys.iter() {
            match backend.get(key)? {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        backend.commit(batch)?;
        Ok(true)
    }

    /// Whether the backend holds what the batch wrote. It is all there or nothing,
    /// so one value tells: the meta of a space changes with every change, that of
    /// a document with every snapshot.
    fn is_there(&self, backend: &dyn StorageBackend) -> Result<bool, StorageError> {
        let space = self.staged.spaces.iter().find(|(_, space)| space.dirty);
        let document = self.staged.documents.iter().find(|(_, document)| document.meta_due);
        let (key, written) = match (space, document) {
            (Some((num, space)), _) => (key::space(*num), space.space.record.to_value()),
            (None, Some(((space, num), document))) => {
                (key::document(*space, *num), meta(&document.state).to_value())
            }
            (None, None) => return Ok(false),
        };
        Ok(backend.get(&key)?.is_some_and(|value| value == written))
    }
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
            Submission::Local { space, document, kind, change, chain } => {
                Outcome::Local(self.local(space, document, kind, change, *chain)?)
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
