//! A row of the table: one piece of work, and everyone who does it.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// What the numbers of a row are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Measure {
    /// Nanoseconds for each edit, entry or element.
    NanosEach,
    /// Milliseconds for all of it.
    Millis,
    /// Bytes on the wire or at rest.
    Bytes,
    /// Mebibytes asked of the allocator.
    Mebibytes,
}

impl Measure {
    /// Whether another round gives another number.
    pub(crate) const fn varies(self) -> bool {
        matches!(self, Self::NanosEach | Self::Millis)
    }
}

/// What the ratio of a row must not exceed, and to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) at_most: f64,
    /// Who it is measured against, if not the best peer.
    pub(crate) against: Option<&'static str>,
}

impl Target {
    /// A ratio to the best peer.
    pub(crate) const fn at_most(at_most: f64) -> Option<Self> {
        Some(Self { at_most, against: None })
    }
}

/// How much a round took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    /// Whether the work was done to its end. Who was stopped for being too slow
    /// would have needed at least as much a piece for the rest.
    pub(crate) whole: bool,
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self { value, whole: true }
    }
}

/// One round of somebody's work: checks that the work was done, and says how
/// much it took. What prepares it is done in the first round and not counted.
pub(crate) type Round = Box<dyn FnMut() -> Sample>;

/// Who takes part in a row.
pub(crate) type Contestants = Vec<(&'static str, Round)>;

pub(crate) struct Row {
    /// What it is called on the command line.
    pub(crate) name: String,
    /// What is done.
    pub(crate) what: &'static str,
    /// The trace or size that it is done with, if it is done with several.
    pub(crate) case: Option<&'static str>,
    /// What of it is counted.
    pub(crate) note: &'static str,
    pub(crate) measure: Measure,
    pub(crate) target: Option<Target>,
    pub(crate) contestants: Contestants,
}

/// What somebody needed in each round.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) peer: &'static str,
    pub(crate) rounds: Vec<Sample>,
}

/// How long to go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// At most so many rounds.
    pub(crate) rounds: usize,
    /// Whoever has used up so much for a row, preparation included, does no
    /// further round of it.
    pub(crate) patience: Duration,
}

impl Row {
    /// Runs rounds of all contestants in turn, so that a noisy machine concerns
    /// them alike.
    pub(crate) fn run(&mut self, effort: Effort) -> Vec<Measured> {
        let rounds = if self.measure.varies() { effort.rounds } else { 1 };
        let mut used = vec![Duration::ZERO; self.contestants.len()];
        let mut measured: Vec<_> = self
            .contestants
            .iter()
            .map(|(peer, _)| Measured { peer, rounds: Vec::new() })
            .collect();
        for round in 0..rounds {
            for (index, (_, run)) in self.contestants.iter_mut().enumerate() {
                if round > 0 && used[index] > effort.patience {
                    continue;
                }
                let (sample, took) = timed(run);
                measured[index].rounds.push(sample);
                used[index] += took;
            }
        }
        measured
    }
}

/// Who is slow at small steps is stopped after this time.
const TOO_SLOW: Duration = Duration::from_secs(10);

/// Does something to each item until it takes too long, and says how many were
/// reached. Looks at the time every so many items: looking takes time as well.
pub(crate) fn until_too_slow<T>(items: &[T], every: usize, mut act: impl FnMut(&T)) -> usize {
    let began = processor_time();
    for (turn, some) in items.chunks(every).enumerate() {
        some.iter().for_each(&mut act);
        if processor_time().saturating_sub(began) > TOO_SLOW {
            return turn * every + some.len();
        }
    }
    items.len()
}

/// How many single edits are made between two looks at the time.
pub(crate) const EDITS: usize = 256;

/// Runs something, and says what it gave and how much processor time it took.
/// The time of this process, not that of the clock on the wall: everyone here
/// works on one core and waits for nothing, and a machine has other things to do.
pub(crate) fn timed<R>(run: impl FnOnce() -> R) -> (R, Duration) {
    let before = processor_time();
    let result = std::hint::black_box(run());
    (result, processor_time().saturating_sub(before))
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("it is not negative")
}

/// Nanoseconds for each of so many.
pub(crate) fn each(took: Duration, number: usize) -> f64 {
    took.as_secs_f64() * 1e9 / count(number)
}

/// A count as a number of the table.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) const fn count(count: usize) -> f64 {
    count as f64
}
