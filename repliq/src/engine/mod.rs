//! The engine under every replica and relay: a store, the thread that writes to
//! it, a clock, and the spaces that are in use.

mod commit;
mod gate;
mod queue;
#[cfg(all(test, feature = "memory"))]
mod tests;
mod thread;
mod translate;
mod view;
mod watch;

pub(crate) use queue::{Job, Queue, Then};
pub(crate) use view::View;

use crate::document::{Item, OpenDocument};
use crate::error::{CommitError, Error};
use crate::store::{Cursor, LeaseRecord, Remote, Skew, Store, StoreError, Submission, Verdict};
use commit::Committer;
use gate::Gate;
use parking_lot::{Mutex, MutexGuard};
use repliq_core::{
    Clock, Durability, Hlc, MAX_CLOCK_SKEW, Millis, ReplicaId, StorageBackend, StorageErrorKind,
};
use repliq_sync::Position;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use thread::Keeper;
use tokio::sync::{Semaphore, oneshot};
use watch::Watch;

/// How long the backend may take to answer before whoever waits is told.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many reads are under way at once: a backend that never returns holds no
/// more threads than that.
const READS: usize = 64;

/// How the store of a relay is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreStatus {
    /// It takes changes.
    Working,
    /// It takes none, for this reason, and is tried again.
    Failing(Arc<StoreError>),
    /// It takes none until somebody has mended it and opened it again.
    Failed(Arc<StoreError>),
}

/// What is in use of one space.
pub(crate) struct Space {
    pub(crate) name: Arc<str>,
    head: tokio::sync::watch::Sender<Position>,
    documents: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
    /// Changes are held back here until their time comes.
    pub(crate) holds: AtomicBool,
}

/// A place for an open document: one at a time is opened under a name.
#[derive(Default)]
pub(crate) struct Slot {
    /// Held by whoever opens the document, until it is open or has failed.
    pub(crate) opening: Arc<tokio::sync::Mutex<()>>,
    pub(crate) open: Mutex<Option<Weak<dyn OpenDocument>>>,
}

impl Space {
    /// Follows where the feed of this space ends.
    pub(crate) fn follow(&self) -> tokio::sync::watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// Where the feed of this space ends.
    pub(crate) fn head(&self) -> Position {
        *self.head.borrow()
    }

    fn publish_head(&self, reader: &View) {
        self.head.send_replace(reader.head(&self.name));
    }

    /// The place for a document of this name.
    pub(crate) fn slot(&self, name: &Arc<str>) -> Arc<Slot> {
        Arc::clone(self.documents.lock().entry(Arc::clone(name)).or_default())
    }

    /// The document of this name, if it is open.
    pub(crate) fn open_document(&self, name: &str) -> Option<Arc<dyn OpenDocument>> {
        let slot = Arc::clone(self.documents.lock().get(name)?);
        let open = slot.open.lock();
        open.as_ref()?.upgrade()
    }

    fn open_documents(&self) -> Vec<Arc<dyn OpenDocument>> {
        let slots: Vec<_> = self.documents.lock().values().map(Arc::clone).collect();
        slots.iter().filter_map(|slot| slot.open.lock().as_ref()?.upgrade()).collect()
    }

    /// Frees the place of a document that nobody uses any more.
    pub(crate) fn vacate(&self, name: &str) {
        let mut documents = self.documents.lock();
        let unused = documents.get(name).is_some_and(|slot| {
            Arc::strong_count(slot) == 1
                && slot.open.lock().as_ref().is_none_or(|open| open.strong_count() == 0)
        });
        if unused {
            documents.remove(name);
        }
    }
}

/// The spaces in use.
#[derive(Default)]
pub(crate) struct Spaces(Mutex<HashMap<Arc<str>, Weak<Space>>>);

impl Spaces {
    fn alive(&self) -> Vec<Arc<Space>> {
        self.0.lock().values().filter_map(Weak::upgrade).collect()
    }
}

/// See the module's documentation.
pub(crate) struct Engine {
    pub(crate) replica: ReplicaId,
    pub(crate) reader: View,
    /// Held from the first op of a transaction until it is queued, so that the
    /// timestamps of a store, its feed and its queue have one order.
    pub(crate) clock: Mutex<Clock>,
    /// The largest timestamp that is durable. The storage thread raises it; it
    /// never waits for the clock, which user code may hold.
    seen: Arc<AtomicU64>,
    pub(crate) wall: fn() -> Millis,
    pub(crate) volatile: bool,
    pub(crate) skew: Skew,
    pub(crate) queue: Arc<Queue>,
    /// There if the backend commits at once: what commits, also used by the
    /// storage thread.
    committer: Option<Arc<Mutex<Committer>>>,
    spaces: Arc<Spaces>,
    gate: Arc<Gate>,
    watch: Arc<Watch>,
    patience: Duration,
    reads: Arc<Semaphore>,
    status: tokio::sync::watch::Receiver<StoreStatus>,
    threads: Mutex<Option<[JoinHandle<()>; 2]>>,
}

