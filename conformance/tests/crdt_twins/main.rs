//! The suite tests itself: for every case there is a type that is broken in one
//! way, and this very case finds it.

#[path = "../broken_types/mod.rs"]
mod broken_types;
mod twin;

use repliq_conformance::crdt::{cases, run};
use repliq_conformance::{CaseReport, Outcome, Verdict, crdt_conformance, run_case};
use std::collections::BTreeSet;
use twin::*;

/// Runs the case of this name on a broken type.
type Broken = fn(&str, u64) -> Option<CaseReport>;

/// Every case with a bug it finds. Some have two, where two bugs are far apart.
const TWINS: &[(&str, Broken)] = &[
    ("concurrent_ops_commute", broken::<TIES_GO_BY_ARRIVAL>),
    ("equal_histories_give_equal_bytes", broken::<BYTES_GO_BY_ARRIVAL>),
    ("the_state_depends_on_the_ops_alone", broken::<READS_A_CLOCK>),
    ("an_accepted_op_is_accepted_everywhere", broken::<REFUSES_THE_OVERTAKEN>),
    ("the_view_matches_the_oracle", broken::<THE_FIRST_WRITER_WINS>),
    ("equal_times_are_decided_alike", broken::<TIES_GO_BY_VALUE>),
    ("the_ends_of_time_are_times_like_others", broken::<TIME_ZERO_IS_NO_TIME>),
    ("a_long_lived_document_stays_right", broken::<FULL_AFTER_250_SLOTS>),
    ("join_is_commutative", broken::<JOIN_KEEPS_OURS>),
    ("join_is_associative", broken::<JOIN_TAKES_THE_MEAN>),
    ("join_is_idempotent", broken::<JOIN_ADDS_UP>),
    ("join_gives_the_union_of_histories", broken::<JOIN_IGNORES_REMOVALS>),
    ("joining_an_older_state_changes_nothing", broken::<JOIN_TAKES_THEIRS>),
    ("states_may_come_late_and_often", broken::<JOIN_DROPS_WHAT_IS_ABSENT_THERE>),
    ("the_default_is_the_identity_of_join", broken::<JOIN_INTO_NOTHING_IS_NOTHING>),
    ("a_joined_state_goes_on", broken::<JOIN_LOSES_STAMPS>),
    ("a_state_survives_encoding", broken::<BYTES_LOSE_VALUES>),
    ("a_decoded_state_goes_on", broken::<BYTES_LOSE_REMOVALS>),
    ("damaged_bytes_do_no_harm", broken::<BYTES_ARE_TRUSTED>),
    ("ops_survive_encoding", broken::<OPS_LOSE_VALUES>),
    ("ops_made_one_leave_the_same", broken::<GROWS_OVER_OTHER_KEYS>),
    ("slots_are_a_function_of_the_op", broken::<SLOTS_ALTERNATE>),
    ("rollback_leaves_no_trace", broken::<ROLLBACK_REMOVES>),
    ("the_newest_edits_can_be_taken_back_alone", broken::<ROLLBACK_LEAVES_A_TOMBSTONE>),
    ("a_join_can_be_taken_back", broken::<JOIN_HAS_NO_UNDO>),
    ("a_refused_op_changes_nothing", broken::<REFUSES_TOO_LATE>),
    ("a_refused_op_changes_nothing", broken::<ACCEPTS_EVERYTHING>),
    ("an_edit_said_again_has_the_same_effect", broken::<NOTHING_IS_SAID_AGAIN>),
    ("prune_is_invisible", broken::<PRUNE_TAKES_THE_LIVING>),
    ("pruned_replicas_still_agree", broken::<PRUNE_IGNORES_THE_CUT>),
    ("a_join_does_not_bring_back_what_was_pruned", broken::<JOIN_BRINGS_BACK>),
    ("events_of_ops_keep_a_shadow_true", broken::<REMOVALS_HAVE_NO_EVENT>),
    ("events_of_ops_keep_a_shadow_true", broken::<OVERTAKEN_WRITES_HAVE_EVENTS>),
    ("events_of_a_join_keep_a_shadow_true", broken::<JOIN_HAS_NO_EVENTS>),
    ("effects_do_not_depend_on_who_asked", broken::<EVENTS_NEED_AN_UNDO>),
    ("it_works_inside_a_struct", broken::<SLOTS_ARE_ALL_MINE>),
];

fn broken<const BUG: u8>(name: &str, seed: u64) -> Option<CaseReport> {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == name)?;
    Some(run_case(case, harness::<BUG>(), seed))
}

#[test]
fn every_case_finds_its_broken_twin_whatever_the_seed() {
    let mut missed = Vec::new();
    for (name, broken) in TWINS {
        for seed in 0..5 {
            let outcome = broken(name, seed).map(|report| report.outcome);
            if !matches!(outcome, Some(Outcome::Failed(_))) {
                missed.push(format!("{name}, seed {seed}: {outcome:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn no_case_is_without_a_twin() {
    let broken = broken_types::BROKEN.iter().map(|broken| broken.caught_by);
    let listed: BTreeSet<_> = TWINS.iter().map(|(name, _)| *name).chain(broken).collect();
    let cases = cases::<Harness<NONE>>();
    let cases: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(listed, cases);
}

#[test]
fn a_twin_that_only_a_struct_brings_out_is_right_alone() {
    let report = run(harness::<SLOTS_ARE_ALL_MINE>);
    let failed: Vec<_> = report
        .cases
        .iter()
        .filter(|case| matches!(case.outcome, Outcome::Failed(_)))
        .map(|case| case.name)
        .collect();
    assert_eq!(failed, ["it_works_inside_a_struct"], "{report}");
}

#[test]
fn what_is_right_is_conformant() {
    let report = run(harness::<NONE>);
    assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
}

crdt_conformance!(Twin<NONE>, ops = edit::<NONE>, oracle = Model);
