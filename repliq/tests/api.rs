//! Every line of user code that the design promises, as it stands there, with
//! port 0 and temporary directories (redb and QUIC come later).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use repliq::prelude::*;
use repliq::{Events, Link, Relay, Space};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    title: String,
    body: String,
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(40), future).await.expect("the watchdog")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_of_a_device_run_as_they_stand() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    let relay_data = directory.path().join("relay");
    let server = Server::new("127.0.0.1:0".to_string()).storage(SledBackend::open(relay_data)?);
    let (relay, endpoint) = server.start().await?;
    let url = endpoint.as_str();
    let note = Note { title: "First".into(), body: "Body".into() };

    let replica = Replica::open(&data).await?;
    let notes: Document<LwwMap<String, Note>> = replica.document("notes").await?;
    notes.update(|m| m.set("id-1".to_string(), note)).await?;
    let title = notes.read(|m| m.get(&"id-1".to_string()).map(|n| n.title.clone()))?;
    let mut events = notes.subscribe();
    let link = replica.sync(url).await?;
    within(link.synced()).await?;
    assert_eq!(title.as_deref(), Some("First"));

    let team = replica.space("team");
    let shared: Document<LwwSet<u32>> = team.document("shared").await?;
    shared.update(|s| s.add(7)).await?;
    let team_link = team.sync(&format!("{url}/team")).await?;
    within(team_link.synced()).await?;

    // Another device hears of it, and the first of what that one writes.
    let other = Replica::open(directory.path().join("other")).await?;
    let other_link = other.sync(url).await?;
    within(other_link.synced()).await?;
    let there: Document<LwwMap<String, Note>> = other.document("notes").await?;
    let note = there.read(|m| m.get("id-1").cloned())?.ok_or("it is not there")?;
    let edited = Note { title: "Second".into(), ..note };
    there.update(|m| m.set("id-1".to_string(), edited.clone())).await?;
    let told = within(events.next()).await;
    assert_eq!(told, Some(MapEvent::Set { key: "id-1".to_string(), value: edited }));
    assert_eq!(there.read(|m| m.len())?, 1);

    replica.close().await;
    other.close().await;
    relay.close().await;
    Ok(())
}

#[tokio::test]
async fn a_builder_names_backend_and_transport_in_the_type()
-> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let _both: Replica<SledBackend, MemoryTransport> = Replica::builder()
        .storage(SledBackend::open(directory.path())?)
        .transport(MemoryTransport::new())
        .build()
        .await?;
    let _storage: Replica<MemoryBackend> =
        Replica::builder().storage(MemoryBackend::new()).build().await?;
    // The order does not matter, and nothing needs naming.
    let replica = Replica::builder()
        .transport(MemoryTransport::new())
        .storage(MemoryBackend::new())
        .build()
        .await?;
    let space: Space<MemoryBackend, MemoryTransport> = replica.space("a");
    assert_eq!(space.name(), "a");
    let default = tempfile::tempdir()?;
    let opened = Replica::open(default.path()).await?;
    let _default: &Replica<SledBackend, WebSocket> = &opened;
    let _short: &Replica = &opened;
    Ok(())
}

