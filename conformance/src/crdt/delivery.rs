//! Cases of delivering ops: any causal order gives one state, the right one.

use super::harness::CrdtHarness;
use super::world::{Time, World};
use crate::case::{CaseResult, Failure, Rng};

const ROUNDS: usize = 24;

/// Concurrent edits on one shared state, applied in two orders.
pub(super) fn concurrent_ops_commute<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 15)?;
        world.settle(rng)?;
        let shared = world.peers[0].held.clone();
        for peer in 0..world.peers.len() {
            world.edit(rng, peer, 2)?;
        }
        let forwards: Vec<_> = (shared.len()..world.commits.len()).collect();
        let backwards = forwards.iter().rev();
        let one = world.replay(&[&shared[..], &forwards].concat())?;
        let other = world.replay(&shared.iter().chain(backwards).copied().collect::<Vec<_>>())?;
        world.check_same("concurrent ops in two orders", &one, &other)?;
    }
    Ok(())
}

/// Long concurrent histories in many orders: equal states, equal bytes.
pub(super) fn equal_histories_give_equal_bytes<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 40)?;
        world.settle(rng)?;
        for peer in &world.peers {
            world.check_same("replicas that hold the same", &peer.state, &world.peers[0].state)?;
        }
    }
    Ok(())
}

/// The same ops in the same order, again: nothing but them may count.
pub(super) fn the_state_depends_on_the_ops_alone<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let world = World::lived(harness, rng, time, 20)?;
        for peer in &world.peers {
            let again = world.replay(&peer.held)?;
            world.check_same("the same ops in the same order", &peer.state, &again)?;
        }
    }
    Ok(())
}

/// An op that its author could make is refused nowhere, whatever else is known there.
pub(super) fn an_accepted_op_is_accepted_everywhere<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 30)?;
        world.settle(rng).map_err(|why| match why {
            Failure::Broken(why) => Failure::Broken(format!("refused elsewhere: {why}")),
            skipped => skipped,
        })?;
    }
    Ok(())
}

/// Replicas can agree on a wrong value: the oracle knows the right one.
pub(super) fn the_view_matches_the_oracle<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::new(harness, rng, time);
        for _ in 0..30 {
            world.live(rng, 1)?;
            (0..world.peers.len()).try_for_each(|peer| world.check(peer))?;
        }
        world.settle(rng)?;
        world.check(0)?;
    }
    Ok(())
}

/// Edits that happen at exactly the same time on different replicas.
pub(super) fn equal_times_are_decided_alike<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let mut world = World::new(harness, rng, Time::Equal);
        for _ in 0..4 {
            for peer in 0..world.peers.len() {
                world.edit(rng, peer, 1)?;
            }
        }
        world.settle(rng)?;
        for peer in 0..world.peers.len() {
            world.check(peer)?;
            world.check_same("equal times", &world.peers[peer].state, &world.peers[0].state)?;
        }
    }
    Ok(())
}

/// The first and the last timestamps there are.
pub(super) fn the_ends_of_time_are_times_like_others<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for round in 0..ROUNDS {
        let time = if round % 2 == 0 { Time::Early } else { Time::Late };
        let mut world = World::new(harness, rng, time);
        for _ in 0..20 {
            world.live(rng, 2)?;
            (0..world.peers.len()).try_for_each(|peer| world.check(peer))?;
        }
        world.settle(rng)?;
        for peer in &world.peers {
            world.check_same("ends of time", &peer.state, &world.peers[0].state)?;
        }
    }
    Ok(())
}

/// Thousands of edits by replicas that meet now and then.
pub(super) fn a_long_lived_document_stays_right<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    let mut world = World::new(harness, rng, Time::Jumping);
    let peers = world.peers.len();
    for _ in 0..40 {
        for peer in 0..peers {
            for _ in 0..10 {
                let ops = 1 + rng.below(5);
                world.edit(rng, peer, ops)?;
            }
        }
        let peer = rng.below(peers);
        catch_up(&mut world, peer)?;
    }
    (0..peers).try_for_each(|peer| catch_up(&mut world, peer))?;
    for peer in 0..peers {
        world.check(peer)?;
        world.check_same("a long history", &world.peers[peer].state, &world.peers[0].state)?;
    }
    Ok(())
}

/// The order in which things were said is a causal order.
fn catch_up<H: CrdtHarness>(world: &mut World<'_, H>, peer: usize) -> CaseResult {
    for commit in 0..world.commits.len() {
        if !world.peers[peer].version.contains(world.commits[commit].dot) {
            world.deliver(peer, commit)?;
        }
    }
    Ok(())
}
