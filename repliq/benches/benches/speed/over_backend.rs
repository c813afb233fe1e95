//! The engine over a backend against that backend alone: the same batches, at
//! the same durability, in turn.
//!
//! Every round of the engine notes the batches it commits, those of the opening
//! included; the raw side then commits these very batches in their order, one
//! thread for all, to a store of its own. So both write the same bytes in the
//! same groups, and what is left between them is what the engine costs. Noting
//! them is counted against the engine.

use crate::Map;
use repliq::prelude::*;
use repliq::{Batch, Durability, Pair, StorageError};
use repliq_benches::{Table, median, per_second};
use std::mem::take;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::task::JoinSet;

const ROUNDS: usize = 9;
/// What the engine must keep of the backend's durable throughput.
const TARGET: f64 = 0.7;

/// What is written in one round.
struct Shape {
    what: &'static str,
    tasks: usize,
    /// By each task, one after the other.
    updates: usize,
    value_bytes: usize,
}

const SHAPES: [Shape; 4] = [
    Shape { what: "20 bytes, one task", tasks: 1, updates: 300, value_bytes: 20 },
    Shape { what: "20 bytes, 64 tasks", tasks: 64, updates: 50, value_bytes: 20 },
    Shape { what: "4 KiB, 64 tasks", tasks: 64, updates: 12, value_bytes: 4 << 10 },
    Shape { what: "1 MiB, one task", tasks: 1, updates: 8, value_bytes: 1 << 20 },
];

pub(crate) async fn run(table: &mut Table) {
    if !table.wants("over_backend") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for shape in &SHAPES {
        let home = tempfile::tempdir_in(directory.path()).unwrap();
        let (ours, raw) = (home.path().join("ours"), home.path().join("raw"));
        measure(table, "memory", shape, MemoryBackend::new(), &MemoryBackend::new()).await;
        let (ours, raw) = (ours.as_path(), raw.as_path());
        let stores = (SledBackend::open(ours).unwrap(), SledBackend::open(raw).unwrap());
        measure(table, "sled", shape, stores.0, &stores.1).await;
        let (ours, raw) = (ours.with_extension("redb"), raw.with_extension("redb"));
        let stores = (RedbBackend::open(ours).unwrap(), RedbBackend::open(raw).unwrap());
        measure(table, "redb", shape, stores.0, &stores.1).await;
    }
}

async fn measure<B: StorageBackend>(
    table: &mut Table,
    name: &str,
    shape: &Shape,
    ours: B,
    raw: &B,
) {
    let batches = Batches::default();
    let is_durable = ours.durability() > Durability::Volatile;
    let noting = Noting { backend: ours, batches: Arc::clone(&batches) };
    let replica = Replica::builder().storage(noting).build().await.unwrap();
    let map: Document<Map> = replica.document("map").await.unwrap();
    let (mut rates, mut ratios, mut best) = (Vec::new(), Vec::new(), (0.0_f64, 0.0_f64));
    let updates = shape.tasks * shape.updates;
    for round in 0..=table.rounds(ROUNDS) {
        let began = Instant::now();
        write(&map, shape).await;
        let engine = per_second(updates, began.elapsed());
        let batches = take(&mut *batches.lock().unwrap());
        let began = Instant::now();
        for batch in batches {
            raw.commit(batch).unwrap();
        }
        let backend = per_second(updates, began.elapsed());
        // The first round makes the document.
        if round > 0 {
            rates.push(engine);
            ratios.push(engine / backend);
            best = (best.0.max(engine), best.1.max(backend));
        }
    }
    replica.close().await;
    let ratio = median(ratios);
    let what = format!("Changes per second over {name}, {}", shape.what);
    let in_best = best.0 / best.1;
    let rate = median(rates);
    let measured = format!("{rate:.0}: {ratio:.2} of the backend alone, {in_best:.2} best to best");
    if is_durable {
        table.target(&what, &measured, &format!(">= {TARGET}"), ratio >= TARGET);
    } else {
        table.figure(&what, &measured);
    }
}

async fn write(map: &Document<Map>, shape: &Shape) {
    let Shape { tasks, updates, value_bytes, .. } = *shape;
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let map = map.clone();
        running.spawn(async move {
            for _ in 0..updates {
                let (key, value) = (format!("key-{task}"), "x".repeat(value_bytes));
                map.update(move |m| m.set(key, value)).await.unwrap();
            }
        });
    }
    running.join_all().await;
}

pub(crate) type Batches = Arc<Mutex<Vec<Batch>>>;

/// A backend that notes what is committed to it.
pub(crate) struct Noting<B> {
    pub(crate) backend: B,
    pub(crate) batches: Batches,
}

impl<B: StorageBackend> StorageBackend for Noting<B> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.backend.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.backend.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.batches.lock().unwrap().push(batch.clone());
        self.backend.commit(batch)
    }

    fn durability(&self) -> Durability {
        self.backend.durability()
    }
}
