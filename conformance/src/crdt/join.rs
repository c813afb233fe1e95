//! Cases of merging states: joining states is joining histories.

use super::harness::CrdtHarness;
use super::world::{Time, World};
use crate::case::{CaseResult, Failure, Rng};
use repliq_core::{Crdt, Effects, Version, encode};

const ROUNDS: usize = 24;

/// A state and what it has seen.
struct Seen<C> {
    state: C,
    version: Version,
}

impl<C: Crdt> Seen<C> {
    fn of<H: CrdtHarness<Crdt = C>>(
        world: &World<'_, H>,
        rng: &mut Rng,
        peer: usize,
    ) -> Result<Self, Failure> {
        let version = world.peers[peer].version.clone();
        Ok(Self { state: world.copy(rng, peer)?, version })
    }

    fn join(mut self, other: Self) -> Self {
        self.state.join(&self.version, other.state, &other.version, &mut Effects::silent());
        self.version.join(&other.version);
        self
    }
}

fn world<'h, H: CrdtHarness>(harness: &'h H, rng: &mut Rng) -> Result<World<'h, H>, Failure> {
    let time = Time::ordinary(rng);
    World::lived(harness, rng, time, 25)
}

/// `a ⊔ b = b ⊔ a`
pub(super) fn join_is_commutative<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..ROUNDS {
        let world = world(harness, rng)?;
        let ab = Seen::of(&world, rng, 0)?.join(Seen::of(&world, rng, 1)?);
        let ba = Seen::of(&world, rng, 1)?.join(Seen::of(&world, rng, 0)?);
        world.check_same("a joined with b, b joined with a", &ab.state, &ba.state)?;
    }
    Ok(())
}

/// `(a ⊔ b) ⊔ c = a ⊔ (b ⊔ c)`
pub(super) fn join_is_associative<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..ROUNDS {
        let world = world(harness, rng)?;
        let third = world.peers.len() - 1;
        let [a, b, c] = [0, 1, third].map(|peer| Seen::of(&world, rng, peer));
        let left = a?.join(b?).join(c?);
        let [a, b, c] = [0, 1, third].map(|peer| Seen::of(&world, rng, peer));
        let right = a?.join(b?.join(c?));
        world.check_same("(a, b), c and a, (b, c) joined", &left.state, &right.state)?;
    }
    Ok(())
}

/// `a ⊔ a = a`, and joining the same state twice is joining it once.
pub(super) fn join_is_idempotent<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..ROUNDS {
        let world = world(harness, rng)?;
        let a = Seen::of(&world, rng, 0)?;
        let aa = Seen::of(&world, rng, 0)?.join(Seen::of(&world, rng, 0)?);
        world.check_same("a state joined with itself", &a.state, &aa.state)?;
        let once = a.join(Seen::of(&world, rng, 1)?);
        let twice = aa.join(Seen::of(&world, rng, 1)?).join(Seen::of(&world, rng, 1)?);
        world.check_same("a state joined once and twice", &once.state, &twice.state)?;
    }
    Ok(())
}

/// Joining two states is applying both histories.
pub(super) fn join_gives_the_union_of_histories<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let world = world(harness, rng)?;
        let joined = Seen::of(&world, rng, 0)?.join(Seen::of(&world, rng, 1)?);
        let union = world.union(&[0, 1]);
        let applied = world.replay(&world.shuffled(rng, &union))?;
        world.check_same("a join and the union of histories", &joined.state, &applied)?;
        world.check_view(&joined.state, &union)?;
    }
    Ok(())
}

/// A state that was overtaken long ago brings nothing, and nothing is told.
pub(super) fn joining_an_older_state_changes_nothing<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let world = world(harness, rng)?;
        let mut now = Seen::of(&world, rng, 0)?;
        let before = encode(&now.state);
        let held = &world.peers[0].held;
        let older = &held[..rng.below(held.len() + 1)];
        let mut effects = Effects::new(true, false);
        now.state.join(&now.version, world.replay(older)?, &world.version(older), &mut effects);
        if encode(&now.state) != before {
            return Err(Failure::Broken("joining an older state changed the state".to_owned()));
        }
        if !effects.take_events().is_empty() {
            return Err(Failure::Broken("joining an older state told events".to_owned()));
        }
    }
    Ok(())
}

/// States sent at different times, arriving late, again and in disorder.
pub(super) fn states_may_come_late_and_often<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let world = world(harness, rng)?;
        let everyone: Vec<_> = (0..world.peers.len()).collect();
        let all = world.union(&everyone);
        let mut reader = Seen { state: H::Crdt::default(), version: Version::new() };
        for _ in 0..12 {
            let held = &world.peers[rng.below(everyone.len())].held;
            let sent = &held[..rng.below(held.len() + 1)];
            let version = world.version(sent);
            reader = reader.join(Seen { state: world.replay(sent)?, version });
        }
        for &peer in &everyone {
            reader = reader.join(Seen::of(&world, rng, peer)?);
        }
        let applied = world.replay(&all)?;
        world.check_same("states that came late and often", &reader.state, &applied)?;
    }
    Ok(())
}

/// `default ⊔ a = a = a ⊔ default`
pub(super) fn the_default_is_the_identity_of_join<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let world = world(harness, rng)?;
        let nothing = || Seen { state: H::Crdt::default(), version: Version::new() };
        let a = Seen::of(&world, rng, 0)?;
        let from_left = nothing().join(Seen::of(&world, rng, 0)?);
        let from_right = Seen::of(&world, rng, 0)?.join(nothing());
        world.check_same("nothing joined with a state", &from_left.state, &a.state)?;
        world.check_same("a state joined with nothing", &from_right.state, &a.state)?;
        world.check_view(&nothing().state, &[])?;
    }
    Ok(())
}

/// A state that came of a join takes ops like one that came of ops.
pub(super) fn a_joined_state_goes_on<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..ROUNDS {
        let mut world = world(harness, rng)?;
        let joined = Seen::of(&world, rng, 0)?.join(Seen::of(&world, rng, 1)?);
        world.peers[0].held = world.union(&[0, 1]);
        world.peers[0].state = joined.state;
        world.peers[0].version = joined.version;
        world.settle(rng)?;
        world.check(0)?;
        world.check_same(
            "with and without a join",
            &world.peers[0].state,
            &world.peers[1].state,
        )?;
    }
    Ok(())
}

/// Who has removed all there was has an empty state that says so.
pub(super) fn an_emptied_state_takes_along_what_it_removed<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    let empty = harness.view(&H::Crdt::default());
    for _ in 0..ROUNDS * 20 {
        let time = Time::ordinary(rng);
        let mut world = World::new(harness, rng, time);
        world.edit(rng, 0, 1)?;
        for commit in world.deliverable(1) {
            world.deliver(1, commit)?;
        }
        // A type from which nothing is ever removed has nothing to show here.
        for _ in 0..3 {
            world.edit(rng, 1, 1)?;
            if harness.view(&world.peers[1].state) == empty {
                let joined = Seen::of(&world, rng, 0)?.join(Seen::of(&world, rng, 1)?);
                let applied = world.copy(rng, 1)?;
                world.check_same("a join with an emptied state", &joined.state, &applied)?;
            }
        }
    }
    Ok(())
}
