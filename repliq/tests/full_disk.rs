//! A disk that is really full: a file system of a few MiB, filled up under an open
//! replica and an open relay. Updates fail with the reason and leave no trace,
//! reads go on, and once there is space everything goes on in the same process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use repliq::prelude::*;
use repliq::{CommitError, StorageErrorKind, StoreError, StoreStatus, UpdateError};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

type Notes = Document<LwwMap<String, String>>;

/// No test waits longer than this for anything.
const WATCHDOG: Duration = Duration::from_secs(100);

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(WATCHDOG, future).await.expect("the watchdog: nothing came of it")
}

/// A small file system, if this process may mount one.
struct Disk(TempDir);

impl Disk {
    fn mount(size: &str) -> Option<Self> {
        let home = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "repliq"]).arg(home.path());
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("skipped: this process may not mount a tmpfs");
        }
        mounted.then_some(Self(home))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.path("ballast"));
        let ballast = ballast.as_mut().unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while ballast.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.path("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

async fn device<B: StorageBackend>(backend: B) -> (Replica<B, WebSocket>, Notes) {
    let replica = Replica::builder().storage(backend).build().await.unwrap();
    let notes = replica.document("notes").await.unwrap();
    (replica, notes)
}

async fn set(notes: &Notes, key: &str, value: &str) -> Result<(), UpdateError> {
    let (key, value) = (key.to_owned(), value.to_owned());
    within(notes.update(move |m| m.set(key, value))).await
}

/// Updates until the disk is full; gives how many were acknowledged.
async fn fill(notes: &Notes, begin: usize) -> usize {
    let value = "x".repeat(20_000);
    for n in begin.. {
        match set(notes, &format!("{n:05}"), &value).await {
            Ok(()) => {}
            Err(UpdateError::Commit(CommitError::Store(why))) => {
                let StoreError::Storage(error) = &*why else { panic!("{why}") };
                assert_eq!(error.kind, StorageErrorKind::Full, "{error}");
                assert!(why.to_string().contains("free some space"), "{why}");
                return n;
            }
            // It could not even be asked what is durable.
            Err(UpdateError::Commit(CommitError::Unknown(why))) => {
                assert!(matches!(*why, StoreError::Broken), "{why}");
                assert!(why.to_string().contains("free some space"), "{why}");
                return n;
            }
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the disk is small")
}

fn acked(notes: &Notes, count: usize) {
    let held = notes.read(|m| (0..count).all(|n| m.contains_key(&format!("{n:05}")))).unwrap();
    assert!(held, "what was acknowledged is there");
}

/// The device fills the disk, finds it full, and goes on when there is space.
async fn goes_on<B: StorageBackend>(disk: &Disk, open: impl Fn(&Path) -> B) {
    let path = disk.path("store");
    let (replica, notes) = device(open(&path)).await;
    let mut count = 0;
    for round in 0..3 {
        disk.fill();
        count = fill(&notes, count).await;
        acked(&notes, count);
        assert!(set(&notes, "more", &"x".repeat(50_000)).await.is_err(), "{round}");
        assert!(!notes.read(|m| m.contains_key("more")).unwrap(), "{round}");
        acked(&notes, count);
        disk.free();
        // One update may find that the last one became durable after all.
        within(async { while set(&notes, &format!("round {round}"), "1").await.is_err() {} }).await;
        acked(&notes, count);
    }
    let before = notes.read(|m| m.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>());
    replica.close().await;
    let (_replica, notes) = device(open(&path)).await;
    let after = notes.read(|m| m.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>());
    assert_eq!(before.unwrap(), after.unwrap());
}

#[tokio::test]
async fn a_device_on_sled_goes_on_once_a_full_disk_has_space_again() {
    let Some(disk) = Disk::mount("80m") else { return };
    goes_on(&disk, |path| SledBackend::open(path).unwrap()).await;
}

#[tokio::test]
async fn a_device_on_redb_goes_on_once_a_full_disk_has_space_again() {
    let Some(disk) = Disk::mount("40m") else { return };
    goes_on(&disk, |path| RedbBackend::open(path).unwrap()).await;
}

/// The relay says that it takes nothing, tells its devices, and goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_goes_on_once_a_full_disk_has_space_again() {
    let Some(disk) = Disk::mount("40m") else { return };
    let relay = Relay::open(SledBackend::open(disk.path("store")).unwrap()).await.unwrap();
    let url = relay.listen(WebSocket::new(), "ws://127.0.0.1:0").await.unwrap().to_string();
    let mut status = relay.watch_store();
    let home = TempDir::new().unwrap();
    let (replica, notes) = device(SledBackend::open(home.path().join("device")).unwrap()).await;
    set(&notes, "a", "1").await.unwrap();
    let link = replica.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();

    disk.fill();
    for n in 0..40 {
        set(&notes, &n.to_string(), &"x".repeat(200_000)).await.unwrap();
    }
    within(status.wait_for(|status| matches!(status, StoreStatus::Failing(_)))).await.unwrap();
    // Whoever comes now is told why nothing goes on, not only who was there at the time.
    let (late, its) = device(SledBackend::open(home.path().join("late")).unwrap()).await;
    set(&its, "late", "1").await.unwrap();
    let late = late.sync(&url).await.unwrap();
    let mut offline = late.watch_status();
    for _ in 0..3 {
        let why = within(offline.wait_for(|now| matches!(now, LinkStatus::Offline(_)))).await;
        assert!(why.unwrap().to_string().contains("disk is full"), "{}", late.status());
        within(offline.wait_for(|now| !matches!(now, LinkStatus::Offline(_)))).await.unwrap();
    }
    disk.free();
    within(link.synced()).await.unwrap();
    within(late.synced()).await.unwrap();
    within(status.wait_for(|status| matches!(status, StoreStatus::Working))).await.unwrap();
    let other = TempDir::new().unwrap();
    let (second, copy) = device(SledBackend::open(other.path().join("device")).unwrap()).await;
    let link = second.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    assert_eq!(copy.read(|m| m.len()).unwrap(), 42);
    relay.close().await;
}
