//! Authoring: how edits become ops. Ops go up to the root of the document, so
//! that a local op takes the same path as a remote one.

use crate::{Crdt, CrdtError, Dot, Effects, Hlc, Stamp};
use std::ops::Deref;

/// Something ops can be pushed to: the root of a transaction, or a view of a
/// nested value that wraps what it is given and passes it up.
pub trait Cursor<C: Crdt> {
    /// The state as it is now, with the ops pushed so far.
    fn state(&self) -> &C;

    /// Applies an op and logs it.
    ///
    /// # Errors
    /// [`CrdtError`] when the type refuses the op. The transaction is then
    /// poisoned: it takes no further op and is rolled back at its end.
    fn push(&mut self, op: C::Op) -> Result<(), CrdtError>;

    /// The first slot of the next op, where it is known: an op can then name the
    /// author's own slots by their distance.
    fn next(&self) -> Option<Dot> {
        None
    }

    /// [`Cursor::state`] and [`Cursor::next`] by one call through a pointer: what
    /// authors of most ops need.
    fn state_and_next(&self) -> (&C, Option<Dot>) {
        (self.state(), self.next())
    }
}

impl<C: Crdt, T: Cursor<C> + ?Sized> Cursor<C> for &mut T {
    fn state(&self) -> &C {
        (**self).state()
    }

    fn state_and_next(&self) -> (&C, Option<Dot>) {
        (**self).state_and_next()
    }

    fn push(&mut self, op: C::Op) -> Result<(), CrdtError> {
        (**self).push(op)
    }

    fn next(&self) -> Option<Dot> {
        (**self).next()
    }
}

/// A transaction on a value, or on a value nested in one. Reads go to the
/// current state (it dereferences to `C`), edits through the mutator traits.
pub struct Tx<'a, C: Crdt> {
    cursor: Held<'a, C>,
}

/// A root is lent, so that the commonest transaction, one edit, allocates nothing
/// for it.
enum Held<'a, C: Crdt> {
    Lent(&'a mut (dyn Cursor<C> + 'a)),
    Own(Box<dyn Cursor<C> + 'a>),
}

impl<'a, C: Crdt> Held<'a, C> {
    #[inline]
    fn get(&self) -> &(dyn Cursor<C> + 'a) {
        match self {
            Self::Lent(cursor) => &**cursor,
            Self::Own(cursor) => &**cursor,
        }
    }

    #[inline]
    fn get_mut(&mut self) -> &mut (dyn Cursor<C> + 'a) {
        match self {
            Self::Lent(cursor) => &mut **cursor,
            Self::Own(cursor) => &mut **cursor,
        }
    }
}

impl<'a, C: Crdt> Tx<'a, C> {
    /// A transaction on what this cursor points to.
    pub fn from_cursor(cursor: impl Cursor<C> + 'a) -> Self {
        Self { cursor: Held::Own(Box::new(cursor)) }
    }

    /// A transaction on what this cursor points to, which is only lent.
    pub fn lent(cursor: &'a mut (dyn Cursor<C> + 'a)) -> Self {
        Self { cursor: Held::Lent(cursor) }
    }

    /// Applies an op and logs it.
    ///
    /// # Errors
    /// As [`Cursor::push`].
    pub fn push(&mut self, op: C::Op) -> Result<(), CrdtError> {
        self.cursor.get_mut().push(op)
    }

    /// The part of this transaction that concerns one field of a struct.
    pub fn field<'b, D: Crdt>(
        &'b mut self,
        get: fn(&C) -> &D,
        wrap: fn(D::Op) -> C::Op,
    ) -> Tx<'b, D>
    where
        'a: 'b,
    {
        Tx::from_cursor(Field { parent: self.cursor.get_mut(), get, wrap })
    }

    /// The part of this transaction that concerns one entry of a collection,
    /// which may not exist yet: reads then see the default.
    pub fn child<'b, D: Crdt>(
        &'b mut self,
        get: impl Fn(&C) -> Option<&D> + 'b,
        wrap: impl Fn(D::Op) -> C::Op + 'b,
    ) -> Tx<'b, D>
    where
        'a: 'b,
    {
        let absent = D::default();
        Tx::from_cursor(Child { parent: self.cursor.get_mut(), get, wrap, absent })
    }
}

