//! What an open document takes in memory, counted by the allocator. A binary of
//! its own with one test, so that nothing else allocates meanwhile.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use peak_alloc::PeakAlloc;
use repliq::prelude::*;

type Map = LwwMap<String, String>;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The memory that `work` keeps and the most it had, beyond what was there.
async fn measured<R>(work: impl Future<Output = R>) -> (R, usize, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work.await;
    let kept = ALLOCATOR.current_usage().saturating_sub(before);
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    (result, kept, peak)
}

async fn device(backend: &MemoryBackend) -> Replica<MemoryBackend> {
    Replica::builder().storage(backend.clone()).build().await.unwrap()
}

/// A map whose keys and values have 10 MB together, in a store.
async fn ten_megabytes(entries: usize) -> (MemoryBackend, usize) {
    let backend = MemoryBackend::new();
    let replica = device(&backend).await;
    let map: Document<Map> = replica.document("map").await.unwrap();
    let bytes = 10_000_000 / entries;
    let chunk = entries.div_ceil(20);
    for start in (0..entries).step_by(chunk) {
        map.update(move |m| {
            for i in start..(start + chunk).min(entries) {
                let key = format!("key-{i:08}");
                let value = "v".repeat(bytes - key.len());
                m.set(key, value);
            }
        })
        .await
        .unwrap();
    }
    drop(map);
    replica.close().await;
    (backend, bytes * entries)
}

#[tokio::test]
async fn an_open_document_of_10_megabytes_takes_less_than_three_times_its_size() {
    for entries in [10_000, 100_000] {
        let (backend, size) = ten_megabytes(entries).await;
        // The first opening reads the log and leaves a snapshot to the others.
        let replica = device(&backend).await;
        drop(replica.document::<Map>("map").await.unwrap());
        let (map, kept, peak) = measured(replica.document::<Map>("map")).await;
        let map = map.unwrap();
        assert_eq!(map.read(|m| m.len()).unwrap(), entries);
        println!("{entries} entries, {size} bytes: {kept} kept, {peak} at most while opening");
        assert!(kept < 3 * size, "{kept} bytes for {size}");
        assert!(peak < 3 * size, "{peak} bytes at most for {size}");
        drop(map);
        replica.close().await;
    }
}
