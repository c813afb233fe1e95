//! Opening a store: once at a time, only where a store is or may be, again right
//! after it was closed, and again after the disk was full.

#![allow(clippy::unwrap_used)]

use repliq_backend_sled::SledBackend;
use repliq_core::{Batch, Durability, StorageBackend, StorageError, StorageErrorKind};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use tempfile::TempDir;

fn put(store: &SledBackend, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
    let mut batch = Batch::new();
    batch.put(key, value);
    store.commit(batch)
}

/// Every file below a path with its content.
fn tree(path: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.push((path, None));
        } else {
            found.push((path.clone(), Some(fs::read(path).unwrap())));
        }
    }
    found.sort();
    found
}

fn refused_untouched(home: &Path, path: &Path) -> StorageError {
    let before = tree(home);
    let error = SledBackend::open(path).unwrap_err();
    assert_eq!(tree(home), before, "the files of {} were touched", path.display());
    error
}

#[test]
fn a_store_is_made_where_nothing_is() {
    let home = TempDir::new().unwrap();
    for path in [home.path().join("a/b/c"), home.path().join("empty")] {
        if path.ends_with("empty") {
            fs::create_dir(&path).unwrap();
        }
        let store = SledBackend::open(&path).unwrap();
        assert_eq!(store.durability(), Durability::PowerCut);
        assert_eq!(store.scan(b"", None, 9).unwrap(), []);
    }
}

#[test]
fn a_directory_of_other_files_is_refused_and_left_untouched() {
    let home = TempDir::new().unwrap();
    let notes = home.path().join("notes");
    fs::create_dir(&notes).unwrap();
    fs::write(notes.join("todo.md"), "# To do").unwrap();
    let error = refused_untouched(home.path(), &notes);
    assert_eq!(error.kind, StorageErrorKind::Corrupt);
    assert!(error.to_string().contains("new or empty directory"), "{error}");
}

#[test]
fn a_sled_database_of_another_program_is_refused_and_left_untouched() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("theirs");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("db"), [7; 1000]).unwrap();
    fs::write(path.join("conf"), "segment_size: 524288").unwrap();
    assert_eq!(refused_untouched(home.path(), &path).kind, StorageErrorKind::Corrupt);
}

#[test]
fn a_file_of_the_markers_name_alone_makes_no_store() {
    let home = TempDir::new().unwrap();
    for content in ["", "a longer text than any marker could be, and of something else", "repliq"] {
        fs::write(home.path().join("repliq-sled"), content).unwrap();
        fs::write(home.path().join("todo.md"), "# To do").unwrap();
        let error = refused_untouched(home.path(), home.path());
        assert_eq!(error.kind, StorageErrorKind::Corrupt, "{error}");
    }
    fs::remove_file(home.path().join("repliq-sled")).unwrap();
    fs::create_dir(home.path().join("repliq-sled")).unwrap();
    let error = refused_untouched(home.path(), home.path());
    assert_eq!(error.kind, StorageErrorKind::Corrupt, "{error}");
}

#[test]
fn a_file_is_refused_and_left_untouched() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("data.db");
    fs::write(&file, "content").unwrap();
    let error = refused_untouched(home.path(), &file);
    assert_eq!(error.kind, StorageErrorKind::Corrupt);
    assert!(error.to_string().contains("is a file"), "{error}");
    let error = refused_untouched(home.path(), &file.join("below"));
    assert_eq!(error.kind, StorageErrorKind::Corrupt, "{error}");
}

#[test]
fn a_store_of_a_newer_format_is_refused_and_left_untouched() {
    let home = TempDir::new().unwrap();
    drop(SledBackend::open(home.path()).unwrap());
    let marker = home.path().join("repliq-sled");
    let mut bytes = fs::read(&marker).unwrap();
    bytes[15] = 2;
    fs::write(&marker, bytes).unwrap();
    let error = refused_untouched(home.path(), home.path());
    assert_eq!(error.kind, StorageErrorKind::Unsupported);
    assert!(error.to_string().contains("update it"), "{error}");
}