impl<C: Crdt> Deref for Tx<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.cursor.get().state()
    }
}

impl<C: Crdt> std::fmt::Debug for Tx<'_, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").field("kind", &C::KIND).finish_non_exhaustive()
    }
}

struct Field<'a, P: Crdt, D: Crdt> {
    parent: &'a mut (dyn Cursor<P> + 'a),
    get: fn(&P) -> &D,
    wrap: fn(D::Op) -> P::Op,
}

impl<P: Crdt, D: Crdt> Cursor<D> for Field<'_, P, D> {
    fn state(&self) -> &D {
        (self.get)(self.parent.state())
    }

    fn push(&mut self, op: D::Op) -> Result<(), CrdtError> {
        self.parent.push((self.wrap)(op))
    }

    fn next(&self) -> Option<Dot> {
        self.parent.next()
    }
}

struct Child<'a, P: Crdt, D: Crdt, G, W> {
    parent: &'a mut (dyn Cursor<P> + 'a),
    get: G,
    wrap: W,
    absent: D,
}

impl<P, D, G, W> Cursor<D> for Child<'_, P, D, G, W>
where
    P: Crdt,
    D: Crdt,
    G: Fn(&P) -> Option<&D>,
    W: Fn(D::Op) -> P::Op,
{
    fn state(&self) -> &D {
        (self.get)(self.parent.state()).unwrap_or(&self.absent)
    }

    fn push(&mut self, op: D::Op) -> Result<(), CrdtError> {
        self.parent.push((self.wrap)(op))
    }

    fn next(&self) -> Option<Dot> {
        self.parent.next()
    }
}

/// Whatever can author ops of a type: [`Tx`], and
/// [`Standalone`](crate::Standalone) on its own. The mutators of each type are
/// an extension trait on this.
pub trait Author<C: Crdt> {
    /// Authors one op.
    ///
    /// # Errors
    /// [`CrdtError`] when the type refuses the op.
    fn author(&mut self, op: C::Op) -> Result<(), CrdtError>;

    /// The state as it is now.
    fn current(&self) -> &C;

    /// The first slot of the next op, where it is known.
    fn next(&self) -> Option<Dot> {
        None
    }

    /// [`Author::current`] and [`Author::next`] at once.
    fn current_and_next(&self) -> (&C, Option<Dot>) {
        (self.current(), self.next())
    }
}

impl<C: Crdt> Author<C> for Tx<'_, C> {
    fn author(&mut self, op: C::Op) -> Result<(), CrdtError> {
        self.push(op)
    }

    fn current(&self) -> &C {
        self
    }

    fn next(&self) -> Option<Dot> {
        self.cursor.get().next()
    }

    fn current_and_next(&self) -> (&C, Option<Dot>) {
        self.cursor.get().state_and_next()
    }
}

/// Whatever can lend out a transaction: what accessors of nested values need.
pub trait AsTx<C: Crdt> {
    /// A transaction that is part of this one.
    fn tx(&mut self) -> Tx<'_, C>;
}

impl<C: Crdt> AsTx<C> for Tx<'_, C> {
    fn tx(&mut self) -> Tx<'_, C> {
        Tx { cursor: Held::Lent(self.cursor.get_mut()) }
    }
}

/// What a transaction writes to besides the state.
pub trait TransactionLog<C: Crdt> {
    /// Called once, before the first op: the timestamp of that op. The ops after
    /// it take the values after it.
    fn begin(&mut self) -> Hlc;

    /// Makes an op a part of the one recorded last, by [`Crdt::grow`], and returns
    /// how many slots that takes now: `None` if they stay apart, or the last one was
    /// not held back. Asked before [`record`](TransactionLog::record), which is not
    /// called for an op that became part of another.
    fn grow(&mut self, _op: &mut C::Op) -> Option<u64> {
        None
    }

    /// Called with every op before it is applied.
    ///
    /// # Errors
    /// [`CrdtError`] when the op, or one held back before it, cannot be logged; it is
    /// then not applied.
    fn record(&mut self, op: &C::Op) -> Result<(), CrdtError>;
}

