//! An open document, shared by its handles, its subscriptions and the storage
//! thread.
//!
//! Two locks: the state's, under which closures of users run, and the inbox's,
//! held for moments. The storage thread waits for the second only; whoever
//! releases the first looks into the inbox once more, so nothing posted is left
//! lying.

use super::events::{Events, Subscriber, subscription};
use super::held::{Reading, Reentrant, Updating};
use super::inbox::{Inbox, Item};
use super::state::{Mark, RefusedOps, State};
use crate::engine::{Engine, Job, Slot, Space, Then};
use crate::error::{CommitError, ReadError, UpdateError};
use crate::store::Submission;
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockWriteGuard};
use repliq_core::{
    Change, ChangeHeader, Clock, Crdt, CrdtError, Dot, Effects, Extent, Hlc, KeyId,
    MAX_CHANGE_BYTES, OpWriter, Transaction, TransactionLog, Tx, Version,
};
use repliq_sync::DocumentName;
use std::any::{Any, type_name};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Most transactions fit in here, without growing on the way.
const USUAL_PAYLOAD: usize = 64;

/// An open document of whatever type, as the storage thread sees it.
pub(crate) trait OpenDocument: Send + Sync {
    /// Tells it something. Never waits for closures of users.
    fn post(&self, item: Item);
    /// Takes in what was posted, unless somebody holds the document, who will.
    fn settle(&self);
    /// Itself, for finding out its type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    /// The kind of its type.
    fn kind(&self) -> &'static str;
    /// Its type, parameters included.
    fn type_name(&self) -> &'static str;
}

/// See the module's documentation.
pub(crate) struct DocumentCore<C: Crdt> {
    pub(super) engine: Arc<Engine>,
    pub(super) space: Arc<Space>,
    pub(super) name: DocumentName,
    pub(super) inbox: Inbox,
    /// Subscribers that the state does not know of yet: joining must not wait for
    /// the state, since it may happen inside a closure that holds it.
    pub(super) joining: Mutex<Vec<Subscriber<C::Event>>>,
    /// `None` until it is loaded.
    pub(super) state: RwLock<Option<State<C>>>,
    pub(super) slot: Arc<Slot>,
}

/// What a transaction became.
enum Authored {
    /// It is queued; its fate comes through here.
    Queued(oneshot::Receiver<Result<(), CommitError>>),
    /// It pushed no op.
    Nothing,
}

impl<C: Crdt> DocumentCore<C> {
    pub(super) fn read<R>(&self, read: impl FnOnce(&C) -> R) -> Result<R, ReadError> {
        self.with_state(|state| read(&state.value))
    }

    fn with_state<R>(&self, read: impl FnOnce(&State<C>) -> R) -> Result<R, ReadError> {
        let _settle = Settle(self);
        let reading = Reading::enter().map_err(|Reentrant| ReadError::Reentrant)?;
        if self.engine.is_closed() {
            return Err(ReadError::Closed);
        }
        if !reading.is_nested() {
            self.catch_up_on_posts();
        }
        let state = self.state.read_recursive();
        let state = state.as_ref().ok_or(ReadError::Closed)?;
        state.usable()?;
        Ok(read(state))
    }

    pub(super) fn version(&self) -> Result<Version, ReadError> {
        self.with_state(|state| state.version.clone())
    }

    pub(super) fn unread(&self) -> Result<usize, ReadError> {
        self.with_state(|state| state.without_effect.unread)
    }

    pub(super) fn refused(&self) -> Result<Option<RefusedOps>, ReadError> {
        self.with_state(|state| state.without_effect.refused.clone())
    }

    pub(super) fn subscribe(self: &Arc<Self>) -> Events<C> {
        let (subscriber, events) = subscription(Arc::clone(self));
        self.joining.lock().push(subscriber);
        self.inbox.ring();
        self.settle();
        events
    }

    /// Takes in what was posted, waiting for whoever holds the document. Only
    /// outside of closures.
    fn catch_up_on_posts(&self) {
        while self.inbox.is_filled() {
            let mut guard = self.state.write();
            if guard.is_none() {
                return;
            }
            self.take_in(&mut guard);
        }
    }