#[test]
fn a_second_handle_of_one_process_finds_the_store_locked() {
    let home = TempDir::new().unwrap();
    let store = SledBackend::open(home.path()).unwrap();
    put(&store, "key", b"value".to_vec()).unwrap();
    let error = SledBackend::open(home.path()).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Locked);
    assert!(error.to_string().contains("close the other"), "{error}");
    assert_eq!(store.get(b"key").unwrap(), Some(b"value".to_vec()));
}

const HOLD: &str = "REPLIQ_SLED_HOLD";

#[test]
fn a_second_process_finds_the_store_locked_until_the_first_is_gone() {
    let home = TempDir::new().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "hold_a_store", "--nocapture"])
        .env(HOLD, home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("the store is held")));
    assert_eq!(SledBackend::open(home.path()).unwrap_err().kind, StorageErrorKind::Locked);
    child.kill().unwrap();
    child.wait().unwrap();
    let store = SledBackend::open(home.path()).unwrap();
    assert_eq!(store.get(b"key").unwrap(), Some(b"value".to_vec()));
}

/// The other process; on its own it has nothing to do.
#[test]
fn hold_a_store() {
    if let Some(path) = env::var_os(HOLD) {
        let store = SledBackend::open(path).unwrap();
        put(&store, "key", b"value".to_vec()).unwrap();
        println!("\nthe store is held");
        let _ = std::io::stdin().read(&mut [0]);
    }
}

#[test]
fn a_closed_store_opens_again_at_once() {
    let home = TempDir::new().unwrap();
    for number in 0..30_u8 {
        let store = SledBackend::open(home.path()).unwrap();
        assert_eq!(store.scan(b"", None, 99).unwrap().len(), usize::from(number));
        put(&store, &number.to_string(), vec![number; 300_000]).unwrap();
    }
}

#[test]
fn a_store_follows_its_path_when_it_is_moved() {
    let home = TempDir::new().unwrap();
    let (old, new) = (home.path().join("old"), home.path().join("new"));
    put(&SledBackend::open(&old).unwrap(), "key", b"value".to_vec()).unwrap();
    fs::rename(&old, &new).unwrap();
    assert_eq!(SledBackend::open(&new).unwrap().get(b"key").unwrap(), Some(b"value".to_vec()));
}

#[test]
fn nothing_becomes_a_blob_file() {
    let home = TempDir::new().unwrap();
    let store = SledBackend::open(home.path()).unwrap();
    for number in 0..40_u32 {
        let mut batch = Batch::new();
        batch.put([vec![b'k'; 4092], number.to_be_bytes().to_vec()].concat(), vec![1; 65_536]);
        batch.put(format!("large {}", number % 4), vec![2; 3_000_000]);
        store.commit(batch).unwrap();
    }
    drop(store);
    assert_eq!(fs::read_dir(home.path().join("blobs")).unwrap().count(), 0);
}

#[test]
fn replaced_large_values_leave_no_chunks_behind() {
    let home = TempDir::new().unwrap();
    let store = SledBackend::open(home.path()).unwrap();
    for length in [1_000_000, 70_000, 65_536, 65_537, 10] {
        let mut batch = Batch::new();
        batch.put("key", vec![9; 200_000]);
        batch.put("key", vec![1; length]);
        store.commit(batch).unwrap();
        assert_eq!(store.get(b"key").unwrap(), Some(vec![1; length]));
    }
    put(&store, "gone", vec![1; 200_000]).unwrap();
    let mut batch = Batch::new();
    batch.delete("gone");
    store.commit(batch).unwrap();
    drop(store);
    let sled = sled::Config::new().path(home.path()).segment_size(8 << 20).open().unwrap();
    let keys: Vec<_> = sled.iter().keys().map(|key| key.unwrap().to_vec()).collect();
    assert_eq!(keys, [vec![0], b"\x01key".to_vec()]);
}

#[test]
fn a_key_that_is_too_long_is_refused_and_the_store_goes_on() {
    let home = TempDir::new().unwrap();
    let store = SledBackend::open(home.path()).unwrap();
    put(&store, &"k".repeat(4096), vec![1]).unwrap();
    let error = put(&store, &"k".repeat(4097), vec![1]).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Unsupported);
    assert!(error.to_string().contains("shorten it"), "{error}");
    assert_eq!(store.get("k".repeat(4097).as_bytes()).unwrap(), None);
    put(&store, "k", vec![1]).unwrap();
}

