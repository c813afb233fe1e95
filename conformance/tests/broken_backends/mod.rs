//! Backends written from the contract alone, without a look at the cases, each
//! with one mistake as authors make it; and the case that must catch it. Those
//! that passed the suite as it was then are the reason for the case beside them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, reason = "some of the mistakes are such casts")]

pub(crate) mod log;
mod shelf;

use log::{Flaw, Folder};
use repliq_conformance::backend::{BackendHarness, Stores, cases, run};
use repliq_conformance::{Outcome, Report, Verdict, run_case, run_seed};
use shelf::{Honest, Shelf};
use std::collections::BTreeSet;

/// A broken backend: its name, what is broken, and the case that catches it.
pub(crate) struct Broken {
    name: &'static str,
    what: &'static str,
    pub(crate) caught_by: &'static str,
    run: fn(&str, u64) -> Outcome,
}

fn run_named<H: BackendHarness>(make: impl Fn() -> H, name: &str, seed: u64) -> Outcome {
    let case = cases().into_iter().find(|case| case.name == name).unwrap();
    run_case(&case, Stores { harness: make(), other: make() }, seed).outcome
}

macro_rules! table {
    (maps { $($map:ident: $what:literal => $case:ident,)* }
     logs { $($flaw:ident: $told:literal => $caught:ident,)* }) => {
        pub(crate) const BROKEN: &[Broken] = &[
            $(Broken {
                name: stringify!($map),
                what: $what,
                caught_by: stringify!($case),
                run: |name, seed| run_named(Shelf::<shelf::$map>::default, name, seed),
            },)*
            $(Broken {
                name: concat!("Log", stringify!($flaw)),
                what: $told,
                caught_by: stringify!($caught),
                run: |name, seed| run_named(|| Folder::new(Flaw::$flaw), name, seed),
            },)*
        ];
    };
}

