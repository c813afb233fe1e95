//! A value on its own: no store, no network, only edits and merges in memory.

use crate::tx::{Transaction, TransactionLog};
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
        Self { state, replica, version, clock: Clock::resume(last), wall: Millis::now }
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
        let mut effects = Effects::new(false, true);
        let next = self.next_dot();
        let log = Stamps { clock: &self.clock, wall: self.wall, first: None };
        let mut transaction = Transaction::new(&mut self.state, next, &mut effects, log);
        let outcome = {
            let mut tx = Tx::from_cursor(&mut transaction);
            catch_unwind(AssertUnwindSafe(|| edit(&mut tx)))
        };
        let finished = transaction.finish().map(|(extent, log)| (extent, log.first));
        match (outcome, finished) {
            (Ok(Ok(result)), Ok((extent, first))) => {
                self.advance(extent, first);
                Ok(result)
            }
            (outcome, finished) => {
                for undo in effects.take_undos().into_iter().rev() {
                    self.state.rollback(undo);
                }
                match (outcome, finished) {
                    (Err(panic), _) => resume_unwind(panic),
                    (Ok(_), Err(refused)) => Err(refused.into()),
                    (Ok(failed), Ok(_)) => failed,
                }
            }
        }
    }

    /// Merges another replica's value into this one. Commutative, associative
    /// and idempotent: replicas that merged the same values hold the same.
    pub fn merge(&mut self, other: Self) {
        self.state.join(&self.version, other.state, &other.version, &mut Effects::silent());
        self.version.join(&other.version);
        self.clock.observe(other.clock.last());
    }

    fn next_dot(&self) -> Dot {
        Dot { replica: self.replica, seq: self.version.get(self.replica) }
    }

    /// `first` is the time of the first of `extent.ops` ops.
    fn advance(&mut self, extent: crate::tx::Extent, first: Option<Hlc>) {
        if let (Some(first), Some(later)) = (first, extent.ops.checked_sub(1)) {
            self.clock.observe(first.plus(later));
            let seq = self.version.get(self.replica) + extent.slots;
            self.version.advance(self.replica, seq);
        }
    }
}

struct Stamps<'a> {
    clock: &'a Clock,
    wall: fn() -> Millis,
    first: Option<Hlc>,
}

impl<C: Crdt> TransactionLog<C> for Stamps<'_> {
    fn begin(&mut self) -> Hlc {
        let first = self.clock.peek((self.wall)());
        self.first = Some(first);
        first
    }

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
        let next = self.next_dot();
        let log = Stamps { clock: &self.clock, wall: self.wall, first: None };
        let mut transaction = Transaction::new(&mut self.state, next, &mut effects, log);
        transaction.push(op)?;
        let (extent, Stamps { first, .. }) = transaction.finish()?;
        self.advance(extent, first);
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
