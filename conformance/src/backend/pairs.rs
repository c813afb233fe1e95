//! Cases about single keys and values: whatever bytes go in come back.

use super::expect::{all, check, delete, expect_pairs, expect_scan, expect_value, put, put_keys};
use crate::backend::{BackendHarness, Stores};
use crate::{CaseResult, Rng};
use repliq_core::{Batch, StorageBackend};

pub(crate) fn opens_empty_and_isolated<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    expect_pairs("a new store", &all(&store)?, &[])?;
    put(&store, "mine", "value")?;
    let other = stores.other.open()?;
    expect_pairs("another new store, after a commit to the first", &all(&other)?, &[])?;
    put(&other, "yours", "value")?;
    expect_value(&other, b"mine", None)?;
    expect_value(&store, b"yours", None)
}

pub(crate) fn an_absent_key_has_no_value<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    expect_value(&store, b"b", None)?;
    put_keys(&store, &[b"a", b"c"])?;
    expect_value(&store, b"b", None)
}

pub(crate) fn a_value_reads_back<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    for round in 0..20_u8 {
        // Of every size, and one of more bytes than a byte counts.
        let length = if round == 7 { 300 } else { 1 + rng.below(300) };
        let (key, value) = ([vec![round], rng.bytes(8)].concat(), rng.bytes(length));
        put(&store, key.clone(), value.clone())?;
        expect_value(&store, &key, Some(&value))?;
    }
    Ok(())
}

pub(crate) fn a_put_replaces_the_value<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    for value in ["first, and longer than those after", "second", "third", "third"] {
        put(&store, "key", value)?;
        expect_value(&store, b"key", Some(value.as_bytes()))?;
    }
    let expected = [(b"key".to_vec(), b"third".to_vec())];
    expect_pairs("a key that was put four times", &all(&store)?, &expected)
}

pub(crate) fn a_deleted_key_has_no_value<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"b", b"bb", b"c"])?;
    delete(&store, "b")?;
    expect_value(&store, b"b", None)?;
    expect_scan(&store, b"", None, 9, &[b"a", b"bb", b"c"])?;
    put(&store, "b", "b")?;
    expect_value(&store, b"b", Some(b"b"))
}

pub(crate) fn deleting_an_absent_key_is_no_error<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    delete(&store, "absent")?;
    put(&store, "here", "here")?;
    delete(&store, "absent")?;
    delete(&store, "")?;
    expect_scan(&store, b"", None, 9, &[b"here"])
}

pub(crate) fn the_empty_key_is_a_key<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"\0"])?;
    expect_value(&store, b"", None)?;
    put_keys(&store, &[b""])?;
    expect_value(&store, b"", Some(b""))?;
    put(&store, "", "value")?;
    expect_value(&store, b"", Some(b"value"))?;
    let expected = [(vec![], b"value".to_vec()), (vec![0], vec![0])];
    expect_pairs("scan", &all(&store)?, &expected)?;
    delete(&store, "")?;
    expect_value(&store, b"", None)?;
    expect_scan(&store, b"", None, 9, &[b"\0"])
}

pub(crate) fn an_empty_value_is_a_value<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put(&store, "key", "")?;
    expect_value(&store, b"key", Some(b""))?;
    expect_pairs("scan", &all(&store)?, &[(b"key".to_vec(), vec![])])?;
    put(&store, "key", "value")?;
    put(&store, "key", "")?;
    expect_value(&store, b"key", Some(b""))
}

pub(crate) fn keys_and_values_are_any_bytes<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    for byte in 0..=u8::MAX {
        put(&store, [byte, 0, byte, 0xff], [0, byte, 0xff, byte, 0])?;
        put(&store, [byte], [byte])?;
    }
    for byte in 0..=u8::MAX {
        expect_value(&store, &[byte, 0, byte, 0xff], Some(&[0, byte, 0xff, byte, 0]))?;
        expect_value(&store, &[byte], Some(&[byte]))?;
    }
    let count = all(&store)?.len();
    check(count == 512, || format!("512 keys were put, a scan gives {count}"))
}

pub(crate) fn keys_that_extend_each_other_differ<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let keys: [&[u8]; 7] = [b"a", b"a\0", b"a\0\0", b"a\0a", b"aa", b"aa\0", b"ab"];
    put_keys(&store, &keys)?;
    for key in keys {
        expect_value(&store, key, Some(key))?;
    }
    delete(&store, "a")?;
    delete(&store, "aa")?;
    expect_scan(&store, b"", None, 9, &[b"a\0", b"a\0\0", b"a\0a", b"aa\0", b"ab"])
}

pub(crate) fn keys_of_1_kib_differ_in_their_last_byte<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let prefix = rng.bytes(1023);
    for last in [7, 0, 255, 128] {
        put(&store, [prefix.as_slice(), &[last]].concat(), [last])?;
    }
    for last in [0, 7, 128, 255] {
        expect_value(&store, &[prefix.as_slice(), &[last]].concat(), Some(&[last]))?;
    }
    expect_value(&store, &prefix, None)?;
    let values: Vec<_> =
        store.scan(&prefix, None, 9)?.into_iter().flat_map(|(_, value)| value).collect();
    check(values == [0, 7, 128, 255], || format!("a scan gives them as {values:?}"))
}

fn a_value_reads_back_whole<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
    length: usize,
) -> CaseResult {
    let store = stores.open()?;
    let pattern = rng.bytes(4099);
    let value: Vec<u8> = pattern.iter().copied().cycle().take(length).collect();
    put_keys(&store, &[b"a", b"z"])?;
    put(&store, "large", value.clone())?;
    expect_value(&store, b"large", Some(&value))?;
    expect_pairs("scan", &store.scan(b"l", None, 9)?, &[(b"large".to_vec(), value)])?;
    put(&store, "large", "large")?;
    expect_scan(&store, b"", None, 9, &[b"a", b"large", b"z"])
}

pub(crate) fn a_value_of_1_mib_reads_back<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    a_value_reads_back_whole(stores, rng, 1 << 20)
}

pub(crate) fn a_value_of_16_mib_reads_back<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    a_value_reads_back_whole(stores, rng, 16 << 20)
}

/// More often than a count of one byte, and in one batch than one of two.
pub(crate) fn a_key_put_many_times_keeps_its_last_value<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    for number in 0..300_u32 {
        put(&store, "key", number.to_be_bytes())?;
        expect_value(&store, b"key", Some(&number.to_be_bytes()))?;
    }
    let mut batch = Batch::new();
    for number in 0..70_000_u32 {
        batch.put("key", number.to_be_bytes());
    }
    store.commit(batch)?;
    expect_value(&store, b"key", Some(&69_999_u32.to_be_bytes()))?;
    delete(&store, "key")?;
    expect_value(&store, b"key", None)
}
