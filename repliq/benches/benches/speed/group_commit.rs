//! Durable changes per second on sled: one task against 64, in turn.

use crate::Map;
use repliq::prelude::*;
use repliq_benches::{Table, median, per_second};
use std::time::{Duration, Instant};

const TASKS: usize = 64;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(500);

pub(crate) async fn run(table: &mut Table) {
    if !table.wants("group_commit") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let replica = Replica::open(directory.path()).await.unwrap();
    let map: Document<Map> = replica.document("map").await.unwrap();
    let (mut alone, mut together, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..table.rounds(ROUNDS) {
        let one = rate(&map, 1).await;
        let many = rate(&map, TASKS).await;
        alone.push(one);
        together.push(many);
        ratios.push(many / one);
    }
    let ratio = median(ratios);
    table.figure("Durable changes per second on sled, one task", &format!("{:.0}", median(alone)));
    table.target(
        "Durable changes per second on sled, 64 tasks",
        &format!("{:.0}: {ratio:.1} times one task", median(together)),
        ">= 10 times",
        ratio >= 10.0,
    );
    replica.close().await;
}

async fn rate(map: &Document<Map>, tasks: usize) -> f64 {
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let map = map.clone();
        running.spawn(async move {
            let mut done = 0;
            while began.elapsed() < ROUND {
                let (key, value) = (format!("key-{task}"), format!("{done}"));
                map.update(move |m| m.set(key, value)).await.unwrap();
                done += 1;
            }
            done
        });
    }
    let done = running.join_all().await.into_iter().sum();
    per_second(done, began.elapsed())
}
