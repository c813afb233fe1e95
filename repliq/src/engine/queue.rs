//! What waits to be committed, in order.
//!
//! Whoever has something to make durable pushes it here; the storage thread
//! takes all there is and commits it as one batch. The queue is bounded by
//! permits, and a failed commit fails everything that is in it. While the backend
//! does not answer, nothing is added.

use super::Space;
use crate::document::{Item, OpenDocument};
use crate::error::CommitError;
use crate::store::{FeedEntry, StoreError, Submission, Verdict};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, TryAcquireError, oneshot, watch};

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
        done: Waiting<()>,
    },
    /// Changes of a peer.
    Remote { done: Waiting<Vec<Verdict>> },
    /// A record nobody waits for, or somebody does.
    Record { done: Waiting<()> },
}

/// Who waits for a commit, if somebody does who has not been told.
pub(crate) type Waiting<R> = Option<oneshot::Sender<Result<R, CommitError>>>;

/// Tells who waits, if somebody does.
pub(crate) fn tell<R>(waiting: Waiting<R>, result: Result<R, CommitError>) {
    if let Some(waiting) = waiting {
        let _ = waiting.send(result);
    }
}

impl Then {
    /// Tells who waits that it failed, whatever becomes of it later.
    pub(super) fn give_up(&mut self, error: CommitError) {
        match self {
            Self::Local { done, .. } | Self::Record { done } => tell(done.take(), Err(error)),
            Self::Remote { done } => tell(done.take(), Err(error)),
        }
    }
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
    /// Somebody else's commit left something to the storage thread.
    left_over: bool,
    /// Why nothing is added: the backend does not answer.
    stalled: Option<Arc<StoreError>>,
}

/// What is left of a job while it is committed.
pub(super) type Committing = (Arc<Space>, usize, Then);

/// See the module's documentation.
pub(crate) struct Queue {
    pending: Mutex<Pending>,
    /// What the storage thread is committing.
    committing: Mutex<Vec<Committing>>,
    filled: Condvar,
    permits: Semaphore,
    stalled: watch::Sender<bool>,
    generation: AtomicU64,
}

