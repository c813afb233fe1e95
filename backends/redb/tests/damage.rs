//! A damaged store: opening and reading gives the right data or a typed error,
//! never something empty, older or wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use repliq_backend_redb::RedbBackend;
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
        let store = RedbBackend::open(path).unwrap();
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
    let copied = path.with_extension("copy");
    fs::copy(path, &copied).unwrap();
    everything(&copied).unwrap()
}

fn everything(path: &Path) -> Result<Vec<Pair>, StorageError> {
    let store = RedbBackend::open(path)?;
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
    told.recv_timeout(Duration::from_secs(300)).unwrap_or_else(|why| panic!("{what}: {why}"))
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

/// Damages copies of a store at these offsets.
fn damage_at(offsets: impl Iterator<Item = u64>, clean: bool) -> [usize; 2] {
    let home = TempDir::new().unwrap();
    let original = home.path().join("store");
    let expected = fill(&original, 2, 40);
    if !clean {
        // As a killed process leaves it.
        let store = RedbBackend::open(&original).unwrap();
        let killed = home.path().join("killed");
        fs::copy(&original, &killed).unwrap();
        drop(store);
        fs::rename(killed, &original).unwrap();
    }
    let path = home.path().join("damaged");
    let mut counts = [0; 2];
    for at in offsets.take_while(|at| *at < fs::metadata(&original).unwrap().len()) {
        for (kind, damage) in DAMAGES {
            fs::copy(&original, &path).unwrap();
            let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            damage(&mut file, at).unwrap();
            drop(file);
            // Found damage is not healed by looking again.
            for look in 1..=2 {
                let what = format!("{kind} at byte {at}, clean {clean}, look {look}");
                let found = everything_in_time(&path, &what);
                counts[usize::from(found.is_ok())] += 1;
                match found {
                    Ok(pairs) => {
                        assert!(pairs == expected, "{what}: {} wrong pairs", pairs.len());
                    }
                    Err(error) => assert!(
                        matches!(
                            error.kind,
                            StorageErrorKind::Corrupt | StorageErrorKind::Unsupported
                        ),
                        "{what}: {error:?}"
                    ),
                }
            }
        }
    }
    counts
}

#[test]
fn a_damaged_file_never_gives_wrong_data() {
    let [refused, intact] = damage_at((0..).step_by(67_021), true);
    assert!(refused > 20, "{refused} refused, {intact} intact");
}

#[test]
fn a_damaged_header_never_gives_wrong_data() {
    let [refused, intact] = damage_at((0..330).step_by(5), true);
    assert!(refused > 20, "{refused} refused, {intact} intact");
}

#[test]
fn a_damaged_file_of_a_killed_process_never_gives_wrong_data() {
    let [refused, intact] = damage_at((0..).step_by(81_011), false);
    assert!(refused > 20, "{refused} refused, {intact} intact");
}
