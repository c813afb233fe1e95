//! A transaction that fails or panics leaves no trace, in whatever order its steps
//! come: those of several insertions in a row are taken back as one.

use crate::editing::{list_of, op_of, values};
use repliq_core::{Crdt, Dot, EditError, Effects, Hlc, ReplicaId, Stamp, Standalone, Tx, encode};
use repliq_crdts::{List, ListMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A list with elements that were deleted, moved and changed.
fn edited() -> Standalone<List<u32>> {
    let mut list = list_of(1, &[1, 2, 3, 4, 5]);
    list.move_to(0, 4).unwrap();
    list.set(2, 40).unwrap();
    list.delete(1..2).unwrap();
    list
}

/// A step of a transaction; each takes what is there to do it with.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert,
    InsertSeveral,
    Set,
    Move,
    Delete,
    DeleteAll,
}

const STEPS: [Step; 6] =
    [Step::Insert, Step::InsertSeveral, Step::Set, Step::Move, Step::Delete, Step::DeleteAll];

fn make(tx: &mut Tx<'_, List<u32>>, step: Step, number: usize) -> Result<(), EditError> {
    let (len, value) = (tx.len(), 100 + number as u32);
    match step {
        Step::Insert => tx.insert(3 * number % (len + 1), value),
        Step::InsertSeveral => tx.insert_each(number % (len + 1), [value, value, value]),
        // Of an element there must be one, and another place to move it to.
        _ if len < 2 => tx.append(value),
        Step::Set => tx.set(number % len, value),
        Step::Move => tx.move_to(number % len, (number + 1) % len),
        Step::Delete => tx.delete(number % len..=number % len),
        Step::DeleteAll => tx.delete(..),
    }
}

fn make_all(tx: &mut Tx<'_, List<u32>>, steps: &[Step]) -> Result<(), EditError> {
    (0..).zip(steps).try_for_each(|(number, step)| make(tx, *step, number))
}

/// That what `end` ends leaves nothing, not even for later edits.
fn assert_leaves_no_trace(steps: &[Step], end: impl FnOnce(&mut Standalone<List<u32>>)) {
    let mut list = edited();
    let mut untouched = list.clone();
    end(&mut list);
    assert_eq!(encode(&*list), encode(&*untouched), "{steps:?}");
    for list in [&mut list, &mut untouched] {
        list.insert_each(1, [50, 51]).unwrap();
        list.move_to(0, 2).unwrap();
        list.append(52).unwrap();
    }
    assert_eq!(values(&list), values(&untouched), "{steps:?}");
}

/// Every sequence of four steps.
fn sequences() -> impl Iterator<Item = [Step; 4]> {
    let count = STEPS.len();
    (0..count.pow(4)).map(move |number| {
        [1, count, count.pow(2), count.pow(3)].map(|power| STEPS[number / power % count])
    })
}

#[test]
fn a_transaction_that_fails_leaves_no_trace_whatever_its_steps() {
    for steps in sequences() {
        assert_leaves_no_trace(&steps, |list| {
            let failed: Result<(), EditError> = list.try_edit(|tx| {
                make_all(tx, &steps)?;
                tx.set(99, 0)
            });
            assert!(matches!(failed, Err(EditError::OutOfRange { index: 99, .. })), "{failed:?}");
        });
    }
}

#[test]
fn a_transaction_that_panics_leaves_no_trace_whatever_its_steps() {
    for steps in sequences() {
        assert_leaves_no_trace(&steps, |list| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                list.edit(|tx| {
                    make_all(tx, &steps).unwrap();
                    // As a panic, but with nothing written to the error output.
                    resume_unwind(Box::new("on purpose"))
                })
            }));
            let why: Result<(), _> = panicked.map(drop);
            assert!(why.is_err_and(|why| why.is::<&str>()), "{steps:?}");
        });
    }
}

#[test]
fn insertions_in_a_row_are_taken_back_as_one() {
    let mut list = List::<u32>::default();
    let mut effects = Effects::new(false, true);
    for number in 0..10 {
        // The seventh step is no insertion: what comes after it is taken back apart.
        let op = match number {
            6 => op_of(&list, |list| list.set(0, 99)),
            _ => op_of(&list, |list| list.insert(number / 2, 7)),
        };
        let seq = number as u64;
        let dot = Dot { replica: ReplicaId::from_bytes([1; 16]), seq };
        list.apply(op.unwrap(), Stamp { hlc: Hlc(1 + seq), dot }, &mut effects).unwrap();
    }
    let undos = effects.take_undos();
    assert_eq!(undos.len(), 3);
    undos.into_iter().rev().for_each(|undo| list.rollback(undo));
    assert_eq!(encode(&list), encode(&List::<u32>::default()));
}
