//! The contract of a data type.

use crate::{Cut, DecodeError, Stamp, Tx, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;

/// A data type whose concurrent ops commute.
///
/// The engine delivers every op **exactly once and after its causal past**, and
/// gives local and remote ops the same path. So a type has no clock, no replica
/// id and no delivery bookkeeping of its own; it only has to see to it that ops
/// neither of which knew the other can be applied in either order.
///
/// Run `repliq-conformance` on your own type: behind each sentence stand the cases that
/// hold it.
///
/// # Contract
/// - Concurrent ops commute: any order that respects causality gives the same state
///   (`concurrent_ops_commute`, `equal_histories_give_equal_bytes`,
///   `a_long_lived_document_stays_right`), at equal times (`equal_times_are_decided_alike`)
///   and at the first and the last there are (`the_ends_of_time_are_times_like_others`).
/// - The state is a function of the ops alone (`the_state_depends_on_the_ops_alone`), and
///   the one that the type says it is (`the_view_matches_the_oracle`).
/// - [`join`](Crdt::join) is commutative, associative and idempotent
///   (`join_is_commutative`, `join_is_associative`, `join_is_idempotent`).
/// - It gives what applying the union of both histories gives
///   (`join_gives_the_union_of_histories`), removals too when nothing is left
///   (`an_emptied_state_takes_along_what_it_removed`), in whatever order states come
///   (`states_may_come_late_and_often`), and what it gives takes ops like any other
///   (`a_joined_state_goes_on`).
/// - A state that brings nothing changes nothing, and nothing is told
///   (`joining_an_older_state_changes_nothing`, `the_default_is_the_identity_of_join`).
/// - [`apply`](Crdt::apply) refuses as a function of the op and its causal past only: what
///   its author could do is refused nowhere (`an_accepted_op_is_accepted_everywhere`).
/// - A refused op leaves the state untouched and tells nothing
///   (`a_refused_op_changes_nothing`).
/// - The serialized state is canonical: equal states give equal bytes, and decoding gives
///   a state that is the same in all it does (`a_state_survives_encoding`,
///   `a_decoded_state_goes_on`).
/// - So do ops, one after the other without separators (`ops_survive_encoding`), and they
///   do the same on their author's device, where they were never encoded
///   (`an_op_does_the_same_before_and_after_encoding`).
/// - Bytes that no state has are refused, or give a sound state
///   (`damaged_bytes_do_no_harm`).
/// - What [`grow`](Crdt::grow) makes one op leaves, where it is taken in, what the ops
///   apart left at their author (`ops_made_one_leave_the_same`).
/// - [`slots`](Crdt::slots) is at least 1 and a function of the op alone
///   (`slots_are_a_function_of_the_op`).
/// - [`rollback`](Crdt::rollback) with the undos in reverse order restores the exact state
///   before, of ops (`rollback_leaves_no_trace`, `the_newest_edits_can_be_taken_back_alone`)
///   and of a join (`a_join_can_be_taken_back`).
/// - [`prune`](Crdt::prune) does not change what a reader sees (`prune_is_invisible`), then
///   or later (`pruned_replicas_still_agree`), and no join brings back what it forgot
///   (`a_join_does_not_bring_back_what_was_pruned`).
/// - The events, applied to a copy of the view, keep it equal to the view
///   (`events_of_ops_keep_a_shadow_true`, `events_of_a_join_keep_a_shadow_true`).
/// - What is reported and done does not depend on who asked for reports
///   (`effects_do_not_depend_on_who_asked`).
/// - [`reauthor`](Crdt::reauthor) on the state the op was made on has the same effect as
///   the op (`an_edit_said_again_has_the_same_effect`); that the state has moved on is no
///   reason to keep silent (`an_edit_is_said_again_after_others`).
/// - The type works as a part of a larger one, where versions and stamps are those of the
///   whole (`it_works_inside_a_struct`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a CRDT",
    label = "this is not a CRDT",
    note = "a value that is written as a whole goes into an `LwwRegister<{Self}>`, a text that \
            several people edit is a `Text`, and a struct of CRDTs is one with `#[derive(Crdt)]`"
)]
pub trait Crdt: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name and version of the encoding of state and ops, such as
    /// `"lww-map/1"`. It is kept with a document and a mismatch is a typed error.
    const KIND: &'static str;
    /// One intent; the only thing that is logged and sent.
    type Op: Serialize + DeserializeOwned + Clone + Send;
    /// One visible change, told to subscribers.
    type Event: Clone + Send;
    /// What restores the state before an op.
    type Undo: Send;

    /// How many slots an op takes: `n` for an insertion of `n` elements. At
    /// least 1, and a function of the op alone.
    fn slots(_op: &Self::Op) -> u64 {
        1
    }

    /// Whether ops said right after this one may be made part of it by
    /// [`grow`](Crdt::grow). What may grow is copied and held back until it is known
    /// what comes next.
    fn may_grow(_op: &Self::Op) -> bool {
        false
    }

    /// Makes `last` say what `next` says as well, if it can: one letter typed after
    /// another is one insertion of both. `next` was said by the same author, in the
    /// same transaction, right after `last`; what it counts back from is the slot
    /// after those of `last`.
    ///
    /// If it can, `next` is changed to what the author has still to apply: at the time
    /// of `last`, and at the last of the slots that `last` takes from now on. Whoever
    /// applied `last` as it was and then that must hold the same, dot for dot, as
    /// whoever applies `last` as it is now. If it cannot, neither is changed.
    fn grow(_last: &mut Self::Op, _next: &mut Self::Op) -> bool {
        false
    }

    /// Whether all of the state can be read: asked before a merge, which cannot fail.
    /// Only a type that puts off reading (see [`decodes_at_rest`](crate::decodes_at_rest))
    /// has anything to say here; one that holds other types asks them.
    ///
    /// # Errors
    /// [`CrdtError`] when a part of the state turns out to be damaged.
    fn check(&self) -> Result<(), CrdtError> {
        Ok(())
    }

    /// Applies one op.
    ///
    /// # Errors
    /// [`CrdtError`] when the op makes no sense in its own causal past. The
    /// state is then untouched.
    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError>;

    /// Merges another state into this one. `mine` and `theirs` are what the two
    /// states have seen: what is absent there, but whose dot `theirs` contains,
    /// was removed there.
    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>);

    /// Undoes the latest op that is not yet undone, physically: no trace is left.
    fn rollback(&mut self, undo: Self::Undo);

    /// Forgets what nobody can refer to any more: tombstones below `cut`.
    fn prune(&mut self, _cut: &Cut) {}

    /// Says an own op that was never acknowledged again, on a state that has
    /// moved on since (design sections 8 and 9). `before` is the state it was
    /// first said on, `at` its first stamp.
    ///
    /// # Errors
    /// [`CrdtError`] when the op cannot be said on this state.
    fn reauthor(
        op: Self::Op,
        _at: Stamp,
        _before: &Self,
        tx: &mut Tx<'_, Self>,
    ) -> Result<(), CrdtError> {
        tx.push(op)
    }
}

