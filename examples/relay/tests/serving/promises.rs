//! What every program that serves a relay promises.

use crate::process::{PATIENCE, Process};
use crate::serve;
use repliq::prelude::*;
use repliq::{DefaultBackend, DefaultTransport, SyncError};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use tempfile::{TempDir, tempdir};
use tokio::time::timeout;

type Texts = LwwMap<u32, String>;

struct Device<B = DefaultBackend, T = DefaultTransport> {
    replica: Replica<B, T>,
    texts: Document<Texts>,
    _data: TempDir,
}

impl Device {
    async fn new() -> Self {
        let data = tempdir().unwrap();
        let backend = SledBackend::open(data.path().join("device")).unwrap();
        Self::on(backend, WebSocket::new(), data).await
    }
}

impl<B: StorageBackend, T: Transport> Device<B, T> {
    async fn on(backend: B, transport: T, data: TempDir) -> Self {
        let builder = Replica::builder().storage(backend).transport(transport);
        let replica = builder.build().await.unwrap();
        let texts = replica.document("texts").await.unwrap();
        Self { replica, texts, _data: data }
    }

    async fn set(&self, key: u32, text: String) {
        self.texts.update(|texts| texts.set(key, text)).await.unwrap();
    }

    async fn sync(&self, url: &str) {
        self.try_sync(url).await.unwrap();
    }

    async fn try_sync(&self, url: &str) -> Result<(), SyncError> {
        let link = self.replica.sync(url).await.unwrap();
        let synced = timeout(PATIENCE, link.synced()).await.unwrap();
        link.close().await;
        synced
    }

    fn all(&self) -> Vec<(u32, String)> {
        let all = |texts: &Texts| texts.iter().map(|(key, text)| (*key, text.clone())).collect();
        let mut all: Vec<_> = self.texts.read(all).unwrap();
        all.sort();
        all
    }

    fn count(&self) -> usize {
        self.texts.read(|texts| texts.len()).unwrap()
    }
}

/// The options that all these programs know.
pub(crate) fn tell(
    command: &mut Command,
    listen: &[&str],
    data: &Path,
    self_signed: Option<&Path>,
) {
    for url in listen {
        command.args(["--listen", url]);
    }
    command.arg("--data").arg(data);
    if let Some(directory) = self_signed {
        command.arg("--self-signed").arg(directory);
    }
}

/// A relay that listens at all three schemes, and its URLs.
fn start_everywhere(home: &Path) -> (Process, [String; 3]) {
    let schemes = ["ws", "wss", "quic"];
    let listen = schemes.map(|scheme| format!("{scheme}://127.0.0.1:0"));
    let listen = listen.each_ref().map(String::as_str);
    let certificate = home.join("certificate");
    let mut relay = Process::start(&mut serve(&listen, &home.join("data"), Some(&certificate)));
    let urls = schemes.map(|scheme| relay.endpoint(scheme));
    (relay, urls)
}

