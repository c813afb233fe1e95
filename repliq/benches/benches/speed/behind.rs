//! A device that is one change behind in a log of a million.

use crate::Map;
use crate::counting::backend::Counting;
use repliq::prelude::*;
use repliq_benches::{Table, millis, per_second};
use std::time::Instant;

const CHANGES: usize = 1_000_000;
/// How many updates are made at once.
const AT_ONCE: usize = 10_000;

type Store = Counting<MemoryBackend>;

async fn device(backend: &Store, network: &MemoryTransport) -> Replica<Store, MemoryTransport> {
    let builder = Replica::builder().storage(backend.clone()).transport(network.clone());
    builder.build().await.unwrap()
}

pub(crate) async fn run(table: &mut Table) {
    if !table.wants("behind") {
        return;
    }
    let network = MemoryTransport::new();
    let (served, held) = (Counting::new(MemoryBackend::new()), Counting::new(MemoryBackend::new()));
    let writer = device(&served, &network).await;
    write(&writer, CHANGES - 1).await;
    let first = serve(&served, &network, writer).await;

    let behind = device(&held, &network).await;
    let began = Instant::now();
    sync(&behind, &first.1).await;
    let took = began.elapsed();
    first.0.close().await;
    let rate = per_second(CHANGES - 1, took);
    table.figure(
        "A new device takes in 999,999 changes of one document, memory",
        &format!("{rate:.0} changes a second"),
    );

    // The writer goes on where it was; the relay that serves it starts anew.
    let writer = device(&served, &network).await;
    write(&writer, 1).await;
    let second = serve(&served, &network, writer).await;
    served.take_reads();
    held.take_reads();
    let began = Instant::now();
    sync(&behind, &second.1).await;
    let took = millis(began.elapsed());
    let (sent, taken) = (served.take_reads(), held.take_reads());
    table.target(
        "One change behind in a log of 1,000,000: keys read by relay and device",
        &format!("{} and {}, {took:.1} ms", sent.keys(), taken.keys()),
        "not the log",
        sent.keys() + taken.keys() < 100,
    );
    second.0.close().await;
}

async fn write(replica: &Replica<Store, MemoryTransport>, changes: usize) {
    let map: Document<Map> = replica.document("map").await.unwrap();
    for start in (0..changes).step_by(AT_ONCE) {
        let mut tasks = tokio::task::JoinSet::new();
        for i in start..(start + AT_ONCE).min(changes) {
            let map = map.clone();
            tasks.spawn(async move { map.update(move |m| m.set("k".into(), i.to_string())).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
    }
}

/// Serves the store of a device as a relay.
async fn serve(
    backend: &Store,
    network: &MemoryTransport,
    device: Replica<Store, MemoryTransport>,
) -> (Relay, String) {
    device.close().await;
    let relay = Relay::open(backend.clone()).await.unwrap();
    let url = relay.listen(network.clone(), "memory://relay").await.unwrap();
    (relay, url.to_string())
}

async fn sync(device: &Replica<Store, MemoryTransport>, url: &str) {
    let link = device.sync(url).await.unwrap();
    // After the first both hold the same; after the second each side knows how
    // far it has gone through the other's feed, its own changes skipped.
    link.synced().await.unwrap();
    link.synced().await.unwrap();
    link.close().await;
}