/// Why an op is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrdtError {
    /// The op refers to what its causal past does not hold.
    #[error("the op does not fit its history: {0}")]
    Invalid(&'static str),
    /// The op, or the transaction around it, is over a limit.
    #[error("over a limit: {0}")]
    Limit(&'static str),
    /// The op does not decode.
    #[error("the op does not decode: {0}")]
    Decode(#[from] DecodeError),
}

/// Why an index-based edit is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The position lies outside the value.
    #[error("position {index} lies outside a value of length {len}")]
    OutOfRange {
        /// The position asked for.
        index: usize,
        /// The length of the value.
        len: usize,
    },
    /// The op was refused.
    #[error(transparent)]
    Refused(#[from] CrdtError),
}

/// Where a type reports what an op did. Both kinds of report are lazy: nothing
/// is built when nobody asked.
pub struct Effects<C: Crdt> {
    events: Option<Vec<C::Event>>,
    /// Most transactions take back one step, which allocates nothing.
    undos: Option<SmallVec<[C::Undo; 1]>>,
}

impl<C: Crdt> Effects<C> {
    /// Keeps events and undos as asked.
    #[must_use]
    pub const fn new(events: bool, undos: bool) -> Self {
        Self {
            events: if events { Some(Vec::new()) } else { None },
            undos: if undos { Some(SmallVec::new_const()) } else { None },
        }
    }

    /// Keeps nothing.
    #[must_use]
    pub const fn silent() -> Self {
        Self::new(false, false)
    }

    /// Reports a visible change.
    #[inline]
    pub fn event(&mut self, event: impl FnOnce() -> C::Event) {
        if let Some(events) = &mut self.events {
            events.push(event());
        }
    }

    /// Reports what restores the state before the op. An op that changes the
    /// state in several steps reports one undo a step, in order.
    #[inline]
    pub fn undo(&mut self, undo: impl FnOnce() -> C::Undo) {
        if let Some(undos) = &mut self.undos {
            undos.push(undo());
        }
    }

    /// As [`Effects::undo`], for a step that may be undone together with the one
    /// before it, if that was kept last: `onto` says whether it could make the
    /// undo of that step restore the state before it for this step as well.
    #[inline]
    pub fn undo_onto(
        &mut self,
        onto: impl FnOnce(&mut C::Undo) -> bool,
        undo: impl FnOnce() -> C::Undo,
    ) {
        if let Some(undos) = &mut self.undos
            && !undos.last_mut().is_some_and(onto)
        {
            undos.push(undo());
        }
    }

    /// Whether events are kept: lets a type skip a comparison that only events need.
    #[must_use]
    pub const fn wants_events(&self) -> bool {
        self.events.is_some()
    }

    /// Whether undos are kept: lets a type skip a clone that only an undo needs.
    #[must_use]
    pub const fn wants_undo(&self) -> bool {
        self.undos.is_some()
    }

    /// Runs a step of a nested type and lifts its reports into this type's.
    pub fn nested<D: Crdt, R>(
        &mut self,
        run: impl FnOnce(&mut Effects<D>) -> R,
        event: impl Fn(D::Event) -> C::Event,
        undo: impl Fn(D::Undo) -> C::Undo,
    ) -> R {
        let mut inner = Effects::<D>::new(self.events.is_some(), self.undos.is_some());
        let result = run(&mut inner);
        if let (Some(events), Some(new)) = (&mut self.events, inner.events) {
            events.extend(new.into_iter().map(event));
        }
        if let (Some(undos), Some(new)) = (&mut self.undos, inner.undos) {
            undos.extend(new.into_iter().map(undo));
        }
        result
    }

    /// Takes the events reported so far, oldest first.
    pub fn take_events(&mut self) -> Vec<C::Event> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes the undos reported so far, oldest first: roll back from the end.
    pub fn take_undos(&mut self) -> Vec<C::Undo> {
        self.undos.as_mut().map(|undos| std::mem::take(undos).into_vec()).unwrap_or_default()
    }
}
