//! A keystroke through the whole engine: one character inserted into an open text
//! of 100,000, a transaction each, durable when it returns. How long it takes, and
//! how many bytes it is in the log and on the wire.
//!
//! Time is given twice: as it passed, and as processor time of all threads together,
//! which other programs on the machine disturb less; what an awaited keystroke waits
//! for other threads is in the first only.
//!
//! The text was either written on this device, or by another one that synced it
//! here: an insertion names its neighbours, and those of another device by that
//! device's id.

use crate::counting::transport::Counting;
use crate::over_backend::{Batches, Noting};
use futures_util::stream::{FuturesUnordered, StreamExt};
use repliq::prelude::*;
use repliq_benches::{Table, median};
use rustix::time::{ClockId, clock_gettime};
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CHARACTERS: usize = 100_000;
const KEYSTROKES: u32 = 10_000;
const ROUNDS: usize = 9;
/// What is counted in bytes.
const COUNTED: usize = 200;
/// The family of the log, and that of the feed (`docs/STORAGE.md`).
const CHANGE_FAMILIES: [u8; 2] = [0x08, 0x09];

/// Where the keys are struck.
#[derive(Clone, Copy)]
enum Places {
    /// Each right after the one before.
    Cursor,
    /// Each somewhere else.
    Random,
}

pub(crate) async fn run(table: &mut Table) {
    if !table.wants("keystroke") {
        return;
    }
    time(table, Places::Cursor, "at the cursor").await;
    time(table, Places::Random, "at random places").await;
    in_flight(table).await;
    bytes(table, MemoryBackend::new(), "memory").await;
    let directory = tempfile::tempdir().unwrap();
    bytes(table, SledBackend::open(directory.path()).unwrap(), "sled").await;
}

/// One after the other, each awaited before the next is struck.
async fn time(table: &mut Table, places: Places, at: &str) {
    let text = written().await;
    let mut rounds = Vec::new();
    for round in 0..table.rounds(ROUNDS) {
        let began = Began::now();
        for place in struck(places, round) {
            strike(&text, place).await;
        }
        rounds.push(began.micros());
    }
    let what = format!("Keystroke in a text of 100,000, memory backend, awaited, {at}");
    timed(table, &what, rounds);
}

/// All under way at once, as of an app that shows them and does not wait.
async fn in_flight(table: &mut Table) {
    let text = written().await;
    let mut rounds = Vec::new();
    for round in 0..table.rounds(ROUNDS) {
        let began = Began::now();
        let places = struck(Places::Random, round);
        let mut struck: FuturesUnordered<_> = places.map(|place| strike(&text, place)).collect();
        while struck.next().await.is_some() {}
        rounds.push(began.micros());
    }
    let what = "... 10,000 in flight, at random places";
    timed(table, what, rounds);
}

/// When a round began: by the clock, and in processor time.
struct Began(Instant, Duration);

impl Began {
    fn now() -> Self {
        Self(Instant::now(), processor_time())
    }

    /// Microseconds a keystroke since then, by both.
    fn micros(&self) -> [f64; 2] {
        let took = [self.0.elapsed(), processor_time() - self.1];
        took.map(|took| took.as_secs_f64() * 1e6 / f64::from(KEYSTROKES))
    }
}

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(now).expect("a time after the start of the process")
}

fn timed(table: &mut Table, what: &str, rounds: Vec<[f64; 2]>) {
    let [passed, processor] = [0, 1].map(|by| median(rounds.iter().map(|took| took[by]).collect()));
    let best = rounds.iter().map(|took| took[0]).fold(f64::INFINITY, f64::min);
    let measured =
        format!("{passed:.2} us each, {best:.2} in the best round; {processor:.2} us of processor");
    table.target(what, &measured, "< 5 us", passed < 5.0);
}

async fn strike(text: &Document<Text>, place: usize) {
    text.try_update(|t| t.insert(place, "x")).await.unwrap();
}

