//! Opening a store: once at a time, only where a store is or may be, again right
//! after it was closed, and again after the disk was full.

#![allow(clippy::unwrap_used)]

use redb::{Database, TableDefinition};
use repliq_backend_redb::RedbBackend;
use repliq_core::{Batch, Durability, StorageBackend, StorageError, StorageErrorKind};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use tempfile::TempDir;

fn put(store: &RedbBackend, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
    let mut batch = Batch::new();
    batch.put(key, value);
    store.commit(batch)
}

/// Every file in a directory with its content.
fn files(home: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found: Vec<_> = fs::read_dir(home)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).ok()))
        .collect();
    found.sort();
    found
}

fn refused_untouched(home: &Path, path: &Path) -> StorageError {
    let before = files(home);
    let error = RedbBackend::open(path).unwrap_err();
    assert_eq!(files(home), before, "the files beside {} were touched", path.display());
    error
}

#[test]
fn a_store_is_made_where_nothing_is() {
    let home = TempDir::new().unwrap();
    for path in ["store.redb", "a/b/store", "a/b/other.redb"] {
        let store = RedbBackend::open(home.path().join(path)).unwrap();
        assert_eq!(store.durability(), Durability::PowerCut);
        assert_eq!(store.scan(b"", None, 9).unwrap(), []);
    }
    assert_eq!(files(&home.path().join("a/b")).len(), 2, "nothing lies beside the stores");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_untouched() {
    let home = TempDir::new().unwrap();
    for content in ["", "# To do", "redb", "redb\x1A\x0A", &"0".repeat(100_000)] {
        let path = home.path().join("todo.md");
        fs::write(&path, content).unwrap();
        let error = refused_untouched(home.path(), &path);
        assert_eq!(error.kind, StorageErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("choose another place"), "{error}");
        let error = refused_untouched(home.path(), &path.join("below"));
        assert_eq!(error.kind, StorageErrorKind::Corrupt, "{error}");
    }
}

#[test]
fn a_directory_is_refused() {
    let home = TempDir::new().unwrap();
    let error = refused_untouched(home.path(), home.path());
    assert_eq!(error.kind, StorageErrorKind::Corrupt);
    assert!(error.to_string().contains("Is a directory"), "{error}");
}

/// A redb database with one entry in the table of this name.
fn another_database(path: &Path, name: &str) {
    let db = Database::create(path).unwrap();
    let transaction = db.begin_write().unwrap();
    let table = TableDefinition::<&[u8], &[u8]>::new(name);
    transaction.open_table(table).unwrap().insert(&b"key"[..], &b"value"[..]).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_redb_database_of_another_program_is_refused_and_keeps_its_data() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("theirs.redb");
    another_database(&path, "theirs");
    for _ in 0..2 {
        let error = RedbBackend::open(&path).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Corrupt);
        assert!(error.to_string().contains("another program"), "{error}");
    }
}

#[test]
fn a_store_of_a_newer_format_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("newer.redb");
    another_database(&path, "repliq/2");
    let error = RedbBackend::open(&path).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Unsupported);
    assert!(error.to_string().contains("repliq/2") && error.to_string().contains("update"));
}

#[test]
fn a_second_handle_of_one_process_finds_the_store_locked() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store.redb");
    let store = RedbBackend::open(&path).unwrap();
    put(&store, "key", b"value".to_vec()).unwrap();
    let error = RedbBackend::open(&path).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Locked);
    assert!(error.to_string().contains("close the other"), "{error}");
    assert_eq!(store.get(b"key").unwrap(), Some(b"value".to_vec()));
}

const HOLD: &str = "REPLIQ_REDB_HOLD";

#[test]
fn a_second_process_finds_the_store_locked_until_the_first_is_gone() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store.redb");
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "hold_a_store", "--nocapture"])
        .env(HOLD, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("the store is held")));
    assert_eq!(RedbBackend::open(&path).unwrap_err().kind, StorageErrorKind::Locked);
    child.kill().unwrap();
    child.wait().unwrap();
    let store = RedbBackend::open(&path).unwrap();
    assert_eq!(store.get(b"key").unwrap(), Some(b"value".to_vec()));
}

