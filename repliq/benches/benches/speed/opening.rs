//! Opening a document of 100,000 entries, from its log and from its snapshot.

use crate::Map;
use repliq::prelude::*;
use repliq_benches::{Table, median, millis};
use std::time::Instant;

const ENTRIES: usize = 100_000;
const ROUNDS: usize = 7;

pub(crate) async fn run(table: &mut Table) {
    if !table.wants("opening") {
        return;
    }
    let (mut from_log, mut from_snapshot) = (Vec::new(), Vec::new());
    for _ in 0..table.rounds(3) {
        let backend = MemoryBackend::new();
        fill(&backend).await;
        from_log.push(open(&backend).await);
        for _ in 0..table.rounds(ROUNDS) {
            from_snapshot.push(open(&backend).await);
        }
    }
    table.figure(
        "Opening a document of 100,000 entries from a log of 100,000 changes, and writing its \
         snapshot",
        &format!("{:.0} ms", median(from_log)),
    );
    table.figure("... from its snapshot", &format!("{:.0} ms", median(from_snapshot)));
}

async fn fill(backend: &MemoryBackend) {
    let replica = Replica::builder().storage(backend.clone()).build().await.unwrap();
    let map: Document<Map> = replica.document("map").await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..ENTRIES {
        let map = map.clone();
        let (key, value) = (format!("key-{i}"), format!("the value of the entry number {i}"));
        tasks.spawn(async move { map.update(move |m| m.set(key, value)).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    replica.close().await;
}

async fn open(backend: &MemoryBackend) -> f64 {
    let replica = Replica::builder().storage(backend.clone()).build().await.unwrap();
    let began = Instant::now();
    let map: Document<Map> = replica.document("map").await.unwrap();
    let took = began.elapsed();
    assert_eq!(map.read(|m| m.len()).unwrap(), ENTRIES);
    replica.close().await;
    millis(took)
}