    pub(super) async fn update<R, E>(
        self: Arc<Self>,
        update: impl FnOnce(&mut Tx<'_, C>) -> Result<R, E>,
    ) -> Result<R, UpdateError<E>> {
        let reentrant = |Reentrant| UpdateError::Reentrant;
        Updating::check().map_err(reentrant)?;
        self.engine.queue.admit().await?;
        let authored = match Updating::enter() {
            Ok(_updating) => {
                let _settle = Settle(&self);
                self.author(update)
            }
            Err(error) => Err(reentrant(error)),
        };
        match authored {
            Ok((result, Authored::Queued(done))) => {
                self.engine.commit_queued();
                match done.await {
                    Ok(Ok(())) => Ok(result),
                    Ok(Err(error)) => Err(error.into()),
                    Err(_) => Err(CommitError::Closed.into()),
                }
            }
            Ok((result, Authored::Nothing)) => {
                self.engine.queue.give_back(1);
                Ok(result)
            }
            Err(error) => {
                self.engine.queue.give_back(1);
                Err(error)
            }
        }
    }

    /// Runs a transaction and queues what it did.
    fn author<R, E>(
        self: &Arc<Self>,
        update: impl FnOnce(&mut Tx<'_, C>) -> Result<R, E>,
    ) -> Result<(R, Authored), UpdateError<E>> {
        let mut guard = self.state.write();
        let generation = self.engine.queue.generation();
        self.take_in(&mut guard);
        let state = guard.as_mut().ok_or(CommitError::Closed)?;
        state.usable()?;

        let replica = self.engine.replica;
        let mut effects = Effects::new(!state.subscribers.is_empty(), true);
        let too_large = Cell::new(None);
        let log = Log {
            engine: &self.engine,
            clock: None,
            first: Hlc(0),
            writer: OpWriter::new(Vec::with_capacity(USUAL_PAYLOAD)),
            too_large: &too_large,
        };
        let next = Dot { replica, seq: state.mark.seq };
        let mut transaction = Transaction::new(&mut state.value, next, &mut effects, log);
        let outcome = {
            let mut tx = Tx::lent(&mut transaction);
            catch_unwind(AssertUnwindSafe(|| update(&mut tx)))
        };
        match (outcome, transaction.finish()) {
            (Ok(Ok(result)), Ok((extent, log))) => {
                if extent.ops == 0 {
                    return Ok((result, Authored::Nothing));
                }
                let done = self.queue(state, effects, extent, log, generation)?;
                Ok((result, Authored::Queued(done)))
            }
            (outcome, finished) => {
                state.undo(effects.take_undos());
                match (outcome, finished) {
                    (Err(panic), _) => {
                        drop(guard);
                        self.engine.queue.give_back(1);
                        resume_unwind(panic)
                    }
                    (Ok(_), Err(refused)) => Err(failure(refused, too_large.get())),
                    (Ok(Err(aborted)), Ok(_)) => Err(UpdateError::Aborted(aborted)),
                    (Ok(Ok(_)), Ok(_)) => Err(CommitError::Closed.into()),
                }
            }
        }
    }

    fn queue<E>(
        self: &Arc<Self>,
        state: &mut State<C>,
        mut effects: Effects<C>,
        extent: Extent,
        mut log: Log<'_, C>,
        generation: u64,
    ) -> Result<oneshot::Receiver<Result<(), CommitError>>, UpdateError<E>> {
        let replica = self.engine.replica;
        let header = ChangeHeader {
            slots: extent.slots,
            hlc: log.first,
            chain: state.mark.chain,
            deps: state.mark.unsaid.clone(),
            key: KeyId::PLAIN,
        };
        let payload = match log.writer.finish() {
            Ok(payload) => payload,
            Err(refused) => {
                state.undo(effects.take_undos());
                return Err(log.failure(refused));
            }
        };
        let change = Change::new(Dot { replica, seq: state.mark.seq }, &header, payload);
        let bytes = change.body.len();
        if bytes > MAX_CHANGE_BYTES {
            state.undo(effects.take_undos());
            return Err(UpdateError::TooLarge { bytes });
        }
        let chain = change.chain_after();
        let after = Mark { seq: state.mark.seq + extent.slots, chain, unsaid: Version::new() };
        let id = state.authored(after, effects);
        let (done, result) = oneshot::channel();
        let document = Arc::clone(self) as Arc<dyn OpenDocument>;
        let submission = Submission::Local {
            space: Arc::clone(&self.space.name),
            document: Arc::clone(&self.name.name),
            kind: Arc::clone(&self.name.kind),
            change,
            chain,
        };
        let then = Then::Local { document, id, done: Some(done) };
        let job = Job { space: Arc::clone(&self.space), submission, bytes: bytes + 64, then };
        let last = log.first.plus(extent.ops - 1);
        let queued = match log.clock {
            Some(mut clock) => {
                clock.observe(last);
                self.engine.queue.push_local(job, generation)
            }
            None => Err(CommitError::Closed),
        };
        if let Err(error) = queued {
            state.failed(id);
            return Err(error.into());
        }
        Ok(result)
    }

    /// Takes in what was posted. Called with the lock held.
    fn take_in(&self, guard: &mut RwLockWriteGuard<'_, Option<State<C>>>) {
        let Some(state) = guard.as_mut() else { return };
        while self.inbox.is_filled() {
            let (items, mut behind) = self.inbox.take();
            state.join(std::mem::take(&mut *self.joining.lock()));
            for item in items {
                match item {
                    Item::Closed => state.end(),
                    Item::Committed(id) => state.committed(id),
                    Item::Failed(id) => state.failed(id),
                    Item::Behind => self.go_on_from_log(state),
                    Item::Remote { kind, .. } if *kind != *C::KIND => state.give_up(&format!(
                        "a peer made it first, as a {kind}; open it as that, or choose another name"
                    )),
                    Item::Remote { change, .. } => behind |= !state.apply(change),
                }
            }
            if behind {
                self.catch_up(state);
            }
        }
    }

    /// Takes in own changes that the log has and memory has undone. Nothing is
    /// under way then.
    fn go_on_from_log(&self, state: &mut State<C>) {
        self.catch_up(state);
        match super::open::chain(&self.engine, &self.space, &self.name) {
            Ok(chain) => state.mark.chain = chain,
            Err(error) => state.give_up(&error.to_string()),
        }
    }

    /// Reads from the log what is missing in memory.
    fn catch_up(&self, state: &mut State<C>) {
        if let Err(error) = super::open::replay(&self.engine, &self.space, &self.name, state) {
            state.give_up(&error.to_string());
        }
    }
}

impl<C: Crdt> OpenDocument for DocumentCore<C> {
    fn post(&self, item: Item) {
        self.inbox.post(item);
    }

    fn settle(&self) {
        while self.inbox.is_filled() {
            let Some(mut guard) = self.state.try_write() else { return };
            if guard.is_none() {
                return;
            }
            self.take_in(&mut guard);
        }
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn kind(&self) -> &'static str {
        C::KIND
    }

    fn type_name(&self) -> &'static str {
        type_name::<C>()
    }
}

impl<C: Crdt> Drop for DocumentCore<C> {
    fn drop(&mut self) {
        // Our own reference to the slot must go first for it to count as unused.
        self.slot = Arc::default();
        self.space.vacate(&self.name.name);
    }
}

/// Looks into the inbox once its holder has let go of the document, however that
/// comes to pass: also when a closure panics.
struct Settle<'a, C: Crdt>(&'a DocumentCore<C>);

