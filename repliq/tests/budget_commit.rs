//! What a change costs the backend, in bytes and keys.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod counting;

use counting::backend::{Counting, Written};
use repliq::prelude::*;
use tokio::task::JoinSet;

type Map = LwwMap<String, String>;

/// The families of log and feed; the rest is meta (docs/STORAGE.md).
const CHANGE_FAMILIES: [u8; 2] = [0x08, 0x09];
/// A space's record, its epochs, and the records of documents.
const META_FAMILIES: [u8; 3] = [0x04, 0x05, 0x07];

async fn device(backend: &Counting<MemoryBackend>) -> Replica<Counting<MemoryBackend>> {
    Replica::builder().storage(backend.clone()).build().await.unwrap()
}

async fn fill(map: &Document<Map>, entries: usize) {
    for start in (0..entries).step_by(1000) {
        map.update(move |m| {
            for i in start..(start + 1000).min(entries) {
                m.set(format!("key-{i}"), format!("value-{i}"));
            }
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn one_set_in_a_map_of_100_000_entries_commits_less_than_a_kibibyte() {
    let backend = Counting::new(MemoryBackend::new());
    let replica = device(&backend).await;
    let map: Document<Map> = replica.document("map").await.unwrap();
    fill(&map, 100_000).await;
    backend.take_batches();
    backend.take_reads();

    // More than 64, so that the heads of the document are written down in between.
    for i in 0..200 {
        map.update(move |m| m.set("key-5".to_owned(), format!("{i}"))).await.unwrap();
    }

    let batches = backend.take_batches();
    assert_eq!(batches.len(), 200, "one batch a change");
    let largest = batches.iter().map(|batch| batch.bytes).max().unwrap();
    assert!(largest < 1024, "a batch of {largest} bytes");
    let mean = batches.iter().map(|batch| batch.bytes).sum::<usize>() / batches.len();
    println!("largest batch {largest} bytes, mean {mean}");
    assert!(mean < 160, "{mean} bytes a change");
    assert_eq!(backend.take_reads().keys(), 0, "a commit reads nothing back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_commit_writes_two_keys_a_change_and_meta_once_a_batch() {
    const TASKS: usize = 64;
    let backend = Counting::new(MemoryBackend::new());
    let replica = device(&backend).await;
    let map: Document<Map> = replica.document("map").await.unwrap();
    map.update(|m| m.set("first".to_owned(), String::new())).await.unwrap();
    backend.take_batches();

    // The first update is being committed while all others queue up behind it.
    let mut tasks = JoinSet::new();
    {
        let mut queued = Vec::new();
        let held = backend.hold_commits();
        for i in 0..TASKS {
            let map = map.clone();
            let update = async move { map.update(move |m| m.set(format!("{i}"), "".into())).await };
            let mut update = Box::pin(update);
            assert!(poll_once(update.as_mut()).is_none(), "durable before its commit");
            queued.push(update);
        }
        for update in queued {
            tasks.spawn(update);
        }
        drop(held);
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }

    let batches = backend.take_batches();
    let changes: usize = batches.iter().map(|batch| batch.keys_of(&[0x08])).sum();
    assert_eq!(changes, TASKS);
    println!("{batches:?}");
    assert!(batches.len() <= 2, "{} batches", batches.len());
    for batch in &batches {
        check_keys(batch);
    }
}

/// Polls a future once.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

fn check_keys(batch: &Written) {
    let changes = batch.keys_of(&[0x08]);
    assert!(batch.keys_of(&CHANGE_FAMILIES) <= 2 * changes, "{batch:?}");
    for family in META_FAMILIES {
        assert!(batch.keys_of(&[family]) <= 1, "meta once a batch: {batch:?}");
    }
    let meta = batch.all_keys() - batch.keys_of(&CHANGE_FAMILIES);
    assert!(meta <= 2, "space and document at most: {batch:?}");
}

#[tokio::test]
async fn opening_a_store_of_10_000_documents_reads_meta_only() {
    const DOCUMENTS: usize = 10_000;
    let backend = Counting::new(MemoryBackend::new());
    let replica = device(&backend).await;
    for i in 0..DOCUMENTS {
        let map: Document<Map> = replica.document(&format!("document-{i}")).await.unwrap();
        map.update(|m| m.set("title".to_owned(), "a note".to_owned())).await.unwrap();
    }
    replica.close().await;

    backend.take_reads();
    let replica = device(&backend).await;
    let opened = backend.take_reads();
    println!("{opened:?}");
    assert!(opened.keys() <= 12, "{opened:?}");
    assert!(opened.bytes <= 512, "{opened:?}");

    let map: Document<Map> = replica.document("document-5000").await.unwrap();
    assert_eq!(map.read(|m| m.get("title").cloned()).unwrap().as_deref(), Some("a note"));
    let document = backend.take_reads();
    println!("{document:?}");
    assert!(document.keys() <= 24, "a document reads its own keys only: {document:?}");
}
