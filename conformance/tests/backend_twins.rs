//! The backend suite tests itself: each case has a deliberately broken backend
//! that this very case must fail, and a right one passes them all. The broken
//! ones of [`STRANGERS`] were written from the contract alone, without a look at
//! the cases, and must not pass the suite as a whole.

mod backend_model;
mod broken_backends;

use backend_model::{Fault, Harness, STORE, on_disk};
use broken_backends::TRIES;
use repliq_conformance::backend::{cases, run, sigkill_child};
use repliq_conformance::{CaseReport, Outcome, Verdict, run_case, run_seed};
use std::collections::BTreeSet;
use std::env;

/// A case and what breaks it.
const TWINS: [(&str, Fault); 56] = [
    ("opens_empty_and_isolated", Fault::SharedByAll),
    ("an_absent_key_has_no_value", Fault::AbsentIsTheNext),
    ("a_value_reads_back", Fault::ValuesCutAt(255)),
    ("a_put_replaces_the_value", Fault::FirstPutStays),
    ("a_deleted_key_has_no_value", Fault::DeleteEmpties),
    ("deleting_an_absent_key_is_no_error", Fault::DeletingAbsentFails),
    ("the_empty_key_is_a_key", Fault::NoEmptyKey),
    ("an_empty_value_is_a_value", Fault::EmptyValueIsAbsent),
    ("keys_and_values_are_any_bytes", Fault::ZeroEndsValues),
    ("keys_that_extend_each_other_differ", Fault::TrailingZeroDropped),
    ("keys_of_1_kib_differ_in_their_last_byte", Fault::KeysCutAt(512)),
    ("a_value_of_1_mib_reads_back", Fault::ValuesCutAt(1 << 16)),
    ("a_value_of_16_mib_reads_back", Fault::ValuesCutAt(1 << 23)),
    ("a_batch_applies_every_write", Fault::LastWriteLost),
    ("the_last_put_of_a_key_wins", Fault::FirstWriteOfABatchWins),
    ("a_delete_after_a_put_wins", Fault::DeletesGoFirst),
    ("a_put_after_a_delete_wins", Fault::DeletesGoLast),
    ("an_empty_batch_changes_nothing", Fault::EmptyBatchFails),
    ("a_batch_of_10_000_keys_lands", Fault::BatchCutAt(4096)),
    ("a_batch_of_10_000_deletes_lands", Fault::DeletesCutAt(100)),
    ("a_scan_gives_every_pair_with_its_value", Fault::ScanMixesValues),
    ("keys_sort_by_unsigned_bytes", Fault::SignedOrder),
    ("a_shorter_key_sorts_before_its_extensions", Fault::ShorterFirst),
    ("a_prefix_bounds_the_scan", Fault::NoUpperBound),
    ("a_prefix_is_itself_a_key", Fault::PrefixExclusive),
    ("a_prefix_of_ff_bytes_bounds_the_scan", Fault::UpperBoundWithoutCarry),
    ("an_unknown_prefix_gives_nothing", Fault::UnknownPrefixGivesNext),
    ("after_is_exclusive", Fault::AfterInclusive),
    ("after_an_absent_key_the_next_one_comes", Fault::AfterMustExist),
    ("after_the_empty_key_comes_everything_else", Fault::EmptyAfterIsNone),
    ("after_a_key_before_the_prefix_gives_all", Fault::AfterReplacesPrefix),
    ("after_a_key_past_the_prefix_gives_nothing", Fault::ForeignAfterIgnored),
    ("a_limit_of_0_gives_nothing", Fault::NoLimitIsZero),
    ("a_limit_gives_the_first_pairs", Fault::LastPairs),
    ("a_limit_larger_than_the_store_gives_all", Fault::LimitMustBeReached),
    ("the_largest_limit_is_no_error", Fault::LimitOverflows),
    ("a_limit_counts_only_what_is_there", Fault::DeletedCount),
    ("paging_sees_each_key_once", Fault::LongPagesLoseOne),
    ("random_operations_match_a_sorted_map", Fault::RarePairForgotten),
    ("values_survive_a_reopen", Fault::ForgetsValues),
    ("deletes_survive_a_reopen", Fault::ForgetsDeletes),
    ("the_last_batch_survives_a_drop_at_once", Fault::ForgetsTheLastBatch),
    ("large_values_survive_a_reopen", Fault::ForgetsLargeValues),
    ("long_keys_survive_a_reopen", Fault::ForgetsLongKeys),
    ("an_empty_store_reopens_empty", Fault::NeedsDataToReopen),
    ("many_reopens_lose_nothing", Fault::ForgetsAfterReopens(10)),
    ("the_declared_durability_stays", Fault::DurabilityFalls),
    ("random_operations_with_reopens_match_a_sorted_map", Fault::ForgetsEmptyValues),
    ("a_scan_sees_all_of_a_batch_or_nothing", Fault::WritesOneByOne),
    ("a_scan_sees_one_committed_state", Fault::ScansInPages),
    ("concurrent_commits_all_land", Fault::LostUpdates),
    ("concurrent_batches_apply_one_after_the_other", Fault::WritesOneByOne),
    ("concurrent_commits_survive_a_reopen", Fault::KeepsAnotherOrder),
    ("another_thread_sees_what_was_committed", Fault::SeenByItsThreadOnly),
    ("a_read_during_writes_gives_a_committed_value", Fault::TornValues),
    ("a_killed_process_loses_nothing_acked", Fault::AcksBeforeWriting),
];

