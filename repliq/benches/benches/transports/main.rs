//! Each transport beside the bare library it stands on: how many frames and bytes pass
//! in a second.
//!
//! Both sides of a row carry the same frames over one connection on loopback, first all
//! of them one way, then all of them the other, by one task that sends and one that
//! receives; the connection stands before the clock starts. Rounds of both sides take
//! turns, on a runtime of one thread and on one of two, and a row gives the median of
//! the ratios of its rounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that fails panics"
)]

mod memory;
mod ours;
mod quic;
mod websocket;

use bytes::Bytes;
use repliq_benches::{Table, median, megabytes, per_second};
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Frames of one size, and how many of them go each way.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    bytes: usize,
    frames: usize,
}

const LOADS: [Load; 3] = [
    Load { name: "100 B", bytes: 100, frames: 40_000 },
    Load { name: "4 KiB", bytes: 4 << 10, frames: 10_000 },
    Load { name: "1 MiB", bytes: 1 << 20, frames: 100 },
];
const ROUNDS: usize = 9;
const TARGET: f64 = 0.7;
/// A round that takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(60);

impl Load {
    /// The frames of one direction.
    fn frames(self) -> impl Iterator<Item = Bytes> + Send {
        std::iter::repeat_n(Bytes::from(vec![7; self.bytes]), self.frames)
    }
}

fn main() {
    let mut table = Table::from_args();
    let one = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let two =
        Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for (threads, runtime) in [("one thread", &one), ("two threads", &two)] {
        for load in LOADS {
            let row = Row { threads, runtime, load };
            // No byte of them is touched, so a few take no time at all.
            let many = Load { frames: load.frames.max(10_000), ..load };
            let memory = Row { threads, runtime, load: many };
            memory.compare(&mut table, "memory, a tokio channel", memory::ours, memory::bare);
            row.compare(&mut table, "ws, tokio-tungstenite", websocket::ours, websocket::bare);
            row.compare(&mut table, "quic, quinn", quic::ours, quic::bare);
            if load.bytes < quic::GATHERED {
                let what = "quic, quinn with frames gathered";
                row.compare(&mut table, what, quic::ours, quic::gathered);
            }
        }
    }
    println!("\n{table}");
}

struct Row<'a> {
    threads: &'static str,
    runtime: &'a Runtime,
    load: Load,
}

impl Row<'_> {
    fn compare<O, B>(
        &self,
        table: &mut Table,
        what: &str,
        ours: impl Fn(Load) -> O,
        bare: impl Fn(Load) -> B,
    ) where
        O: Future<Output = Duration> + Send + 'static,
        B: Future<Output = Duration> + Send + 'static,
    {
        let name = format!("transports: {what}, {}, {}", self.load.name, self.threads);
        if !table.wants(&name) {
            return;
        }
        let (mut rates, mut bare_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..table.rounds(ROUNDS) {
            // Whoever comes second may find a warmer machine.
            let (ours, bare) = if round % 2 == 0 {
                let ours = self.round(ours(self.load));
                (ours, self.round(bare(self.load)))
            } else {
                let bare = self.round(bare(self.load));
                (self.round(ours(self.load)), bare)
            };
            rates.push(ours);
            bare_rates.push(bare);
            ratios.push(ours / bare);
        }
        let (rate, bare, ratio) = (median(rates), median(bare_rates), median(ratios));
        let bytes = rate * megabytes(self.load.bytes);
        table.target(
            &name,
            &format!("{ratio:.2}: {rate:.0} frames/s, {bytes:.0} MB/s, bare {bare:.0} frames/s"),
            ">= 0.70",
            ratio >= TARGET,
        );
    }

    /// Frames a second.
    fn round(&self, round: impl Future<Output = Duration> + Send + 'static) -> f64 {
        let took = self.runtime.block_on(async {
            let round = tokio::spawn(tokio::time::timeout(PATIENCE, round));
            round.await.expect("a round").expect("frames that never arrive")
        });
        per_second(2 * self.load.frames, took)
    }
}

/// How long it takes to send in one task and to receive in another. Gives both ends
/// back, since a connection may end with one of them.
async fn pass<S: Send + 'static, R: Send + 'static>(
    send: impl Future<Output = S> + Send + 'static,
    receive: impl Future<Output = R> + Send + 'static,
) -> (Duration, S, R) {
    let began = Instant::now();
    let (send, receive) = (tokio::spawn(send), tokio::spawn(receive));
    let (sender, receiver) = (send.await.expect("sending"), receive.await.expect("receiving"));
    (began.elapsed(), sender, receiver)
}
