//! A value on its own: no store, no network, only edits and merges in memory.
//!
//! It takes in what others did as whole states, by [`Standalone::merge`], or change
//! by change, by [`Standalone::apply`]; either leaves the same. It promises that a
//! failure of any of them leaves the value as it was. It never keeps what it said:
//! the changes it hands out are the caller's to send.

mod changes;

pub use changes::ApplyError;

use crate::tx::{Extent, Transaction, TransactionLog};
use crate::{
    AsTx, Author, Clock, Crdt, CrdtError, Cursor, Dot, Effects, Hlc, Millis, ReplicaId, Saved, Tx,
    Version,
};
use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A value of type `C` with what it takes to edit it: a replica id, a version
/// and a clock. It dereferences to the value for reading.
///
/// Two standalones that are both edited must have different replica ids.
pub struct Standalone<C: Crdt> {
    state: C,
    replica: ReplicaId,
    version: Version,
    clock: Clock,
    wall: fn() -> Millis,
    /// What came in since the latest own change: what the next was made on.
    unsaid: Version,
    /// Stamps up to this one are not too far ahead, as the wall was read last.
    horizon: Hlc,
    /// Holds the ops of a change while it is made, so as not to be allocated anew.
    payload: Vec<u8>,
}

impl<C: Crdt> Standalone<C> {
    /// An empty value that `replica` is going to edit.
    #[must_use]
    pub fn new(replica: ReplicaId) -> Self {
        Self::resume(Saved::default(), replica)
    }

    /// Goes on with a saved value.
    #[must_use]
    pub fn resume(saved: Saved<C>, replica: ReplicaId) -> Self {
        let Saved { version, last, state } = saved;
        let mut unsaid = version.clone();
        unsaid.set(replica, 0);
        Self {
            state,
            replica,
            version,
            clock: Clock::resume(last),
            wall: Millis::now,
            unsaid,
            horizon: Hlc(0),
            payload: Vec::new(),
        }
    }

    /// Reads the wall time from `wall` instead of the system clock.
    #[must_use]
    pub fn with_wall(mut self, wall: fn() -> Millis) -> Self {
        self.wall = wall;
        self
    }

    /// Whose edits this value records.
    #[must_use]
    pub const fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// What this value has seen.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// The last timestamp given out or seen.
    #[must_use]
    pub const fn last(&self) -> Hlc {
        self.clock.last()
    }

