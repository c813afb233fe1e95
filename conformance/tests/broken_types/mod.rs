//! Data types written from the contract alone, without a look at the cases, each
//! with one mistake as authors make it; and the case that must catch it. Those
//! that passed the suite as it was then are the reason for the case beside them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, reason = "few items, few flaws")]

mod cart;
mod lines;
mod note;
mod tally;

use repliq_conformance::crdt::{CrdtHarness, Suite, cases, run};
use repliq_conformance::{Outcome, Verdict, run_case};
use std::collections::BTreeSet;

/// A broken type: its name, what is broken, and the case that catches it.
pub(crate) struct Broken {
    name: &'static str,
    what: &'static str,
    pub(crate) caught_by: &'static str,
    run: fn(&str, u64) -> Outcome,
}

fn run_named<H: CrdtHarness + Send + 'static>(harness: H, name: &str, seed: u64) -> Outcome {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == name).unwrap();
    run_case(case, harness, seed).outcome
}

macro_rules! table {
    ($($crdt:path, $edit:path, $model:path {
        $($flaw:ident: $what:literal => $case:ident,)*
    })*) => {
        /// The one thing that is wrong with a type.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum Flaw {
            None,
            $($($flaw,)*)*
        }

        impl Flaw {
            const ALL: &[Self] = &[Self::None, $($(Self::$flaw,)*)*];

            /// Types are told apart by a number: an enum cannot be their parameter.
            pub(crate) const fn of(number: u8) -> Self {
                Self::ALL[number as usize]
            }
        }

        pub(crate) const BROKEN: &[Broken] = &[$($({
            use $crdt as Type;
            use $edit as edit;
            use $model as Model;
            const NUMBER: u8 = Flaw::$flaw as u8;
            Broken {
                name: stringify!($flaw),
                what: $what,
                caught_by: stringify!($case),
                run: |name, seed| {
                    run_named(Suite::<Type<NUMBER>, _, Model>::new(edit::<NUMBER>), name, seed)
                },
            }
        },)*)*];

        #[test]
        fn without_a_mistake_they_pass() {
            $({
                use $crdt as Type;
                use $edit as edit;
                use $model as Model;
                let report = run(|| Suite::<Type<0>, _, Model>::new(edit::<0>));
                assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
            })*
        }
    };
}