impl<C: Crdt> Drop for Settle<'_, C> {
    fn drop(&mut self) {
        self.0.settle();
    }
}

fn failure<E>(refused: CrdtError, too_large: Option<usize>) -> UpdateError<E> {
    match too_large {
        Some(bytes) => UpdateError::TooLarge { bytes },
        None => UpdateError::Refused(refused),
    }
}

/// Encodes the ops of a transaction, and holds the clock from the first on.
struct Log<'a, C: Crdt> {
    engine: &'a Engine,
    clock: Option<MutexGuard<'a, Clock>>,
    first: Hlc,
    writer: OpWriter<C>,
    /// How large the payload was when it became too large.
    too_large: &'a Cell<Option<usize>>,
}

impl<C: Crdt> Log<'_, C> {
    fn too_large(&self) -> Option<usize> {
        Some(self.writer.bytes()).filter(|bytes| *bytes > MAX_CHANGE_BYTES)
    }

    fn failure<E>(&self, refused: CrdtError) -> UpdateError<E> {
        failure(refused, self.too_large())
    }
}

impl<C: Crdt> TransactionLog<C> for Log<'_, C> {
    fn begin(&mut self) -> Hlc {
        let clock = self.engine.clock();
        self.first = clock.peek((self.engine.wall)());
        self.clock = Some(clock);
        self.first
    }

    fn grow(&mut self, op: &mut C::Op) -> Option<u64> {
        self.writer.grow(op)
    }

    fn record(&mut self, op: &C::Op) -> Result<(), CrdtError> {
        self.writer.write(op).inspect_err(|_| self.too_large.set(self.too_large()))
    }
}