table! {
    maps {
        AfterReplacesThePrefix: "a cursor below the prefix takes its place" => after_a_key_before_the_prefix_gives_all,
        EndSaturatesAtFf: "the end of a prefix of 0xff is the prefix" => a_prefix_of_ff_bytes_bounds_the_scan,
        EndIsPrefixAndFf: "keys that go on with 0xff are past the end" => a_prefix_bounds_the_scan,
        RoomForTheLimit: "memory is reserved for as many pairs as the limit says" => the_largest_limit_is_no_error,
        OneMoreThanTheLimit: "the limit plus one overflows" => the_largest_limit_is_no_error,
        LimitCheckedAfterThePush: "a limit of 0 gives one pair" => a_limit_of_0_gives_nothing,
        LimitAsU32: "a limit of 2^32 is 0" => a_limit_may_be_any_number,
        LimitBeforeTheFilter: "pairs that are not given count" => a_limit_counts_only_what_is_there,
        AThousandRowsAtMost: "a scan ends at 1000 pairs" => a_batch_of_10_000_keys_lands,
        AfterMustStillExist: "a cursor that was deleted ends the scan" => after_an_absent_key_the_next_one_comes,
        PrefixIsAPattern: "_ in a prefix stands for any byte" => a_prefix_is_no_pattern,
        PrefixIgnoresCase: "a prefix matches keys in capitals" => a_prefix_bounds_the_scan,
        ShorterKeysFirst: "keys sort by length first" => a_shorter_key_sorts_before_its_extensions,
        SignedBytes: "bytes above 0x7f sort first" => keys_sort_by_unsigned_bytes,
        GetFindsAnExtension: "get gives the first key that starts with the key" => a_deleted_key_has_no_value,
        PutsBeforeDeletes: "all deletes of a batch come last" => a_put_after_a_delete_wins,
        DeletesBeforePuts: "all deletes of a batch come first" => a_delete_after_a_put_wins,
        FirstOnAKeyWins: "later writes on a key are dropped" => the_last_put_of_a_key_wins,
        EmptyValueIsADelete: "putting an empty value removes the key" => an_empty_value_is_a_value,
        EmptyKeyIsIgnored: "writes on the empty key are dropped" => the_empty_key_is_a_key,
        DeleteTakesTheWholePrefix: "a delete takes all keys that start with the key" => keys_that_extend_each_other_differ,
        DeleteOfNothingIsAnError: "deleting an absent key is an error" => deleting_an_absent_key_is_no_error,
        EmptyBatchPanics: "a batch is expected to have writes" => an_empty_batch_changes_nothing,
        InPortionsOfAHundred: "a large batch is applied in portions" => a_scan_sees_all_of_a_large_batch_or_nothing,
        LargeBatchesAreRefusedHalfway: "a batch of 4 MiB is applied until it is too large" => a_value_of_16_mib_reads_back,
        OverwrittenInTwoSteps: "to overwrite is to remove, then to put" => an_overwritten_key_is_never_absent,
        CopiedChangedAndSwapped: "two commits at once start from the same state" => concurrent_commits_to_a_full_store_all_land,
        KeysAreText: "keys that are no UTF-8 fall together" => keys_and_values_are_any_bytes,
        KeysEndAtNul: "a key ends at its first 0" => keys_that_extend_each_other_differ,
        OneForAll: "all stores of a process are one" => opens_empty_and_isolated,
        DeletedButCached: "a deleted key is still in the cache" => a_deleted_key_has_no_value,
        AbsenceIsCached: "a key that was absent once stays absent" => a_deleted_key_has_no_value,
        ScansAreCached: "a scan that was made before misses deletes" => a_batch_of_10_000_deletes_lands,
        DeletedCountAsFound: "deleted pairs count towards the limit" => a_limit_counts_only_what_is_there,
        EqualValuesShareAFate: "equal values are kept once and go with the first" => values_survive_a_reopen,
        Sharded: "a batch is applied shard by shard" => a_scan_sees_one_committed_state,
        ScannedShardByShard: "a scan looks at one shard after the other" => a_scan_sees_one_committed_state,
        ScannedInPages: "a scan unlocks between its pages" => a_scan_sees_one_committed_state,
        EachThreadItsCopy: "each thread reads its own copy" => another_thread_sees_what_was_committed,
        AppliedLater: "Ok comes before the batch is applied" => a_value_reads_back,
        SamePutIsSkipped: "a put of the same value is skipped, even after a delete" => a_deleted_key_has_no_value,
        VersionsInAByte: "after 256 puts an older value comes out" => a_key_put_many_times_keeps_its_last_value,
        LengthInTwoBytes: "a value is cut to its length modulo 2^16" => a_value_of_1_mib_reads_back,
        KeyLengthInAByte: "a key is cut to its length modulo 2^8" => keys_of_1_kib_differ_in_their_last_byte,
    }
    logs {
        StartsOver: "opening creates the file anew" => values_survive_a_reopen,
        WritesFromTheStart: "opening again writes over the first records" => many_reopens_lose_nothing,
        DeletesAreNotLogged: "a delete happens in memory only" => deletes_survive_a_reopen,
        DeleteIsAnEmptyValue: "a deleted key comes back with an empty value" => deletes_survive_a_reopen,
        DeletesOnlyItsOwn: "a key of an earlier session comes back" => deletes_survive_a_reopen,
        NewestReplayedFirst: "the oldest value wins after a reopen" => values_survive_a_reopen,
        WrittenByTheEighth: "the last commits wait for more to come" => the_last_batch_survives_a_drop_at_once,
        WrittenAtTheEnd: "commits are written when the handle is dropped" => a_killed_process_loses_nothing_acked,
        RecordPerWrite: "each write of a batch is a record" => a_killed_process_leaves_batches_whole,
        RecordPerThousand: "a large batch is written in portions" => a_killed_process_leaves_large_batches_whole,
        TornEndStays: "what comes after a torn record is lost" => a_torn_end_is_left_behind,
        FilesSortAsText: "the tenth file is replayed before the second" => many_reopens_lose_nothing,
        EmptyValuesVanishAtOpen: "opening drops what has no value" => values_survive_a_reopen,
        EmptyKeyEndsARecord: "what comes after the empty key is lost" => values_survive_a_reopen,
        LengthInTwoBytes: "a large value is cut in the file" => large_values_survive_a_reopen,
        ReadsOneMebibyte: "only the first mebibyte is read at open" => large_values_survive_a_reopen,
        LockStays: "the lock outlives the handle" => values_survive_a_reopen,
        TwoHandlesTwoStores: "two handles do not know of each other" => a_second_handle_is_refused_or_shares_the_store,
        NoChecksum: "changed bytes are given as data" => damage_is_told_and_never_taken_for_absence,
        DamageIsTheEnd: "what comes after damage is absent" => damage_is_told_and_never_taken_for_absence,
        DamageBeginsAnew: "a damaged store opens empty" => damage_is_told_and_never_taken_for_absence,
    }
}

#[test]
fn there_are_at_least_25_broken_backends() {
    let names: BTreeSet<_> = BROKEN.iter().map(|broken| broken.name).collect();
    assert_eq!(names.len(), BROKEN.len(), "two have one name");
    assert!(names.len() >= 25, "{} broken backends", names.len());
}

/// A mistake that needs two threads to meet, or a kill to come in time, may take more
/// than one run to show. The rarest shows in three of four.
pub(crate) const TRIES: u64 = 12;

#[test]
fn each_mistake_is_caught_by_the_case_that_names_its_promise() {
    let seed = run_seed();
    for Broken { name, what, caught_by, run } in BROKEN {
        let fails = |add: u64| matches!(run(caught_by, seed.wrapping_add(add)), Outcome::Failed(_));
        assert!((0..TRIES).any(fails), "{name} ({what}): {caught_by} passes, seed {seed}");
    }
}

#[test]
fn without_a_mistake_they_pass() {
    let pass = |report: Report| assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
    pass(run(Shelf::<Honest>::default));
    pass(run(|| Folder::new(Flaw::None)));
}

/// The process that the suite kills; on its own it has nothing to do.
#[test]
fn sigkill_child() {
    log::write_until_killed();
}
