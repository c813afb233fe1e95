//! What waits to be committed, in order.
//!
//! Whoever has something to make durable pushes it here; the storage thread
//! takes all there is and commits it as one batch. The queue is bounded by
//! permits, and a failed commit fails everything that is in it.

use super::Space;
use crate::document::{Item, OpenDocument};
use crate::error::CommitError;
use crate::store::{FeedEntry, Submission, Verdict};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// At most this many updates are under way at once; more wait their turn.
const MAX_UPDATES: usize = 16_384;
/// One batch takes at most this many submissions...
const BATCH_JOBS: usize = 4096;
/// ...and, but for the first, at most this many bytes.
const BATCH_BYTES: usize = 8 << 20;

/// Whom to tell what became of a submission.
pub(crate) enum Then {
    /// A change made here.
    Local {
        document: Arc<dyn OpenDocument>,
        /// Which of the document's uncommitted changes it is.
        id: u64,
        done: oneshot::Sender<Result<(), CommitError>>,
    },
    /// Changes of a peer.
    Remote { done: oneshot::Sender<Result<Vec<Verdict>, CommitError>> },
    /// A record nobody waits for, or somebody does.
    Record { done: Option<oneshot::Sender<Result<(), CommitError>>> },
}

/// Something to commit.
pub(crate) struct Job {
    pub(crate) space: Arc<Space>,
    pub(crate) submission: Submission,
    pub(crate) bytes: usize,
    pub(crate) then: Then,
}

struct Pending {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// See the module's documentation.
pub(crate) struct Queue {
    pending: Mutex<Pending>,
    filled: Condvar,
    permits: Semaphore,
    generation: AtomicU64,
}

/// What the storage thread gets when it asks for work.
pub(crate) enum Work {
    Commit(Vec<Job>),
    /// Nothing came for a while.
    Idle,
    Closed,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            pending: Mutex::new(Pending { jobs: VecDeque::new(), closed: false }),
            filled: Condvar::new(),
            permits: Semaphore::new(MAX_UPDATES),
            generation: AtomicU64::new(0),
        }
    }

    /// Waits until an update may start. The permit comes back by itself once the
    /// update is committed, see [`Queue::give_back`].
    pub(crate) async fn admit(&self) -> Result<(), CommitError> {
        match self.permits.acquire().await {
            Ok(permit) => {
                permit.forget();
                Ok(())
            }
            Err(_) => Err(CommitError::Closed),
        }
    }

    pub(crate) fn give_back(&self, updates: usize) {
        self.permits.add_permits(updates);
    }

    /// Counts failed commits: what was authored under an older generation than
    /// the current one must not be pushed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Adds a change authored here, unless a commit has failed since.
    pub(crate) fn push_local(&self, job: Job, generation: u64) -> Result<(), CommitError> {
        let mut pending = self.pending.lock();
        if pending.closed {
            return Err(CommitError::Closed);
        }
        if self.generation() != generation {
            return Err(CommitError::Earlier);
        }
        pending.jobs.push_back(job);
        drop(pending);
        self.filled.notify_one();
        Ok(())
    }

    /// Adds anything else. `false` when the queue is closed.
    pub(crate) fn push(&self, job: Job) -> bool {
        let mut pending = self.pending.lock();
        if pending.closed {
            return false;
        }
        pending.jobs.push_back(job);
        drop(pending);
        self.filled.notify_one();
        true
    }

    /// Waits for work, at most as long as `patience`. What was pushed before the
    /// queue was closed is still given out.
    pub(crate) fn take(&self, patience: Duration) -> Work {
        let mut pending = self.pending.lock();
        while pending.jobs.is_empty() {
            if pending.closed {
                return Work::Closed;
            }
            if self.filled.wait_for(&mut pending, patience).timed_out() && pending.jobs.is_empty() {
                return Work::Idle;
            }
        }
        let mut bytes = 0;
        let mut count = 0;
        for job in pending.jobs.iter().take(BATCH_JOBS) {
            bytes += job.bytes;
            if count > 0 && bytes > BATCH_BYTES {
                break;
            }
            count += 1;
        }
        Work::Commit(pending.jobs.drain(..count).collect())
    }

    /// Takes everything out after a failed commit. Documents learn of it before
    /// the generation changes, so that no update slips in between.
    pub(crate) fn fail(&self, failed: Vec<Job>) -> Vec<Job> {
        let mut pending = self.pending.lock();
        let mut all = failed;
        all.extend(pending.jobs.drain(..));
        for job in &all {
            if let Then::Local { document, id, .. } = &job.then {
                document.post(Item::Failed(*id));
            }
        }
        self.generation.fetch_add(1, Ordering::SeqCst);
        all
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    /// Takes no more jobs, and lets go of those that are waiting: whoever waits
    /// for one learns that it was closed. For a storage thread that is gone.
    pub(crate) fn abandon(&self) {
        self.close();
        let jobs = std::mem::take(&mut self.pending.lock().jobs);
        drop(jobs);
    }

    /// Takes no more jobs.
    pub(crate) fn close(&self) {
        self.pending.lock().closed = true;
        self.permits.close();
        self.filled.notify_all();
    }
}

/// What a release of held changes gives to open documents.
pub(crate) fn post_entries(space: &Space, entries: Vec<FeedEntry>) -> Vec<Arc<dyn OpenDocument>> {
    let mut touched = Vec::new();
    for entry in entries {
        if let Some(document) = space.open_document(&entry.document.name) {
            document.post(Item::Remote {
                kind: Arc::clone(&entry.document.kind),
                change: entry.change,
            });
            touched.push(document);
        }
    }
    touched
}
