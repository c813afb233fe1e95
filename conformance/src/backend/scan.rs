//! Cases about scans: the order of keys, and the three bounds of a scan.

use super::expect::{all, check, delete, expect_pairs, expect_scan, expect_value, put, put_keys};
use crate::backend::{BackendHarness, Stores};
use crate::{CaseResult, Rng};
use repliq_core::{Batch, StorageBackend};

pub(crate) fn a_scan_gives_every_pair_with_its_value<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let mut batch = Batch::new();
    for number in 0..200_u8 {
        let length = rng.below(40);
        batch.put([b'k', number], rng.bytes(length));
    }
    store.commit(batch)?;
    let found = all(&store)?;
    check(found.len() == 200, || format!("200 keys were put, a scan gives {}", found.len()))?;
    found.iter().try_for_each(|(key, value)| expect_value(&store, key, Some(value)))
}

pub(crate) fn keys_sort_by_unsigned_bytes<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let sorted: [&[u8]; 9] =
        [b"\0", b"\x01", b"A", b"a", b"\x7f", b"\x80", b"\xc3\xa4", b"\xfe", b"\xff"];
    let mut shuffled = sorted;
    shuffled.reverse();
    for key in shuffled {
        put(&store, key, key)?;
    }
    expect_scan(&store, b"", None, 99, &sorted)
}

pub(crate) fn a_shorter_key_sorts_before_its_extensions<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let sorted: [&[u8]; 8] = [b"", b"1", b"10", b"1000", b"11", b"2", b"9", b"\xff\xff"];
    for key in [7_usize, 3, 5, 0, 6, 1, 4, 2].iter().filter_map(|at| sorted.get(*at)) {
        put(&store, *key, *key)?;
    }
    expect_scan(&store, b"", None, 99, &sorted)
}

pub(crate) fn a_prefix_bounds_the_scan<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"b/", b"b/\0", b"b/1", b"b/\xff\xff", b"b0", b"c", b"bb/1", b"B/1"])?;
    expect_scan(&store, b"b/", None, 99, &[b"b/", b"b/\0", b"b/1", b"b/\xff\xff"])?;
    expect_scan(&store, b"c", None, 99, &[b"c"])?;
    expect_scan(&store, b"b/1", None, 99, &[b"b/1"])
}

pub(crate) fn a_prefix_is_itself_a_key<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"", b"pre", b"prefix", b"prefix\0", b"prefiy"])?;
    expect_scan(&store, b"prefix", None, 99, &[b"prefix", b"prefix\0"])?;
    expect_scan(&store, b"", None, 1, &[b""])
}

pub(crate) fn a_prefix_of_ff_bytes_bounds_the_scan<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let keys: [&[u8]; 7] =
        [b"\xfe\xff", b"\xfe\xff\xff", b"\xfe\xff\xff\xff", b"\xff", b"\xff\0", b"\xff\xff", b"a"];
    put_keys(&store, &keys)?;
    expect_scan(&store, b"\xff", None, 99, &[b"\xff", b"\xff\0", b"\xff\xff"])?;
    expect_scan(&store, b"\xff\xff", None, 99, &[b"\xff\xff"])?;
    expect_scan(&store, b"\xff\xff\xff", None, 99, &[])?;
    expect_scan(&store, b"\xfe\xff\xff", None, 99, &[b"\xfe\xff\xff", b"\xfe\xff\xff\xff"])
}

pub(crate) fn an_unknown_prefix_gives_nothing<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"ab", b"c"])?;
    for prefix in [b"b".as_slice(), b"abc", b"aa", b"\0", b"d"] {
        expect_scan(&store, prefix, None, 99, &[])?;
    }
    Ok(())
}

pub(crate) fn after_is_exclusive<H: BackendHarness>(stores: &Stores<H>, _: &mut Rng) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"p", b"p1", b"p1\0", b"p2", b"q"])?;
    expect_scan(&store, b"p", Some(b"p1"), 99, &[b"p1\0", b"p2"])?;
    expect_scan(&store, b"p", Some(b"p"), 99, &[b"p1", b"p1\0", b"p2"])?;
    expect_scan(&store, b"p", Some(b"p2"), 99, &[])?;
    expect_scan(&store, b"", Some(b"p1\0"), 1, &[b"p2"])
}

pub(crate) fn after_an_absent_key_the_next_one_comes<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"p1", b"p2", b"p3", b"p4"])?;
    delete(&store, "p3")?;
    expect_scan(&store, b"p", Some(b"p1x"), 99, &[b"p2", b"p4"])?;
    expect_scan(&store, b"p", Some(b"p3"), 99, &[b"p4"])?;
    expect_scan(&store, b"p", Some(b"p0"), 99, &[b"p1", b"p2", b"p4"])?;
    expect_scan(&store, b"", Some(b"p4\xff"), 99, &[])
}

pub(crate) fn after_the_empty_key_comes_everything_else<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"\0", b"a"])?;
    expect_scan(&store, b"", Some(b""), 99, &[b"\0", b"a"])?;
    put_keys(&store, &[b""])?;
    expect_scan(&store, b"", Some(b""), 99, &[b"\0", b"a"])
}

