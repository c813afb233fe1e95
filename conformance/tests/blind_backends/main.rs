//! Broken backends written from the contract alone: the suite must fail each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]
mod log;
mod shelf;
use log::{Flaw, Folder};
use repliq_conformance::backend::run;
use repliq_conformance::{Outcome, Report};

fn show(name: &str, report: Report) {
    let failed: Vec<_> = report
        .cases
        .iter()
        .filter(|c| matches!(c.outcome, Outcome::Failed(_)))
        .map(|c| c.name)
        .collect();
    println!("RESULT {name}: {:?} {failed:?}", report.verdict());
}

#[test]
fn sigkill_child() {
    log::write_until_killed();
}

macro_rules! survey { ($($n:ident)*) => { $( #[test] #[allow(non_snake_case)] fn $n() { show(stringify!($n), run(shelf::Shelf::<shelf::$n>::default)); } )* } }
mod shelves {
    use super::*;
    survey! { Honest AfterReplacesThePrefix EndSaturatesAtFf EndIsPrefixAndFf RoomForTheLimit OneMoreThanTheLimit LimitCheckedAfterThePush LimitAsU32 LimitBeforeTheFilter AThousandRowsAtMost AfterMustStillExist PrefixIsAPattern PrefixIgnoresCase ShorterKeysFirst SignedBytes GetFindsAnExtension PutsBeforeDeletes DeletesBeforePuts FirstOnAKeyWins EmptyValueIsADelete EmptyKeyIsIgnored DeleteTakesTheWholePrefix DeleteOfNothingIsAnError EmptyBatchPanics InPortionsOfAHundred LargeBatchesAreRefusedHalfway OverwrittenInTwoSteps CopiedChangedAndSwapped KeysAreText KeysEndAtNul OneForAll DeletedButCached AbsenceIsCached ScansAreCached DeletedCountAsFound EqualValuesShareAFate Sharded ScannedShardByShard ScannedInPages EachThreadItsCopy AppliedLater LocksInBothOrders SamePutIsSkipped VersionsInAByte LengthInTwoBytes KeyLengthInAByte }
}
macro_rules! logs { ($($n:ident)*) => { $( #[test] #[allow(non_snake_case)] fn $n() { show(concat!("log ", stringify!($n)), run(|| Folder::new(Flaw::$n))); } )* } }
mod logs {
    use super::*;
    logs! { None StartsOver WritesFromTheStart DeletesAreNotLogged DeleteIsAnEmptyValue DeletesOnlyItsOwn NewestReplayedFirst WrittenByTheEighth WrittenAtTheEnd RecordPerWrite TornEndStays FilesSortAsText EmptyValuesVanishAtOpen EmptyKeyEndsARecord LengthInTwoBytes ReadsOneMebibyte WritersInterleave LockStays TwoHandlesTwoStores NoChecksum DamageIsTheEnd DamageBeginsAnew }
}
