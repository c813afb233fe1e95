//! The generated tests begin as whoever runs the suite asks: here as those of tokio,
//! which are `async`. Without a test runner, the suite says how it goes.

#![allow(clippy::unwrap_used)]

use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle, Suite, cases, run, strategy};
use repliq_core::{Crdt, CrdtError, Effects, Stamp, Version};
use serde::{Deserialize, Serialize};
use std::env;
use std::process::Command;

/// The largest number that anybody said.
#[derive(Default, Serialize, Deserialize)]
struct Max(u32);

impl Max {
    fn raise(&mut self, to: u32, fx: &mut Effects<Self>) {
        if to > self.0 {
            let before = std::mem::replace(&mut self.0, to);
            fx.event(|| to);
            fx.undo(|| before);
        }
    }
}

impl Crdt for Max {
    const KIND: &'static str = "max/1";
    type Op = u32;
    type Event = u32;
    type Undo = u32;

    fn apply(&mut self, op: u32, _: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        self.raise(op, fx);
        Ok(())
    }

    fn join(&mut self, _: &Version, other: Self, _: &Version, fx: &mut Effects<Self>) {
        self.raise(other.0, fx);
    }

    fn rollback(&mut self, undo: u32) {
        self.0 = undo;
    }
}

struct Model;

impl Oracle<Max> for Model {
    type View = u32;

    fn view(state: &Max) -> u32 {
        state.0
    }

    fn patch(view: &mut u32, event: u32) {
        *view = event;
    }

    fn expected(history: &History<u32>) -> u32 {
        history.iter().map(|said| said.op).max().unwrap_or(0)
    }
}

repliq_conformance::crdt_conformance!(
    #[tokio::test(flavor = "current_thread")]
    #[cfg(not(miri))]
    async fn,
    Max,
    ops = strategy(0_u32..10),
    oracle = Model,
);

type MaxSuite = Suite<Max, fn(&mut Rng, &Max) -> Option<u32>, Model>;

fn raise(rng: &mut Rng, _: &Max) -> Option<u32> {
    u32::try_from(rng.below(10)).ok()
}

const RUNS: &str = "REPLIQ_RUNS_A_SUITE";

#[test]
fn a_run_says_what_it_runs_and_how_that_ended() {
    let mut runner = Command::new(env::current_exe().unwrap());
    runner.args(["--exact", "a_program_that_runs_a_suite", "--nocapture"]).env(RUNS, "");
    let errors = String::from_utf8(runner.output().unwrap().stderr).unwrap();
    let mut lines = errors.lines().filter_map(|line| line.strip_prefix("crdt "));
    for case in cases::<MaxSuite>() {
        let line = lines.next().unwrap();
        let ended = line.strip_prefix(&format!("{} ... ", case.name)).unwrap();
        assert!(ended.starts_with("passed, ") || ended.starts_with("skipped: "), "{line}");
    }
    assert_eq!(lines.next(), None);
}

/// On its own it has nothing to do.
#[test]
fn a_program_that_runs_a_suite() {
    if env::var_os(RUNS).is_some() {
        run(|| MaxSuite::new(raise as fn(&mut Rng, &Max) -> Option<u32>));
    }
}
