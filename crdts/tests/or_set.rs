//! The laws of the set in which additions win, what it leaves behind, and what
//! bad ops and bytes get.

use repliq_core::{Crdt, CrdtError, Dot, Effects, Hlc, ReplicaId, Stamp, decode, encode};
use repliq_crdts::{OrSet, OrSetEvent, OrSetMut, OrSetOp};

mod laws {
    use repliq_conformance::crdt::{History, Oracle};
    use repliq_conformance::{Rng, crdt_conformance};
    use repliq_core::{Author, Crdt, CrdtError, Dot, ReplicaId};
    use repliq_crdts::{OrSet, OrSetEvent, OrSetMut, OrSetOp};
    use std::collections::BTreeSet;

    type Set = OrSet<u8>;

    struct Model;

    impl Oracle<Set> for Model {
        type View = BTreeSet<u8>;

        fn view(state: &Set) -> Self::View {
            let view: BTreeSet<_> = state.iter().copied().collect();
            assert_eq!(state.len(), view.len());
            assert!(state.elements().into_iter().eq(&view));
            assert!(view.iter().all(|element| state.contains(element)));
            view
        }

        fn patch(view: &mut Self::View, event: OrSetEvent<u8>) {
            match event {
                OrSetEvent::Added { element } => assert!(view.insert(element), "already in"),
                OrSetEvent::Removed { element } => assert!(view.remove(&element), "not in"),
            }
        }

        /// An element is in that was added by an op no removal of it knows of.
        fn expected(history: &History<OrSetOp<u8>>) -> Self::View {
            let mut view = BTreeSet::new();
            for addition in history {
                let OrSetOp::Add(added) = addition.op else { continue };
                let removed = history.iter().any(|removal| match &removal.op {
                    OrSetOp::Remove { element, .. } => *element == added && removal.knows(addition),
                    OrSetOp::Add(_) => false,
                });
                if !removed {
                    view.insert(added);
                }
            }
            view
        }

        fn refused(rng: &mut Rng, _: &Set) -> Option<OrSetOp<u8>> {
            let dot = |id: u8, seq| Dot { replica: ReplicaId::from_bytes([id; 16]), seq };
            let seen = match rng.below(3) {
                0 => vec![dot(2, 0), dot(1, 0)],
                1 => vec![dot(1, 0), dot(1, 0)],
                _ => vec![dot(0xff, 3)], // the author of refused ops is at 0
            };
            Some(OrSetOp::Remove { element: 0, seen })
        }
    }

    /// What a mutator authors, without applying it.
    struct Recorder<'a>(&'a Set, Option<OrSetOp<u8>>);

    impl Author<Set> for Recorder<'_> {
        fn author(&mut self, op: <Set as Crdt>::Op) -> Result<(), CrdtError> {
            self.1 = Some(op);
            Ok(())
        }

        fn current(&self) -> &Set {
            self.0
        }
    }

    fn edit(rng: &mut Rng, state: &Set) -> Option<OrSetOp<u8>> {
        let mut recorder = Recorder(state, None);
        let element = rng.bits().to_le_bytes()[0] % 5;
        match rng.below(2) {
            0 => recorder.add(element),
            _ => recorder.remove(element),
        }
        recorder.1
    }

    crdt_conformance!(Set, ops = edit, oracle = Model);
}

fn stamp(replica: u8, seq: u64) -> Stamp {
    Stamp { hlc: Hlc(seq), dot: Dot { replica: ReplicaId::from_bytes([replica; 16]), seq } }
}

#[test]
fn nothing_is_left_behind_of_what_was_removed() {
    let mut set = OrSet::new(ReplicaId::from_bytes([1; 16]));
    let mut other = OrSet::new(ReplicaId::from_bytes([2; 16]));
    for element in 0..100 {
        set.add(element);
        other.add(element);
    }
    set.merge(other.clone()).unwrap();
    (0..100).for_each(|element| set.remove(element));
    other.merge(set.clone()).unwrap();
    assert_eq!(encode(&*set), encode(&OrSet::<i32>::default()));
    assert_eq!(encode(&*other), encode(&OrSet::<i32>::default()));
}

#[test]
fn adding_an_element_again_and_again_does_not_grow_the_set() {
    let mut set = OrSet::new(ReplicaId::from_bytes([1; 16]));
    set.add(1);
    let once = encode(&*set).len();
    (0..100).for_each(|_| set.add(1));
    assert_eq!(encode(&*set).len(), once);
}

