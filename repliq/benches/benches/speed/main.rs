//! How fast: updates, group commit, relaying, opening, catching up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that fails panics"
)]

mod behind;
#[path = "../../../tests/counting/mod.rs"]
#[allow(missing_docs)]
mod counting;
mod group_commit;
mod in_flight;
mod keystroke;
mod opening;
mod over_backend;
mod relay;

use repliq_benches::Table;

type Map = repliq::crdts::LwwMap<String, String>;

fn main() {
    let mut table = Table::from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        in_flight::run(&mut table).await;
        keystroke::run(&mut table).await;
        relay::run(&mut table).await;
        group_commit::run(&mut table).await;
        over_backend::run(&mut table).await;
        opening::run(&mut table).await;
        behind::run(&mut table).await;
    });
    println!("\n{table}");
}
