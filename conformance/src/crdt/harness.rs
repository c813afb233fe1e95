//! What a data type brings along to be tested: edits, and a naive model.

use crate::case::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use repliq_core::{Crdt, Stamp, Version};
use std::fmt::Debug;
use std::marker::PhantomData;

/// One op as it was said.
#[derive(Clone, Debug)]
pub struct Said<Op> {
    /// The intent.
    pub op: Op,
    /// When and by whom.
    pub at: Stamp,
    /// What its author had seen: every op in it comes before this one.
    pub past: Version,
}

impl<Op> Said<Op> {
    /// Whether this op was said by someone who had seen the other one.
    #[must_use]
    pub fn knows(&self, other: &Self) -> bool {
        self.past.contains(other.at.dot)
    }
}

/// Every op that a replica has seen, in a causal order.
pub type History<Op> = [Said<Op>];

/// Where the edits of a test come from.
///
/// A function of a random generator and the state is one; [`strategy`] makes one
/// of a proptest strategy, for types whose ops do not depend on the state.
pub trait Edits<C: Crdt> {
    /// An op that makes sense in this state, or `None` when there is none.
    ///
    /// Use few different keys, values and positions, so that edits meet; and
    /// give every value away only once, so that two edits are never the same.
    fn edit(&self, rng: &mut Rng, state: &C) -> Option<C::Op>;
}

impl<C: Crdt, F: Fn(&mut Rng, &C) -> Option<C::Op>> Edits<C> for F {
    fn edit(&self, rng: &mut Rng, state: &C) -> Option<C::Op> {
        self(rng, state)
    }
}

/// Edits from a proptest strategy.
#[must_use]
pub const fn strategy<S: Strategy>(strategy: S) -> FromStrategy<S> {
    FromStrategy(strategy)
}

/// See [`strategy`].
#[derive(Clone, Debug)]
pub struct FromStrategy<S>(S);

impl<C: Crdt, S: Strategy<Value = C::Op>> Edits<C> for FromStrategy<S> {
    fn edit(&self, rng: &mut Rng, _state: &C) -> Option<C::Op> {
        let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &rng.bytes(32));
        let mut runner = TestRunner::new_with_rng(Config::default(), seed);
        self.0.new_tree(&mut runner).ok().map(|tree| tree.current())
    }
}

/// A naive model of a type: so simple that it is right at sight, however slow.
pub trait Oracle<C: Crdt> {
    /// What a reader of the type sees, as a plain value.
    type View: Clone + PartialEq + Debug;

    /// What a reader of this state sees.
    fn view(state: &C) -> Self::View;

    /// Does to a view what an event tells.
    fn patch(view: &mut Self::View, event: C::Event);

    /// What a reader must see who has seen these ops and nothing else. It must
    /// come from the ops alone: do not use the type under test.
    fn expected(history: &History<C::Op>) -> Self::View;

    /// An op that the type must refuse in this state, if it refuses any.
    fn refused(_rng: &mut Rng, _state: &C) -> Option<C::Op> {
        None
    }
}

/// All that the cases need. [`Suite`] makes one of [`Edits`] and an [`Oracle`].
pub trait CrdtHarness {
    /// The type under test.
    type Crdt: Crdt;
    /// See [`Oracle::View`].
    type View: Clone + PartialEq + Debug;

    /// See [`Edits::edit`].
    fn edit(&self, rng: &mut Rng, state: &Self::Crdt) -> Option<<Self::Crdt as Crdt>::Op>;
    /// See [`Oracle::view`].
    fn view(&self, state: &Self::Crdt) -> Self::View;
    /// See [`Oracle::patch`].
    fn patch(&self, view: &mut Self::View, event: <Self::Crdt as Crdt>::Event);
    /// See [`Oracle::expected`].
    fn expected(&self, history: &History<<Self::Crdt as Crdt>::Op>) -> Self::View;
    /// See [`Oracle::refused`].
    fn refused(&self, rng: &mut Rng, state: &Self::Crdt) -> Option<<Self::Crdt as Crdt>::Op>;
}

/// A type with its edits and its oracle.
pub struct Suite<C, E, O> {
    edits: E,
    named: PhantomData<fn() -> (C, O)>,
}

impl<C: Crdt, E: Edits<C>, O: Oracle<C>> Suite<C, E, O> {
    /// The harness of these edits.
    #[must_use]
    pub const fn new(edits: E) -> Self {
        Self { edits, named: PhantomData }
    }
}

impl<C: Crdt, E: Edits<C>, O: Oracle<C>> CrdtHarness for Suite<C, E, O> {
    type Crdt = C;
    type View = O::View;

    fn edit(&self, rng: &mut Rng, state: &C) -> Option<C::Op> {
        self.edits.edit(rng, state)
    }

    fn view(&self, state: &C) -> O::View {
        O::view(state)
    }

    fn patch(&self, view: &mut O::View, event: C::Event) {
        O::patch(view, event);
    }

    fn expected(&self, history: &History<C::Op>) -> O::View {
        O::expected(history)
    }

    fn refused(&self, rng: &mut Rng, state: &C) -> Option<C::Op> {
        O::refused(rng, state)
    }
}
