//! Cases about a killed process: a child writes batch after batch and says which
//! were committed; the parent kills it at a random moment and looks at the store.

use super::child::{Writer, write_large};
use super::expect::{all, check, expect_pairs, require};
use super::numbered::{large_batch_in, last_batch, state_after};
use crate::backend::{BackendHarness, Shows, Stores};
use crate::{CaseResult, Failure, Rng};
use repliq_core::Pair;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

fn child_of<H: BackendHarness>(stores: &Stores<H>) -> Result<Command, Failure> {
    let none = || Failure::Skipped("the harness starts no child".to_owned());
    stores.harness.child().ok_or_else(none)
}

/// Kills a child after a random number of commits; gives the last acknowledged.
fn write_until_killed<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
    known: u64,
) -> Result<u64, Failure> {
    let mut writer = Writer::start(child_of(stores)?, known)?;
    writer.await_batch(known + 1 + rng.bits() % 40)?;
    // Not to wait for anything: a moment somewhere inside one of the next commits.
    thread::sleep(Duration::from_micros(rng.bits() % 3000));
    Ok(writer.kill())
}

fn each_kill<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
    verify: impl Fn(u64, &[Pair]) -> CaseResult,
) -> CaseResult {
    require(stores, Shows::Sigkill)?;
    let mut known = 0;
    for _ in 0..ROUNDS {
        let acked = write_until_killed(stores, rng, known)?;
        let pairs = all(&stores.open()?)?;
        verify(acked, &pairs)?;
        known = last_batch(&pairs);
    }
    Ok(())
}

pub(crate) fn a_killed_process_loses_nothing_acked<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    each_kill(stores, rng, |acked, pairs| {
        let found = last_batch(pairs);
        check(found >= acked, || format!("batch {acked} was acked, {found} is the last found"))?;
        check(found <= acked + 1, || format!("batch {found} was found, {acked} was the last"))
    })
}

pub(crate) fn a_killed_process_leaves_batches_whole<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    each_kill(stores, rng, |_, pairs| {
        let found = last_batch(pairs);
        expect_pairs(&format!("after batch {found}"), pairs, &state_after(found))
    })
}

/// Batches so large that a commit takes a while, and each killed on its way: what is
/// written in portions shows.
pub(crate) fn a_killed_process_leaves_large_batches_whole<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Sigkill)?;
    let mut known = 0;
    for _ in 0..ROUNDS {
        let mut command = child_of(stores)?;
        write_large(&mut command);
        let mut writer = Writer::start(command, known)?;
        writer.await_begin_of(known + 1)?;
        let begun = Instant::now();
        writer.await_batch(known + 1)?;
        let took = begun.elapsed();
        writer.await_begin_of(known + 2)?;
        // Not to wait for anything: a moment somewhere inside this commit.
        let share = u32::try_from(rng.below(100))?;
        thread::sleep(took.saturating_mul(share) / 100);
        let acked = writer.kill();
        let found = large_batch_in(&all(&stores.open()?)?)?;
        check((acked..=acked + 1).contains(&found), || {
            format!("batch {acked} was the last acked, {found} is the last found")
        })?;
        known = found;
    }
    Ok(())
}
