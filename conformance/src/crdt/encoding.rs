//! Cases of bytes: what is written is read back, and nothing read does harm.

use super::harness::CrdtHarness;
use super::world::{Time, World, check_same};
use crate::case::{CaseResult, Failure, Rng};
use repliq_core::{Crdt, Effects, OpReader, decode, encode};

const ROUNDS: usize = 24;

/// A state decodes to a state with the same bytes and the same view, at every age.
pub(super) fn a_state_survives_encoding<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for round in 0..ROUNDS {
        let time = if round == 0 { Time::Late } else { Time::ordinary(rng) };
        let world = World::lived(harness, rng, time, round * 3)?;
        for peer in &world.peers {
            let decoded = decode(&encode(&peer.state))?;
            world.check_same("a state and its decoded copy", &peer.state, &decoded)?;
        }
    }
    Ok(())
}

/// A decoded state takes further ops and joins like the one it was written from.
pub(super) fn a_decoded_state_goes_on<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 20)?;
        let decoded = decode::<H::Crdt>(&encode(&world.peers[0].state))?;
        let mut joined = decode::<H::Crdt>(&encode(&world.peers[0].state))?;
        let (version, other) = (&world.peers[0].version, &world.peers[1].version);
        joined.join(version, world.copy(rng, 1)?, other, &mut Effects::silent());
        let applied = world.replay(&world.union(&[0, 1]))?;
        world.check_same("a decoded state joined", &joined, &applied)?;
        world.peers[0].state = decoded;
        world.settle(rng)?;
        world.check(0)?;
        world.check_same("a decoded state", &world.peers[0].state, &world.peers[1].state)?;
    }
    Ok(())
}

/// Bytes cut short are an error; bytes changed are an error or a sound state.
pub(super) fn damaged_bytes_do_no_harm<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..4 {
        let world = World::lived(harness, rng, Time::Apart, 25)?;
        damage_state(&world, rng)?;
    }
    Ok(())
}

fn damage_state<H: CrdtHarness>(world: &World<'_, H>, rng: &mut Rng) -> CaseResult {
    let bytes = encode(&world.peers[0].state);
    for end in 0..bytes.len() {
        if decode::<H::Crdt>(&bytes[..end]).is_ok() {
            let why = format!("the first {end} of {} bytes decode as a state", bytes.len());
            return Err(Failure::Broken(why));
        }
    }
    for _ in 0..500 {
        let damaged = damage(rng, &bytes);
        let Ok(state) = decode::<H::Crdt>(&damaged) else { continue };
        let written = encode(&state);
        check_same(world.harness, "a state of damaged bytes", &state, &decode(&written)?)?;
        try_out(world, rng, state)?;
    }
    Ok(())
}

/// A state that decodes must not panic later either.
fn try_out<H: CrdtHarness>(world: &World<'_, H>, rng: &mut Rng, mut state: H::Crdt) -> CaseResult {
    let mut effects = Effects::new(true, true);
    for (op, at) in world.commits.iter().flat_map(|commit| &commit.ops) {
        let _ = state.apply(op.clone(), *at, &mut effects);
    }
    let version = &world.peers[1].version;
    state.join(&world.peers[0].version, world.copy(rng, 1)?, version, &mut effects);
    for undo in effects.take_undos().into_iter().rev() {
        state.rollback(undo);
    }
    let _ = world.harness.view(&state);
    Ok(())
}

fn damage(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=rng.below(3) {
        let place = rng.below(damaged.len());
        match rng.below(4) {
            0 if !damaged.is_empty() => damaged[place] = rng.bits().to_le_bytes()[0],
            1 if !damaged.is_empty() => damaged[place] ^= 1 << rng.below(8),
            2 => drop(damaged.splice(place..place, [0xff; 9])),
            _ => {
                let end = damaged.len().min(place + 1 + rng.below(8));
                let copied = damaged[place..end].to_vec();
                drop(damaged.splice(place..place, copied));
            }
        }
    }
    damaged
}

/// Ops decode to ops that do the same, one after the other as in a change.
pub(super) fn ops_survive_encoding<H: CrdtHarness>(harness: &H, rng: &mut Rng) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let world = World::lived(harness, rng, time, 20)?;
        let mut state = H::Crdt::default();
        for commit in &world.commits {
            let payload: Vec<u8> = commit.ops.iter().flat_map(|(op, _)| encode(op)).collect();
            let mut reader = OpReader::new(&payload);
            for (op, at) in &commit.ops {
                let decoded = reader.next_op::<<H::Crdt as Crdt>::Op>()?;
                let decoded = decoded.ok_or("an op has no bytes")?;
                if encode(&decoded) != encode(op) {
                    return Err(Failure::Broken("an op decodes to other bytes".to_owned()));
                }
                state.apply(decoded, *at, &mut Effects::silent())?;
            }
        }
        let all: Vec<_> = (0..world.commits.len()).collect();
        world.check_same("ops and their decoded copies", &world.replay(&all)?, &state)?;
    }
    Ok(())
}

/// Ops that were made one leave, where they are taken in, what the ops apart left at
/// their author.
pub(super) fn ops_made_one_leave_the_same<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 10)?;
        for peer in 0..world.peers.len() {
            world.edit_as_one(rng, peer, 8)?;
            let author = &world.peers[peer];
            let taken_in = world.replay(&author.held)?;
            world.check_same("an author and who takes its ops in", &author.state, &taken_in)?;
        }
    }
    Ok(())
}

/// Sequence numbers are counted in slots, so every op takes at least one, and
/// equal ops the same number, wherever and whenever they are asked.
pub(super) fn slots_are_a_function_of_the_op<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    let mut state = H::Crdt::default();
    let mut seq = 0;
    for hlc in 0..100 {
        let Some(op) = harness.edit(rng, &state) else { continue };
        let decoded = decode::<<H::Crdt as Crdt>::Op>(&encode(&op))?;
        let slots = H::Crdt::slots(&op);
        if slots == 0 {
            return Err(Failure::Broken("an op takes no slot".to_owned()));
        }
        if H::Crdt::slots(&op) != slots || H::Crdt::slots(&decoded) != slots {
            return Err(Failure::Broken("equal ops take different numbers of slots".to_owned()));
        }
        let replica = repliq_core::ReplicaId::from_bytes([1; 16]);
        let dot = repliq_core::Dot { replica, seq };
        let at = repliq_core::Stamp { hlc: repliq_core::Hlc(hlc), dot };
        state.apply(op, at, &mut Effects::silent())?;
        seq += slots;
    }
    Ok(())
}

/// Its author applies an op that was never encoded, all others one that was.
pub(super) fn an_op_does_the_same_before_and_after_encoding<H: CrdtHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let time = Time::ordinary(rng);
        let mut world = World::lived(harness, rng, time, 15)?;
        world.settle(rng)?;
        let mut own = world.copy(rng, 0)?;
        let mut other = world.copy(rng, 0)?;
        let Some(op) = harness.edit(rng, &own) else { continue };
        let decoded = decode(&encode(&op))?;
        let at = world.later();
        own.apply(op, at, &mut Effects::silent())?;
        other.apply(decoded, at, &mut Effects::silent())?;
        world.check_same("an op and its decoded copy", &own, &other)?;
    }
    Ok(())
}
