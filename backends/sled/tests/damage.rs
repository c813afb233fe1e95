//! A damaged store: opening and reading gives the right data or a typed error,
//! never something empty, older or wrong. The logs here are short: what sled lets
//! pass in the middle of a long one stands in the documentation of the crate, and
//! no test here shows the contrary.

#![allow(clippy::unwrap_used, clippy::panic)]

use repliq_backend_sled::SledBackend;
use repliq_core::{Batch, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Fills a store in several sessions; gives what it holds.
fn fill(path: &Path, sessions: u32, commits: u32) -> Vec<Pair> {
    for session in 0..sessions {
        let store = SledBackend::open(path).unwrap();
        for number in 0..commits {
            let mut batch = Batch::new();
            let length = if number % 10 == 0 { 150_000 } else { 50 };
            batch.put(format!("key {}", number % 30), vec![7; length]);
            batch.put(format!("session {session} {number}"), "value");
            batch.put("counter", (session * commits + number).to_be_bytes());
            store.commit(batch).unwrap();
        }
    }
    // Opening changes what is there, so it is a copy that is looked at.
    let copied = TempDir::new().unwrap();
    copy(path, copied.path());
    everything(copied.path()).unwrap()
}

fn everything(path: &Path) -> Result<Vec<Pair>, StorageError> {
    let store = SledBackend::open(path)?;
    let pairs = store.scan(b"", None, usize::MAX)?;
    for (key, value) in &pairs {
        assert_eq!(store.get(key)?.as_ref(), Some(value), "get and scan differ");
    }
    Ok(pairs)
}

/// Like [`everything`], but fails the test when it hangs.
fn everything_in_time(path: &Path, what: &str) -> Result<Vec<Pair>, StorageError> {
    let (tell, told) = mpsc::sync_channel(1);
    let path = path.to_owned();
    thread::spawn(move || tell.send(everything(&path)));
    told.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|why| panic!("{what}: {why}"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Damages one file of a copy at a share of its used length, for every share.
fn damage_everywhere(
    original: &Path,
    name: &str,
    steps: u64,
    damage: impl Fn(&mut File, u64) -> io::Result<()>,
    verify: impl Fn(&str, Result<Vec<Pair>, StorageError>),
) {
    let bytes = fs::read(original.join(name)).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
    for step in 0..steps {
        let home = TempDir::new().unwrap();
        let path = home.path().join("store");
        copy(original, &path);
        let at = used * step / (steps - 1);
        let mut file = OpenOptions::new().read(true).write(true).open(path.join(name)).unwrap();
        damage(&mut file, at).unwrap();
        drop(file);
        let what = format!("{name} damaged at byte {at} of {used}");
        verify(&what, everything_in_time(&path, &what));
        // Found damage is not healed by looking again.
        verify(&format!("{what}, the second time"), everything_in_time(&path, &what));
    }
}

fn flip(file: &mut File, at: u64) -> io::Result<()> {
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&[byte[0] ^ 0x10])
}

fn zero(file: &mut File, at: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(at))?;
    io::copy(&mut io::repeat(0).take((length - at).min(4096)), file).map(drop)
}

fn truncate(file: &mut File, at: u64) -> io::Result<()> {
    file.set_len(at)
}

type Damage = (&'static str, fn(&mut File, u64) -> io::Result<()>);
const DAMAGES: [Damage; 3] = [("flip", flip), ("zero", zero), ("truncate", truncate)];

fn is_right_or_typed(what: &str, found: Result<Vec<Pair>, StorageError>, expected: &[Pair]) {
    match found {
        Ok(pairs) => assert!(pairs == expected, "{what}: {} wrong pairs", pairs.len()),
        Err(error) => assert!(
            matches!(error.kind, StorageErrorKind::Corrupt | StorageErrorKind::Unsupported),
            "{what}: {error:?}"
        ),
    }
}

#[test]
fn a_damaged_short_log_never_gives_wrong_data() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store");
    // Once as its last session left it, once with sled's snapshot beside the log.
    for sessions in [1, 2] {
        let expected = fill(&path, sessions, 60);
        for (kind, damage) in DAMAGES {
            damage_everywhere(&path, "db", 9, damage, |what, found| {
                is_right_or_typed(&format!("{kind}: {what}"), found, &expected);
            });
        }
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn any_other_damaged_file_never_gives_wrong_data() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store");
    let expected = fill(&path, 2, 30);
    let mut seen = 0;
    for entry in fs::read_dir(&path).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "db" || name == "blobs" {
            continue;
        }
        seen += 1;
        for (kind, damage) in DAMAGES {
            damage_everywhere(&path, &name, 5, damage, |what, found| {
                is_right_or_typed(&format!("{kind}: {what}"), found, &expected);
            });
        }
    }
    assert_eq!(seen, 3, "conf, repliq-sled and one snapshot");
}

#[test]
fn a_cut_log_is_corrupt_even_when_sled_reads_it() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store");
    fill(&path, 1, 60);
    damage_everywhere(&path, "db", 9, truncate, |what, found| {
        let kind = found.expect_err(what).kind;
        assert_eq!(kind, StorageErrorKind::Corrupt, "{what}");
    });
}

