//! Structs of CRDTs as documents: devices with old and new versions of an app over
//! one relay, updated, set back and restarted.

use crate::support::{v1, v2, v3, wrong};
use repliq::prelude::*;
use repliq::{DecodeError, Error};
use std::time::Duration;

type Device = Replica<MemoryBackend, MemoryTransport>;
type Notes<N> = CrdtMap<String, N>;

/// A relay, and the network it is on.
struct Net {
    network: MemoryTransport,
    _relay: Relay,
    url: String,
}

impl Net {
    async fn new() -> Self {
        let network = MemoryTransport::new();
        let relay = Relay::open(MemoryBackend::new()).await.unwrap();
        let url = relay.listen(network.clone(), "memory://:0").await.unwrap().to_string();
        Self { network, _relay: relay, url }
    }

    async fn device(&self, store: &MemoryBackend) -> Device {
        let builder = Replica::builder().storage(store.clone()).transport(self.network.clone());
        builder.build().await.unwrap()
    }

    /// Syncs one after the other, so that the first has what the last said.
    async fn sync(&self, devices: &[&Device]) {
        for device in devices.iter().chain(devices) {
            let link = device.sync(&self.url).await.unwrap();
            tokio::time::timeout(Duration::from_secs(40), link.synced()).await.unwrap().unwrap();
            link.close().await;
        }
    }
}

async fn notes<N: Crdt>(device: &Device) -> Document<Notes<N>> {
    device.document("notes").await.unwrap()
}