impl Engine {
    /// Opens a store and starts its threads. Reads meta only.
    pub(crate) fn open(
        backend: impl StorageBackend,
        wall: fn() -> Millis,
        skew: Skew,
    ) -> Result<Arc<Self>, Error> {
        Self::open_with(backend, wall, skew, PATIENCE)
    }

    fn open_with(
        backend: impl StorageBackend,
        wall: fn() -> Millis,
        skew: Skew,
        patience: Duration,
    ) -> Result<Arc<Self>, Error> {
        let volatile = backend.durability() == Durability::Volatile;
        let at_once = backend.commits_at_once();
        let gate = Arc::new(Gate::new(backend));
        let backend: Arc<dyn StorageBackend> = Arc::clone(&gate) as _;
        let store = Store::open(backend, ReplicaId::new(), random_epoch()?, wall())?;
        let clock = Mutex::new(Clock::resume(store.last()));
        let seen = Arc::new(AtomicU64::new(store.last().0));
        let (replica, reader) = (store.replica(), View::new(store.reader()));
        let (queue, spaces) = (Arc::new(Queue::new()), Arc::new(Spaces::default()));
        let watch = Arc::new(Watch::new(patience));
        let (told, status) = tokio::sync::watch::channel(StoreStatus::Working);
        let committer = Arc::new(Mutex::new(Committer {
            store,
            view: reader.clone(),
            queue: Arc::clone(&queue),
            watch: Arc::clone(&watch),
            wall,
            spaces: Arc::clone(&spaces),
            seen: Arc::clone(&seen),
            status: told,
        }));
        let keeper = Keeper {
            committer: Arc::clone(&committer),
            queue: Arc::clone(&queue),
            watch: Arc::clone(&watch),
            spaces: Arc::clone(&spaces),
        };
        let watcher = (Arc::clone(&watch), Arc::clone(&queue));
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            Builder::new().name(name.to_owned()).spawn(run).map_err(Error::Thread)
        };
        // A storage thread that does not start ends the watcher.
        let watcher = start("repliq-watch", Box::new(move || watcher.0.run(&watcher.1)))?;
        let storage = start("repliq-storage", Box::new(move || keeper.run()))?;
        Ok(Arc::new(Self {
            replica,
            reader,
            clock,
            seen,
            wall,
            volatile,
            skew,
            queue,
            committer: at_once.then_some(committer),
            spaces,
            gate,
            watch,
            patience,
            reads: Arc::new(Semaphore::new(READS)),
            status,
            threads: Mutex::new(Some([storage, watcher])),
        }))
    }

    /// How the store is doing, now and later.
    pub(crate) fn status(&self) -> tokio::sync::watch::Receiver<StoreStatus> {
        self.status.clone()
    }

    /// Waits for something that needs the backend, as long as that may take.
    pub(crate) async fn in_time<F: Future>(&self, work: F) -> Result<F::Output, StoreError> {
        let stalled = StoreError::Stalled(self.patience);
        tokio::time::timeout(self.patience, work).await.map_err(|_| stalled)
    }

    /// Reads the store, on a thread that may wait for it.
    pub(crate) async fn reading<R: Send + 'static>(
        &self,
        read: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        let reads = Arc::clone(&self.reads);
        let reading = async move {
            let permit = reads.acquire_owned().await;
            let read = tokio::task::spawn_blocking(move || {
                let read = read();
                drop(permit);
                read
            });
            read.await.map_err(|_| StoreError::Storage(StorageErrorKind::Closed.into()))
        };
        self.in_time(reading).await?
    }

    /// The clock, with all that is durable taken note of.
    pub(crate) fn clock(&self) -> MutexGuard<'_, Clock> {
        let mut clock = self.clock.lock();
        clock.observe(Hlc(self.seen.load(Ordering::SeqCst)));
        clock
    }

    /// How far the timestamps of the store are ahead of the wall time, if that is so
    /// far that others refuse them.
    pub(crate) fn stamped_ahead(&self) -> Option<Duration> {
        let last = Hlc(self.seen.load(Ordering::SeqCst)).millis();
        let by = Duration::from_millis(last.0.saturating_sub((self.wall)().0));
        (by > MAX_CLOCK_SKEW).then_some(by)
    }

    /// A space, in use from now on.
    pub(crate) fn space(&self, name: &str) -> Arc<Space> {
        let mut spaces = self.spaces.0.lock();
        if let Some(space) = spaces.get(name).and_then(Weak::upgrade) {
            return space;
        }
        spaces.retain(|_, space| space.strong_count() > 0);
        let name: Arc<str> = name.into();
        let head = tokio::sync::watch::Sender::new(self.reader.head(&name));
        let space = Arc::new(Space {
            name: Arc::clone(&name),
            head,
            documents: Mutex::new(HashMap::new()),
            holds: AtomicBool::new(false),
        });
        spaces.insert(name, Arc::downgrade(&space));
        drop(spaces);
        if self.reader.holds(&space.name) {
            space.holds.store(true, Ordering::Relaxed);
            push_release(&self.queue, &space);
        }
        // A commit may have come between reading the head and being known.
        space.publish_head(&self.reader);
        space
    }

    /// Has committed what an update has queued. If the backend commits at once and
    /// nobody else is committing, that is here and now: two threads that wait for
    /// each other would take several times as long. Else the storage thread does it.
    ///
    /// Called outside of closures of users, and with no lock held.
    pub(crate) fn commit_queued(&self) {
        match self.committer.as_ref().and_then(|committer| committer.try_lock()) {
            Some(mut committer) => {
                committer.commit_queued();
                if committer.is_unsettled() {
                    // Nobody may commit again for long: the storage thread goes on asking.
                    self.queue.look_after();
                }
            }
            // Whoever commits now does not look again, the storage thread does.
            None => self.queue.wake(),
        }
    }

    /// Makes a peer's changes durable.
    pub(crate) fn submit_remote(
        &self,
        space: &Arc<Space>,
        remote: Remote,
    ) -> oneshot::Receiver<Result<Vec<Verdict>, CommitError>> {
        let (done, result) = oneshot::channel();
        let bytes = remote.arrivals.iter().map(|arrival| arrival.change.body.len() + 64).sum();
        let then = Then::Remote { done: Some(done) };
        let submission = Submission::Remote(remote);
        // When the queue is closed the sender is dropped, which the receiver sees.
        self.queue.push(Job { space: Arc::clone(space), submission, bytes, then });
        result
    }

    /// Keeps a record; waits until it is durable.
    pub(crate) async fn record(
        &self,
        space: &Arc<Space>,
        submission: Submission,
        bytes: usize,
    ) -> Result<(), CommitError> {
        let (done, result) = oneshot::channel();
        let then = Then::Record { done: Some(done) };
        self.queue.push(Job { space: Arc::clone(space), submission, bytes, then });
        result.await.unwrap_or(Err(CommitError::Closed))
    }

    /// Keeps a cursor; there is no hurry.
    pub(crate) fn save_cursor(&self, space: &Arc<Space>, cursor: Cursor) {
        let submission = Submission::Cursor { space: Arc::clone(&space.name), cursor };
        self.record_later(space, submission);
    }

    /// Keeps when a device was last seen and what it holds.
    pub(crate) fn save_lease(&self, space: &Arc<Space>, replica: ReplicaId, lease: LeaseRecord) {
        let submission = Submission::Lease { space: Arc::clone(&space.name), replica, lease };
        self.record_later(space, submission);
    }

    fn record_later(&self, space: &Arc<Space>, submission: Submission) {
        let then = Then::Record { done: None };
        self.queue.push(Job { space: Arc::clone(space), submission, bytes: 64, then });
    }

    /// Whether [`Engine::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Commits what is queued, then lets go of the backend: handles that are
    /// still around answer that they are closed, and subscriptions end. A backend
    /// that does not answer is left to its threads.
    pub(crate) fn close(&self) {
        self.queue.close();
        let mut patience = self.patience;
        if let Some([storage, watcher]) = self.threads.lock().take() {
            // The last handle may be dropped by the storage thread itself.
            if storage.thread().id() != std::thread::current().id() {
                if self.watch.await_end() {
                    let _ = storage.join();
                    let _ = watcher.join();
                } else {
                    patience = Duration::ZERO;
                }
            }
        }
        for document in self.spaces.alive().iter().flat_map(|space| space.open_documents()) {
            document.post(Item::Closed);
            document.settle();
        }
        self.gate.shut(patience);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

pub(crate) fn push_release(queue: &Queue, space: &Arc<Space>) {
    let submission = Submission::Release { space: Arc::clone(&space.name) };
    let then = Then::Record { done: None };
    queue.push(Job { space: Arc::clone(space), submission, bytes: 0, then });
}

fn random_epoch() -> Result<u64, Error> {
    getrandom::u64().map_err(|_| Error::Randomness)
}