#[test]
fn the_lines_of_a_value_alone_run_as_they_stand() -> Result<(), Box<dyn std::error::Error>> {
    let replica_id = ReplicaId::new();
    let mut map = LwwMap::new(ReplicaId::new());
    map.set("user_name".to_string(), "Alice".to_string());
    assert_eq!(map.get("user_name").map(String::as_str), Some("Alice"));
    let mut set = LwwSet::new(replica_id);
    set.add("a".to_string());
    assert!(set.contains(&"a".to_string()));
    assert_eq!(set.elements(), ["a"]);
    set.remove("a".to_string());
    assert!(set.elements().is_empty());

    let mut other = LwwMap::new(replica_id);
    other.set("city".to_string(), "Bern".to_string());
    map.merge(other).unwrap();
    assert_eq!(map.len(), 2);
    map.remove("city".to_string());
    assert_eq!(map.len(), 1);

    let directory = tempfile::tempdir()?;
    let data = directory.path().join("data");
    {
        let storage = Storage::new(SledBackend::open(&data)?);
        storage.put("my_map", &map)?;
    }
    let storage = Storage::new(SledStorage::open(&data)?);
    let loaded: Option<LwwMap<String, String>> = storage.get("my_map")?;
    let loaded = loaded.ok_or("it is not there")?;
    assert_eq!(loaded.get("user_name").map(String::as_str), Some("Alice"));
    assert!(storage.get::<LwwMap<String, String>>("nothing")?.is_none());
    assert!(storage.get::<LwwSet<String>>("my_map").is_err(), "it is another type");

    let saved: Option<Saved<LwwMap<String, String>>> = storage.get("my_map")?;
    let mut resumed = Standalone::resume(saved.ok_or("it is not there")?, map.replica());
    assert_eq!(resumed.last(), map.last());
    resumed.set("user_name".to_string(), "Bob".to_string());
    map.merge(resumed).unwrap();
    assert_eq!(map.get("user_name").map(String::as_str), Some("Bob"));
    storage.remove("my_map")?;
    assert!(storage.get::<LwwMap<String, String>>("my_map")?.is_none());
    for name in [String::new(), "x".repeat(256)] {
        assert!(storage.put(&name, &map).is_err());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_of_a_server_and_a_client_run_as_they_stand()
-> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    // A free port, given back at once.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let backend = SledBackend::open(directory.path())?;
    let server = Server::new(format!("127.0.0.1:{port}")).storage(backend);
    let serving = tokio::spawn(server.run());
    let url = format!("ws://127.0.0.1:{port}");

    let replica = Replica::builder().storage(MemoryBackend::new()).build().await?;
    let notes: Document<LwwMap<String, String>> = replica.document("notes").await?;
    notes.update(|m| m.set("a".to_string(), "1".to_string())).await?;
    let link = replica.sync(&url).await?;
    within(link.synced()).await?;

    let replica_id = ReplicaId::new();
    let (seen, mut told) = tokio::sync::mpsc::channel(16);
    let mut client = Client::new(replica_id);
    client.connect(&url).await?;
    #[allow(clippy::single_match, reason = "as the design has it")]
    let running = tokio::spawn(async move {
        client
            .run(|message| match message {
                Message::Sync(sync) => drop(seen.try_send(format!("{sync:?}"))),
                _ => {}
            })
            .await
    });
    let text = within(told.recv()).await.ok_or("nothing was told")?;
    assert!(text.contains("notes") && text.contains("lww-map/1"), "{text}");
    notes.update(|m| m.set("b".to_string(), "2".to_string())).await?;
    assert!(within(told.recv()).await.is_some(), "what is new is told, too");
    serving.abort();
    let _ = serving.await;
    // The relay is gone with its server; the client hears of it.
    let ended = within(running).await?;
    assert!(matches!(ended, Ok(()) | Err(repliq::Error::Transport(_))), "{ended:?}");
    assert!(Client::new(replica_id).run(|_| {}).await.is_err(), "connect comes first");
    link.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_the_id_of_a_device_is_told_that_devices_changes_too() {
    let network = MemoryTransport::new();
    let relay = Relay::open(MemoryBackend::new()).await.unwrap();
    let url = relay.listen(network.clone(), "memory://:0").await.unwrap().to_string();
    let replica = Replica::builder()
        .storage(MemoryBackend::new())
        .transport(network.clone())
        .build()
        .await
        .unwrap();
    let notes: Document<LwwMap<String, String>> = replica.document("notes").await.unwrap();
    notes.update(|m| m.set("a".to_string(), "1".to_string())).await.unwrap();
    let link = replica.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    let mut client = Client::with_transport(replica.id(), network);
    client.connect(&url).await.unwrap();
    let (seen, mut told) = tokio::sync::mpsc::channel(16);
    let running = tokio::spawn(async move { client.run(|m| drop(seen.try_send(m))).await });
    assert!(matches!(within(told.recv()).await, Some(Message::Sync(_))));
    running.abort();
    // It left nothing behind that keeps the device from syncing.
    notes.update(|m| m.set("b".to_string(), "2".to_string())).await.unwrap();
    within(link.synced()).await.unwrap();
}

fn is_send<T: Send>(value: T) -> T {
    value
}

fn is_shared<T: Send + Sync + 'static>() {}

fn is_cheap<T: Clone>() {}

#[tokio::test]
async fn handles_go_everywhere_and_every_future_can_be_spawned() {
    type Map = LwwMap<String, String>;
    is_shared::<Replica>();
    is_shared::<Replica<MemoryBackend, MemoryTransport>>();
    is_shared::<Space>();
    is_shared::<Document<Map>>();
    is_shared::<Events<Map>>();
    is_shared::<Link>();
    is_shared::<LinkStatus>();
    is_shared::<Relay>();
    is_shared::<Storage<MemoryBackend>>();
    is_shared::<Standalone<Map>>();
    is_shared::<repliq::Error>();
    is_shared::<repliq::UpdateError<String>>();
    is_shared::<repliq::ReadError>();
    is_shared::<repliq::SyncError>();
    is_cheap::<Replica>();
    is_cheap::<Document<Map>>();
    is_cheap::<Relay>();

    let network = MemoryTransport::new();
    let relay = is_send(Relay::open(MemoryBackend::new())).await.unwrap();
    let at = is_send(relay.listen(network.clone(), "memory://:0")).await.unwrap();
    let building = Replica::builder().storage(MemoryBackend::new()).transport(network.clone());
    let replica = is_send(building.build()).await.unwrap();
    let map = is_send(replica.document::<Map>("a")).await.unwrap();
    let in_space = is_send(replica.space("b").document::<Map>("a")).await.unwrap();
    is_send(map.update(|m| m.set("a".into(), "1".into()))).await.unwrap();
    is_send(in_space.try_update(|_| Ok::<_, ()>(()))).await.unwrap();
    // The future holds the document by itself, and lends nothing.
    let update = {
        let handle = map.clone();
        handle.update(|m| m.len())
    };
    assert_eq!(tokio::spawn(update).await.unwrap().unwrap(), 1);
    let link = is_send(replica.sync(at.as_str())).await.unwrap();
    is_send(link.synced()).await.unwrap();
    let mut events = map.subscribe();
    is_send(map.update(|m| m.set("a".into(), "2".into()))).await.unwrap();
    assert!(is_send(events.next()).await.is_some());
    let mut client = Client::with_transport(ReplicaId::new(), network);
    is_send(client.connect(at.as_str())).await.unwrap();
    drop(is_send(client.run(|_| {})));
    drop(is_send(Server::new("127.0.0.1:0".to_string()).run()));
    drop(is_send(Replica::open("/nowhere")));
    is_send(link.close()).await;
    is_send(replica.close()).await;
    is_send(relay.close()).await;
}

/// Subscriptions are streams, for everything that takes one.
#[tokio::test]
async fn events_are_a_stream() {
    use futures_core::Stream;
    let replica = Replica::builder().storage(MemoryBackend::new()).build().await.unwrap();
    let set: Document<LwwSet<u8>> = replica.document("set").await.unwrap();
    let mut events = set.subscribe();
    set.update(|s| s.add(1)).await.unwrap();
    let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut events).poll_next(context));
    assert_eq!(within(next).await, Some(SetEvent::Added { element: 1 }));
}