fn id() -> String {
    "id".to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_that_create_one_child_offline_get_one_child_with_both_edits() {
    use v2::{AuthorMut, NoteMut};
    let net = Net::new().await;
    let (a, b) = (net.device(&MemoryBackend::new()).await, net.device(&MemoryBackend::new()).await);
    let (on_a, on_b) = (notes::<v2::Note>(&a).await, notes::<v2::Note>(&b).await);
    on_a.update(|notes| {
        notes.entry(id()).name().set("Groceries".to_string());
        notes.entry(id()).body().insert(0, "milk").unwrap();
        notes.entry(id()).author().likes().add(1);
        notes.entry(id()).places().entry("shop".to_string()).insert(0, "north").unwrap();
    })
    .await
    .unwrap();
    on_b.update(|notes| {
        notes.entry(id()).body().insert(0, "eggs").unwrap();
        notes.entry(id()).author().likes().add(1);
        notes.entry(id()).places().entry("shop".to_string()).insert(0, "south").unwrap();
    })
    .await
    .unwrap();
    net.sync(&[&a, &b]).await;

    let seen = on_a.read(|notes| notes.get("id").cloned()).unwrap().unwrap();
    assert_eq!(on_b.read(|notes| notes.get("id").cloned()).unwrap().unwrap(), seen);
    assert_eq!(on_a.read(|notes| notes.len()).unwrap(), 1);
    let body = seen.body.to_string();
    assert!(body == "milkeggs" || body == "eggsmilk", "{body}");
    assert_eq!(seen.name.get().map(String::as_str), Some("Groceries"));
    assert_eq!(seen.author.likes.value(), 2);
    assert_eq!(seen.places.get("shop").unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_new_versions_sync_and_an_update_shows_what_came_before_it() {
    let net = Net::new().await;
    let (store_a, store_b) = (MemoryBackend::new(), MemoryBackend::new());
    let (a, b) = (net.device(&store_a).await, net.device(&store_b).await);
    let (old, new) = (notes::<v1::Note>(&a).await, notes::<v2::Note>(&b).await);
    {
        use v1::NoteMut;
        old.update(|notes| {
            notes.entry(id()).title().set("Soup".to_string());
            notes.entry(id()).tags().add("food".to_string());
        })
        .await
        .unwrap();
    }
    net.sync(&[&a, &b]).await;
    {
        use v2::{AuthorMut, NoteMut};
        new.update(|notes| {
            assert_eq!(notes.get("id").unwrap().name.get().map(String::as_str), Some("Soup"));
            notes.entry(id()).name().set("Leek soup".to_string());
            notes.entry(id()).body().insert(0, "Cut the leek.").unwrap();
            notes.entry(id()).author().name().set("Ada".to_string());
            // A child of which the old version knows no field.
            notes.entry("other".to_string()).body().insert(0, "new").unwrap();
        })
        .await
        .unwrap();
    }
    net.sync(&[&a, &b]).await;
    let title = old.read(|notes| notes.get("id").unwrap().title.get().cloned()).unwrap();
    assert_eq!(title.as_deref(), Some("Leek soup"));
    assert_eq!(old.read(|notes| notes.len()).unwrap(), 2);
    assert_eq!(old.unread().unwrap(), 0);
    {
        use v1::NoteMut;
        old.update(|notes| notes.entry(id()).tags().add("winter".to_string())).await.unwrap();
    }

    // The app on A is updated.
    a.close().await;
    drop(old);
    let a = net.device(&store_a).await;
    let updated = notes::<v2::Note>(&a).await;
    {
        use v2::NoteMut;
        updated
            .update(|notes| notes.entry(id()).body().insert(13, " Boil it."))
            .await
            .unwrap()
            .unwrap();
    }
    net.sync(&[&a, &b]).await;
    for document in [&updated, &new] {
        let note = document.read(|notes| notes.get("id").cloned()).unwrap().unwrap();
        assert_eq!(note.body.to_string(), "Cut the leek. Boil it.");
        assert_eq!(note.tags.elements(), ["food", "winter"]);
        assert_eq!(note.author.name.get().map(String::as_str), Some("Ada"));
        let other = document.read(|notes| notes.get("other").cloned()).unwrap().unwrap();
        assert_eq!(other.body.to_string(), "new");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_retired_a_field_passes_it_on_to_one_that_has_it() {
    let net = Net::new().await;
    let stores = [(); 3].map(|()| MemoryBackend::new());
    let a = net.device(&stores[0]).await;
    let (b, c) = (net.device(&stores[1]).await, net.device(&stores[2]).await);
    let first = notes::<v1::Note>(&a).await;
    let third = notes::<v3::Note>(&b).await;
    {
        use v1::NoteMut;
        first.update(|notes| notes.entry(id()).tags().add("food".to_string())).await.unwrap();
    }
    net.sync(&[&a, &b]).await;
    {
        use v3::NoteMut;
        third.update(|notes| notes.entry(id()).title().set("Soup".to_string())).await.unwrap();
    }
    net.sync(&[&b, &c]).await;
    let second = notes::<v2::Note>(&c).await;
    let note = second.read(|notes| notes.get("id").cloned()).unwrap().unwrap();
    assert_eq!(note.tags.elements(), ["food"]);
    assert_eq!(note.name.get().map(String::as_str), Some("Soup"));
}

/// So much that an opening writes a snapshot.
const MUCH: usize = 300 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_version_does_not_know_outlives_its_snapshots() {
    use v2::NoteMut;
    let net = Net::new().await;
    let (store_a, store_b) = (MemoryBackend::new(), MemoryBackend::new());
    let (a, b) = (net.device(&store_a).await, net.device(&store_b).await);
    let new = notes::<v2::Note>(&b).await;
    let long = "long ".repeat(MUCH / 5);
    new.update(|notes| notes.entry(id()).body().insert(0, &long)).await.unwrap().unwrap();
    net.sync(&[&a, &b]).await;
    a.close().await;
    // It opens, writes a snapshot, and opens from it.
    for _ in 0..2 {
        let a = net.device(&store_a).await;
        let old = notes::<v1::Note>(&a).await;
        assert_eq!(old.read(|notes| notes.len()).unwrap(), 1);
        drop(old);
        a.close().await;
    }
    new.update(|notes| notes.entry(id()).body().insert(0, "very ")).await.unwrap().unwrap();
    // The other device is set back, opens its own snapshot, and then the old one.
    b.close().await;
    drop(new);
    for _ in 0..2 {
        let b = net.device(&store_b).await;
        drop(notes::<v2::Note>(&b).await);
        drop(notes::<v1::Note>(&b).await);
        b.close().await;
    }
    let (a, b) = (net.device(&store_a).await, net.device(&store_b).await);
    let (old, set_back) = (notes::<v1::Note>(&a).await, notes::<v1::Note>(&b).await);
    net.sync(&[&a, &b]).await;
    drop((old, set_back));
    for device in [a, b] {
        let updated = notes::<v2::Note>(&device).await;
        let body = updated.read(|notes| notes.get("id").unwrap().body.to_string()).unwrap();
        assert!(body == format!("very {long}"), "{} bytes", body.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_of_another_type_is_a_typed_error_for_its_document_and_it_opens_as_before() {
    use v1::NoteMut;
    let net = Net::new().await;
    for is_long in [false, true] {
        let store = MemoryBackend::new();
        let device = net.device(&store).await;
        let note = device.document::<v1::Note>("note").await.unwrap();
        let tag = if is_long { "long ".repeat(MUCH / 5) } else { "short".to_string() };
        note.update(|note| note.tags().add(tag.clone())).await.unwrap();
        drop(note);
        // The second opening of a long one is from its snapshot.
        for _ in 0..2 {
            drop(device.document::<v1::Note>("note").await.unwrap());
        }
        let error = device.document::<wrong::Note>("note").await.err().unwrap();
        match &error {
            Error::Damaged { source, .. } if is_long => {
                assert_eq!(*source, DecodeError::WrongField { tag: 2, expected: "text/1" });
            }
            Error::Unreadable { .. } if !is_long => {}
            other => panic!("{other:?}"),
        }
        let note = device.document::<v1::Note>("note").await.unwrap();
        assert!(note.read(|note| note.tags.contains(&tag)).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_peer_to_a_field_of_another_type_wait_for_the_right_one() {
    let net = Net::new().await;
    let store = MemoryBackend::new();
    let (a, b) = (net.device(&store).await, net.device(&MemoryBackend::new()).await);
    let mistaken = notes::<wrong::Note>(&a).await;
    let right = notes::<v1::Note>(&b).await;
    {
        use wrong::NoteMut;
        mistaken.update(|notes| notes.entry(id()).title().set("Soup".to_string())).await.unwrap();
    }
    {
        use v1::NoteMut;
        right.update(|notes| notes.entry(id()).tags().add("food".to_string())).await.unwrap();
    }
    net.sync(&[&a, &b]).await;
    assert_eq!(mistaken.unread().unwrap(), 1);
    a.close().await;
    drop(mistaken);
    let a = net.device(&store).await;
    let mended = notes::<v1::Note>(&a).await;
    let note = mended.read(|notes| notes.get("id").cloned()).unwrap().unwrap();
    assert_eq!(note.tags.elements(), ["food"]);
    assert_eq!(note.title.get().map(String::as_str), Some("Soup"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_of_another_kind_does_not_open() {
    use v1::NoteMut;
    let net = Net::new().await;
    let device = net.device(&MemoryBackend::new()).await;
    let note = device.document::<v1::Note>("note").await.unwrap();
    note.update(|note| note.title().set("x".to_string())).await.unwrap();
    drop(note);
    let error = device.document::<v2::Author>("note").await.err().unwrap();
    assert!(
        matches!(&error, Error::WrongKind { found, expected: "author/1", .. } if found == "note/1"),
        "{error:?}"
    );
}
