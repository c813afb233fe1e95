//! The laws of a data type, with the reference as the oracle.

use crate::editing::op_of;
use crate::reference::Reference;
use repliq_conformance::crdt::{History, Oracle};
use repliq_conformance::{Rng, crdt_conformance};
use repliq_core::{Dot, ReplicaId};
use repliq_crdts::text::{LeftOrigin, RightOrigin, Stretch, Target, Typed};
use repliq_crdts::{Text, TextEvent, TextMut, TextOp};

struct Model;

impl Oracle<Text> for Model {
    type View = String;

    fn view(state: &Text) -> String {
        let view = state.to_string();
        assert_eq!(state.len(), view.chars().count());
        assert!(view.chars().enumerate().all(|(i, scalar)| state.char_at(i) == Some(scalar)));
        assert_eq!(state.char_at(state.len()), None);
        view
    }

    fn patch(view: &mut String, event: TextEvent) {
        let mut scalars: Vec<char> = view.chars().collect();
        match event {
            TextEvent::Inserted { index, text } => {
                drop(scalars.splice(index..index, text.chars()));
            }
            TextEvent::Deleted { index, len } => drop(scalars.drain(index..index + len)),
        }
        *view = scalars.into_iter().collect();
    }

    fn expected(history: &History<TextOp>) -> String {
        let mut reference = Reference::default();
        history.iter().for_each(|said| reference.apply(&said.op, said.at));
        reference.text()
    }

    fn refused(rng: &mut Rng, _: &Text) -> Option<TextOp> {
        let unknown = Dot { replica: ReplicaId::from_bytes([0xee; 16]), seq: 3 };
        let (text, right) = (Typed::from("x"), RightOrigin::End);
        let from = Target::At(unknown);
        Some(match rng.below(9) {
            0 => TextOp::Insert { left: LeftOrigin::At(unknown), right, text },
            1 => TextOp::Insert { left: LeftOrigin::Start, right: RightOrigin::At(unknown), text },
            2 => TextOp::Insert { left: LeftOrigin::Start, right: RightOrigin::Inherited, text },
            3 => TextOp::Insert { left: LeftOrigin::Start, right: RightOrigin::Following, text },
            4 => TextOp::Insert { left: LeftOrigin::Back(0), right, text },
            5 => TextOp::Insert { left: LeftOrigin::Start, right, text: Typed::from("") },
            6 => TextOp::Delete(Stretch { from, len: 1 }),
            7 => TextOp::Delete(Stretch { from: Target::Same(0), len: u64::MAX }),
            _ => TextOp::DeleteEach(Vec::new()),
        })
    }
}

fn edit(rng: &mut Rng, text: &Text) -> Option<TextOp> {
    let len = text.len();
    let index = match rng.below(4) {
        0 => 0,
        1 => len,
        _ => rng.below(len + 1),
    };
    if len > 0 && rng.below(3) == 0 {
        let end = (index + 1 + rng.below(4)).min(len);
        return op_of(text, |text| text.delete(index.min(end - 1)..end));
    }
    let typed: String = (0..1 + rng.below(3) * rng.below(3))
        .map(|_| ['a', 'b', 'c', 'é', '本', '😀'][rng.below(6)])
        .collect();
    op_of(text, |text| text.insert(index, &typed))
}

crdt_conformance!(Text, ops = edit, oracle = Model);
