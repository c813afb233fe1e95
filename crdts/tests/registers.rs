//! The laws of the registers, their total order, and what bad ops and bytes get.

use proptest::prelude::*;
use repliq_core::{Crdt, CrdtError, Dot, Effects, Hlc, ReplicaId, Stamp, decode, encode};
use repliq_crdts::{LwwRegister, MvRegister, MvRegisterOp, RegisterOp};

mod lww {
    use repliq_conformance::crdt::{History, Oracle};
    use repliq_conformance::{Rng, crdt_conformance};
    use repliq_crdts::{LwwRegister, RegisterEvent, RegisterOp};

    struct Model;

    impl Oracle<LwwRegister<u64>> for Model {
        type View = Option<u64>;

        fn view(state: &LwwRegister<u64>) -> Self::View {
            state.get().copied()
        }

        fn patch(view: &mut Self::View, event: RegisterEvent<u64>) {
            let RegisterEvent::Set { value } = event;
            *view = Some(value);
        }

        fn expected(history: &History<RegisterOp<u64>>) -> Self::View {
            let last = history.iter().max_by_key(|said| said.at)?;
            let RegisterOp::Set(value) = last.op;
            Some(value)
        }
    }

    fn edit(rng: &mut Rng, _: &LwwRegister<u64>) -> Option<RegisterOp<u64>> {
        Some(RegisterOp::Set(rng.bits()))
    }

    crdt_conformance!(LwwRegister<u64>, ops = edit, oracle = Model);
}

mod mv {
    use repliq_conformance::crdt::{History, Oracle};
    use repliq_conformance::{Rng, crdt_conformance};
    use repliq_core::{Author, Crdt, CrdtError, Dot, ReplicaId};
    use repliq_crdts::{MvRegister, MvRegisterEvent, MvRegisterMut, MvRegisterOp};

    type Register = MvRegister<String>;

    struct Model;

    impl Oracle<Register> for Model {
        type View = Vec<String>;

        fn view(state: &Register) -> Self::View {
            state.values().cloned().collect()
        }

        fn patch(view: &mut Self::View, event: MvRegisterEvent<String>) {
            let MvRegisterEvent::Changed { values } = event;
            assert_ne!(*view, values, "it has not changed");
            *view = values;
        }

        /// What nobody wrote over who knew of it.
        fn expected(history: &History<MvRegisterOp<String>>) -> Self::View {
            let last = history.iter().filter(|said| !history.iter().any(|by| by.knows(said)));
            let mut last: Vec<_> = last.collect();
            last.sort_by_key(|said| said.at);
            let value = |op: &MvRegisterOp<String>| match op {
                MvRegisterOp::Set { value, .. } => value.clone(),
            };
            last.into_iter().map(|said| value(&said.op)).collect()
        }

        fn refused(rng: &mut Rng, _: &Register) -> Option<MvRegisterOp<String>> {
            let dot = |id: u8, seq| Dot { replica: ReplicaId::from_bytes([id; 16]), seq };
            let replaces = match rng.below(3) {
                0 => vec![dot(2, 0), dot(1, 0)],
                1 => vec![dot(1, 0), dot(1, 0)],
                _ => vec![dot(0xff, 3)], // the author of refused ops is at 0
            };
            Some(MvRegisterOp::Set { value: String::new(), replaces })
        }
    }

    /// What a mutator authors, without applying it.
    struct Recorder<'a>(&'a Register, Option<MvRegisterOp<String>>);

    impl Author<Register> for Recorder<'_> {
        fn author(&mut self, op: <Register as Crdt>::Op) -> Result<(), CrdtError> {
            self.1 = Some(op);
            Ok(())
        }

        fn current(&self) -> &Register {
            self.0
        }
    }

    fn edit(rng: &mut Rng, state: &Register) -> Option<MvRegisterOp<String>> {
        let mut recorder = Recorder(state, None);
        recorder.set(rng.bits().to_string());
        recorder.1
    }

    crdt_conformance!(Register, ops = edit, oracle = Model);
}

fn stamp(hlc: u64, replica: u8, seq: u64) -> Stamp {
    Stamp { hlc: Hlc(hlc), dot: Dot { replica: ReplicaId::from_bytes([replica; 16]), seq } }
}

fn stamps() -> impl Strategy<Value = Stamp> {
    (0_u64..3, 0_u8..3, 0_u64..3).prop_map(|(hlc, replica, seq)| stamp(hlc, replica, seq))
}

proptest! {
    #[test]
    fn of_two_writes_the_larger_by_time_replica_seq_and_value_stays(
        a in (stamps(), 0_u16..3), b in (stamps(), 0_u16..3),
    ) {
        for writes in [[a, b], [b, a]] {
            let mut register = LwwRegister::default();
            for (at, value) in writes {
                register.apply(RegisterOp::Set(value), at, &mut Effects::silent()).unwrap();
            }
            prop_assert_eq!(register.get(), Some(&a.max(b).1));
        }
    }
}

#[test]
fn an_op_of_a_value_without_bytes_has_bytes() {
    assert!(!encode(&RegisterOp::Set(())).is_empty());
    assert!(!encode(&MvRegisterOp::Set { value: (), replaces: vec![] }).is_empty());
}

#[test]
fn an_author_replaces_its_own_write_without_naming_it() {
    let mut register = MvRegister::default();
    for seq in 0..3 {
        let op = MvRegisterOp::Set { value: seq, replaces: vec![] };
        register.apply(op, stamp(seq, 1, seq), &mut Effects::silent()).unwrap();
    }
    assert!(register.values().eq(&[2]));
}

#[test]
fn an_op_that_names_its_own_future_is_refused() {
    let op = MvRegisterOp::Set { value: 1, replaces: vec![stamp(0, 1, 5).dot] };
    let mut register = MvRegister::default();
    let refused = register.apply(op.clone(), stamp(9, 1, 5), &mut Effects::silent());
    assert!(matches!(refused, Err(CrdtError::Invalid(_))));
    assert_eq!(register, MvRegister::default());
    assert_eq!(register.apply(op, stamp(9, 1, 6), &mut Effects::silent()), Ok(()));
}

/// Said again under a new identity, a write still replaces what its author wrote
/// under the old one, and still keeps what its author had not seen.
#[test]
fn a_write_said_again_replaces_what_it_replaced_before_and_nothing_else() {
    let mut old = MvRegister::new(ReplicaId::from_bytes([1; 16]));
    use repliq_crdts::MvRegisterMut;
    old.set(1);
    let before = (*old).clone();
    let mut moved_on = MvRegister::new(ReplicaId::from_bytes([2; 16]));
    moved_on.merge(old.clone()).unwrap();
    let mut concurrent = MvRegister::new(ReplicaId::from_bytes([3; 16]));
    concurrent.set(7);
    moved_on.merge(concurrent).unwrap();
    let op = MvRegisterOp::Set { value: 2, replaces: vec![] };
    moved_on.edit(|tx| MvRegister::reauthor(op, stamp(9, 1, 1), &before, tx)).unwrap().unwrap();
    let mut values: Vec<_> = moved_on.values().copied().collect();
    values.sort_unstable();
    assert_eq!(values, [2, 7]);
}

#[test]
fn values_out_of_order_or_twice_are_not_read() {
    let (one, two) = ((stamp(1, 1, 0), 5_u8), (stamp(2, 2, 0), 6));
    assert!(decode::<MvRegister<u8>>(&encode(&vec![one, two])).is_ok());
    assert!(decode::<MvRegister<u8>>(&encode(&vec![two, one])).is_err());
    assert!(decode::<MvRegister<u8>>(&encode(&vec![one, one])).is_err());
}