/// The other process; on its own it has nothing to do.
#[test]
fn hold_a_store() {
    if let Some(path) = env::var_os(HOLD) {
        let store = RedbBackend::open(path).unwrap();
        put(&store, "key", b"value".to_vec()).unwrap();
        println!("\nthe store is held");
        let _ = std::io::stdin().read(&mut [0]);
    }
}

#[test]
fn of_many_who_make_a_store_at_once_one_has_it_and_the_others_find_it_locked() {
    let home = TempDir::new().unwrap();
    for round in 0..5 {
        let path = home.path().join(format!("{round}.redb"));
        let opened: Vec<_> = thread::scope(|scope| {
            let opening: Vec<_> =
                (0..6).map(|_| scope.spawn(|| RedbBackend::open(&path))).collect();
            opening.into_iter().map(|opening| opening.join().unwrap()).collect()
        });
        let kinds: Vec<_> = opened.iter().filter_map(|o| Some(o.as_ref().err()?.kind)).collect();
        assert_eq!(kinds, [StorageErrorKind::Locked; 5]);
        let store = opened.into_iter().find_map(Result::ok).unwrap();
        put(&store, "key", vec![1]).unwrap();
        drop(store);
        assert_eq!(RedbBackend::open(&path).unwrap().get(b"key").unwrap(), Some(vec![1]));
    }
}

#[test]
fn a_store_cut_short_while_it_was_made_is_made_again() {
    let home = TempDir::new().unwrap();
    for (number, content) in ["", "torn", "redb\x1A\x0A torn"].into_iter().enumerate() {
        let path = home.path().join(format!("{number}.redb"));
        fs::write(path.with_added_extension("unfinished"), content).unwrap();
        let store = RedbBackend::open(&path).unwrap();
        assert_eq!(store.scan(b"", None, 9).unwrap(), []);
        put(&store, "key", vec![1]).unwrap();
    }
}

#[test]
fn a_closed_store_opens_again_at_once() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store.redb");
    for number in 0..30_u8 {
        let store = RedbBackend::open(&path).unwrap();
        assert_eq!(store.scan(b"", None, 99).unwrap().len(), usize::from(number));
        put(&store, &number.to_string(), vec![number; 300_000]).unwrap();
    }
}

/// A file system of 10 MiB, if this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let home = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=10m", "repliq"]).arg(home.path());
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(Self(home))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_a_typed_error_and_loses_nothing_acked() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this process may not mount a tmpfs");
        return;
    };
    let path = disk.0.path().join("store.redb");
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let store = RedbBackend::open(&path).unwrap();
    let mut acked = 0;
    let error = loop {
        match put(&store, &format!("{acked:04}"), vec![1; 100_000]) {
            Ok(()) => acked += 1,
            Err(error) => break error,
        }
        assert!(acked < 1000, "10 MiB hold no 100 MB");
    };
    assert!(acked > 5, "{acked}");
    assert_eq!(error.kind, StorageErrorKind::Full, "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    fs::remove_file(&ballast).unwrap();
    let is_whole = |store: &RedbBackend| {
        let pairs = store.scan(b"0", None, usize::MAX).unwrap();
        assert!(pairs.len() == acked || pairs.len() == acked + 1, "{acked}, {}", pairs.len());
        assert!(pairs.iter().all(|(_, value)| *value == vec![1; 100_000]));
    };
    // The very handle that failed goes on.
    is_whole(&store);
    put(&store, "more", vec![1]).unwrap();
    drop(store);
    let store = RedbBackend::open(&path).unwrap();
    is_whole(&store);
    assert_eq!(store.get(b"more").unwrap(), Some(vec![1]));
}

/// Redb is opened again after an error, and would make a file that is not there.
#[test]
#[cfg(unix)]
fn a_store_that_vanished_while_it_was_open_is_not_made_anew_by_its_handle() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this process may not mount a tmpfs");
        return;
    };
    let path = disk.0.path().join("store.redb");
    let store = RedbBackend::open(&path).unwrap();
    put(&store, "key", vec![1]).unwrap();
    put(&store, "large", vec![1; 20 << 20]).unwrap_err();
    fs::rename(&path, path.with_extension("gone")).unwrap();
    assert_eq!(store.get(b"key").unwrap_err().kind, StorageErrorKind::Io);
    assert!(!path.exists());
    fs::rename(path.with_extension("gone"), &path).unwrap();
    assert_eq!(store.get(b"key").unwrap(), Some(vec![1]));
}
