//! The laws of a data type, with the reference as the oracle.

use crate::editing::op_of;
use crate::reference::Reference;
use repliq_conformance::crdt::{History, Oracle};
use repliq_conformance::{Rng, crdt_conformance};
use repliq_core::{Dot, ReplicaId};
use repliq_crdts::text::{LeftOrigin, RightOrigin, Stretch, Target};
use repliq_crdts::{Inserted, List, ListEvent, ListMut, ListOp};

struct Model;

impl Oracle<List<u32>> for Model {
    type View = Vec<u32>;

    fn view(state: &List<u32>) -> Vec<u32> {
        let view: Vec<u32> = state.iter().copied().collect();
        assert_eq!((state.len(), state.is_empty()), (view.len(), view.is_empty()));
        assert!(view.iter().enumerate().all(|(i, value)| state.get(i) == Some(value)));
        assert_eq!(state.get(state.len()), None);
        view
    }

    fn patch(view: &mut Vec<u32>, event: ListEvent<u32>) {
        match event {
            ListEvent::Inserted { index, values } => drop(view.splice(index..index, values)),
            ListEvent::Deleted { index, len } => drop(view.drain(index..index + len)),
            ListEvent::Set { index, value } => view[index] = value,
            ListEvent::Moved { from, to } => {
                let value = view.remove(from);
                view.insert(to, value);
            }
        }
    }

    fn expected(history: &History<ListOp<u32>>) -> Vec<u32> {
        let mut reference = Reference::default();
        history.iter().for_each(|said| reference.apply(&said.op, said.at));
        reference.values()
    }

    fn refused(rng: &mut Rng, _: &List<u32>) -> Option<ListOp<u32>> {
        let unknown = Target::At(Dot { replica: ReplicaId::from_bytes([0xee; 16]), seq: 3 });
        let (left, right, values) = (LeftOrigin::Start, RightOrigin::End, Inserted::one(1));
        Some(match rng.below(7) {
            0 => ListOp::Insert { left, right, values: Vec::new().into() },
            1 => ListOp::Insert { left: LeftOrigin::Back(0), right, values },
            2 => ListOp::Insert { left, right: RightOrigin::Following, values },
            3 => ListOp::Set { element: unknown, value: 1 },
            4 => ListOp::Move { element: unknown, left, right },
            5 => ListOp::Delete(vec![Stretch { from: unknown, len: 1 }]),
            _ => ListOp::Delete(Vec::new()),
        })
    }
}

fn edit(rng: &mut Rng, list: &List<u32>) -> Option<ListOp<u32>> {
    let len = list.len();
    let some = |rng: &mut Rng| rng.bits() as u32;
    if len > 0 {
        let index = rng.below(len);
        match rng.below(6) {
            0 => {
                let value = some(rng);
                return op_of(list, |list| list.set(index, value));
            }
            1 | 2 => {
                let to = rng.below(len);
                return op_of(list, |list| list.move_to(index, to));
            }
            3 => {
                let end = (index + 1 + rng.below(3)).min(len);
                return op_of(list, |list| list.delete(index..end));
            }
            _ => {}
        }
    }
    let index = rng.below(len + 1);
    let values: Vec<u32> = (0..1 + rng.below(3) * rng.below(2)).map(|_| some(rng)).collect();
    op_of(list, |list| list.insert_each(index, values))
}

crdt_conformance!(List<u32>, ops = edit, oracle = Model);