fn fingerprint(url: &str) -> &str {
    url.split_once("?fingerprint=").unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_on_different_transports_and_backends_agree() {
    let home = tempdir().unwrap();
    let (_relay, [ws, wss, quic]) = start_everywhere(home.path());
    let on_sled = Device::new().await;
    let data = tempdir().unwrap();
    let redb = RedbBackend::open(data.path().join("device.redb")).unwrap();
    let on_redb = Device::on(redb, Quic::new(TlsConfig::new()), data).await;
    let in_memory = Device::on(MemoryBackend::new(), WebSocket::new(), tempdir().unwrap()).await;

    on_sled.set(1, "sled over ws".into()).await;
    on_redb.set(2, "redb over quic".into()).await;
    in_memory.set(3, "memory over wss".into()).await;
    for _ in 0..2 {
        on_sled.sync(&ws).await;
        on_redb.sync(&quic).await;
        in_memory.sync(&wss).await;
    }
    let all = on_sled.all();
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(on_redb.all(), all);
    assert_eq!(in_memory.all(), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_fingerprint_is_refused_and_both_are_named() {
    let home = tempdir().unwrap();
    let (_relay, [_, wss, quic]) = start_everywhere(home.path());
    let right = fingerprint(&quic).to_owned();
    assert_eq!(fingerprint(&wss), right);
    let wrong = "ab".repeat(32);

    let over_quic =
        Device::on(MemoryBackend::new(), Quic::new(TlsConfig::new()), tempdir().unwrap()).await;
    let over_wss = Device::on(MemoryBackend::new(), WebSocket::new(), tempdir().unwrap()).await;
    let refused = [
        over_quic.try_sync(&quic.replace(&right, &wrong)).await.unwrap_err(),
        over_wss.try_sync(&wss.replace(&right, &wrong)).await.unwrap_err(),
    ];
    for error in refused {
        let text = error.to_string();
        assert!(text.contains(&wrong) && text.contains(&right), "{text}");
    }
}

#[test]
fn the_fingerprint_stays_when_it_starts_again() {
    let home = tempdir().unwrap();
    let fingerprints = [(); 2].map(|()| {
        let (_relay, [_, wss, _]) = start_everywhere(home.path());
        fingerprint(&wss).to_owned()
    });
    assert_eq!(fingerprints[0], fingerprints[1]);
}

fn start(data: &Path) -> (Process, String) {
    let mut relay = Process::start(&mut serve(&["ws://127.0.0.1:0"], data, None));
    let endpoint = relay.endpoint("ws");
    (relay, endpoint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acked_survives_kill_9() {
    let data = tempdir().unwrap();
    let (relay, url) = start(data.path());
    let (writer, reader) = (Device::new().await, Device::new().await);
    writer.set(1, "acked".into()).await;
    writer.sync(&url).await;
    drop(relay);

    let (_relay, url) = start(data.path());
    reader.sync(&url).await;
    assert_eq!(reader.count(), 1);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_and_sigterm_close_it_in_order() {
    let data = tempdir().unwrap();
    let device = Device::new().await;
    for (key, signal) in (0..).zip(["INT", "TERM"]) {
        let (relay, url) = start(data.path());
        device.set(key, signal.into()).await;
        let link = device.replica.sync(&url).await.unwrap();
        timeout(PATIENCE, link.synced()).await.unwrap().unwrap();
        relay.signal(signal);
        relay.ended().went_well();
    }
    let (_relay, url) = start(data.path());
    let reader = Device::new().await;
    reader.sync(&url).await;
    assert_eq!(reader.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_though_it_is_killed_while_a_device_syncs() {
    let data = tempdir().unwrap();
    let (relay, url) = start(data.path());
    let device = Device::new().await;
    for key in 0..40 {
        device.set(key, "long ".repeat(20_000)).await;
    }
    let link = device.replica.sync(&url).await.unwrap();
    let mut status = link.watch_status();
    let syncing =
        status.wait_for(|status| matches!(status, LinkStatus::Syncing | LinkStatus::Live));
    drop(timeout(PATIENCE, syncing).await.unwrap().unwrap());
    drop(relay);

    let _relay = Process::start_again(|| serve(&[&url], data.path(), None), &url);
    timeout(PATIENCE, link.synced()).await.unwrap().unwrap();
    let reader = Device::new().await;
    reader.sync(&url).await;
    assert_eq!(reader.count(), 40);
}

#[test]
fn a_port_in_use_is_one_line_that_says_what_to_do() {
    let data = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", taken.local_addr().unwrap());
    let complaint = Process::start(&mut serve(&[&url], data.path(), None)).ended().complaint();
    assert!(complaint.contains("in use") && complaint.contains("another port"), "{complaint}");
    assert!(complaint.contains(&url), "{complaint}");
}

#[test]
fn a_url_that_is_none_is_one_line_that_says_how_to_write_one() {
    let data = tempdir().unwrap();
    for url in ["127.0.0.1:0", "http://127.0.0.1:0", "ws://"] {
        let complaint = Process::start(&mut serve(&[url], data.path(), None)).ended().complaint();
        assert!(complaint.contains("ws"), "{complaint}");
    }
}

#[test]
fn data_in_use_is_one_line_that_says_what_to_do() {
    let data = tempdir().unwrap();
    let (_relay, _) = start(data.path());
    let second = Process::start(&mut serve(&["ws://127.0.0.1:0"], data.path(), None));
    let complaint = second.ended().complaint();
    assert!(complaint.contains("in use"), "{complaint}");
    assert!(complaint.contains(&*data.path().to_string_lossy()), "{complaint}");
}

#[test]
fn a_directory_that_is_no_store_is_left_as_it_is() {
    let data = tempdir().unwrap();
    std::fs::write(data.path().join("diary.txt"), "mine").unwrap();
    let relay = Process::start(&mut serve(&["ws://127.0.0.1:0"], data.path(), None));
    let complaint = relay.ended().complaint();
    assert!(complaint.contains("no store") && complaint.contains("choose"), "{complaint}");
    let left: Vec<_> = std::fs::read_dir(data.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn data_of_a_newer_format_is_left_as_it_is() {
    let data = tempdir().unwrap();
    drop(start(data.path()));
    // The last byte of the format number; see STORAGE.md.
    let marker = data.path().join("repliq-sled");
    let mut bytes = std::fs::read(&marker).unwrap();
    bytes[15] += 1;
    std::fs::write(&marker, &bytes).unwrap();
    let relay = Process::start(&mut serve(&["ws://127.0.0.1:0"], data.path(), None));
    let complaint = relay.ended().complaint();
    assert!(complaint.contains("update"), "{complaint}");
    assert_eq!(std::fs::read(&marker).unwrap(), bytes);
}

#[test]
fn a_silent_connection_does_not_keep_it_from_ending() {
    let data = tempdir().unwrap();
    let (relay, url) = start(data.path());
    let address = url.strip_prefix("ws://").unwrap();
    let _silent = std::net::TcpStream::connect(address).unwrap();
    relay.signal("TERM");
    relay.ended().went_well();
}

/// A small file system, if this process may mount one.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let home = tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=40m", "repliq"]).arg(home.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(home))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

/// Its disk is full, and then what it has stored is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_with_an_error_when_its_store_has_failed_for_good() {
    let Some(disk) = Disk::mount() else {
        eprintln!("skipped: this process may not mount a tmpfs");
        return;
    };
    let data = disk.0.path().join("data");
    let (relay, url) = start(&data);
    let device = Device::new().await;
    device.set(0, "kept".into()).await;
    device.sync(&url).await;
    let mut ballast = std::fs::File::create(disk.0.path().join("ballast")).unwrap();
    while std::io::Write::write_all(&mut ballast, &[1; 4096]).is_ok() {}
    for key in 1..100 {
        device.set(key, "x".repeat(100_000)).await;
    }
    let _link = device.replica.sync(&url).await.unwrap();
    std::fs::remove_file(data.join("db")).unwrap();
    let ended = tokio::task::spawn_blocking(|| relay.ended());
    let complaint = ended.await.unwrap().complaint();
    assert!(complaint.contains("damaged"), "{complaint}");
}
