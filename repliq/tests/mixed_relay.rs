//! One relay that listens on several transports at once.

#![cfg(all(
    feature = "memory",
    feature = "redb",
    feature = "quic",
    feature = "sled",
    feature = "websocket"
))]
#![allow(clippy::unwrap_used)]

use repliq::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

type Notes = LwwMap<String, String>;

/// A device, its notes, and its link to the relay.
struct Device<B, T> {
    replica: Replica<B, T>,
    notes: Document<Notes>,
    link: Link,
}

impl<B: StorageBackend, T: Transport> Device<B, T> {
    async fn open(storage: B, transport: T, relay: &str) -> Self {
        let replica = Replica::builder().storage(storage).transport(transport);
        let replica = replica.build().await.unwrap();
        let notes = replica.document("notes").await.unwrap();
        let link = replica.sync(relay).await.unwrap();
        Self { replica, notes, link }
    }

    async fn write(&self, key: &str, value: &str) {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.notes.update(|m| m.set(key, value)).await.unwrap();
    }

    fn shown(&self) -> BTreeMap<String, String> {
        self.notes.read(|m| m.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_on_different_transports_and_backends_agree_through_one_relay() {
    let whole = async {
        let home = tempfile::tempdir().unwrap();
        let network = MemoryTransport::new();
        let tls = TlsConfig::new();
        let on_disk = SledBackend::open(home.path().join("relay")).unwrap();
        let relay = Relay::open(on_disk).await.unwrap();
        let memory = relay.listen(network.clone(), "memory://:0").await.unwrap();
        let websocket = relay.listen(WebSocket::default(), "ws://127.0.0.1:0").await.unwrap();
        let quic = relay.listen(Quic::new(tls.clone()), "quic://127.0.0.1:0").await.unwrap();

        let one = Device::open(MemoryBackend::new(), network, memory.as_str()).await;
        let sled = SledBackend::open(home.path().join("sled")).unwrap();
        let two = Device::open(sled, WebSocket::default(), websocket.as_str()).await;
        let redb = RedbBackend::open(home.path().join("three.redb")).unwrap();
        let three = Device::open(redb, Quic::new(tls), quic.as_str()).await;

        one.write("one", "memory").await;
        two.write("two", "websocket").await;
        three.write("three", "quic").await;
        one.link.synced().await.unwrap();
        two.link.synced().await.unwrap();
        three.link.synced().await.unwrap();
        one.write("last", "from one").await;
        for link in [&one.link, &two.link, &three.link, &one.link] {
            link.synced().await.unwrap();
        }

        let all =
            [("last", "from one"), ("one", "memory"), ("three", "quic"), ("two", "websocket")];
        let all: BTreeMap<_, _> = all.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(one.shown(), all);
        assert_eq!(two.shown(), all);
        assert_eq!(three.shown(), all);
        one.replica.close().await;
        two.replica.close().await;
        three.replica.close().await;
        relay.close().await;
    };
    tokio::time::timeout(Duration::from_secs(30), whole).await.expect("no end in 30 seconds");
}
