//! Cases of taking back: a failed transaction leaves no trace.

use super::harness::CrdtHarness;
use super::world::{Time, World};
use crate::case::{CaseResult, Failure, Rng};
use repliq_core::{Crdt, Dot, Effects, Hlc, ReplicaId, Stamp, Transaction, decode, encode};

const ROUNDS: usize = 24;

/// A transaction, and changes of others, taken back as a whole.
pub(super) fn rollback_leaves_no_trace<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 25)?;
        let before = world.copy(rng, 0)?;
        let mut effects = Effects::new(false, true);
        world.edit_reporting(rng, 0, 6, &mut effects)?;
        for commit in world.deliverable(0) {
            world.deliver_reporting(0, commit, &mut effects)?;
        }
        take_back(&mut world.peers[0].state, effects.take_undos());
        world.check_same("before and after a rollback", &before, &world.peers[0].state)?;
    }
    Ok(())
}

/// Only the newest of many edits taken back, one by one.
pub(super) fn the_newest_edits_can_be_taken_back_alone<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let world = World::lived(harness, rng, time, 30)?;
        let mut state = H::Crdt::default();
        let mut steps = Vec::new();
        for (op, at) in world.commits.iter().flat_map(|commit| &commit.ops) {
            let before = encode(&state);
            let mut effects = Effects::new(rng.below(2) == 0, true);
            state.apply(op.clone(), *at, &mut effects)?;
            steps.push((before, effects.take_undos()));
        }
        let after = encode(&state);
        let kept = rng.below(steps.len());
        for (before, undos) in steps.drain(kept..).rev() {
            take_back(&mut state, undos);
            if encode(&state) != before {
                let why = "after a rollback of the newest edit the bytes are not those before it";
                return Err(Failure::Broken(why.to_owned()));
            }
        }
        let ops = world.commits.iter().flat_map(|commit| &commit.ops);
        for (op, at) in ops.skip(kept) {
            state.apply(op.clone(), *at, &mut Effects::silent())?;
        }
        if encode(&state) != after {
            let why = "edits taken back and made again gave another state";
            return Err(Failure::Broken(why.to_owned()));
        }
    }
    Ok(())
}

/// A join taken back; in every other round with the state of someone who has
/// forgotten what is still held here.
pub(super) fn a_join_can_be_taken_back<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for round in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 25)?;
        let mut held = world.peers[0].held.clone();
        if round % 2 == 0 {
            world.settle(rng)?;
            let cut = world.cut(1);
            world.peers[1].state.prune(&cut);
            held.truncate(rng.below(held.len() + 1));
        }
        let other = decode(&encode(&world.peers[1].state))?;
        let (before, mut state) = (world.replay(&held)?, world.replay(&held)?);
        let mut effects = Effects::new(false, true);
        state.join(&world.version(&held), other, &world.peers[1].version, &mut effects);
        take_back(&mut state, effects.take_undos());
        world.check_same("before a join and after its rollback", &before, &state)?;
    }
    Ok(())
}

/// An op that makes no sense is refused, and nothing has changed.
pub(super) fn a_refused_op_changes_nothing<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 20)?;
        let Some(op) = harness.refused(rng, &world.peers[0].state) else {
            return Err(Failure::Skipped("the oracle knows no op that is refused".to_owned()));
        };
        let before = world.copy(rng, 0)?;
        let mut effects = Effects::new(true, true);
        let at = Stamp { hlc: Hlc(1 << 62), dot: fresh_dot() };
        if world.peers[0].state.apply(op, at, &mut effects).is_ok() {
            return Err(Failure::Broken("an op that must be refused was accepted".to_owned()));
        }
        world.check_same("before and after a refused op", &before, &world.peers[0].state)?;
        if !effects.take_events().is_empty() || !effects.take_undos().is_empty() {
            return Err(Failure::Broken("a refused op reported effects".to_owned()));
        }
    }
    Ok(())
}

/// An own edit said again on the state it was made on has the same effect.
pub(super) fn an_edit_said_again_has_the_same_effect<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 20)?;
        let before = world.copy(rng, 0)?;
        let mut again = world.copy(rng, 0)?;
        let known = world.commits.len();
        world.edit(rng, 0, 1)?;
        let Some(commit) = world.commits.get(known) else { continue };
        let mut effects = Effects::silent();
        let mut transaction =
            Transaction::new(&mut again, fresh_dot(), &mut effects, At(commit.first));
        for (op, at) in &commit.ops {
            let mut tx = repliq_core::Tx::from_cursor(&mut transaction);
            H::Crdt::reauthor(op.clone(), *at, &before, &mut tx)?;
        }
        transaction.finish()?;
        let (seen, expected) = (harness.view(&again), harness.view(&world.peers[0].state));
        if seen != expected {
            let why = format!("an edit gave {expected:?}, but said again it gave {seen:?}");
            return Err(Failure::Broken(why));
        }
    }
    Ok(())
}

/// An own edit that was never acknowledged is said again after others: it is no
/// reason to keep silent that something changed.
pub(super) fn an_edit_is_said_again_after_others<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    let (mut tried, mut said) = (0, 0);
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 10)?;
        world.settle(rng)?;
        let before = world.copy(rng, 0)?;
        let known = world.commits.len();
        world.edit(rng, 0, 1)?;
        let Some(commit) = world.commits.get(known) else { continue };
        let ops = commit.ops.clone();
        world.edit(rng, 1, 2)?;
        let mut moved = world.copy(rng, 1)?;
        if encode(&moved) == encode(&before) {
            continue;
        }
        let first = world.later().hlc;
        for (op, at) in ops {
            let mut effects = Effects::silent();
            let counted = Counted { first, said: 0 };
            let mut transaction = Transaction::new(&mut moved, fresh_dot(), &mut effects, counted);
            let mut tx = repliq_core::Tx::from_cursor(&mut transaction);
            // That it cannot be said any more is an answer, too.
            let refused = H::Crdt::reauthor(op, at, &before, &mut tx).is_err();
            drop(tx);
            tried += 1;
            said += match transaction.finish() {
                Ok((_, counted)) => counted.said,
                Err(_) => u64::from(refused),
            };
        }
    }
    if tried > 0 && said == 0 {
        let why =
            format!("none of {tried} edits was said again after others had changed something");
        return Err(Failure::Broken(why));
    }
    Ok(())
}

/// How many ops were said.
struct Counted {
    first: Hlc,
    said: u64,
}

impl<C: Crdt> repliq_core::TransactionLog<C> for Counted {
    fn begin(&mut self) -> Hlc {
        self.first
    }

    fn record(&mut self, _op: &C::Op) -> Result<(), repliq_core::CrdtError> {
        self.said += 1;
        Ok(())
    }
}

struct At(Hlc);

impl<C: Crdt> repliq_core::TransactionLog<C> for At {
    fn begin(&mut self) -> Hlc {
        self.0
    }

    fn record(&mut self, _op: &C::Op) -> Result<(), repliq_core::CrdtError> {
        Ok(())
    }
}

/// The first slot of a replica of which nobody knows yet.
const fn fresh_dot() -> Dot {
    Dot { replica: ReplicaId::from_bytes([0xff; 16]), seq: 0 }
}

fn take_back<C: Crdt>(state: &mut C, undos: Vec<C::Undo>) {
    undos.into_iter().rev().for_each(|undo| state.rollback(undo));
}
