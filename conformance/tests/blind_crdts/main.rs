//! Broken data types written from the contract alone: the suite must fail each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]
mod cart;
mod note;
use repliq_conformance::crdt::{Suite, run};
use repliq_conformance::{Outcome, Report};

macro_rules! flaws { ($($name:ident)*) => {
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(u8)]
    pub(crate) enum Flaw { $($name),* }
    impl Flaw {
        const ALL: &[Self] = &[$(Self::$name),*];
        pub(crate) const fn of(number: u8) -> Self { Self::ALL[number as usize] }
    }
} }
flaws! { None
 TiesByArrival TiesToTheFirst LatestArrivalWins HlcIsCutToMillis ChangesInsideTheEvent RefusalLeavesATrace RefusesTheOlder CountsItsEdits OnlyWhenUndoIsKept EventOfALoser NoUndoForALoser JoinTakesTheOther JoinTellsNothing JoinKeepsItsStamp RollbackLeavesTheStamp PruneForgetsTheStamp ReauthorDrops ReauthorTwice ReauthorOnlyIfUnchanged ReauthorPanics
 WrittenInHashOrder ZerosAreNotWritten SumIsNotReadBack OpLosesAField RefusesWhatIsNotThere NeverBelowZero RollbackLeavesAZero JoinAdds JoinTakesTheLarger JoinTakesTheNewerReplica JoinTellsTheWholeSum
 EmptyEntryStays TellsARemovalThatIsNone OneSlotForMany RefusedHalfway PanicsOnWhatIsGone RefusesWhatIsGone RemovesConcurrentAdditions EmptyJoinsNothing JoinCopiesWhatIsAhead JoinSkipsTheLessSeen JoinOnlyLooksAtTheirs JoinResurrects JoinForgetsNews JoinMixesUpVersions RollbackTakesTheWholeItem PruneTakesOldItems PruneMergesDots
 TombstonesAreNotWritten OneSlotForManyLines TellsBackwards UndoesOneOfMany LinesShareAStamp KeepsTheOrderOfArrival TellsOldPositions JoinLeavesOutTombstones RollbackLeavesATombstone PruneTakesAllTombstones PruneTakesWhatIsOld NeverPrunes
}
fn show(name: &str, report: Report) {
    let failed: Vec<_> = report
        .cases
        .iter()
        .filter(|c| matches!(c.outcome, Outcome::Failed(_)))
        .map(|c| c.name)
        .collect();
    println!("RESULT {name}: {:?} {failed:?}", report.verdict());
}
macro_rules! survey { ($m:ident $t:path, $e:path, $o:path; $($n:ident)*) => { mod $m { use super::*; $( #[test] #[allow(non_snake_case)] fn $n() { use $t as T; use $e as edit; use $o as O; const N: u8 = Flaw::$n as u8; show(concat!(stringify!($m), " ", stringify!($n)), run(|| Suite::<T<N>, _, O>::new(edit::<N>))); } )* } } }
survey! { notes note::Note, note::write, note::Notes; None TiesByArrival TiesToTheFirst LatestArrivalWins HlcIsCutToMillis ChangesInsideTheEvent RefusalLeavesATrace RefusesTheOlder CountsItsEdits OnlyWhenUndoIsKept EventOfALoser NoUndoForALoser JoinTakesTheOther JoinTellsNothing JoinKeepsItsStamp RollbackLeavesTheStamp PruneForgetsTheStamp ReauthorDrops ReauthorTwice ReauthorOnlyIfUnchanged ReauthorPanics }
survey! { tallies note::Tally, note::add, note::Tallies; None WrittenInHashOrder ZerosAreNotWritten SumIsNotReadBack OpLosesAField RefusesWhatIsNotThere NeverBelowZero RollbackLeavesAZero JoinAdds JoinTakesTheLarger JoinTakesTheNewerReplica JoinTellsTheWholeSum }
survey! { carts cart::Cart, cart::edit, cart::Carts; None EmptyEntryStays TellsARemovalThatIsNone OneSlotForMany RefusedHalfway PanicsOnWhatIsGone RefusesWhatIsGone RemovesConcurrentAdditions EmptyJoinsNothing JoinCopiesWhatIsAhead JoinSkipsTheLessSeen JoinOnlyLooksAtTheirs JoinResurrects JoinForgetsNews JoinMixesUpVersions RollbackTakesTheWholeItem PruneTakesOldItems PruneMergesDots }
survey! { lines cart::Lines, cart::say, cart::AllLines; None TombstonesAreNotWritten OneSlotForManyLines TellsBackwards UndoesOneOfMany LinesShareAStamp KeepsTheOrderOfArrival TellsOldPositions JoinLeavesOutTombstones RollbackLeavesATombstone PruneTakesAllTombstones PruneTakesWhatIsOld NeverPrunes }