table! {
    note::Note, note::write, note::Model {
        TiesByArrival: "of two writes at one time the one that comes last wins" => equal_times_are_decided_alike,
        TiesToTheFirst: "of two writes at one time the one that comes first wins" => equal_times_are_decided_alike,
        LatestArrivalWins: "the last to come wins" => concurrent_ops_commute,
        HlcIsCutToMillis: "the counter of a timestamp is dropped" => the_view_matches_the_oracle,
        ChangesInsideTheEvent: "the change happens where the event is built" => effects_do_not_depend_on_who_asked,
        RefusalLeavesATrace: "refused edits are counted" => a_refused_op_changes_nothing,
        RefusesTheOlder: "an op that was overtaken is refused" => an_accepted_op_is_accepted_everywhere,
        CountsItsEdits: "a count of edits is kept that joins do not add up" => join_gives_the_union_of_histories,
        EventOfALoser: "a write that lost is told" => events_of_ops_keep_a_shadow_true,
        JoinTakesTheOther: "a join takes the other state" => join_is_commutative,
        JoinTellsNothing: "a join has no events" => events_of_a_join_keep_a_shadow_true,
        JoinKeepsItsStamp: "a join takes the value but not its stamp" => join_is_commutative,
        RollbackLeavesTheStamp: "the stamp of a write that was taken back stays" => rollback_leaves_no_trace,
        PruneForgetsTheStamp: "pruning forgets when the value was written" => a_join_does_not_bring_back_what_was_pruned,
        ReauthorDrops: "nothing is said again" => an_edit_said_again_has_the_same_effect,
        ReauthorOnlyIfUnchanged: "nothing is said again once somebody else wrote" => an_edit_is_said_again_after_others,
        ReauthorPanics: "an edit said again is expected to be there already" => an_edit_said_again_has_the_same_effect,
    }
    tally::Tally, tally::add, tally::Model {
        WrittenInHashOrder: "a hash map is written in its own order" => a_state_survives_encoding,
        ZerosAreNotWritten: "a share of 0 is not written, nor how new it is" => a_decoded_state_goes_on,
        SumIsNotReadBack: "a field that is not written is not made anew" => a_state_survives_encoding,
        OpLosesAField: "a field of an op is not sent" => an_op_does_the_same_before_and_after_encoding,
        RefusesWhatIsNotThere: "an op is refused by what others took meanwhile" => an_accepted_op_is_accepted_everywhere,
        NeverBelowZero: "the sum stops at 0, so the order counts" => concurrent_ops_commute,
        RollbackLeavesAZero: "a share of 0 stays after a rollback" => rollback_leaves_no_trace,
        JoinAdds: "a join counts what both have twice" => join_is_idempotent,
        JoinTakesTheLarger: "a join takes the larger share, not the newer" => join_gives_the_union_of_histories,
        JoinTakesTheNewerReplica: "a join ignores who has seen no more replicas" => join_is_commutative,
        JoinTellsTheWholeSum: "a join tells the sum, not what changed" => events_of_a_join_keep_a_shadow_true,
        SaidAgainTwice: "an edit is said again twice" => an_edit_said_again_has_the_same_effect,
    }
    cart::Cart, cart::edit, cart::Model {
        EmptyEntryStays: "an item of which nothing is left stays as an empty entry" => join_is_commutative,
        TellsARemovalThatIsNone: "a removal is told though a concurrent addition stays" => events_of_ops_keep_a_shadow_true,
        OneSlotForMany: "an op that makes three dots takes one slot" => the_view_matches_the_oracle,
        RefusedHalfway: "the first items of a refused op are added" => a_refused_op_changes_nothing,
        PanicsOnWhatIsGone: "what is removed is expected to be there" => concurrent_ops_commute,
        RefusesWhatIsGone: "to remove what somebody else removed is refused" => an_accepted_op_is_accepted_everywhere,
        RemovesConcurrentAdditions: "a removal takes additions that it did not know" => concurrent_ops_commute,
        EmptyJoinsNothing: "to join an empty state is taken for nothing to do" => an_emptied_state_takes_along_what_it_removed,
        JoinCopiesWhatIsAhead: "a state that is behind becomes the other, and nothing is told" => events_of_a_join_keep_a_shadow_true,
        JoinSkipsTheLessSeen: "who knows fewer replicas has nothing to say" => join_is_commutative,
        JoinOnlyLooksAtTheirs: "what is absent there is not looked at" => join_is_commutative,
        JoinResurrects: "a join is a union" => join_gives_the_union_of_histories,
        JoinForgetsNews: "what is absent there is removed, seen or not" => join_gives_the_union_of_histories,
        JoinMixesUpVersions: "one version is taken for the other" => join_is_commutative,
        RollbackTakesTheWholeItem: "taking back an addition takes earlier ones along" => rollback_leaves_no_trace,
        PruneTakesOldItems: "pruning takes what is old, not what is removed" => prune_is_invisible,
        PruneMergesDots: "pruning keeps one of the dots that a removal may name" => pruned_replicas_still_agree,
    }
    lines::Lines, lines::say, lines::Model {
        TellsBackwards: "the lines of one op are told from the last" => events_of_ops_keep_a_shadow_true,
        UndoesOneOfMany: "of an op of several steps one is undone" => rollback_leaves_no_trace,
        LinesShareAStamp: "the lines of one op have one stamp" => the_view_matches_the_oracle,
        KeepsTheOrderOfArrival: "the order in which ops came is kept" => equal_histories_give_equal_bytes,
        TellsOldPositions: "a join tells positions as they were before it" => events_of_a_join_keep_a_shadow_true,
        JoinLeavesOutTombstones: "a join does not take over what was removed there" => join_is_commutative,
        RollbackLeavesATombstone: "a line that is taken back leaves a tombstone" => rollback_leaves_no_trace,
        PruneTakesWhatIsOld: "pruning takes lines that are old" => prune_is_invisible,
    }
}

#[test]
fn there_are_at_least_20_broken_types() {
    let names: BTreeSet<_> = BROKEN.iter().map(|broken| broken.name).collect();
    assert_eq!(names.len(), BROKEN.len(), "two have one name");
    assert!(names.len() >= 20, "{} broken types", names.len());
}

#[test]
fn each_mistake_is_caught_by_the_case_that_names_its_promise() {
    let mut missed = Vec::new();
    for Broken { name, what, caught_by, run } in BROKEN {
        for seed in 0..3 {
            let outcome = run(caught_by, seed);
            if !matches!(outcome, Outcome::Failed(_)) {
                missed.push(format!("{name} ({what}): {caught_by}, seed {seed}: {outcome:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
