//! What the cases of this suite say again and again: write these pairs, expect
//! those. Failures tell what was expected in readable bytes, cut short.

use crate::backend::{BackendHarness, Shows, Stores};
use crate::{CaseResult, Failure};
use repliq_core::{Batch, Pair, StorageBackend, StorageError};
use std::fmt::Write as _;

/// Commits one put.
pub(crate) fn put(
    store: &impl StorageBackend,
    key: impl Into<Vec<u8>>,
    value: impl Into<Vec<u8>>,
) -> Result<(), StorageError> {
    let mut batch = Batch::new();
    batch.put(key, value);
    store.commit(batch)
}

/// Commits one delete.
pub(crate) fn delete(
    store: &impl StorageBackend,
    key: impl Into<Vec<u8>>,
) -> Result<(), StorageError> {
    let mut batch = Batch::new();
    batch.delete(key);
    store.commit(batch)
}

/// Commits these keys as one batch, each with itself as its value.
pub(crate) fn put_keys(store: &impl StorageBackend, keys: &[&[u8]]) -> Result<(), StorageError> {
    let mut batch = Batch::new();
    for key in keys {
        batch.put(*key, *key);
    }
    store.commit(batch)
}

/// Every pair of a store.
pub(crate) fn all(store: &impl StorageBackend) -> Result<Vec<Pair>, StorageError> {
    store.scan(b"", None, usize::MAX)
}

/// Breaks the promise unless `kept`.
pub(crate) fn check(kept: bool, why: impl FnOnce() -> String) -> CaseResult {
    if kept { Ok(()) } else { Err(Failure::Broken(why())) }
}

/// Expects a key to have this value.
pub(crate) fn expect_value(
    store: &impl StorageBackend,
    key: &[u8],
    value: Option<&[u8]>,
) -> CaseResult {
    let found = store.get(key)?;
    check(found.as_deref() == value, || {
        let (found, value) = (found.as_deref().map(shown), value.map(shown));
        format!("get {}: expected {value:?}, found {found:?}", shown(key))
    })
}

/// Expects these pairs in this order.
pub(crate) fn expect_pairs(what: &str, found: &[Pair], expected: &[Pair]) -> CaseResult {
    check(found == expected, || {
        let (found, expected) = (shown_pairs(found), shown_pairs(expected));
        format!("{what}: expected {expected}, found {found}")
    })
}

/// Expects a scan to give these keys in this order, each with itself as value.
pub(crate) fn expect_scan(
    store: &impl StorageBackend,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
    keys: &[&[u8]],
) -> CaseResult {
    let expected: Vec<Pair> = keys.iter().map(|key| (key.to_vec(), key.to_vec())).collect();
    let what = format!("scan {} after {:?} limit {limit}", shown(prefix), after.map(shown));
    expect_pairs(&what, &store.scan(prefix, after, limit)?, &expected)
}

/// Skips the case unless the harness can show this much.
pub(crate) fn require<H: BackendHarness>(stores: &Stores<H>, level: Shows) -> CaseResult {
    let shows = stores.harness.shows();
    if shows >= level {
        return Ok(());
    }
    Err(Failure::Skipped(format!("the harness shows {shows:?}, this needs {level:?}")))
}

/// Bytes as escaped text, cut short.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 40;
    let mut text = bytes.iter().take(MOST).copied().collect::<Vec<_>>().escape_ascii().to_string();
    if bytes.len() > MOST {
        let _ = write!(text, "... of {} bytes", bytes.len());
    }
    text
}

fn shown_pairs(pairs: &[Pair]) -> String {
    const MOST: usize = 12;
    let list: Vec<_> = pairs
        .iter()
        .take(MOST)
        .map(|(key, value)| format!("{} = {}", shown(key), shown(value)))
        .collect();
    format!("{} pairs {list:?}", pairs.len())
}
