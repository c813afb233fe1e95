//! Cases about a store that was damaged while nobody had it open: what is given
//! is right, or the store says that it is damaged.

use super::expect::{all, check, expect_pairs, put, require};
use crate::backend::{BackendHarness, Damage, Shows, Stores};
use crate::{CaseResult, Failure, Rng};
use repliq_core::{Batch, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::path::Path;
use std::{fs, io};

/// Changes some bytes of a file, as a failing disk does: all that
/// [`BackendHarness::damage`] has to do for [`Damage::Changed`] where a store is a file.
///
/// # Errors
/// Those of the file; an empty one has no bytes to change.
pub fn change_bytes_of(file: &Path) -> io::Result<()> {
    const PLACES: usize = 8;
    let mut bytes = fs::read(file)?;
    // Files are filled up with zeros; what is stored lies elsewhere.
    let stored: Vec<usize> = (0..bytes.len()).filter(|at| bytes.get(*at) != Some(&0)).collect();
    for place in 1..PLACES {
        let at = stored.get(stored.len() * place / PLACES).ok_or(io::ErrorKind::UnexpectedEof)?;
        if let Some(byte) = bytes.get_mut(*at) {
            *byte ^= 0x10;
        }
    }
    fs::write(file, bytes)
}

fn damage<H: BackendHarness>(stores: &Stores<H>, how: Damage) -> CaseResult {
    require(stores, Shows::Reopen)?;
    if stores.harness.damage(how) {
        return Ok(());
    }
    Err(Failure::Skipped(format!("the harness has no damage({how:?})")))
}

fn value(number: u8) -> Vec<u8> {
    vec![number; 1000]
}

/// Everything in the store, however it is asked.
fn read<H: BackendHarness>(
    stores: &Stores<H>,
    expected: &[Pair],
) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
    let store = stores.open()?;
    let scanned = all(&store)?;
    let mut found: Vec<_> = scanned.iter().map(|(_, value)| Some(value.clone())).collect();
    found.resize(expected.len(), None);
    for (key, _) in expected {
        found.push(store.get(key)?);
    }
    Ok(found)
}

pub(crate) fn damage_is_told_and_never_taken_for_absence<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let store = stores.open()?;
    let mut expected: Vec<Pair> = Vec::new();
    for number in 0..100_u8 {
        put(&store, [number], value(number))?;
        expected.push((vec![number], value(number)));
    }
    drop(store);
    damage(stores, Damage::Changed)?;
    let right: Vec<_> = expected.iter().map(|(_, value)| Some(value.clone())).collect();
    match read(stores, &expected) {
        Ok(found) => check(found == [right.clone(), right].concat(), || {
            "a damaged store gave wrong data, or less, and no error".to_owned()
        }),
        Err(error) => check(error.kind == StorageErrorKind::Corrupt, || {
            format!("a damaged store must be Corrupt: {error}")
        }),
    }
}

/// What a crash left half written is no damage: it goes, and what comes after it
/// stays.
pub(crate) fn a_torn_end_is_left_behind<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let store = stores.open()?;
    put(&store, "a", value(1))?;
    let mut batch = Batch::new();
    batch.put("b", value(2));
    batch.put("c", value(3));
    store.commit(batch)?;
    drop(store);
    damage(stores, Damage::Torn)?;
    let store = stores.open()?;
    let mut expected = vec![(b"a".to_vec(), value(1))];
    let found = all(&store)?;
    if found.len() > 1 {
        expected.extend([(b"b".to_vec(), value(2)), (b"c".to_vec(), value(3))]);
    }
    expect_pairs("after a torn end", &found, &expected)?;
    put(&store, "d", value(4))?;
    expected.push((b"d".to_vec(), value(4)));
    drop(store);
    expect_pairs("after a torn end and another commit", &all(&stores.open()?)?, &expected)
}
