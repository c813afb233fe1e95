//! The engine suite tests itself: a small correct engine passes every case, and
//! for each case a copy of it with one bug fails that very case, for that reason.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod bugs;
mod model;
mod twin;

use bugs::{Bug, TWINS};
use repliq_conformance::engine::{CASES, Engine, run};
use repliq_conformance::{Outcome, Verdict, run_case};
use std::collections::BTreeSet;
use twin::Twin;

#[test]
fn a_sound_engine_passes_every_case_with_every_seed() {
    let report = run(|| Box::new(Twin::new(None)));
    assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
    for seed in 0..200 {
        for case in &CASES {
            let report = run_case(case, Box::new(Twin::new(None)), seed);
            assert_eq!(report.outcome, Outcome::Passed, "{} {seed}", case.name);
        }
    }
}

#[test]
fn every_case_has_a_twin_and_every_twin_a_case() {
    let cases: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    let twins: BTreeSet<&str> = TWINS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(twins, cases);
}

#[test]
fn each_twin_fails_its_case_for_the_right_reason_with_every_seed() {
    let mut fooled = Vec::new();
    for (name, bug, why) in TWINS {
        for seed in 0..50 {
            match outcome(name, *bug, seed) {
                Outcome::Failed(said) if said.contains(why) => {}
                outcome => fooled.push(format!("{name}, {bug:?}, seed {seed}: {outcome:?}")),
            }
        }
    }
    assert!(fooled.is_empty(), "{}", fooled.join("\n"));
}

fn outcome(name: &str, bug: Bug, seed: u64) -> Outcome {
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let twin: Box<dyn Engine> = Box::new(Twin::new(Some(bug)));
    run_case(case, twin, seed).outcome
}
