//! Cases about a killed process: a child writes batch after batch and says which
//! were committed; the parent kills it at a random moment and looks at the store.
//!
//! Batch n leaves the store in one known state, whatever was there before, so
//! that a lost batch and half a batch can be told apart.

use super::expect::{all, check, expect_pairs, require};
use crate::backend::{BackendHarness, Shows, Stores};
use crate::{CaseResult, Failure, Rng};
use repliq_core::{Batch, Pair, StorageBackend, StorageError};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a line that acknowledges a batch begins with.
const ACK: &str = "repliq committed ";
/// How long a child may take to commit one batch.
const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 5;
/// How many of the last batches have a key of their own.
const KEPT: u64 = 16;
const SLOTS: u8 = 24;

/// What a process started by [`BackendHarness::child`] does: commits batches
/// until it is killed, and writes a line to the standard output for each. It
/// ends by itself when nobody reads that output any more.
///
/// # Errors
/// The first error of the backend.
pub fn sigkill_child(store: &impl StorageBackend) -> Result<(), StorageError> {
    let last = store.scan(b"slot", None, 1)?.first().map_or(0, |(_, value)| number_of(value));
    for number in last + 1.. {
        store.commit(batch(number))?;
        let mut out = io::stdout().lock();
        // Not `println!`: a test runner captures that.
        if writeln!(out, "\n{ACK}{number}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}

/// Large now and then, so that a store's files fill and turn over.
fn value(number: u64, slot: u8) -> Vec<u8> {
    let length = if number % 7 == 3 && slot % 8 == 1 { 150_000 } else { usize::from(slot) * 9 };
    let mut value = number.to_be_bytes().to_vec();
    value.resize(8 + length, slot);
    value
}

fn number_of(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn batch_key(number: u64) -> Vec<u8> {
    [b"batch".as_slice(), &number.to_be_bytes()].concat()
}

fn slot_key(slot: u8) -> Vec<u8> {
    [b"slot".as_slice(), &[slot]].concat()
}

fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(batch_key(number), "");
    if number > KEPT {
        batch.delete(batch_key(number - KEPT));
    }
    for slot in 0..SLOTS {
        batch.put(slot_key(slot), value(number, slot));
    }
    batch
}

fn state_after(number: u64) -> Vec<Pair> {
    if number == 0 {
        return Vec::new();
    }
    let kept =
        (number.saturating_sub(KEPT - 1).max(1)..=number).map(|n| (batch_key(n), Vec::new()));
    let mut pairs: Vec<Pair> = kept.collect();
    pairs.extend((0..SLOTS).map(|slot| (slot_key(slot), value(number, slot))));
    pairs
}

/// A child that does not outlive the case.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kills a child after a random number of commits; gives the last acknowledged.
fn write_until_killed<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
    mut acked: u64,
) -> Result<u64, Failure> {
    let Some(mut command) = stores.harness.child() else {
        return Err(Failure::Skipped("the harness starts no child".to_owned()));
    };
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut child = Killed(spawned);
    let Some(output) = child.0.stdout.take() else {
        return Err(Failure::Broken("the child has no standard output".to_owned()));
    };
    let (tell, told) = mpsc::sync_channel(64);
    let reader = thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let number = |line: String| line.strip_prefix(ACK)?.parse::<u64>().ok();
        lines.filter_map(number).try_for_each(|number| tell.send(number))
    });
    let deadly = acked + 1 + rng.bits() % 40;
    while acked < deadly {
        acked = told.recv_timeout(PATIENCE).map_err(|_| {
            Failure::Broken(format!("the child stopped after batch {acked}: see its output"))
        })?;
    }
    // Not to wait for anything: a moment somewhere inside one of the next commits.
    thread::sleep(Duration::from_micros(rng.bits() % 3000));
    drop(child);
    let last = told.iter().last().unwrap_or(acked);
    let _ = reader.join();
    Ok(last)
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

fn last_batch(pairs: &[Pair]) -> u64 {
    let numbers = pairs.iter().filter(|(key, _)| key.starts_with(b"slot"));
    numbers.map(|(_, value)| number_of(value)).max().unwrap_or(0)
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