#[test]
fn a_missing_or_empty_file_is_never_an_empty_store() {
    let home = TempDir::new().unwrap();
    let original = home.path().join("store");
    let expected = fill(&original, 2, 5);
    let mut names: Vec<_> =
        fs::read_dir(&original).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| name != "blobs");
    for name in names {
        for remove in [true, false] {
            let path = home.path().join("damaged");
            copy(&original, &path);
            if remove {
                fs::remove_file(path.join(&name)).unwrap();
            } else {
                File::create(path.join(&name)).unwrap();
            }
            let what = format!("{} removed: {remove}", name.display());
            let found = everything_in_time(&path, &what);
            if name == "db" || name == "repliq-sled" {
                let error = found.expect_err(&what);
                assert_eq!(error.kind, StorageErrorKind::Corrupt, "{what}");
            } else {
                // Sled makes these anew from its log.
                is_right_or_typed(&what, found, &expected);
            }
            fs::remove_dir_all(&path).unwrap();
        }
    }
}

/// What a power cut may leave while sled opens a store: the old index is removed, and
/// the new one has not got its name yet.
#[test]
fn a_store_that_lost_its_index_while_it_was_opened_opens_by_the_copy() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store");
    // So much is written over that the first segment of the log is.
    for number in 0..4 {
        let store = SledBackend::open(&path).unwrap();
        for _ in 0..40 {
            let mut batch = Batch::new();
            batch.put("large", vec![number; 150_000]);
            store.commit(batch).unwrap();
        }
    }
    let expected = vec![(b"large".to_vec(), vec![3; 150_000])];
    let index = |beginning: &str| {
        let mut names = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name());
        names.find(|name| name.to_str().unwrap().starts_with(beginning))
    };
    let name = index("snap.").unwrap();
    let bytes = fs::read(path.join(&name)).unwrap();
    fs::remove_file(path.join(&name)).unwrap();
    let alone = home.path().join("alone");
    copy(&path, &alone);
    let why = everything(&alone).map(|pairs| pairs.len()).unwrap_err();
    assert_eq!(why.kind, StorageErrorKind::Corrupt, "{why}");
    for half_made in [false, true] {
        if half_made {
            fs::write(path.join(format!("{}.generating", name.display())), "half").unwrap();
        }
        fs::write(path.join(format!("kept.{}", name.display())), &bytes).unwrap();
        let found = home.path().join(format!("found {half_made}"));
        copy(&path, &found);
        assert!(everything(&found).unwrap() == expected);
    }
    // The copy goes once the new index is safe.
    drop(SledBackend::open(&path).unwrap());
    assert!(index("snap.").is_some());
    assert_eq!(index("kept."), None);
}

#[test]
fn an_older_log_beside_a_newer_marker_is_corrupt() {
    let home = TempDir::new().unwrap();
    let (path, older) = (home.path().join("store"), home.path().join("older"));
    fill(&path, 1, 5);
    copy(&path, &older);
    put_one(&path);
    fs::copy(older.join("db"), path.join("db")).unwrap();
    let error = SledBackend::open(&path).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Corrupt);
    assert!(error.to_string().contains("commit 6 was acknowledged, 5 is the last"), "{error}");
    // All of an older copy is a backup, and opens.
    assert!(everything(&older).is_ok());
}

fn put_one(path: &Path) {
    let mut batch = Batch::new();
    batch.put("one more", "");
    SledBackend::open(path).unwrap().commit(batch).unwrap();
}

#[test]
fn a_store_cut_short_while_it_was_made_is_made_again() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store");
    drop(SledBackend::open(&path).unwrap());
    for (name, content) in [("conf", "segment_size: 83"), ("db", "torn"), ("conf", "")] {
        fs::write(path.join(name), content).unwrap();
        assert_eq!(everything(&path).unwrap(), []);
    }
    put_one(&path);
    fs::write(path.join("db"), "torn").unwrap();
    assert_eq!(SledBackend::open(&path).unwrap_err().kind, StorageErrorKind::Corrupt);
}

#[test]
fn after_damage_was_met_every_call_says_so_until_the_store_is_opened_again() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("store");
    fill(&path, 1, 60);
    drop(SledBackend::open(&path).unwrap());
    let store = SledBackend::open(&path).unwrap();
    let log = OpenOptions::new().write(true).open(path.join("db")).unwrap();
    let length = log.metadata().unwrap().len();
    log.set_len(0).unwrap();
    log.set_len(length).unwrap();
    let error = store.scan(b"", None, usize::MAX).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Corrupt, "{error}");
    let error = store.get(b"absent").unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("open the store again"), "{error}");
    assert_eq!(store.commit(Batch::new()).unwrap_err().kind, StorageErrorKind::Corrupt);
}