    /// Makes several edits as one: all of them, or none.
    ///
    /// # Errors
    /// The first [`CrdtError`] if an op was refused; nothing has changed then.
    ///
    /// # Panics
    /// When `edit` does; nothing has changed then either.
    pub fn edit<R>(&mut self, edit: impl FnOnce(&mut Tx<'_, C>) -> R) -> Result<R, CrdtError> {
        self.try_edit(|tx| Ok(edit(tx)))
    }

    /// Makes several edits as one, unless `edit` returns an error.
    ///
    /// # Errors
    /// What `edit` returned, or a refused op; nothing has changed then.
    ///
    /// # Panics
    /// When `edit` does; nothing has changed then either.
    pub fn try_edit<R, E: From<CrdtError>>(
        &mut self,
        edit: impl FnOnce(&mut Tx<'_, C>) -> Result<R, E>,
    ) -> Result<R, E> {
        let (next, mut log) = (self.next_dot(), self.stamps());
        let ended = |extent, _: &mut Stamps| Ok(extent);
        let (result, extent) = transact(&mut self.state, next, &mut log, edit, ended)?;
        self.advance(next, extent, log.first);
        Ok(result)
    }

    /// Merges another replica's value into this one. Commutative, associative
    /// and idempotent: replicas that merged the same values hold the same.
    ///
    /// # Errors
    /// [`CrdtError`] when either value was loaded from damaged bytes, as far as its
    /// type noticed only now; nothing has changed then.
    pub fn merge(&mut self, other: Self) -> Result<(), CrdtError> {
        self.state.check()?;
        other.state.check()?;
        self.state.join(&self.version, other.state, &other.version, &mut Effects::silent());
        for (replica, count) in other.version.iter() {
            if count > self.version.get(replica) {
                self.version.advance(replica, count);
                self.unsaid.advance(replica, count);
            }
        }
        self.unsaid.set(self.replica, 0);
        self.clock.observe(other.clock.last());
        Ok(())
    }

    const fn stamps(&self) -> Stamps {
        Stamps { last: self.clock.last(), wall: self.wall, first: None }
    }

    fn next_dot(&self) -> Dot {
        Dot { replica: self.replica, seq: self.version.get(self.replica) }
    }

    /// Takes note of own ops from `dot` on, the first of them at `first`.
    #[inline]
    fn advance(&mut self, dot: Dot, extent: Extent, first: Option<Hlc>) {
        if let (Some(first), Some(later)) = (first, extent.ops.checked_sub(1)) {
            self.clock.observe(first.plus(later));
            self.version.advance(dot.replica, dot.seq + extent.slots);
        }
    }
}

/// Runs a transaction, and `end` with what it took up and its log. What it did is
/// undone if anything of that fails.
fn transact<C: Crdt, L: TransactionLog<C>, R, E: From<CrdtError>, T>(
    state: &mut C,
    next: Dot,
    log: &mut L,
    edit: impl FnOnce(&mut Tx<'_, C>) -> Result<R, E>,
    end: impl FnOnce(Extent, &mut L) -> Result<T, CrdtError>,
) -> Result<(R, T), E> {
    let mut effects = Effects::new(false, true);
    let mut transaction = Transaction::new(state, next, &mut effects, log);
    let outcome = {
        let mut tx = Tx::lent(&mut transaction);
        catch_unwind(AssertUnwindSafe(|| edit(&mut tx)))
    };
    let finished = transaction.finish();
    let failed = match outcome {
        Ok(Ok(result)) => match finished.and_then(|(extent, log)| end(extent, log)) {
            Ok(ended) => return Ok((result, ended)),
            Err(refused) => Ok(refused.into()),
        },
        Ok(Err(error)) => Ok(finished.err().map_or(error, E::from)),
        Err(panic) => Err(panic),
    };
    for undo in effects.take_undos().into_iter().rev() {
        state.rollback(undo);
    }
    Err(failed.unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Gives the ops of a transaction their time.
struct Stamps {
    last: Hlc,
    wall: fn() -> Millis,
    first: Option<Hlc>,
}

impl Stamps {
    fn begin(&mut self) -> Hlc {
        let first = Clock::resume(self.last).peek((self.wall)());
        self.first = Some(first);
        first
    }
}

impl<C: Crdt> TransactionLog<C> for Stamps {
    fn begin(&mut self) -> Hlc {
        self.begin()
    }

    #[inline]
    fn record(&mut self, _op: &C::Op) -> Result<(), CrdtError> {
        Ok(())
    }
}

impl<C: Crdt> Deref for Standalone<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.state
    }
}

impl<C: Crdt> Author<C> for Standalone<C> {
    fn author(&mut self, op: C::Op) -> Result<(), CrdtError> {
        // A single refused op leaves the state untouched, so no undo is kept.
        let mut effects = Effects::silent();
        let (next, log) = (self.next_dot(), self.stamps());
        let mut transaction = Transaction::new(&mut self.state, next, &mut effects, log);
        transaction.push(op)?;
        let (extent, Stamps { first, .. }) = transaction.finish()?;
        self.advance(next, extent, first);
        Ok(())
    }

    fn current(&self) -> &C {
        &self.state
    }

    fn next(&self) -> Option<Dot> {
        Some(self.next_dot())
    }
}

impl<C: Crdt + Clone> Clone for Standalone<C> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            replica: self.replica,
            version: self.version.clone(),
            clock: self.clock.clone(),
            wall: self.wall,
            unsaid: self.unsaid.clone(),
            horizon: self.horizon,
            payload: Vec::new(),
        }
    }
}

impl<C: Crdt + fmt::Debug> fmt::Debug for Standalone<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standalone")
            .field("replica", &self.replica)
            .field("version", &self.version)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<C: Crdt> AsTx<C> for Standalone<C> {
    fn tx(&mut self) -> Tx<'_, C> {
        Tx::from_cursor(Direct(self))
    }
}

/// Authors every op as a transaction of its own.
struct Direct<'a, C: Crdt>(&'a mut Standalone<C>);

impl<C: Crdt> Cursor<C> for Direct<'_, C> {
    fn state(&self) -> &C {
        &self.0.state
    }

    fn push(&mut self, op: C::Op) -> Result<(), CrdtError> {
        self.0.author(op)
    }

    fn next(&self) -> Option<Dot> {
        Some(self.0.next_dot())
    }
}
