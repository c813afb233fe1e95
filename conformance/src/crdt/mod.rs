//! Cases for data types: the laws of [`Crdt`](repliq_core::Crdt), checked in a
//! simulated network of replicas and against a naive oracle.
//!
//! A type brings edits ([`Edits`]) and a model ([`Oracle`]);
//! [`crdt_conformance!`](crate::crdt_conformance) makes one `#[test]` a case of
//! them, [`run`] a [`Report`]. The cases never look inside a state: they compare
//! what a reader sees, and bytes.
//!
//! ```
//! use repliq_conformance::crdt::{History, Oracle, Suite, run, strategy};
//! use repliq_conformance::{Rng, Verdict};
//! use repliq_core::{Crdt, CrdtError, Effects, Stamp, Version};
//! use serde::{Deserialize, Serialize};
//!
//! /// The largest number that anybody said.
//! #[derive(Default, Serialize, Deserialize)]
//! struct Max(u32);
//!
//! impl Crdt for Max {
//!     const KIND: &'static str = "max/1";
//!     type Op = u32;
//!     type Event = u32;
//!     type Undo = u32;
//!
//!     fn apply(&mut self, op: u32, _: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
//!         if op > self.0 {
//!             let before = std::mem::replace(&mut self.0, op);
//!             fx.event(|| op);
//!             fx.undo(|| before);
//!         }
//!         Ok(())
//!     }
//!
//!     fn join(&mut self, _: &Version, other: Self, _: &Version, fx: &mut Effects<Self>) {
//!         if other.0 > self.0 {
//!             let before = std::mem::replace(&mut self.0, other.0);
//!             fx.event(|| other.0);
//!             fx.undo(|| before);
//!         }
//!     }
//!
//!     fn rollback(&mut self, undo: u32) {
//!         self.0 = undo;
//!     }
//! }
//!
//! struct Model;
//!
//! impl Oracle<Max> for Model {
//!     type View = u32;
//!
//!     fn view(state: &Max) -> u32 {
//!         state.0
//!     }
//!
//!     fn patch(view: &mut u32, event: u32) {
//!         *view = event;
//!     }
//!
//!     fn expected(history: &History<u32>) -> u32 {
//!         history.iter().map(|said| said.op).max().unwrap_or(0)
//!     }
//! }
//!
//! // In a test file: one #[test] a case.
//! repliq_conformance::crdt_conformance!(Max, ops = strategy(0_u32..1000), oracle = Model);
//!
//! let report = run(|| Suite::<Max, _, Model>::new(strategy(0_u32..1000)));
//! assert_eq!(report.verdict(), Verdict::Conformant, "{report}");
//! ```
#![allow(
    clippy::indexing_slicing,
    reason = "every case runs under a panic guard: an index out of range is a failed case"
)]

mod delivery;
mod encoding;
mod events;
mod harness;
mod join;
mod nested;
mod prune;
mod rollback;
mod world;

use crate::case::{Case, Level, run_all, run_case, run_seed};
use crate::report::{Outcome, Report};

pub use harness::{CrdtHarness, Edits, FromStrategy, History, Oracle, Said, Suite, strategy};

