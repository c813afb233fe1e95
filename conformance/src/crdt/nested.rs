//! A struct of two values of the type: they share one version, one clock and
//! one sequence of slots, of which each sees only a part.

use super::harness::{CrdtHarness, History, Said};
use super::{delivery, encoding, events, join, prune, rollback};
use crate::case::{CaseResult, Rng};
use repliq_core::{Crdt, CrdtError, Cut, Effects, Stamp, Version};
use serde::{Deserialize, Serialize};

/// The type works as a part of a larger document.
pub(super) fn it_works_inside_a_struct<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    let pair = PairHarness(harness);
    delivery::the_view_matches_the_oracle(&pair, rng)?;
    delivery::equal_histories_give_equal_bytes(&pair, rng)?;
    join::join_is_commutative(&pair, rng)?;
    join::join_gives_the_union_of_histories(&pair, rng)?;
    encoding::a_decoded_state_goes_on(&pair, rng)?;
    rollback::rollback_leaves_no_trace(&pair, rng)?;
    rollback::a_join_can_be_taken_back(&pair, rng)?;
    prune::pruned_replicas_still_agree(&pair, rng)?;
    events::events_of_ops_keep_a_shadow_true(&pair, rng)?;
    events::events_of_a_join_keep_a_shadow_true(&pair, rng)
}

#[derive(Default, Serialize, Deserialize)]
#[serde(bound = "C: Crdt")]
struct Pair<C> {
    left: C,
    right: C,
}

#[derive(Clone, Serialize, Deserialize)]
enum Side<T> {
    Left(T),
    Right(T),
}

impl<C: Crdt> Crdt for Pair<C> {
    const KIND: &'static str = "conformance-pair/1";
    type Op = Side<C::Op>;
    type Event = Side<C::Event>;
    type Undo = Side<C::Undo>;

    fn slots(op: &Self::Op) -> u64 {
        match op {
            Side::Left(op) | Side::Right(op) => C::slots(op),
        }
    }

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match op {
            Side::Left(op) => fx.nested(|fx| self.left.apply(op, at, fx), Side::Left, Side::Left),
            Side::Right(op) => {
                fx.nested(|fx| self.right.apply(op, at, fx), Side::Right, Side::Right)
            }
        }
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        let Self { left, right } = self;
        fx.nested(|fx| left.join(mine, other.left, theirs, fx), Side::Left, Side::Left);
        fx.nested(|fx| right.join(mine, other.right, theirs, fx), Side::Right, Side::Right);
    }

    fn rollback(&mut self, undo: Self::Undo) {
        match undo {
            Side::Left(undo) => self.left.rollback(undo),
            Side::Right(undo) => self.right.rollback(undo),
        }
    }

    fn prune(&mut self, cut: &Cut) {
        self.left.prune(cut);
        self.right.prune(cut);
    }
}

struct PairHarness<'h, H>(&'h H);

impl<H: CrdtHarness> CrdtHarness for PairHarness<'_, H> {
    type Crdt = Pair<H::Crdt>;
    type View = (H::View, H::View);

    fn edit(&self, rng: &mut Rng, state: &Self::Crdt) -> Option<Side<<H::Crdt as Crdt>::Op>> {
        match rng.below(2) {
            0 => self.0.edit(rng, &state.left).map(Side::Left),
            _ => self.0.edit(rng, &state.right).map(Side::Right),
        }
    }

    fn view(&self, state: &Self::Crdt) -> Self::View {
        (self.0.view(&state.left), self.0.view(&state.right))
    }

    fn patch(&self, view: &mut Self::View, event: Side<<H::Crdt as Crdt>::Event>) {
        match event {
            Side::Left(event) => self.0.patch(&mut view.0, event),
            Side::Right(event) => self.0.patch(&mut view.1, event),
        }
    }

    fn expected(&self, history: &History<Side<<H::Crdt as Crdt>::Op>>) -> Self::View {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for Said { op, at, past } in history.iter().cloned() {
            match op {
                Side::Left(op) => left.push(Said { op, at, past }),
                Side::Right(op) => right.push(Said { op, at, past }),
            }
        }
        (self.0.expected(&left), self.0.expected(&right))
    }

    fn refused(&self, rng: &mut Rng, state: &Self::Crdt) -> Option<Side<<H::Crdt as Crdt>::Op>> {
        self.0.refused(rng, &state.left).map(Side::Left)
    }
}
