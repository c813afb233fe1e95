//! Numbered batches: batch n leaves a store in one known state, whatever was
//! there before, so that a lost batch and half a batch can be told apart. They
//! overwrite, add and delete, and are large now and then.

use repliq_core::{Batch, Pair};
use std::collections::BTreeMap;

/// How many of the last batches have a key of their own.
const KEPT: u64 = 16;
const SLOTS: u8 = 24;

/// Large now and then, so that a store's files fill and turn over. Every part of
/// it shows the number.
fn value(number: u64, slot: u8) -> Vec<u8> {
    let length = if number % 7 == 3 && slot % 8 == 1 { 150_000 } else { usize::from(slot) * 9 };
    let mut value = number.to_be_bytes().to_vec();
    value.resize(8 + length, slot.wrapping_add(number.to_le_bytes()[0].wrapping_mul(29)));
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

/// The batch with this number, from 1 on.
pub(crate) fn batch(number: u64) -> Batch {
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

/// What a store holds after this batch; nothing, if it is 0.
pub(crate) fn state_after(number: u64) -> Vec<Pair> {
    if number == 0 {
        return Vec::new();
    }
    let kept =
        (number.saturating_sub(KEPT - 1).max(1)..=number).map(|n| (batch_key(n), Vec::new()));
    let mut pairs: Vec<Pair> = kept.collect();
    pairs.extend((0..SLOTS).map(|slot| (slot_key(slot), value(number, slot))));
    pairs
}

/// How many writes a large batch has.
const LARGE: u16 = 10_000;

/// The large batch with this number: it overwrites all of the one before it.
pub(crate) fn large_batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    for key in 0..LARGE {
        batch.put([b"large", key.to_be_bytes().as_slice()].concat(), number.to_be_bytes());
    }
    batch
}

/// The large batch that a store holds all of and no other; 0, if it is empty. Or what
/// it holds of several.
pub(crate) fn large_batch_in(pairs: &[Pair]) -> Result<u64, String> {
    let mut found: BTreeMap<u64, usize> = BTreeMap::new();
    for (_, value) in pairs {
        *found.entry(number_of(value)).or_default() += 1;
    }
    match found.first_key_value() {
        None => Ok(0),
        Some((number, count)) if *count == usize::from(LARGE) && found.len() == 1 => Ok(*number),
        _ => Err(format!("batches of {LARGE} writes, and so many of each are there: {found:?}")),
    }
}

/// The last batch that a store shows anything of.
pub(crate) fn last_batch(pairs: &[Pair]) -> u64 {
    let numbers = pairs.iter().filter(|(key, _)| key.starts_with(b"slot"));
    numbers.map(|(_, value)| number_of(value)).max().unwrap_or(0)
}