/// The one list of the cases: what is run, what is a test and what needs a
/// broken twin all come from here, so none can be missing.
#[doc(hidden)]
#[macro_export]
macro_rules! crdt_cases {
    (@list $($then:tt)*) => {
        $crate::crdt_cases! { @$($then)*;
            delivery::concurrent_ops_commute Core,
            delivery::equal_histories_give_equal_bytes Core,
            delivery::the_state_depends_on_the_ops_alone Core,
            delivery::an_accepted_op_is_accepted_everywhere Core,
            delivery::the_view_matches_the_oracle Core,
            delivery::equal_times_are_decided_alike Core,
            delivery::the_ends_of_time_are_times_like_others Core,
            delivery::a_long_lived_document_stays_right Core,
            join::join_is_commutative Core,
            join::join_is_associative Core,
            join::join_is_idempotent Core,
            join::join_gives_the_union_of_histories Core,
            join::joining_an_older_state_changes_nothing Core,
            join::states_may_come_late_and_often Core,
            join::the_default_is_the_identity_of_join Core,
            join::an_emptied_state_takes_along_what_it_removed Core,
            join::a_joined_state_goes_on Core,
            encoding::a_state_survives_encoding Core,
            encoding::a_decoded_state_goes_on Core,
            encoding::damaged_bytes_do_no_harm Core,
            encoding::ops_survive_encoding Core,
            encoding::an_op_does_the_same_before_and_after_encoding Core,
            encoding::ops_made_one_leave_the_same Core,
            encoding::slots_are_a_function_of_the_op Core,
            rollback::rollback_leaves_no_trace Core,
            rollback::the_newest_edits_can_be_taken_back_alone Core,
            rollback::a_join_can_be_taken_back Core,
            rollback::a_refused_op_changes_nothing Extended,
            rollback::an_edit_said_again_has_the_same_effect Core,
            rollback::an_edit_is_said_again_after_others Core,
            prune::prune_is_invisible Core,
            prune::pruned_replicas_still_agree Core,
            prune::a_join_does_not_bring_back_what_was_pruned Core,
            events::events_of_ops_keep_a_shadow_true Core,
            events::events_of_a_join_keep_a_shadow_true Core,
            events::effects_do_not_depend_on_who_asked Core,
            nested::it_works_inside_a_struct Core,
        }
    };
    (@registry $harness:ty; $($module:ident::$name:ident $level:ident,)*) => {
        vec![$(Case {
            name: stringify!($name),
            level: Level::$level,
            run: $module::$name::<$harness>,
        }),*]
    };
    (@tests $head:tt [$harness:expr]; $($module:ident::$name:ident $level:ident,)*) => {
        $($crate::__conformance_test! { $head $name {
            $crate::crdt::check(stringify!($name), $harness);
        } })*
    };
}

/// Makes one test of every case: `crdt_conformance!(Type, ops = edits, oracle = Model)`,
/// where `edits` are [`Edits`](crate::crdt::Edits) of `Type` and `Model` is an
/// [`Oracle`](crate::crdt::Oracle) of it.
///
/// What the tests begin with, if it is not `#[test] fn`, goes before it, as in
/// `crdt_conformance!(#[tokio::test] async fn, Type, ops = edits, oracle = Model)`.
/// `REPLIQ_SEED` fixes the seed, which a failure prints.
#[macro_export]
macro_rules! crdt_conformance {
    ($(#[$attribute:meta])+ $($word:ident)+, $crdt:ty, ops = $ops:expr, oracle = $oracle:ty $(,)?) => {
        $crate::crdt_cases! { @list tests { $(#[$attribute])+ $($word)+ }
            [$crate::crdt::Suite::<$crdt, _, $oracle>::new($ops)]
        }
    };
    ($crdt:ty, ops = $ops:expr, oracle = $oracle:ty $(,)?) => {
        $crate::crdt_conformance!(#[test] fn, $crdt, ops = $ops, oracle = $oracle);
    };
}

/// Every case, in the order of the list.
#[must_use]
pub fn cases<H: CrdtHarness>() -> Vec<Case<H>> {
    crate::crdt_cases!(@list registry H)
}

/// Runs every case, each on a fresh harness; the standard error shows meanwhile how it
/// goes.
pub fn run<H: CrdtHarness + Send + 'static>(harness: impl Fn() -> H) -> Report {
    run_all("crdt", &cases(), harness)
}

/// Runs the case of this name and panics unless it passes or is skipped.
///
/// # Panics
/// When the case fails, with its seed, and when there is none of this name.
#[allow(clippy::panic, reason = "it is the body of a test")]
pub fn check<H: CrdtHarness + Send + 'static>(name: &str, harness: H) {
    let cases = cases();
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        panic!("there is no case `{name}`");
    };
    let report = run_case(case, harness, run_seed());
    match report.outcome {
        Outcome::Passed => {}
        Outcome::Skipped(why) => println!("{name} is skipped: {why}"),
        Outcome::Failed(why) => panic!("{name} (REPLIQ_SEED={}): {why}", report.seed),
    }
}