/// Also a twin: it breaks the same way, but for another promise.
const TORN: (&str, Fault) = ("a_killed_process_leaves_batches_whole", Fault::WritesFramesOneByOne);

const STRANGERS: [Fault; 10] = [
    Fault::CaseInsensitiveKeys,
    Fault::PutOfSameValueDeletes,
    Fault::DeleteTakesExtensions,
    Fault::DescendingScan,
    Fault::ScanWithoutValues,
    Fault::LimitOneTooMany,
    Fault::Utf8Only,
    Fault::DeletesComeBack,
    Fault::ReopenDropsTheFirst,
    Fault::ScanHasAPageLimit(1000),
];

fn twins() -> impl Iterator<Item = (&'static str, Fault)> {
    TWINS.into_iter().chain([TORN])
}

/// No map in memory can be damaged: what passes these is a log in [`broken_backends`].
const DAMAGES: [&str; 2] =
    ["damage_is_told_and_never_taken_for_absence", "a_torn_end_is_left_behind"];

/// Their twins are on disk, in `power_cut_twins`.
const POWER_CUTS: [&str; 4] = [
    "a_cut_file_system_loses_nothing_acked",
    "a_cut_file_system_leaves_batches_whole",
    "a_rebuilt_disk_loses_nothing_acked",
    "a_rebuilt_disk_leaves_batches_whole",
];

#[test]
fn every_case_has_a_twin_and_every_twin_a_case() {
    let named: BTreeSet<_> = cases::<Harness>().into_iter().map(|case| case.name).collect();
    let broken = broken_backends::BROKEN.iter().map(|broken| broken.caught_by);
    let twinned: BTreeSet<_> =
        twins().map(|(name, _)| name).chain(POWER_CUTS).chain(broken).collect();
    assert_eq!(named, twinned);
    assert_eq!(cases::<Harness>().len(), named.len(), "two cases have one name");
}

#[test]
fn each_case_fails_its_twin() {
    let seed = run_seed();
    for (name, fault) in twins() {
        let case = cases::<Harness>().into_iter().find(|case| case.name == name).unwrap();
        let fails = |add: u64| {
            let report = run_case(&case, Harness::stores(fault), seed.wrapping_add(add));
            matches!(report.outcome, Outcome::Failed(_))
        };
        assert!((0..TRIES).any(fails), "{name} with {fault:?}, seed {seed}: passed");
    }
}

#[test]
fn a_right_backend_passes_every_case() {
    let report = run(|| Harness::new(Fault::None));
    assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
    let elsewhere = [&POWER_CUTS[..], &DAMAGES].concat();
    let passed =
        |case: &CaseReport| case.outcome == Outcome::Passed || elsewhere.contains(&case.name);
    assert!(report.cases.iter().all(passed), "{report}");
}

#[test]
fn no_backend_broken_by_a_stranger_passes() {
    for fault in STRANGERS {
        let caught = cases::<Harness>().into_iter().any(|case| {
            let report = run_case(&case, Harness::stores(fault), run_seed());
            matches!(report.outcome, Outcome::Failed(_))
        });
        assert!(caught, "{fault:?} passes every case");
    }
}

/// The process that the suite kills; on its own it has nothing to do.
#[test]
fn sigkill_child_of_a_twin() {
    if let Some(path) = env::var_os(STORE) {
        sigkill_child(&on_disk(path.as_ref()).unwrap()).unwrap();
    }
}