/// What the storage thread is told when it waits for work.
pub(super) enum Work {
    /// Something is queued, unless somebody else has committed it meanwhile.
    Queued,
    /// Nothing came for a while, or somebody asked for [`Queue::look_after`].
    Idle,
    Closed,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            pending: Mutex::new(Pending {
                jobs: VecDeque::new(),
                closed: false,
                left_over: false,
                stalled: None,
            }),
            committing: Mutex::default(),
            filled: Condvar::new(),
            permits: Semaphore::new(MAX_UPDATES),
            stalled: watch::Sender::new(false),
            generation: AtomicU64::new(0),
        }
    }

    /// Waits until an update may start. The permit comes back by itself once the
    /// update is committed, see [`Queue::give_back`].
    pub(crate) async fn admit(&self) -> Result<(), CommitError> {
        // At once if there is room: the first poll of an update then runs it.
        let permit = match self.permits.try_acquire() {
            Err(TryAcquireError::NoPermits) => {
                let mut stalled = self.stalled.subscribe();
                tokio::select! {
                    permit = self.permits.acquire() => permit.ok(),
                    _ = stalled.wait_for(|stalled| *stalled) => return self.refusal(),
                }
            }
            permit => permit.ok(),
        };
        match permit {
            Some(permit) => {
                permit.forget();
                Ok(())
            }
            None => Err(CommitError::Closed),
        }
    }

    fn refusal(&self) -> Result<(), CommitError> {
        let stalled = self.pending.lock().stalled.clone();
        stalled.map_or(Ok(()), |why| Err(CommitError::Store(why)))
    }

    pub(crate) fn give_back(&self, updates: usize) {
        self.permits.add_permits(updates);
    }

    /// Counts failed commits: what was authored under an older generation than
    /// the current one must not be pushed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Adds a change authored here, unless a commit has failed since. It lies there
    /// until [`Engine::commit_queued`](super::Engine::commit_queued).
    pub(crate) fn push_local(&self, job: Job, generation: u64) -> Result<(), CommitError> {
        let mut pending = self.pending.lock();
        if pending.closed {
            return Err(CommitError::Closed);
        }
        if self.generation() != generation {
            return Err(CommitError::Earlier);
        }
        if let Some(why) = &pending.stalled {
            return Err(CommitError::Store(Arc::clone(why)));
        }
        pending.jobs.push_back(job);
        Ok(())
    }

    /// Adds anything else, unless the queue is closed, the backend does not answer,
    /// or the job is a record that nobody waits for and too much is queued: peers
    /// cause those without end, and losing one costs a little repetition.
    pub(crate) fn push(&self, mut job: Job) {
        let mut pending = self.pending.lock();
        let is_optional = matches!(job.then, Then::Record { done: None });
        if pending.closed || is_optional && pending.jobs.len() >= MAX_UPDATES {
            return;
        }
        if let Some(why) = &pending.stalled {
            return job.then.give_up(CommitError::Store(Arc::clone(why)));
        }
        pending.jobs.push_back(job);
        drop(pending);
        self.wake();
    }

    /// Says who waits for what is being committed, so that others can tell them.
    pub(super) fn begin(&self, committing: Vec<Committing>) {
        *self.committing.lock() = committing;
    }

    /// Gives back what [`Queue::begin`] was told.
    pub(super) fn finish(&self) -> Vec<Committing> {
        std::mem::take(&mut *self.committing.lock())
    }

    /// The backend does not answer: everybody who waits is told, and nothing is
    /// added. What is queued stays, and is committed if the backend comes back.
    pub(super) fn stall(&self, why: StoreError) {
        let why = Arc::new(why);
        let unknown = || CommitError::Unknown(Arc::clone(&why));
        let mut pending = self.pending.lock();
        pending.stalled = Some(Arc::clone(&why));
        pending.jobs.iter_mut().for_each(|job| job.then.give_up(unknown()));
        drop(pending);
        self.committing.lock().iter_mut().for_each(|(_, _, then)| then.give_up(unknown()));
        self.stalled.send_replace(true);
    }

    /// The backend has answered.
    pub(super) fn resume(&self) {
        self.pending.lock().stalled = None;
        self.stalled.send_replace(false);
    }

    /// Waits for work, at most as long as `patience`. What was pushed before the
    /// queue was closed still counts as work.
    pub(super) fn wait(&self, patience: Duration) -> Work {
        let until = Instant::now() + patience;
        let mut pending = self.pending.lock();
        while pending.jobs.is_empty() {
            if pending.closed {
                return Work::Closed;
            }
            if std::mem::take(&mut pending.left_over) {
                return Work::Idle;
            }
            // Who wakes it may have committed by now: that is no reason to wait anew.
            if self.filled.wait_until(&mut pending, until).timed_out() && pending.jobs.is_empty() {
                return Work::Idle;
            }
        }
        Work::Queued
    }

    /// Has the storage thread look after the store, though nothing may be queued.
    pub(super) fn look_after(&self) {
        self.pending.lock().left_over = true;
        self.wake();
    }

    /// Has the storage thread look for work.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
    }

    /// Takes out what fits into one batch, and has the storage thread see to the rest.
    pub(super) fn drain(&self) -> Vec<Job> {
        let mut pending = self.pending.lock();
        let mut bytes = 0;
        let mut count = 0;
        for job in pending.jobs.iter().take(BATCH_JOBS) {
            bytes += job.bytes;
            if count > 0 && bytes > BATCH_BYTES {
                break;
            }
            count += 1;
        }
        let jobs = pending.jobs.drain(..count).collect();
        if !pending.jobs.is_empty() {
            self.wake();
        }
        jobs
    }

    /// Takes everything out after a failed commit. Documents learn of it before
    /// the generation changes, so that no update slips in between; those whose log
    /// has gone on meanwhile learn of that too.
    pub(crate) fn fail(&self, failed: Vec<Job>, behind: &[Arc<dyn OpenDocument>]) -> Vec<Job> {
        let mut pending = self.pending.lock();
        let mut all = failed;
        all.extend(pending.jobs.drain(..));
        for job in &all {
            if let Then::Local { document, id, .. } = &job.then {
                document.post(Item::Failed(*id));
            }
        }
        for document in behind {
            document.post(Item::Behind);
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
