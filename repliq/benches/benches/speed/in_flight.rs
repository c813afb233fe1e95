//! Updates of one key, all in flight at once, on the memory backend.

use crate::Map;
use futures_util::stream::{FuturesUnordered, StreamExt};
use repliq::prelude::*;
use repliq_benches::{Table, median};
use std::time::{Duration, Instant};

const UPDATES: u32 = 100_000;
const ROUNDS: usize = 9;

pub(crate) async fn run(table: &mut Table) {
    if !table.wants("in_flight") {
        return;
    }
    let replica = Replica::builder().storage(MemoryBackend::new()).build().await.unwrap();
    let map: Document<Map> = replica.document("map").await.unwrap();
    let (mut together, mut spawned) = (Vec::new(), Vec::new());
    for _ in 0..table.rounds(ROUNDS) {
        together.push(micros(one_task(&map).await));
        spawned.push(micros(task_each(&map).await));
    }
    for (how, micros) in [("polled by one task", together), ("a spawned task each", spawned)] {
        let best = micros.iter().copied().fold(f64::INFINITY, f64::min);
        let median = median(micros);
        table.target(
            &format!("100,000 `update`s of one key in flight, memory backend, {how}"),
            &format!("{median:.2} us each, {best:.2} in the best round"),
            "< 3 us",
            median < 3.0,
        );
    }
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / f64::from(UPDATES)
}

async fn one_task(map: &Document<Map>) -> Duration {
    let began = Instant::now();
    let mut updates: FuturesUnordered<_> =
        (0..UPDATES).map(|i| map.update(move |m| m.set("key".into(), i.to_string()))).collect();
    while let Some(done) = updates.next().await {
        done.unwrap();
    }
    began.elapsed()
}

async fn task_each(map: &Document<Map>) -> Duration {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..UPDATES {
        let map = map.clone();
        tasks.spawn(async move { map.update(move |m| m.set("key".into(), i.to_string())).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    began.elapsed()
}
