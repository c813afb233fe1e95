//! How much memory: opening a store of many documents, and a large document.
//!
//! Every measurement runs in a process of its own, so that what was needed to
//! prepare it does not count. The allocator counts bytes asked for; the resident
//! set is what the kernel says beyond what it said before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that fails panics"
)]

use peak_alloc::PeakAlloc;
use repliq::prelude::*;
use repliq_benches::{Table, median, megabytes, millis};
use std::path::Path;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

type Map = LwwMap<String, String>;

const DOCUMENTS: usize = 10_000;
const LARGE: usize = 10_000_000;
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [_, "open-store", path] => open_store(Path::new(path)).await,
            [_, "open-document", path] => open_document(Path::new(path)).await,
            _ => {
                let mut table = Table::from_args();
                many_documents(&mut table).await;
                large_document(&mut table, 10_000).await;
                large_document(&mut table, 100_000).await;
                println!("\n{table}");
            }
        }
    });
}

/// What a child measured.
#[derive(Clone, Copy)]
struct Measured {
    millis: f64,
    kept: usize,
    peak: usize,
    resident: usize,
}

/// Runs a measurement in a process of its own.
fn child(what: &str, path: &Path) -> Measured {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program).arg(what).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bytes = |index: usize| numbers[index] as usize;
    Measured { millis: numbers[0], kept: bytes(1), peak: bytes(2), resident: bytes(3) }
}

/// Measures in the child, and tells.
async fn measure<R>(work: impl Future<Output = R>) -> R {
    let (allocated, resident) = (ALLOCATOR.current_usage(), resident());
    ALLOCATOR.reset_peak_usage();
    let began = Instant::now();
    let result = work.await;
    let took = millis(began.elapsed());
    let kept = ALLOCATOR.current_usage().saturating_sub(allocated);
    let peak = ALLOCATOR.peak_usage().saturating_sub(allocated);
    println!("{took} {kept} {peak} {}", self::resident().saturating_sub(resident));
    result
}

/// The resident set, in bytes; 0 where there is no /proc.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

async fn open_store(path: &Path) {
    let replica = measure(Replica::open(path)).await.unwrap();
    replica.close().await;
}

async fn open_document(path: &Path) {
    let replica = Replica::open(path).await.unwrap();
    let map = measure(replica.document::<Map>("map")).await.unwrap();
    assert!(!map.read(|m| m.is_empty()).unwrap());
    replica.close().await;
}

async fn many_documents(table: &mut Table) {
    if !table.wants("many_documents") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::open(directory.path()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..DOCUMENTS {
        if tasks.len() >= 256 {
            tasks.join_next().await.unwrap().unwrap();
        }
        let replica = replica.clone();
        tasks.spawn(async move {
            let map: Document<Map> = replica.document(&format!("document-{i}")).await.unwrap();
            let body = format!("The text of note number {i}. ").repeat(20);
            map.update(|m| m.set("body".to_owned(), body)).await.unwrap();
        });
    }
    tasks.join_all().await;
    replica.close().await;

    let first = child("open-store", directory.path());
    let later: Vec<_> = (0..ROUNDS).map(|_| child("open-store", directory.path())).collect();
    let took = median(later.iter().map(|measured| measured.millis).collect());
    table.target(
        "Opening a store of 10,000 documents, sled",
        &format!("{took:.0} ms ({:.0} ms right after writing)", first.millis),
        "< 100 ms",
        took < 100.0,
    );
    let most = later.iter().copied().chain([first]).max_by_key(|measured| measured.resident);
    let most = most.unwrap_or(first);
    table.target(
        "... memory",
        &format!(
            "{:.1} MB resident, {:.1} MB allocated, {:.1} MB at most",
            megabytes(most.resident),
            megabytes(most.kept),
            megabytes(most.peak)
        ),
        "< 50 MB",
        most.resident.max(most.peak) < 50_000_000,
    );
}

async fn large_document(table: &mut Table, entries: usize) {
    if !table.wants("large_document") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::open(directory.path()).await.unwrap();
    let map: Document<Map> = replica.document("map").await.unwrap();
    let bytes = LARGE / entries;
    for start in (0..entries).step_by(entries / 20) {
        map.update(move |m| {
            for i in start..start + entries / 20 {
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

    let from_log = child("open-document", directory.path());
    let opened = child("open-document", directory.path());
    table.target(
        &format!("An open document of 10 MB in {entries} entries, sled: kept by it"),
        &format!(
            "{:.1} MB allocated, {:.1} MB resident",
            megabytes(opened.kept),
            megabytes(opened.resident)
        ),
        "< 30 MB",
        opened.kept < 3 * LARGE,
    );
    table.figure(
        "... at most while it opens, sled's cache included",
        &format!(
            "{:.1} MB from its snapshot, {:.1} MB from its log with a snapshot written",
            megabytes(opened.peak),
            megabytes(from_log.peak)
        ),
    );
}
