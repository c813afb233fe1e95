//! Cases about closing and opening a store: what was committed is still there.

use super::expect::{all, check, delete, expect_pairs, expect_scan, expect_value};
use super::expect::{put, put_keys, require};
use crate::backend::{BackendHarness, Shows, Stores};
use crate::{CaseResult, Rng};
use repliq_core::{Batch, StorageBackend, StorageErrorKind};

pub(crate) fn values_survive_a_reopen<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let keys: [&[u8]; 4] = [b"", b"\0", b"key", b"\xff\xff"];
    let store = stores.open()?;
    put(&store, "key", "older")?;
    put_keys(&store, &keys)?;
    put(&store, "empty", "")?;
    drop(store);
    let store = stores.open()?;
    expect_value(&store, b"empty", Some(b""))?;
    delete(&store, "empty")?;
    expect_scan(&store, b"", None, 99, &keys)
}

pub(crate) fn deletes_survive_a_reopen<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"b", b"c"])?;
    drop(store);
    let store = stores.open()?;
    delete(&store, "b")?;
    drop(store);
    let store = stores.open()?;
    expect_value(&store, b"b", None)?;
    expect_scan(&store, b"", None, 99, &[b"a", b"c"])
}

pub(crate) fn the_last_batch_survives_a_drop_at_once<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    for number in 0..5_u8 {
        let value = rng.bytes(100);
        put(&stores.open()?, [number], value.clone())?;
        expect_value(&stores.open()?, &[number], Some(&value))?;
    }
    Ok(())
}

pub(crate) fn large_values_survive_a_reopen<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let store = stores.open()?;
    let pattern = rng.bytes(4099);
    let value = |length| pattern.iter().copied().cycle().take(length).collect::<Vec<u8>>();
    let mut expected = Vec::new();
    for (key, length) in (0_u8..).zip([1, 4095, 65_536, 65_537, 500_000, 1 << 20]) {
        put(&store, [key], value(length + 1))?;
        put(&store, [key], value(length))?;
        expected.push((vec![key], value(length)));
    }
    drop(store);
    expect_pairs("after a reopen", &all(&stores.open()?)?, &expected)
}

pub(crate) fn long_keys_survive_a_reopen<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let store = stores.open()?;
    let prefix = rng.bytes(1023);
    let mut expected = Vec::new();
    for length in [127, 128, 255, 256, 257, 1023] {
        let key: Vec<u8> = prefix.iter().copied().take(length).chain([7]).collect();
        put(&store, key.clone(), length.to_be_bytes())?;
        expected.push((key, length.to_be_bytes().to_vec()));
    }
    expected.sort();
    drop(store);
    expect_pairs("after a reopen", &all(&stores.open()?)?, &expected)
}

pub(crate) fn an_empty_store_reopens_empty<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    drop(stores.open()?);
    expect_pairs("after a reopen", &all(&stores.open()?)?, &[])?;
    let store = stores.open()?;
    put_keys(&store, &[b"a"])?;
    delete(&store, "a")?;
    drop(store);
    expect_pairs("after everything was deleted", &all(&stores.open()?)?, &[])
}

pub(crate) fn many_reopens_lose_nothing<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let mut expected = Vec::new();
    let mut newest = None;
    for number in 0..20_u8 {
        let store = stores.open()?;
        expect_value(&store, b"newest", newest.as_ref().map(<[u8; 1]>::as_slice))?;
        delete(&store, "newest")?;
        expect_pairs(&format!("reopen {number}"), &all(&store)?, &expected)?;
        let mut batch = Batch::new();
        batch.put([number], [number]);
        batch.put("newest", [number]);
        newest = Some([number]);
        expected.push((vec![number], vec![number]));
        if number % 3 == 2 {
            batch.delete([number - 1]);
            expected.retain(|(key, _)| *key != [number - 1]);
        }
        store.commit(batch)?;
    }
    expected.push((b"newest".to_vec(), vec![19]));
    expect_pairs("at last", &all(&stores.open()?)?, &expected)
}

pub(crate) fn the_declared_durability_stays<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let mut declared = None;
    for number in 0..3_u8 {
        let store = stores.open()?;
        let first = *declared.get_or_insert_with(|| store.durability());
        put(&store, [number], [number])?;
        let now = store.durability();
        check(now == first, || format!("a store that declared {first} now declares {now}"))?;
    }
    Ok(())
}

/// Two handles on one store that know nothing of each other write over each other.
pub(crate) fn a_second_handle_is_refused_or_shares_the_store<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let first = stores.open()?;
    put(&first, "early", "first")?;
    let second = stores.open();
    put(&first, "late", "first")?;
    match second {
        Err(error) => check(error.kind == StorageErrorKind::Locked, || {
            format!("opening an open store must be Locked, or work: {error}")
        })?,
        Ok(second) => {
            expect_value(&second, b"early", Some(b"first"))?;
            expect_value(&second, b"late", Some(b"first"))?;
            put(&second, "late", "second")?;
            expect_value(&first, b"late", Some(b"second"))?;
            put(&first, "late", "first")?;
        }
    }
    expect_value(&first, b"late", Some(b"first"))?;
    drop(first);
    let store = stores.open()?;
    expect_value(&store, b"early", Some(b"first"))?;
    expect_value(&store, b"late", Some(b"first"))
}
