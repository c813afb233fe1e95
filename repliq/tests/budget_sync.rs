//! What syncing costs on the wire, in bytes and frames, and on disk, in keys
//! read. Bytes are protocol payload: what is handed to the transport.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod counting;

use counting::backend::Counting;
use counting::transport::{Counting as CountingTransport, Traffic};
use repliq::prelude::*;
use std::time::Duration;

type Map = LwwMap<String, String>;
type Wire = CountingTransport<MemoryTransport>;
type Store = Counting<MemoryBackend>;

struct Device {
    backend: Store,
    wire: Wire,
    replica: Replica<Store, Wire>,
}

impl Device {
    async fn new(network: &MemoryTransport) -> Self {
        Self::on(Counting::new(MemoryBackend::new()), network).await
    }

    async fn on(backend: Store, network: &MemoryTransport) -> Self {
        let wire = CountingTransport::new(network.clone());
        let builder = Replica::builder().storage(backend.clone()).transport(wire.clone());
        let replica = builder.build().await.unwrap();
        Self { backend, wire, replica }
    }

    async fn link(&self, url: &str) -> Link {
        let link = self.replica.sync(url).await.unwrap();
        live(&link).await;
        link
    }

    async fn map(&self, name: &str) -> Document<Map> {
        self.replica.document(name).await.unwrap()
    }
}

async fn live(link: &Link) {
    let mut status = link.watch_status();
    let live = status.wait_for(|status| matches!(status, LinkStatus::Live));
    tokio::time::timeout(Duration::from_secs(60), live).await.unwrap().unwrap();
}

async fn relay(backend: &Store, network: &MemoryTransport) -> (Relay, String) {
    let relay = Relay::open(backend.clone()).await.unwrap();
    let url = relay.listen(network.clone(), "memory://relay").await.unwrap().to_string();
    (relay, url)
}

#[tokio::test]
async fn one_set_sends_less_than_200_bytes_beside_key_and_value() {
    const SETS: usize = 20;
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&Counting::new(MemoryBackend::new()), &network).await;
    let (a, b) = (Device::new(&network).await, Device::new(&network).await);
    let map = a.map("map").await;
    for start in (0..100_000).step_by(5000) {
        map.update(move |m| {
            for i in start..start + 5000 {
                m.set(format!("key-{i}"), format!("value-{i}"));
            }
        })
        .await
        .unwrap();
    }
    let (link_a, link_b) = (a.link(&url).await, b.link(&url).await);
    link_a.synced().await.unwrap();
    link_b.synced().await.unwrap();
    a.wire.take();
    b.wire.take();

    let (key, value) = ("key-5".to_owned(), "a value".to_owned());
    let content = key.len() + value.len();
    for done in 1..=SETS {
        let (key, value) = (key.clone(), value.clone());
        map.update(move |m| m.set(key, value)).await.unwrap();
        a.wire.until(|t| t.frames_received >= done && t.frames_sent >= done).await;
        b.wire.until(|t| t.frames_received >= done && t.frames_sent >= done).await;
    }

    // The first names document and replica; all others are shorter.
    for (who, traffic) in [("sender", a.wire.take()), ("receiver", b.wire.take())] {
        assert_eq!(traffic.frames(), 2 * SETS, "{who}: a change and its ack: {traffic:?}");
        let beside = traffic.bytes() / SETS - content;
        println!("{who}: {beside} bytes beside key and value");
        assert!(beside < 60, "{who}: {beside} bytes beside key and value");
    }
}

#[tokio::test]
async fn the_very_first_set_sends_less_than_200_bytes_beside_key_and_value() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&Counting::new(MemoryBackend::new()), &network).await;
    let (a, b) = (Device::new(&network).await, Device::new(&network).await);
    let (_link_a, _link_b) = (a.link(&url).await, b.link(&url).await);
    let map = a.map("map").await;
    a.wire.take();
    b.wire.take();
    map.update(|m| m.set("key".to_owned(), "value".to_owned())).await.unwrap();
    for wire in [&a.wire, &b.wire] {
        wire.until(|t| t.frames_received >= 1 && t.frames_sent >= 1).await;
        let traffic = wire.take();
        println!("{} bytes beside key and value", traffic.bytes() - 8);
        assert!(traffic.bytes() - 8 < 200, "{traffic:?}");
    }
}

/// What a reconnection takes until both sides know that they hold the same.
async fn reconnect(device: &Device, url: &str) -> (Link, Traffic) {
    device.wire.take();
    let link = device.link(url).await;
    let traffic = device.wire.take();
    (link, traffic)
}

