//! Cases that compare a store with a sorted map, operation by operation.

use super::expect::{all, expect_pairs, expect_value, require, shown};
use crate::backend::{BackendHarness, Shows, Stores};
use crate::{CaseResult, Rng};
use repliq_core::{Batch, Pair, StorageBackend};
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Keys collide, nest and touch both ends of the byte range.
fn random_key(rng: &mut Rng) -> Vec<u8> {
    const BYTES: [u8; 6] = [0, 1, b'a', 0x7f, 0x80, 0xff];
    let length = rng.below(5);
    let mut byte = || BYTES.get(rng.below(BYTES.len())).copied().unwrap_or_default();
    (0..length).map(|_| byte()).collect()
}

fn random_batch(rng: &mut Rng) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..rng.below(8) {
        let key = random_key(rng);
        if rng.below(3) == 0 {
            batch.delete(key);
        } else {
            let length = rng.below(20);
            batch.put(key, rng.bytes(length));
        }
    }
    batch
}

fn apply(model: &mut Model, batch: Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => model.insert(key, value),
            None => model.remove(&key),
        };
    }
}

fn compare(store: &impl StorageBackend, model: &Model, rng: &mut Rng) -> CaseResult {
    let key = random_key(rng);
    expect_value(store, &key, model.get(&key).map(Vec::as_slice))?;
    let prefix = random_key(rng).into_iter().take(rng.below(3)).collect::<Vec<_>>();
    let after = (rng.below(2) == 0).then(|| random_key(rng));
    let limit = rng.below(12);
    let matches = |key: &[u8]| key.starts_with(&prefix) && after.as_deref().is_none_or(|a| key > a);
    let expected: Vec<Pair> = model
        .iter()
        .filter(|(key, _)| matches(key))
        .take(limit)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let after = after.as_deref();
    let what = format!("scan {} after {:?} limit {limit}", shown(&prefix), after.map(shown));
    expect_pairs(&what, &store.scan(&prefix, after, limit)?, &expected)
}

fn compare_all(store: &impl StorageBackend, model: &Model) -> CaseResult {
    let expected: Vec<Pair> = model.clone().into_iter().collect();
    expect_pairs("the whole store", &all(store)?, &expected)
}

pub(crate) fn random_operations_match_a_sorted_map<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let mut model = Model::new();
    for _ in 0..300 {
        let batch = random_batch(rng);
        store.commit(batch.clone())?;
        apply(&mut model, batch);
        compare(&store, &model, rng)?;
        compare(&store, &model, rng)?;
    }
    compare_all(&store, &model)
}

pub(crate) fn random_operations_with_reopens_match_a_sorted_map<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let mut model = Model::new();
    for _ in 0..12 {
        let store = stores.open()?;
        compare_all(&store, &model)?;
        for _ in 0..rng.below(20) {
            let batch = random_batch(rng);
            store.commit(batch.clone())?;
            apply(&mut model, batch);
            compare(&store, &model, rng)?;
        }
    }
    compare_all(&stores.open()?, &model)
}