pub(crate) fn after_a_key_before_the_prefix_gives_all<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"m", b"ma", b"mb", b"z"])?;
    for after in [b"".as_slice(), b"a", b"b", b"l\xff\xff"] {
        expect_scan(&store, b"m", Some(after), 99, &[b"m", b"ma", b"mb"])?;
    }
    expect_scan(&store, b"mb", Some(b"m"), 99, &[b"mb"])
}

pub(crate) fn after_a_key_past_the_prefix_gives_nothing<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"m", b"ma", b"mb", b"z", b"zz"])?;
    for after in [b"n".as_slice(), b"z", b"zzz", b"\xff\xff\xff"] {
        expect_scan(&store, b"m", Some(after), 99, &[])?;
    }
    Ok(())
}

pub(crate) fn a_limit_of_0_gives_nothing<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"", b"a", b"b"])?;
    expect_scan(&store, b"", None, 0, &[])?;
    expect_scan(&store, b"a", None, 0, &[])?;
    expect_scan(&store, b"", Some(b"a"), 0, &[])
}

pub(crate) fn a_limit_gives_the_first_pairs<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let keys: [&[u8]; 5] = [b"k1", b"k2", b"k3", b"k4", b"k5"];
    put_keys(&store, &[b"a", b"z"])?;
    put_keys(&store, &keys)?;
    for limit in 1..=keys.len() {
        expect_scan(&store, b"k", None, limit, keys.get(..limit).unwrap_or_default())?;
    }
    expect_scan(&store, b"k", Some(b"k2"), 2, &[b"k3", b"k4"])
}

pub(crate) fn a_limit_larger_than_the_store_gives_all<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    expect_scan(&store, b"", None, 5, &[])?;
    put_keys(&store, &[b"a", b"k1", b"k2", b"z"])?;
    expect_scan(&store, b"k", None, 3, &[b"k1", b"k2"])?;
    expect_scan(&store, b"", None, 1_000_000, &[b"a", b"k1", b"k2", b"z"])
}

pub(crate) fn the_largest_limit_is_no_error<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    expect_scan(&store, b"", None, usize::MAX, &[])?;
    put_keys(&store, &[b"a", b"b"])?;
    expect_scan(&store, b"", None, usize::MAX, &[b"a", b"b"])?;
    expect_scan(&store, b"b", Some(b"a"), usize::MAX, &[b"b"])
}

pub(crate) fn a_limit_counts_only_what_is_there<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"b", b"c", b"d", b"e"])?;
    for key in ["a", "c", "d"] {
        delete(&store, key)?;
    }
    expect_scan(&store, b"", None, 2, &[b"b", b"e"])?;
    expect_scan(&store, b"", Some(b"b"), 1, &[b"e"])
}

pub(crate) fn paging_sees_each_key_once<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let mut batch = Batch::new();
    for _ in 0..1000 {
        let length = 1 + rng.below(6);
        let key: Vec<u8> = rng.bytes(length).into_iter().map(|byte| byte % 4).collect();
        batch.put([b"p".as_slice(), &key].concat(), key);
    }
    batch.put("p", "");
    batch.put("o", "");
    batch.put("q", "");
    store.commit(batch)?;
    let expected = store.scan(b"p", None, usize::MAX)?;
    for size in [1, 2, 7, 100, expected.len()] {
        let mut paged = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(b"p", after.as_deref(), size)?;
            let Some((last, _)) = page.last() else { break };
            check(after.as_ref() < Some(last), || "a page does not go on".to_owned())?;
            after = Some(last.clone());
            paged.extend(page);
        }
        expect_pairs(&format!("in pages of {size}"), &paged, &expected)?;
    }
    Ok(())
}

/// As in `LIKE` and `GLOB`, and in names of files.
pub(crate) fn a_prefix_is_no_pattern<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let keys: [&[u8]; 4] = [b"-x", b"ab", b"abc", b"b/x"];
    put_keys(&store, &keys)?;
    for prefix in ["_", "a_", "%", "a%", "?", "a?", "*", "a*", "[ab]", "a.", ".", "", "a\\", "'"] {
        let matching: &[&[u8]] = if prefix.is_empty() { &keys } else { &[] };
        expect_scan(&store, prefix.as_bytes(), None, 99, matching)?;
    }
    let signs: [&[u8]; 6] = [b"%%", b"%x", b"*", b"?x", b"[ab]", b"_x"];
    put_keys(&store, &signs)?;
    expect_scan(&store, b"%", None, 99, &[b"%%", b"%x"])?;
    expect_scan(&store, b"[", None, 99, &[b"[ab]"])?;
    expect_scan(&store, b"_", None, 99, &[b"_x"])
}

/// A limit is no number of 32 bits, nor a signed one.
pub(crate) fn a_limit_may_be_any_number<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    put_keys(&store, &[b"a", b"b", b"c"])?;
    let powers = [8, 15, 16, 31, 32, 63].into_iter();
    for power in powers.filter_map(|power| 1_usize.checked_shl(power)) {
        for limit in [power - 1, power, power + 1] {
            expect_scan(&store, b"", None, limit, &[b"a", b"b", b"c"])?;
            expect_scan(&store, b"", Some(b"a"), limit, &[b"b", b"c"])?;
        }
    }
    Ok(())
}