impl<C: Crdt, L: TransactionLog<C>> TransactionLog<C> for &mut L {
    #[inline]
    fn begin(&mut self) -> Hlc {
        (**self).begin()
    }

    #[inline]
    fn grow(&mut self, op: &mut C::Op) -> Option<u64> {
        (**self).grow(op)
    }

    #[inline]
    fn record(&mut self, op: &C::Op) -> Result<(), CrdtError> {
        (**self).record(op)
    }
}

/// The root of a transaction: applies ops to a state, stamps and logs them.
///
/// It does not roll back by itself; on an error or a panic the owner takes the
/// undos out of the effects and applies them in reverse.
pub struct Transaction<'a, C: Crdt, L> {
    state: &'a mut C,
    next: Dot,
    /// The time of the latest op, and how many slots it takes.
    latest: Option<(Hlc, u64)>,
    extent: Extent,
    refused: Option<CrdtError>,
    effects: &'a mut Effects<C>,
    log: L,
}

/// What a finished transaction takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many ops, and so how many timestamps.
    pub ops: u64,
    /// How many slots.
    pub slots: u64,
}

impl<'a, C: Crdt, L: TransactionLog<C>> Transaction<'a, C, L> {
    /// A transaction whose first op takes the slot `next`.
    pub fn new(state: &'a mut C, next: Dot, effects: &'a mut Effects<C>, log: L) -> Self {
        let extent = Extent::default();
        Self { state, next, latest: None, extent, refused: None, effects, log }
    }

    /// Ends the transaction: what it takes up, and its log.
    ///
    /// # Errors
    /// The first refusal, if there was one.
    pub fn finish(self) -> Result<(Extent, L), CrdtError> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok((self.extent, self.log)),
        }
    }

    #[inline]
    fn try_push(&mut self, mut op: C::Op) -> Result<(), CrdtError> {
        let slots = C::slots(&op);
        let seq = match self.next.seq.checked_add(slots) {
            Some(seq) if slots > 0 => seq,
            _ => return Err(CrdtError::Limit("an op must take at least one slot")),
        };
        let total = self.extent.slots.saturating_add(slots);
        if total > crate::MAX_CHANGE_SLOTS {
            return Err(CrdtError::Limit("a transaction takes at most 2^32 - 1 slots"));
        }
        let hlc = match self.latest {
            Some((hlc, before)) => match self.log.grow(&mut op) {
                Some(slots) => return self.apply_grown(op, hlc, before, slots),
                None => hlc.plus(1),
            },
            None => self.log.begin(),
        };
        self.log.record(&op)?;
        self.state.apply(op, Stamp { hlc, dot: self.next }, self.effects)?;
        self.next.seq = seq;
        self.latest = Some((hlc, slots));
        self.extent = Extent { ops: self.extent.ops + 1, slots: total };
        Ok(())
    }

    /// Applies what is left of an op that became part of the latest, which took
    /// `before` slots and takes `slots` now: at its time and at the last of its slots,
    /// as if it had come in one.
    fn apply_grown(
        &mut self,
        rest: C::Op,
        hlc: Hlc,
        before: u64,
        slots: u64,
    ) -> Result<(), CrdtError> {
        const SHRUNK: CrdtError = CrdtError::Invalid("an op that grew takes fewer slots");
        let more = slots.checked_sub(before).ok_or(SHRUNK)?;
        let end = self.next.seq.saturating_add(more);
        let seq = end.checked_sub(C::slots(&rest)).ok_or(SHRUNK)?;
        self.state.apply(rest, Stamp { hlc, dot: Dot { seq, ..self.next } }, self.effects)?;
        self.next.seq = end;
        self.latest = Some((hlc, slots));
        self.extent.slots = self.extent.slots.saturating_add(more);
        Ok(())
    }
}

impl<C: Crdt, L: TransactionLog<C>> Cursor<C> for Transaction<'_, C, L> {
    fn state(&self) -> &C {
        self.state
    }

    fn push(&mut self, op: C::Op) -> Result<(), CrdtError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        self.try_push(op).inspect_err(|error| self.refused = Some(error.clone()))
    }

    fn next(&self) -> Option<Dot> {
        Some(self.next)
    }
}
