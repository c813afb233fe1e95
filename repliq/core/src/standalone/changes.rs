//! Changes out of a value and into one, as bytes travel between devices.
//!
//! The rules are the engine's: every change exactly once, in its author's order and
//! after what it was made on. What cannot be taken in is a typed error. There is no
//! chain over the changes, so two values that share a replica id by mistake part
//! unnoticed: for that, and for changes that survive a restart, there is the engine.

use super::{Stamps, Standalone, transact};
use crate::change::unpacked;
use crate::{
    Chain, Change, ChangeHeader, Crdt, CrdtError, DecodeError, Dot, Effects, Extent, Hlc, KeyId,
    MAX_CHANGE_BYTES, MAX_CLOCK_SKEW, OpWriter, ReplicaId, TransactionLog, Tx, apply_payload,
};

/// How much of the room that a change took is kept for the next.
const KEPT_ROOM: usize = 4096;

/// Why a change was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// It was taken in before: pass it over.
    #[error("the change was taken in before")]
    Duplicate,
    /// Something comes before it that is not here: apply that first.
    #[error(
        "changes of {replica} are missing from number {held} on; apply those first, or merge a \
         value that has them"
    )]
    Missing {
        /// Whose changes are missing.
        replica: ReplicaId,
        /// How many slots of it are held.
        held: u64,
    },
    /// A part of it was taken in before, as something else: two values are edited
    /// under one replica id.
    #[error("{replica} has said something else there; give each value a replica id of its own")]
    Forked {
        /// The replica id.
        replica: ReplicaId,
    },
    /// It was made more than [`MAX_CLOCK_SKEW`] ahead of the clock here.
    #[error("the change was made at {0:?}, more than 24 hours from now; check the clocks")]
    Ahead(Hlc),
    /// Its payload is sealed.
    #[error("the change is sealed; only the engine can be given a key")]
    Sealed,
    /// It does not decode, as this type at least.
    #[error("the change does not read as this type; it is damaged, or made as another: {0}")]
    Damaged(#[from] DecodeError),
    /// The type refuses an op in it. That has no effect on any device, so the change
    /// counts as taken in: what follows it can be applied.
    #[error("the change has no effect: {0}")]
    Refused(CrdtError),
}