/// The places of a round's keystrokes; none is past the end.
fn struck(places: Places, round: usize) -> impl Iterator<Item = usize> {
    let mut state = round as u64;
    (0..KEYSTROKES as usize).map(move |done| match places {
        Places::Cursor => CHARACTERS / 2 + done,
        Places::Random => {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % CHARACTERS
        }
    })
}

/// A text that this device wrote, a paragraph at a time.
async fn written() -> Document<Text> {
    let replica = Replica::builder().storage(MemoryBackend::new()).build().await.unwrap();
    let text = replica.document("text").await.unwrap();
    write(&text).await;
    text
}

async fn write(text: &Document<Text>) {
    const PARAGRAPH: usize = 500;
    for start in (0..CHARACTERS).step_by(PARAGRAPH) {
        text.try_update(|t| t.insert(start, &"a".repeat(PARAGRAPH))).await.unwrap();
    }
}

/// Keystrokes at random places in an own text and in that of somebody else, with
/// a peer that gets each in a frame of its own, and acknowledges it.
async fn bytes<B: StorageBackend>(table: &mut Table, backend: B, name: &str) {
    let network = MemoryTransport::new();
    let relay = Relay::open(MemoryBackend::new()).await.unwrap();
    let url = relay.listen(network.clone(), "memory://relay").await.unwrap().to_string();
    let batches = Batches::default();
    let noting = Noting { backend, batches: Arc::clone(&batches) };
    let wire = Counting::new(network.clone());
    let replica = Replica::builder().storage(noting).transport(wire.clone()).build().await.unwrap();
    let other = Replica::builder().storage(MemoryBackend::new()).transport(network);
    let other = other.build().await.unwrap();
    let own: Document<Text> = replica.document("own").await.unwrap();
    let theirs: Document<Text> = other.document("theirs").await.unwrap();
    write(&own).await;
    write(&theirs).await;
    other.sync(&url).await.unwrap().synced().await.unwrap();
    let link = replica.sync(&url).await.unwrap();
    link.synced().await.unwrap();
    let theirs: Document<Text> = replica.document("theirs").await.unwrap();
    for (text, whose) in [(own, "an own text"), (theirs, "a text of another device")] {
        // The first names document and replica.
        strike(&text, 0).await;
        link.synced().await.unwrap();
        wire.take();
        batches.lock().unwrap().clear();
        for (done, place) in (1..=COUNTED).zip(struck(Places::Random, 0)) {
            strike(&text, place).await;
            wire.until(|seen| seen.frames_sent >= done && seen.frames_received >= done).await;
        }
        let batches = take(&mut *batches.lock().unwrap());
        let of = |wanted: &dyn Fn(&[u8]) -> bool| {
            let writes = batches.iter().flat_map(|batch| batch.iter());
            let sizes = writes.filter(|(key, _)| wanted(key));
            sizes.map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum::<usize>()
        };
        let body: usize = batches
            .iter()
            .flat_map(|batch| batch.iter())
            .filter(|(key, _)| key.first() == Some(&CHANGE_FAMILIES[0]))
            .map(|(_, value)| value.map_or(0, <[u8]>::len))
            .sum();
        let log = of(&|key| key.first() == Some(&CHANGE_FAMILIES[0]));
        let feed = of(&|key| key.first() == Some(&CHANGE_FAMILIES[1]));
        let all = of(&|_| true);
        let traffic = wire.take();
        let each = |bytes: usize| bytes as f64 / COUNTED as f64;
        table.target(
            &format!("Keystroke in {whose}, {name} backend, encoded"),
            &format!("{:.1} bytes", each(body)),
            "< 40 bytes",
            each(body) < 40.0,
        );
        table.figure(
            "... alone in its frame on the wire; its ack",
            &format!("{:.1}; {:.1} bytes", each(traffic.bytes_sent), each(traffic.bytes_received)),
        );
        table.figure(
            "... in the log with its key; with its line in the feed; with all meta",
            &format!("{:.1}; {:.1}; {:.1} bytes", each(log), each(log + feed), each(all)),
        );
    }
    replica.close().await;
}
