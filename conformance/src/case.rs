//! One case: what it is called, how it is run and guarded.

use crate::report::{CaseReport, Outcome, Report};
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a case may take before it counts as hung, for each step of [`effort`].
const WATCHDOG: Duration = Duration::from_secs(120);

/// Whether an implementation may do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The engine relies on it: skipping it makes a report partial.
    Core,
    /// It needs something special of the harness, or concerns a rare use.
    Extended,
}

/// One promise of a contract and how it is checked.
pub struct Case<H> {
    /// The promise in snake case; also the name of its `#[test]`.
    pub name: &'static str,
    /// Whether an implementation may do without.
    pub level: Level,
    /// Checks the promise on a fresh harness.
    pub run: fn(&H, &mut Rng) -> CaseResult,
}

/// How a case ends.
pub type CaseResult = Result<(), Failure>;

/// Why a case did not pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The promise is broken.
    Broken(String),
    /// The harness cannot show this promise; the text says what it lacks.
    Skipped(String),
}

impl<E: fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A small seeded generator (SplitMix64): the same seed gives the same case.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that gives the numbers of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end as u64;
        usize::try_from(self.bits().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }

    /// `len` random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits().to_le_bytes()[0]).collect()
    }
}

/// The seed of a run: the environment variable `REPLIQ_SEED` if it holds a
/// decimal number, else a random one.
#[must_use]
pub fn run_seed() -> u64 {
    let fixed = std::env::var("REPLIQ_SEED").ok().and_then(|seed| seed.trim().parse().ok());
    fixed.unwrap_or_else(|| RandomState::new().hash_one(thread::current().id()))
}

/// How hard to try: the environment variable `REPLIQ_EFFORT` if it holds a
/// decimal number, else 1. Cases that stand on chance repeat themselves so many
/// times as often, and every case may take so many times as long.
#[must_use]
pub fn effort() -> u16 {
    let fixed = std::env::var("REPLIQ_EFFORT").ok().and_then(|effort| effort.trim().parse().ok());
    fixed.unwrap_or(1).max(1)
}

/// Runs one case on a thread of its own, with a panic guard and a watchdog.
pub fn run_case<H: Send + 'static>(case: &Case<H>, harness: H, seed: u64) -> CaseReport {
    let (tell, told) = mpsc::sync_channel(1);
    let run = case.run;
    let spawned = thread::Builder::new().name(case.name.to_owned()).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| run(&harness, &mut Rng::new(seed))));
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(harness)));
        let outcome = match (result, dropped) {
            (Ok(Ok(())), Ok(())) => Outcome::Passed,
            (Ok(Ok(())), Err(_)) => Outcome::Failed("dropping the harness panicked".to_owned()),
            (Ok(Err(Failure::Broken(why))), _) => Outcome::Failed(why),
            (Ok(Err(Failure::Skipped(why))), _) => Outcome::Skipped(why),
            (Err(panic), _) => Outcome::Failed(format!("panicked: {}", panic_message(&*panic))),
        };
        let _ = tell.send(outcome);
    });
    let patience = WATCHDOG.saturating_mul(effort().into());
    let outcome = match spawned {
        Ok(_) => told.recv_timeout(patience).unwrap_or_else(|_| {
            Outcome::Failed(format!("hung: no end after {} seconds", patience.as_secs()))
        }),
        Err(error) => Outcome::Failed(format!("no thread could be started: {error}")),
    };
    CaseReport { name: case.name, level: case.level, seed, outcome }
}

/// Runs every case, each on a fresh harness. Meanwhile it says on the standard error
/// which case runs and how each ended, as a test runner does: an implementation that
/// breaks everything takes minutes.
pub(crate) fn run_all<H: Send + 'static>(
    suite: &'static str,
    cases: &[Case<H>],
    make: impl Fn() -> H,
) -> Report {
    let seed = run_seed();
    eprintln!("running {} {suite} cases, REPLIQ_SEED={seed}", cases.len());
    let run = |case: &Case<H>| {
        eprint!("{suite} {} ... ", case.name);
        let begun = Instant::now();
        let report = run_case(case, make(), seed);
        eprintln!("{}, {:.2} s", report.outcome, begun.elapsed().as_secs_f64());
        report
    };
    Report::new(suite, cases.iter().map(run).collect())
}

/// One test function, begun as whoever runs the suite wants it begun.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test {
    ({ $($head:tt)+ } $name:ident $body:block) => {
        $($head)+ $name() $body
    };
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