impl<C: Crdt> Standalone<C> {
    /// Makes several edits as one change, and returns what others have to
    /// [`apply`](Standalone::apply) to hold the same: `None` if nothing was edited.
    ///
    /// The change names as its past all that came in before. What was edited outside of
    /// `commit` is in no change: others get it by [`merge`](Standalone::merge) only, and
    /// before any later change. What `edit` returns does not matter: an `Err` that no op
    /// was refused for takes nothing back.
    ///
    /// There is an example in the documentation of `repliq-crdts`.
    ///
    /// # Errors
    /// The first [`CrdtError`] if an op was refused, or the change would be larger than
    /// [`MAX_CHANGE_BYTES`]; nothing has changed then.
    ///
    /// # Panics
    /// When `edit` does; nothing has changed then either.
    pub fn commit<R>(
        &mut self,
        edit: impl FnOnce(&mut Tx<'_, C>) -> R,
    ) -> Result<(R, Option<Change>), CrdtError> {
        let dot = self.next_dot();
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let mut log = Written { stamps: self.stamps(), writer: OpWriter::new(payload) };
        let unsaid = &mut self.unsaid;
        let end = |extent: Extent, log: &mut Written<C>| {
            let Some(first) = log.stamps.first.filter(|_| extent.ops > 0) else { return Ok(None) };
            let payload = log.writer.finish()?;
            let deps = std::mem::take(unsaid);
            let (chain, key) = (Chain::START, KeyId::PLAIN);
            let header = ChangeHeader { slots: extent.slots, hlc: first, chain, deps, key };
            let change = Change::new(dot, &header, payload);
            if change.body.len() > MAX_CHANGE_BYTES {
                *unsaid = header.deps;
                return Err(CrdtError::Limit("a change takes at most 16 MiB"));
            }
            Ok(Some((extent, first, change)))
        };
        let edit = |tx: &mut Tx<'_, C>| Ok::<R, CrdtError>(edit(tx));
        let (result, ended) = transact(&mut self.state, dot, &mut log, edit, end)?;
        let room = log.writer.into_payload();
        if room.capacity() <= KEPT_ROOM {
            self.payload = room;
        }
        let change = ended.map(|(extent, first, change)| {
            self.advance(dot, extent, Some(first));
            change
        });
        Ok((result, change))
    }

    /// Takes in a change that another replica made.
    ///
    /// # Errors
    /// [`ApplyError`]; the value has not changed then. Only [`ApplyError::Refused`]
    /// counts as taken in.
    pub fn apply(&mut self, change: &Change) -> Result<(), ApplyError> {
        let (header, packed, payload) = change.read_body()?;
        let replica = change.dot.replica;
        let end = self.expect(change.dot, &header)?;
        if header.key.is_sealed() {
            return Err(ApplyError::Sealed);
        }
        self.expect_in_time(header.hlc.plus(header.slots.saturating_sub(1)))?;
        let payload = unpacked(packed, payload)?;

        let mut effects = Effects::new(false, true);
        let applied = apply_payload(&mut self.state, change.dot, &header, &payload, &mut effects);
        let (ops, refused) = match applied {
            Ok(ops) => (ops, Ok(())),
            Err(error) => {
                for undo in effects.take_undos().into_iter().rev() {
                    self.state.rollback(undo);
                }
                match error {
                    CrdtError::Decode(error) => return Err(error.into()),
                    refused => (header.slots, Err(ApplyError::Refused(refused))),
                }
            }
        };
        self.clock.observe(header.hlc.plus(ops.saturating_sub(1)));
        self.version.advance(replica, end);
        if replica == self.replica {
            for (named, count) in header.deps.iter() {
                if self.unsaid.get(named) <= count {
                    self.unsaid.set(named, 0);
                }
            }
        } else {
            self.unsaid.advance(replica, end);
        }
        refused
    }

    /// Whether a change at `dot` is the next that can be taken in; where it ends.
    fn expect(&self, dot: Dot, header: &ChangeHeader) -> Result<u64, ApplyError> {
        let Dot { replica, seq } = dot;
        let end = seq.saturating_add(header.slots);
        let held = self.version.get(replica);
        if end <= held {
            return Err(ApplyError::Duplicate);
        }
        if seq != held {
            let missing = ApplyError::Missing { replica, held };
            return Err(if seq > held { missing } else { ApplyError::Forked { replica } });
        }
        if header.deps.get(replica) > seq {
            return Err(DecodeError::Invalid("it was made on changes after itself").into());
        }
        for (replica, count) in header.deps.iter() {
            let held = self.version.get(replica);
            if held < count {
                return Err(ApplyError::Missing { replica, held });
            }
        }
        Ok(end)
    }

    /// Refuses what is too far ahead. The wall is read only for what is later than
    /// all that was found in time before.
    fn expect_in_time(&mut self, last: Hlc) -> Result<(), ApplyError> {
        if last > self.horizon {
            self.horizon = Hlc::from_millis((self.wall)().saturating_add(MAX_CLOCK_SKEW));
            if last > self.horizon {
                return Err(ApplyError::Ahead(last));
            }
        }
        Ok(())
    }
}

/// Gives the ops of a transaction their time, and writes them.
struct Written<C: Crdt> {
    stamps: Stamps,
    writer: OpWriter<C>,
}

impl<C: Crdt> TransactionLog<C> for Written<C> {
    fn begin(&mut self) -> Hlc {
        self.stamps.begin()
    }

    fn grow(&mut self, op: &mut C::Op) -> Option<u64> {
        self.writer.grow(op)
    }

    fn record(&mut self, op: &C::Op) -> Result<(), CrdtError> {
        self.writer.write(op)
    }
}