#[test]
fn commits_of_many_threads_are_durable_when_they_return() {
    let home = TempDir::new().unwrap();
    let store = SledBackend::open(home.path()).unwrap();
    thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..20 {
                    put(store, &format!("{thread} {number}"), vec![1]).unwrap();
                }
            });
        }
    });
    drop(store);
    assert_eq!(SledBackend::open(home.path()).unwrap().scan(b"", None, 999).unwrap().len(), 160);
}

/// A file system of 40 MiB, if this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let home = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=40m", "repliq"]).arg(home.path());
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
    let path = disk.0.path().join("store");
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![1; 12 << 20]).unwrap();
    let store = SledBackend::open(&path).unwrap();
    let mut acked = 0;
    let error = loop {
        match put(&store, &format!("{acked:04}"), vec![1; 100_000]) {
            Ok(()) => acked += 1,
            Err(error) => break error,
        }
        assert!(acked < 1000, "40 MiB hold no 100 MB");
    };
    assert_eq!(error.kind, StorageErrorKind::Full, "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(put(&store, "more", vec![1; 100_000]).unwrap_err().kind, StorageErrorKind::Full);
    fs::remove_file(&ballast).unwrap();
    let is_whole = |store: &SledBackend| {
        let pairs = store.scan(b"0", None, usize::MAX).unwrap();
        assert!(pairs.len() == acked || pairs.len() == acked + 1, "{acked}, {}", pairs.len());
        assert!(pairs.iter().all(|(_, value)| *value == vec![1; 100_000]));
    };
    // The very handle that failed goes on.
    is_whole(&store);
    put(&store, "more", vec![1]).unwrap();
    drop(store);
    let store = SledBackend::open(&path).unwrap();
    is_whole(&store);
    assert_eq!(store.get(b"more").unwrap(), Some(vec![1]));
}

/// As a full disk or a kill in the middle of an opening leaves it.
#[test]
fn an_opening_that_was_cut_short_does_no_damage() {
    let home = TempDir::new().unwrap();
    for round in 0..3_u8 {
        let store = SledBackend::open(home.path()).unwrap();
        assert_eq!(store.scan(b"", None, 99).unwrap().len(), usize::from(round));
        put(&store, &round.to_string(), vec![round]).unwrap();
        drop(store);
        let indexes = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path());
        let index = indexes.filter(|path| path.to_string_lossy().contains("/snap.")).max();
        let index = index.unwrap_or(home.path().join("snap.0000000000000000"));
        let written = fs::read(&index).unwrap_or_default();
        let cut = index.with_file_name("snap.7FFFFFFFFFFFFFFF.generating");
        fs::write(cut, &written[..written.len() / 2]).unwrap();
    }
}

/// The bytes that the files of a store take on the disk.
#[cfg(unix)]
fn disk_use(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = fs::read_dir(path).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum()
}

/// As an app does that is opened, used a little and closed: small records at the end
/// of the log, beside the snapshots that every opening replaces.
#[test]
#[cfg(unix)]
fn a_store_that_is_opened_often_stays_near_the_size_of_what_it_holds() {
    const SEGMENT: u64 = 8 << 20;
    let home = TempDir::new().unwrap();
    for opening in 0..6_u8 {
        let store = SledBackend::open(home.path()).unwrap();
        let mut snapshot = Batch::new();
        for chunk in 0..20_u8 {
            snapshot.put([10, opening, chunk], vec![opening; 65_536]);
            snapshot.delete([10, opening.wrapping_sub(1), chunk]);
        }
        store.commit(snapshot).unwrap();
        for change in 0..500_u16 {
            let mut batch = Batch::new();
            let change = change.to_be_bytes();
            batch.put([&[8, opening], &change[..]].concat(), vec![opening; 1000]);
            batch.put([&[9, opening], &change[..]].concat(), vec![opening; 5]);
            batch.put([4], vec![opening]);
            store.commit(batch).unwrap();
        }
    }
    // It holds 4.4 MB. Sled gives segments back, of 8 MiB, that are half dead.
    let used = disk_use(home.path());
    assert!(used <= 5 * SEGMENT, "{used} bytes");
}
