//! What the suite cannot know of a store in a file: locks, damage, strange files, a
//! full disk.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use custom_backend::SqliteBackend;
use repliq_core::{Batch, Durability, StorageBackend, StorageErrorKind as Kind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use tempfile::{TempDir, tempdir};

fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

/// A closed store with 200 pairs.
fn filled() -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let store = SqliteBackend::open(&path).unwrap();
    let mut batch = Batch::new();
    for number in 0..200_u8 {
        batch.put([b'k', number], vec![number; 60]);
    }
    store.commit(batch).unwrap();
    (directory, path)
}

fn refusal(path: &Path) -> Kind {
    SqliteBackend::open(path).map(drop).unwrap_err().kind
}

#[test]
fn it_declares_that_commits_survive_a_power_cut() {
    let (_directory, path) = filled();
    assert_eq!(SqliteBackend::open(path).unwrap().durability(), Durability::PowerCut);
}

#[test]
fn a_second_handle_is_refused_and_leaves_the_first_its_lock() {
    let (_directory, path) = filled();
    let first = SqliteBackend::open(&path).unwrap();
    for _ in 0..3 {
        assert_eq!(refusal(&path), Kind::Locked);
    }
    first.commit(put("a", "b")).unwrap();
    let this = env::current_exe().unwrap();
    let other = Command::new(this)
        .args(["--exact", "other_process", "--nocapture"])
        .env("STORE", &path)
        .output();
    let other = String::from_utf8(other.unwrap().stderr).unwrap();
    assert!(other.contains("opening gave Err(Locked)"), "{other}");
    drop(first);
    assert_eq!(SqliteBackend::open(&path).unwrap().get(b"a").unwrap(), Some(b"b".to_vec()));
}

/// Has something to do only when another test starts it.
#[test]
fn other_process() {
    if let Some(path) = env::var_os("STORE") {
        let opened = SqliteBackend::open(path).map(drop).map_err(|error| error.kind);
        panic!("opening gave {opened:?}");
    }
}

#[test]
fn a_byte_changed_anywhere_is_corrupt_or_changes_nothing() {
    let (_directory, path) = filled();
    let whole = SqliteBackend::open(&path).unwrap().scan(b"", None, 999).unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut noticed = 0;
    for place in (0..100).chain((100..bytes.len()).step_by(37)) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        match SqliteBackend::open(&path).and_then(|store| store.scan(b"", None, 999)) {
            Ok(pairs) => assert_eq!(pairs, whole, "byte {place}"),
            Err(error) => {
                noticed += 1;
                let kinds = [Kind::Corrupt, Kind::Unsupported];
                assert!(kinds.contains(&error.kind), "byte {place}: {error}");
            }
        }
    }
    assert!(noticed > 100, "only {noticed} damaged bytes were noticed");
}

#[test]
fn a_file_cut_short_is_corrupt() {
    let (_directory, path) = filled();
    let bytes = fs::read(&path).unwrap();
    for length in [0, 1, 99, 100, 4095, 4096, bytes.len() - 4096, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert_eq!(refusal(&path), Kind::Corrupt, "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "my notes".repeat(2000)).unwrap();
    assert_eq!(refusal(&path), Kind::Corrupt);
    assert_eq!(fs::read_to_string(&path).unwrap(), "my notes".repeat(2000));
    assert_eq!(refusal(directory.path()), Kind::Corrupt);

    let path = directory.path().join("theirs.sqlite");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE pairs (a)").unwrap();
    // Leaves its WAL, as a killed process would.
    let no_checkpoint = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    theirs.set_db_config(no_checkpoint, true).unwrap();
    drop(theirs);
    let wal = directory.path().join("theirs.sqlite-wal");
    let files = || (fs::read(&path).unwrap(), fs::read(&wal).unwrap());
    let before = files();
    assert_eq!(refusal(&path), Kind::Corrupt);
    assert_eq!(files(), before);
}

#[test]
fn a_store_of_a_newer_format_is_unsupported() {
    let (_directory, path) = filled();
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    drop(newer);
    assert_eq!(refusal(&path), Kind::Unsupported);
}

#[test]
fn a_place_that_cannot_be_is_a_typed_error() {
    let (_directory, path) = filled();
    assert_eq!(refusal(&path.join("store")), Kind::Corrupt);
}