async fn in_sync_with(documents: usize) -> (MemoryTransport, Relay, String, Device) {
    let network = MemoryTransport::new();
    let (relay, url) = relay(&Counting::new(MemoryBackend::new()), &network).await;
    let device = Device::new(&network).await;
    for i in 0..documents {
        let map = device.map(&format!("document-{i}")).await;
        map.update(|m| m.set("title".to_owned(), "a note".to_owned())).await.unwrap();
    }
    let link = device.link(&url).await;
    // After the first the relay holds everything; after the second the device
    // knows where that is in the relay's feed. Closing makes the cursor durable.
    link.synced().await.unwrap();
    link.synced().await.unwrap();
    device.replica.close().await;
    let device = Device::on(device.backend, &network).await;
    (network, relay, url, device)
}

async fn reconnecting_costs_one_round_trip(documents: usize) {
    let (_network, _relay, url, device) = in_sync_with(documents).await;
    for _ in 0..2 {
        let (link, traffic) = reconnect(&device, &url).await;
        assert_eq!((traffic.frames_sent, traffic.frames_received), (1, 1), "{traffic:?}");
        println!("{} bytes with {documents} documents", traffic.bytes());
        assert!(traffic.bytes() < 200, "{traffic:?}");
        link.close().await;
    }
}

#[tokio::test]
async fn reconnecting_in_sync_is_one_round_trip_under_200_bytes_with_one_document() {
    reconnecting_costs_one_round_trip(1).await;
}

#[tokio::test]
async fn reconnecting_in_sync_is_one_round_trip_under_200_bytes_with_10_000_documents() {
    reconnecting_costs_one_round_trip(10_000).await;
}

#[tokio::test]
async fn reconnecting_after_one_change_elsewhere_takes_under_400_bytes() {
    let (network, _relay, url, device) = in_sync_with(100).await;
    let other = Device::new(&network).await;
    let link = other.link(&url).await;
    other.map("document-7").await.update(|m| m.set("x".into(), "y".into())).await.unwrap();
    link.synced().await.unwrap();
    link.close().await;

    device.wire.take();
    let link = device.link(&url).await;
    // A hello each, the change, its ack, and where the device's own feed goes on
    // in this run.
    device.wire.until(|t| t.frames_sent >= 2 && t.frames_received >= 2).await;
    let read = device.map("document-7").await.read(|m| m.get("x").cloned()).unwrap();
    assert_eq!(read.as_deref(), Some("y"));
    let traffic = device.wire.take();
    assert!(traffic.frames() <= 5, "{traffic:?}");
    println!("{} bytes", traffic.bytes());
    assert!(traffic.bytes() < 400, "{traffic:?}");
    link.close().await;
}

#[tokio::test]
async fn an_idle_link_sends_nothing_of_its_own() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&Counting::new(MemoryBackend::new()), &network).await;
    let device = Device::new(&network).await;
    device.map("map").await.update(|m| m.set("a".into(), "b".into())).await.unwrap();
    let link = device.link(&url).await;
    link.synced().await.unwrap();
    device.wire.take();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    tokio::time::resume();
    assert_eq!(device.wire.take(), Traffic::default());
    assert!(matches!(link.status(), LinkStatus::Live), "{}", link.status());
}

#[tokio::test]
async fn one_change_behind_in_a_log_of_20_000_reads_that_one_change() {
    const CHANGES: usize = 20_000;
    let network = MemoryTransport::new();
    let backend = Counting::new(MemoryBackend::new());
    let (relay_before, url) = relay(&backend, &network).await;
    let (writer, behind) = (Device::new(&network).await, Device::new(&network).await);
    let map = writer.map("map").await;
    let mut updates = tokio::task::JoinSet::new();
    for i in 0..CHANGES {
        let map = map.clone();
        updates.spawn(async move {
            map.update(move |m| m.set("counter".to_owned(), i.to_string())).await
        });
    }
    while let Some(done) = updates.join_next().await {
        done.unwrap().unwrap();
    }
    for device in [&writer, &behind] {
        let link = device.link(&url).await;
        link.synced().await.unwrap();
        link.close().await;
    }
    let link = writer.link(&url).await;
    map.update(|m| m.set("last".to_owned(), "one".to_owned())).await.unwrap();
    link.synced().await.unwrap();
    link.close().await;
    // Started anew, the relay has nothing of the log in memory.
    relay_before.close().await;
    drop(relay_before);
    let (_relay, url) = relay(&backend, &network).await;

    backend.take_reads();
    behind.backend.take_reads();
    behind.wire.take();
    let link = behind.link(&url).await;
    link.synced().await.unwrap();
    let (served, took) = (backend.take_reads(), behind.backend.take_reads());
    println!("served {served:?}, took {took:?}");
    assert!(served.keys() <= 16, "the relay read {served:?}");
    assert!(took.keys() <= 16, "the device read {took:?}");
    assert!(behind.wire.take().bytes() < 500);
    let version = behind.map("map").await.version().unwrap();
    assert_eq!(version.get(writer.replica.id()), CHANGES as u64 + 1);
}
