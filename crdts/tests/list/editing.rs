//! Editing by positions, against a plain list.

use proptest::prelude::*;
use repliq_core::{Author, CrdtError, EditError, ReplicaId, Standalone};
use repliq_crdts::{List, ListMut, ListOp};

/// Takes down the op of an edit instead of applying it.
pub(crate) struct Recorder<'a> {
    list: &'a List<u32>,
    op: Option<ListOp<u32>>,
}

impl Author<List<u32>> for Recorder<'_> {
    fn author(&mut self, op: ListOp<u32>) -> Result<(), CrdtError> {
        self.op = Some(op);
        Ok(())
    }

    fn current(&self) -> &List<u32> {
        self.list
    }
}

pub(crate) fn op_of(
    list: &List<u32>,
    edit: impl FnOnce(&mut Recorder<'_>) -> Result<(), EditError>,
) -> Option<ListOp<u32>> {
    let mut recorder = Recorder { list, op: None };
    edit(&mut recorder).unwrap();
    recorder.op
}

pub(crate) fn list_of(replica: u8, values: &[u32]) -> Standalone<List<u32>> {
    let mut list = List::new(ReplicaId::from_bytes([replica; 16]));
    list.insert_each(0, values.iter().copied()).unwrap();
    list
}

pub(crate) fn values(list: &List<u32>) -> Vec<u32> {
    list.iter().copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn edits_by_position_do_what_they_do_to_a_vec(
        edits in prop::collection::vec((0_u8..10, any::<usize>(), any::<usize>(), 0_usize..60), 1..400),
    ) {
        let mut list = list_of(1, &[]);
        let mut model: Vec<u32> = Vec::new();
        for (number, (kind, here, there, count)) in (0..).zip(edits) {
            let index = here % (model.len() + 1);
            match kind {
                0..=2 => {
                    list.insert(index, number).unwrap();
                    model.insert(index, number);
                }
                3 => {
                    let many = 1_000 * number..1_000 * number + count as u32;
                    list.insert_each(index, many.clone()).unwrap();
                    model.splice(index..index, many);
                }
                4 => {
                    list.append(number).unwrap();
                    model.push(number);
                }
                5 => {
                    let end = (index + count / 4).min(model.len());
                    list.delete(index..end).unwrap();
                    model.drain(index..end);
                }
                _ if model.is_empty() => {}
                6 => {
                    list.set(index % model.len(), number).unwrap();
                    let index = index % model.len();
                    model[index] = number;
                }
                _ => {
                    let (from, to) = (index % model.len(), there % model.len());
                    list.move_to(from, to).unwrap();
                    let value = model.remove(from);
                    model.insert(to, value);
                }
            }
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(list.get(index), model.get(index));
        }
        prop_assert_eq!(values(&list), model.clone());
        let saved = repliq_core::encode(&*list);
        let read: List<u32> = repliq_core::decode(&saved).unwrap();
        prop_assert_eq!(values(&read), model);
        prop_assert_eq!(repliq_core::encode(&read), saved);
    }
}

#[test]
fn an_edit_out_of_range_is_refused_and_changes_nothing() {
    let mut list = list_of(1, &[1, 2, 3]);
    let out = |index| Err(EditError::OutOfRange { index, len: 3 });
    assert_eq!(list.insert(4, 9), out(4));
    assert_eq!(list.insert_each(4, []), out(4));
    assert_eq!(list.set(3, 9), out(3));
    assert_eq!(list.move_to(3, 0), out(3));
    assert_eq!(list.move_to(0, 3), out(3));
    assert_eq!(list.delete(2..4), out(4));
    assert_eq!(list.delete(9..9), out(9));
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = 2..1;
    assert!(list.delete(reversed).is_err());
    assert!(list.delete(..=usize::MAX).is_err());
    assert_eq!(values(&list), [1, 2, 3]);
    assert_eq!(list.version().get(list.replica()), 3);
}

#[test]
fn an_edit_of_nothing_takes_no_slot() {
    let mut list = list_of(1, &[]);
    list.insert_each(0, []).unwrap();
    list.delete(..).unwrap();
    assert!(list.version().is_empty());
    list.append(1).unwrap();
    list.move_to(0, 0).unwrap();
    assert_eq!(list.version().get(list.replica()), 1);
}

#[test]
fn a_failed_transaction_leaves_no_trace() {
    let mut list = list_of(1, &[1, 2, 3, 4, 5]);
    list.move_to(0, 4).unwrap();
    list.set(2, 40).unwrap();
    list.delete(1..2).unwrap();
    let before = list.clone();
    let failed: Result<(), EditError> = list.try_edit(|tx| {
        tx.insert_each(2, [7, 8])?;
        tx.move_to(0, 3)?;
        tx.move_to(3, 1)?;
        tx.set(1, 9)?;
        tx.set(2, 10)?;
        tx.delete(..)?;
        tx.append(11)?;
        tx.delete(5..6)
    });
    assert_eq!(failed, Err(EditError::OutOfRange { index: 6, len: 1 }));
    assert_eq!(*list, *before);
    assert_eq!(values(&list), [2, 40, 5, 1]);
    list.move_to(3, 0).unwrap();
    assert_eq!(values(&list), [1, 2, 40, 5]);
}