#[test]
fn removing_what_is_not_in_is_no_edit() {
    let mut set = OrSet::new(ReplicaId::from_bytes([1; 16]));
    set.remove(1);
    assert!(set.version().is_empty());
}

#[test]
fn only_what_a_reader_sees_is_told() {
    let mut set = OrSet::default();
    let mut told = Effects::new(true, false);
    let removal = |seen| OrSetOp::Remove { element: 1, seen };
    for (op, at) in [
        (OrSetOp::Add(1), stamp(1, 0)),
        (OrSetOp::Add(1), stamp(2, 0)),
        (removal(vec![stamp(1, 0).dot]), stamp(3, 0)),
        (removal(vec![stamp(2, 0).dot]), stamp(4, 0)),
        (removal(vec![stamp(2, 0).dot]), stamp(5, 0)),
    ] {
        set.apply(op, at, &mut told).unwrap();
    }
    let events = [OrSetEvent::Added { element: 1 }, OrSetEvent::Removed { element: 1 }];
    assert_eq!(told.take_events(), events);
}

#[test]
fn a_removal_of_an_addition_of_its_own_future_is_refused() {
    let mut set = OrSet::<u8>::default();
    let op = OrSetOp::Remove { element: 1, seen: vec![stamp(1, 4).dot] };
    let refused = set.apply(op, stamp(1, 4), &mut Effects::silent());
    assert!(matches!(refused, Err(CrdtError::Invalid(_))));
}

/// Said again under a new identity, a removal still takes back what its author
/// added under either, and still leaves what its author had not seen.
#[test]
fn a_removal_said_again_removes_what_it_removed_before_and_nothing_else() {
    const ACKED: u8 = 1;
    const UNACKED: u8 = 2;
    const NEW: u8 = 3;
    let mut old = OrSet::new(ReplicaId::from_bytes([1; 16]));
    old.add(ACKED);
    let mut moved_on = OrSet::new(ReplicaId::from_bytes([2; 16]));
    moved_on.merge(old.clone()).unwrap();
    old.add(UNACKED);
    let before = (*old).clone();
    let mut concurrent = OrSet::new(ReplicaId::from_bytes([3; 16]));
    concurrent.add(ACKED);
    concurrent.add(NEW);
    moved_on.add(UNACKED); // said again
    for (element, is_in) in [(ACKED, false), (UNACKED, false)] {
        let op = OrSetOp::Remove { element, seen: vec![] };
        moved_on.edit(|tx| OrSet::reauthor(op, stamp(1, 9), &before, tx)).unwrap().unwrap();
        assert_eq!(moved_on.contains(&element), is_in);
    }
    moved_on.merge(concurrent).unwrap();
    assert_eq!(moved_on.elements(), [&ACKED, &NEW]);
}

type Row = (u8, Vec<(u32, u64)>);

fn read(replicas: &[u8], rows: &[Row]) -> Option<OrSet<u8>> {
    let replicas: Vec<_> = replicas.iter().map(|id| ReplicaId::from_bytes([*id; 16])).collect();
    decode(&encode(&(replicas, rows))).ok()
}

#[test]
fn only_the_one_form_of_a_state_is_read() {
    let rows: [Row; 2] = [(1, vec![(0, 7), (1, 7)]), (2, vec![(1, 9)])];
    let set = read(&[1, 2], &rows).unwrap();
    assert_eq!(set.elements(), [&1, &2]);
    let [one, two] = rows;
    let rows = |rows: &[&Row]| rows.iter().map(|row| (*row).clone()).collect::<Vec<_>>();

    assert!(read(&[1, 2], &rows(&[&two, &one])).is_none(), "elements out of order");
    assert!(read(&[1, 2], &rows(&[&one, &one])).is_none(), "an element twice");
    assert!(read(&[2, 1], &rows(&[&one, &two])).is_none(), "replicas out of order");
    assert!(read(&[1, 2, 3], &rows(&[&one, &two])).is_none(), "a replica that is not in use");
    assert!(read(&[1], &rows(&[&one, &two])).is_none(), "a replica that is missing");
    assert!(read(&[1], &[(1, vec![])]).is_none(), "an element without an addition");
    assert!(read(&[1, 2], &[(1, vec![(1, 0), (0, 0)])]).is_none(), "additions out of order");
    assert!(read(&[1, 2], &[(1, vec![(0, 0), (0, 1), (1, 0)])]).is_none(), "a replica twice");
    assert!(read(&[], &[]).is_some());
}
