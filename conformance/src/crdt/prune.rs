//! Cases of forgetting: what everybody knows to be gone may go, unseen.

use super::harness::CrdtHarness;
use super::world::{Time, World};
use crate::case::{CaseResult, Rng};
use repliq_core::{Crdt, Effects, decode, encode};

const ROUNDS: usize = 24;

/// A reader sees the same before and after, and the bytes are still sound.
pub(super) fn prune_is_invisible<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for round in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 30)?;
        if round % 2 == 0 {
            world.settle(rng)?;
        }
        for peer in 0..world.peers.len() {
            let cut = world.cut(peer);
            world.peers[peer].state.prune(&cut);
            world.check(peer)?;
            let state = &world.peers[peer].state;
            world.check_same("a pruned state and its copy", state, &decode(&encode(state))?)?;
        }
    }
    Ok(())
}

/// Some replicas prune and some do not, again and again, and edit on.
pub(super) fn pruned_replicas_still_agree<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::new(harness, rng, time);
        for _ in 0..8 {
            world.live(rng, 8)?;
            if rng.below(3) == 0 {
                world.settle(rng)?;
            }
            (0..world.peers.len()).try_for_each(|peer| world.check(peer))?;
            prune_some(&mut world, rng);
        }
        world.settle(rng)?;
        (0..world.peers.len()).try_for_each(|peer| world.check(peer))?;
    }
    Ok(())
}

/// A join brings nothing back that was pruned: neither the state of someone who
/// did not prune, nor a state from before the removal, in either direction.
pub(super) fn a_join_does_not_bring_back_what_was_pruned<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 20)?;
        world.settle(rng)?;
        let cut = world.cut(0);
        world.peers[0].state.prune(&cut);
        join_with_the_past(&world, rng)?;
        world.live(rng, 12)?;
        let union = world.union(&[0, 1]);
        let (pruned, whole) = (&world.peers[0], &world.peers[1]);
        let mut into_pruned = decode::<H::Crdt>(&encode(&pruned.state))?;
        let mut into_whole = decode::<H::Crdt>(&encode(&whole.state))?;
        let (from_pruned, from_whole) =
            (decode(&encode(&pruned.state))?, decode(&encode(&whole.state))?);
        let silent = &mut Effects::silent();
        into_pruned.join(&pruned.version, from_whole, &whole.version, silent);
        into_whole.join(&whole.version, from_pruned, &pruned.version, silent);
        world.check_view(&into_pruned, &union)?;
        world.check_view(&into_whole, &union)?;
        world.check_same("joins with a pruned state", &into_pruned, &into_whole)?;
    }
    Ok(())
}

fn join_with_the_past<H: CrdtHarness>(world: &World<'_, H>, rng: &mut Rng) -> CaseResult {
    let pruned = &world.peers[0];
    let past = &pruned.held[..rng.below(pruned.held.len() + 1)];
    let seen = world.version(past);
    let mut into_pruned = decode::<H::Crdt>(&encode(&pruned.state))?;
    let mut into_past = world.replay(past)?;
    let silent = &mut Effects::silent();
    into_pruned.join(&pruned.version, world.replay(past)?, &seen, silent);
    into_past.join(&seen, decode(&encode(&pruned.state))?, &pruned.version, silent);
    world.check_view(&into_pruned, &pruned.held)?;
    world.check_view(&into_past, &pruned.held)?;
    world.check_same("a pruned state joined with the past", &into_pruned, &pruned.state)?;
    world.check_same("the past joined with a pruned state", &into_past, &pruned.state)
}

fn prune_some<H: CrdtHarness>(world: &mut World<'_, H>, rng: &mut Rng) {
    for peer in 0..world.peers.len() {
        if rng.below(2) == 0 {
            let cut = world.cut(peer);
            world.peers[peer].state.prune(&cut);
        }
    }
}
