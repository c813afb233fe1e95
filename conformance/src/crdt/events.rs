//! Cases of events: who only listens ends up with what a reader sees.

use super::harness::CrdtHarness;
use super::world::{Time, World};
use crate::case::{CaseResult, Failure, Rng};
use repliq_core::{Crdt, Effects, encode};

const ROUNDS: usize = 24;

/// The events of own and others' ops keep a copy of the view up to date.
pub(super) fn events_of_ops_keep_a_shadow_true<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 10)?;
        let mut shadow = harness.view(&world.peers[0].state);
        for _ in 0..15 {
            let mut effects = Effects::new(true, false);
            let waiting = world.deliverable(0);
            match waiting.first() {
                Some(&commit) if rng.below(2) == 0 => {
                    world.deliver_reporting(0, commit, &mut effects)?;
                }
                _ => world.edit_reporting(rng, 0, 2, &mut effects)?,
            }
            let other = 1 + rng.below(world.peers.len() - 1);
            world.edit(rng, other, 2)?;
            follow(harness, &mut shadow, &mut effects, &world.peers[0].state)?;
        }
    }
    Ok(())
}

/// The events of a join do so too.
pub(super) fn events_of_a_join_keep_a_shadow_true<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for round in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 20)?;
        if round % 2 == 0 {
            world.settle(rng)?;
            let cut = world.cut(1);
            world.peers[1].state.prune(&cut);
            world.live(rng, 10)?;
        }
        let mut shadow = harness.view(&world.peers[0].state);
        let mut effects = Effects::new(true, false);
        let other = repliq_core::decode(&encode(&world.peers[1].state))?;
        let theirs = world.peers[1].version.clone();
        let peer = &mut world.peers[0];
        peer.state.join(&peer.version, other, &theirs, &mut effects);
        follow(harness, &mut shadow, &mut effects, &world.peers[0].state)?;
    }
    Ok(())
}

/// State, events and undos are the same whoever asked for them.
pub(super) fn effects_do_not_depend_on_who_asked<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let world = World::lived(harness, rng, time, 25)?;
        let asked = [(false, false), (true, false), (false, true), (true, true)];
        let mut states = [(); 4].map(|()| H::Crdt::default());
        for (op, at) in world.commits.iter().flat_map(|commit| &commit.ops) {
            let mut events = Vec::new();
            let mut undos = Vec::new();
            for ((for_events, for_undos), state) in asked.into_iter().zip(&mut states) {
                let mut effects = Effects::new(for_events, for_undos);
                state.apply(op.clone(), *at, &mut effects)?;
                if for_events {
                    events.push(effects.take_events().len());
                }
                if for_undos {
                    undos.push(effects.take_undos().len());
                }
            }
            if events[0] != events[1] || undos[0] != undos[1] {
                let why = "how many effects are reported depends on who asked";
                return Err(Failure::Broken(why.to_owned()));
            }
            for state in &states[1..] {
                world.check_same("with and without listeners", &states[0], state)?;
            }
        }
    }
    Ok(())
}

fn follow<H: CrdtHarness>(
    harness: &H,
    shadow: &mut H::View,
    effects: &mut Effects<H::Crdt>,
    state: &H::Crdt,
) -> CaseResult {
    for event in effects.take_events() {
        harness.patch(shadow, event);
    }
    let seen = harness.view(state);
    if *shadow == seen {
        return Ok(());
    }
    Err(Failure::Broken(format!("by the events a reader sees {shadow:?}; it sees {seen:?}")))
}
