//! The one list of cases: the registry and the generated tests both come from
//! it, so neither can lack a case that the other has.

use super::sigkill::*;
use super::{
    batch::*, concurrent::*, damage::*, model::*, pairs::*, powercut::*, reopen::*, scan::*,
};
use crate::backend::{BackendHarness, Stores};
use crate::{Case, Level};

/// Calls a macro of this crate with its arguments and every case.
#[doc(hidden)]
#[macro_export]
macro_rules! __backend_cases {
    ($callback:ident $arguments:tt) => {
        $crate::$callback! { $arguments
            Core opens_empty_and_isolated,
            Core an_absent_key_has_no_value,
            Core a_value_reads_back,
            Core a_put_replaces_the_value,
            Core a_deleted_key_has_no_value,
            Core deleting_an_absent_key_is_no_error,
            Core the_empty_key_is_a_key,
            Core an_empty_value_is_a_value,
            Core keys_and_values_are_any_bytes,
            Core keys_that_extend_each_other_differ,
            Core keys_of_1_kib_differ_in_their_last_byte,
            Core a_value_of_1_mib_reads_back,
            Extended a_value_of_16_mib_reads_back,
            Core a_key_put_many_times_keeps_its_last_value,
            Core a_batch_applies_every_write,
            Core the_last_put_of_a_key_wins,
            Core a_delete_after_a_put_wins,
            Core a_put_after_a_delete_wins,
            Core an_empty_batch_changes_nothing,
            Core a_batch_of_10_000_keys_lands,
            Core a_batch_of_10_000_deletes_lands,
            Core a_scan_gives_every_pair_with_its_value,
            Core keys_sort_by_unsigned_bytes,
            Core a_shorter_key_sorts_before_its_extensions,
            Core a_prefix_bounds_the_scan,
            Core a_prefix_is_itself_a_key,
            Core a_prefix_is_no_pattern,
            Core a_prefix_of_ff_bytes_bounds_the_scan,
            Core an_unknown_prefix_gives_nothing,
            Core after_is_exclusive,
            Core after_an_absent_key_the_next_one_comes,
            Core after_the_empty_key_comes_everything_else,
            Core after_a_key_before_the_prefix_gives_all,
            Core after_a_key_past_the_prefix_gives_nothing,
            Core a_limit_of_0_gives_nothing,
            Core a_limit_gives_the_first_pairs,
            Core a_limit_larger_than_the_store_gives_all,
            Core the_largest_limit_is_no_error,
            Core a_limit_may_be_any_number,
            Core a_limit_counts_only_what_is_there,
            Core paging_sees_each_key_once,
            Core random_operations_match_a_sorted_map,
            Core values_survive_a_reopen,
            Core deletes_survive_a_reopen,
            Core the_last_batch_survives_a_drop_at_once,
            Core large_values_survive_a_reopen,
            Core long_keys_survive_a_reopen,
            Core an_empty_store_reopens_empty,
            Core many_reopens_lose_nothing,
            Core the_declared_durability_stays,
            Core a_second_handle_is_refused_or_shares_the_store,
            Core random_operations_with_reopens_match_a_sorted_map,
            Core a_scan_sees_all_of_a_batch_or_nothing,
            Core a_scan_sees_all_of_a_large_batch_or_nothing,
            Core a_scan_sees_one_committed_state,
            Core concurrent_commits_all_land,
            Core concurrent_commits_to_a_full_store_all_land,
            Core concurrent_batches_apply_one_after_the_other,
            Core concurrent_commits_survive_a_reopen,
            Core another_thread_sees_what_was_committed,
            Core a_read_during_writes_gives_a_committed_value,
            Core an_overwritten_key_is_never_absent,
            Extended damage_is_told_and_never_taken_for_absence,
            Extended a_torn_end_is_left_behind,
            Extended a_killed_process_loses_nothing_acked,
            Extended a_killed_process_leaves_batches_whole,
            Extended a_killed_process_leaves_large_batches_whole,
            Extended a_cut_file_system_loses_nothing_acked,
            Extended a_cut_file_system_leaves_batches_whole,
            Extended a_rebuilt_disk_loses_nothing_acked,
            Extended a_rebuilt_disk_leaves_batches_whole,
        }
    };
}

/// The registry.
#[doc(hidden)]
#[macro_export]
macro_rules! __backend_registry {
    ([$harness:ident] $($level:ident $name:ident,)*) => {
        vec![$(Case {
            name: stringify!($name),
            level: Level::$level,
            run: $name::<$harness>,
        }),*]
    };
}

/// One test function for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __backend_tests {
    ([$make:expr; $head:tt] $($level:ident $name:ident,)*) => {
        $($crate::__conformance_test! { $head $name {
            $crate::backend::test($make, stringify!($name));
        } })*
    };
}

/// Runs the suite on a backend: expands to one `#[test]` for each case.
///
/// The argument makes a fresh [`BackendHarness`], twice for each case. What the
/// tests begin with, if it is not `#[test] fn`, goes before it: the attributes of
/// another test runner, with `async` where that asks for it. `REPLIQ_SEED` fixes
/// the seed, which a failure prints.
///
/// ```
/// # use repliq_conformance::backend::BackendHarness;
/// # use repliq_core::{Batch, Pair, StorageBackend, StorageError, StorageErrorKind::Unsupported};
/// # struct MyBackend;
/// # impl StorageBackend for MyBackend {
/// #     fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StorageError> { Err(Unsupported.into()) }
/// #     fn scan(&self, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<Pair>, StorageError> { Err(Unsupported.into()) }
/// #     fn commit(&self, _: Batch) -> Result<(), StorageError> { Err(Unsupported.into()) }
/// # }
/// # struct Mine(tempfile::TempDir);
/// # impl BackendHarness for Mine {
/// #     type Backend = MyBackend;
/// #     fn open(&self) -> Result<MyBackend, StorageError> { Err(Unsupported.into()) }
/// # }
/// repliq_conformance::backend_conformance!(|| Mine(tempfile::tempdir().unwrap()));
///
/// mod with_another_runner {
///     # use super::*;
///     repliq_conformance::backend_conformance!(
///         #[tokio::test] #[cfg(unix)] async fn,
///         || Mine(tempfile::tempdir().unwrap()),
///     );
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! backend_conformance {
    ($(#[$attribute:meta])+ $($word:ident)+, $make:expr $(,)?) => {
        $crate::__backend_cases! { __backend_tests [$make; { $(#[$attribute])+ $($word)+ }] }
    };
    ($make:expr $(,)?) => {
        $crate::backend_conformance!(#[test] fn, $make);
    };
}

/// Every case, in the order they run.
#[must_use]
pub fn cases<H: BackendHarness>() -> Vec<Case<Stores<H>>> {
    crate::__backend_cases! { __backend_registry [H] }
}
