//! Devices and a relay, over memory and over the defaults.

#![allow(clippy::unwrap_used)]

use repliq::prelude::*;
use std::time::Duration;

type Notes = LwwMap<String, String>;

async fn device(network: &MemoryTransport) -> Replica<MemoryBackend, MemoryTransport> {
    Replica::builder()
        .storage(MemoryBackend::new())
        .transport(network.clone())
        .build()
        .await
        .unwrap()
}

fn texts(notes: &Document<Notes>) -> Vec<(String, String)> {
    let mut texts: Vec<_> =
        notes.read(|m| m.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap();
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_is_visible_at_once_and_after_reopening() {
    let backend = MemoryBackend::new();
    let replica = Replica::builder().storage(backend.clone()).build().await.unwrap();
    let notes: Document<Notes> = replica.document("notes").await.unwrap();
    notes.update(|m| m.set("a".into(), "1".into())).await.unwrap();
    assert_eq!(texts(&notes), [("a".into(), "1".into())]);
    replica.close().await;
    assert!(notes.read(|_| ()).is_err());

    let replica = Replica::builder().storage(backend).build().await.unwrap();
    let notes: Document<Notes> = replica.document("notes").await.unwrap();
    assert_eq!(texts(&notes), [("a".into(), "1".into())]);
    notes.update(|m| m.set("a".into(), "2".into())).await.unwrap();
    assert_eq!(texts(&notes), [("a".into(), "2".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_that_meet_at_a_relay_hold_the_same() {
    let network = MemoryTransport::new();
    let relay = Relay::open(MemoryBackend::new()).await.unwrap();
    let url = relay.listen(network.clone(), "memory://:0").await.unwrap().to_string();
    let (a, b) = (device(&network).await, device(&network).await);
    let notes_a: Document<Notes> = a.document("notes").await.unwrap();
    let notes_b: Document<Notes> = b.document("notes").await.unwrap();
    notes_a.update(|m| m.set("x".into(), "from a".into())).await.unwrap();
    notes_b.update(|m| m.set("y".into(), "from b".into())).await.unwrap();

    let mut events = notes_b.subscribe();
    let link_a = a.sync(&url).await.unwrap();
    let link_b = b.sync(&url).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), async {
        link_a.synced().await.unwrap();
        link_b.synced().await.unwrap();
        link_a.synced().await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(texts(&notes_a), texts(&notes_b));
    assert_eq!(texts(&notes_a).len(), 2);
    assert!(events.next().await.is_some());

    notes_a.update(|m| m.set("z".into(), "live".into())).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap().unwrap();
    assert_eq!(texts(&notes_b).len(), 3);
    relay.close().await;
}
