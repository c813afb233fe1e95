//! The cases about power cuts test themselves: each fails deliberately broken
//! stores, by name, and a small right one passes. Where the machine cannot cut the
//! power the cases are skipped and say why.

#![allow(clippy::unwrap_used, clippy::panic)]

mod log_store;

use log_store::{Fault, Harness, STORE, of_a_child};
use repliq_conformance::backend::{cases, sigkill_child};
use repliq_conformance::{CaseReport, Outcome, run_case, run_seed};
use std::collections::BTreeSet;
use std::env;

const CUT_LOSES: &str = "a_cut_file_system_loses_nothing_acked";
const CUT_TEARS: &str = "a_cut_file_system_leaves_batches_whole";
const REBUILT_LOSES: &str = "a_rebuilt_disk_loses_nothing_acked";
const REBUILT_TEARS: &str = "a_rebuilt_disk_leaves_batches_whole";

/// A case and what breaks it. What ext4 saves of its own accord, a real ext4
/// does not show: a name that was not synced, a page that is torn.
const TWINS: [(&str, Fault); 17] = [
    (CUT_LOSES, Fault::NeverSyncs),
    (CUT_LOSES, Fault::RenameNotSynced),
    (CUT_LOSES, Fault::RenamesUnsyncedFile),
    (CUT_LOSES, Fault::AcksBeforeSyncing),
    (CUT_TEARS, Fault::SyncsWriteByWrite),
    (REBUILT_LOSES, Fault::NeverSyncs),
    (REBUILT_LOSES, Fault::NewNameNotSynced),
    (REBUILT_LOSES, Fault::RenameNotSynced),
    (REBUILT_LOSES, Fault::RenamesUnsyncedFile),
    (REBUILT_LOSES, Fault::AcksBeforeSyncing),
    (REBUILT_LOSES, Fault::EmptyWhenItsHeaderIsTorn),
    (REBUILT_LOSES, Fault::PanicsOnATornEnd),
    (REBUILT_LOSES, Fault::RewritesInPlace),
    (REBUILT_LOSES, Fault::AppendsAfterATornEnd),
    (REBUILT_TEARS, Fault::SyncsWriteByWrite),
    (REBUILT_TEARS, Fault::NoChecksums),
    (REBUILT_TEARS, Fault::PanicsOnATornEnd),
];

/// A rare fault is given as many power cuts as a patient run makes. The rarest
/// shows in a quarter of the runs.
const RUNS: u64 = 60;

fn run(name: &str, fault: Fault, seed: u64) -> CaseReport {
    let case = cases::<Harness>().into_iter().find(|case| case.name == name).unwrap();
    run_case(&case, Harness::stores(fault), seed)
}

#[test]
fn every_power_cut_case_has_a_twin() {
    let twinned: BTreeSet<_> = TWINS.iter().map(|(name, _)| *name).collect();
    let named = cases::<Harness>().into_iter().map(|case| case.name);
    let power: BTreeSet<_> =
        named.filter(|name| name.contains("cut_file_system") || name.contains("rebuilt")).collect();
    assert_eq!(power, twinned);
}

fn fails_its_twins(name: &str) {
    let seed = run_seed();
    for (_, fault) in TWINS.into_iter().filter(|(case, _)| *case == name) {
        let outcomes = (0..RUNS).map(|add| run(name, fault, seed.wrapping_add(add)).outcome);
        let told = outcomes.into_iter().find(|outcome| *outcome != Outcome::Passed);
        match told {
            Some(Outcome::Failed(why)) => eprintln!("{name} with {fault:?}: {why}"),
            Some(Outcome::Skipped(why)) => eprintln!("{name}: skipped: {why}"),
            _ => panic!("{name} with {fault:?}, seed {seed}: passed {RUNS} times"),
        }
    }
}

#[test]
fn a_cut_file_system_shows_what_was_never_synced() {
    fails_its_twins(CUT_LOSES);
}

#[test]
fn a_cut_file_system_shows_half_a_batch() {
    fails_its_twins(CUT_TEARS);
}

#[test]
fn a_rebuilt_disk_shows_what_was_never_synced() {
    fails_its_twins(REBUILT_LOSES);
}

#[test]
fn a_rebuilt_disk_shows_half_a_batch() {
    fails_its_twins(REBUILT_TEARS);
}

#[test]
fn a_right_store_passes_the_power_cut_cases() {
    for name in [CUT_LOSES, CUT_TEARS, REBUILT_LOSES, REBUILT_TEARS] {
        let failure = run(name, Fault::None, run_seed()).failure();
        assert_eq!(failure, None);
    }
}

/// The process whose power is cut; on its own it has nothing to do.
#[test]
fn child_of_a_twin() {
    if let Some(path) = env::var_os(STORE) {
        sigkill_child(&of_a_child(path.as_ref()).unwrap()).unwrap();
    }
}
