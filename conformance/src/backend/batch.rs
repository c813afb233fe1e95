//! Cases about batches: an ordered list of writes, applied as a whole.

use super::expect::{all, check, expect_pairs, expect_scan, expect_value, put, put_keys};
use crate::backend::{BackendHarness, Stores};
use crate::{CaseResult, Rng};
use repliq_core::{Batch, StorageBackend};

const MANY: u32 = 10_000;

pub(crate) fn a_batch_applies_every_write<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"b", b"c", b"d"])?;
    let mut batch = Batch::new();
    batch.put("e", "e");
    batch.delete("b");
    batch.put("a", "new");
    batch.delete("absent");
    batch.delete("d");
    batch.put("", "");
    store.commit(batch)?;
    let expected = [("", ""), ("a", "new"), ("c", "c"), ("e", "e")];
    let expected = expected.map(|(key, value)| (key.into(), value.into()));
    expect_pairs("after a batch", &all(&store)?, &expected)
}

pub(crate) fn the_last_put_of_a_key_wins<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let mut batch = Batch::new();
    for value in ["3", "2", "9", "1", "5"] {
        batch.put("key", value);
        batch.put("other", "value");
    }
    store.commit(batch)?;
    expect_value(&store, b"key", Some(b"5"))
}

pub(crate) fn a_delete_after_a_put_wins<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put(&store, "old", "old")?;
    let mut batch = Batch::new();
    for key in ["old", "new"] {
        batch.delete(key);
        batch.put(key, "value");
        batch.delete(key);
    }
    store.commit(batch)?;
    expect_pairs("after the deletes", &all(&store)?, &[])
}

pub(crate) fn a_put_after_a_delete_wins<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put(&store, "old", "before")?;
    let mut batch = Batch::new();
    for key in ["old", "new"] {
        batch.put(key, "never seen");
        batch.delete(key);
        batch.put(key, key);
    }
    store.commit(batch)?;
    expect_scan(&store, b"", None, 9, &[b"new", b"old"])
}

pub(crate) fn an_empty_batch_changes_nothing<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    store.commit(Batch::new())?;
    expect_pairs("a new store", &all(&store)?, &[])?;
    put_keys(&store, &[b"", b"a"])?;
    store.commit(Batch::new())?;
    expect_scan(&store, b"", None, 9, &[b"", b"a"])
}

fn put_many(store: &impl StorageBackend, rng: &mut Rng) -> CaseResult {
    let mut batch = Batch::new();
    let step = 1 + 2 * u32::try_from(rng.below(100))?;
    for number in 0..MANY {
        let key = number.wrapping_mul(step).to_be_bytes();
        batch.put(key, key);
    }
    Ok(store.commit(batch)?)
}

pub(crate) fn a_batch_of_10_000_keys_lands<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_many(&store, rng)?;
    let found = all(&store)?;
    check(found.len() == MANY as usize, || format!("a scan gives {} keys", found.len()))?;
    check(found.is_sorted(), || "a scan gives them out of order".to_owned())?;
    for (key, value) in found.iter().step_by(97) {
        expect_value(&store, key, Some(value))?;
        check(key == value, || "a key has the value of another".to_owned())?;
    }
    Ok(())
}

pub(crate) fn a_batch_of_10_000_deletes_lands<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_many(&store, rng)?;
    let mut batch = Batch::new();
    let kept: Vec<_> = all(&store)?.into_iter().enumerate().collect();
    for (position, (key, _)) in &kept {
        if position % 100 != 0 {
            batch.delete(key.as_slice());
        }
    }
    store.commit(batch)?;
    let kept: Vec<_> = kept.into_iter().map(|(_, pair)| pair).step_by(100).collect();
    expect_pairs("after the deletes", &all(&store)?, &kept)
}
