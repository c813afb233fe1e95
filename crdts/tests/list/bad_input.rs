//! What ops and bytes get that no honest author makes.

use crate::editing::{list_of, values};
use proptest::prelude::*;
use repliq_core::{
    Crdt, CrdtError, Dot, Effects, Hlc, ReplicaId, Stamp, Standalone, Version, decode, encode,
};
use repliq_crdts::text::{LeftOrigin, RightOrigin, Stretch, Target};
use repliq_crdts::{List, ListMut, ListOp};

fn dot(replica: u8, seq: u64) -> Dot {
    Dot { replica: ReplicaId::from_bytes([replica; 16]), seq }
}

fn refused(list: &mut List<u32>, op: ListOp<u32>, dot: Dot) -> bool {
    let before = encode(list);
    let mut effects = Effects::new(true, true);
    let at = Stamp { hlc: Hlc(1), dot };
    let refused = matches!(list.apply(op, at, &mut effects), Err(CrdtError::Invalid(_)));
    assert_eq!(encode(list), before);
    assert!(effects.take_events().is_empty() && effects.take_undos().is_empty());
    refused
}

#[test]
fn ops_that_fit_no_history_are_refused() {
    let mut alone = list_of(1, &[1, 2, 3]);
    alone.move_to(0, 2).unwrap();
    let mut list = (*alone).clone();
    let (first, place) = (Target::At(dot(1, 0)), Target::At(dot(1, 3)));
    let (left, right) = (LeftOrigin::At(dot(1, 2)), RightOrigin::At(dot(1, 0)));
    let (start, end) = (LeftOrigin::Start, RightOrigin::End);
    for op in [
        ListOp::Insert { left, right, values: vec![9].into() },
        ListOp::Insert { left: LeftOrigin::At(dot(1, 4)), right: end, values: vec![9].into() },
        ListOp::Insert { left: start, right: RightOrigin::Inherited, values: vec![9].into() },
        ListOp::Insert { left: start, right: end, values: Vec::new().into() },
        ListOp::Set { element: place, value: 9 },
        ListOp::Set { element: Target::Same(0), value: 9 },
        ListOp::Set { element: Target::Back(1), value: 9 },
        ListOp::Move { element: place, left: start, right: end },
        ListOp::Move { element: first, left, right },
        ListOp::Delete(vec![Stretch { from: place, len: 1 }]),
        ListOp::Delete(vec![Stretch { from: first, len: 4 }]),
        ListOp::Delete(vec![Stretch { from: first, len: 1 }, Stretch { from: first, len: 0 }]),
        ListOp::Delete(vec![Stretch { from: first, len: u64::MAX }]),
        ListOp::Delete(Vec::new()),
    ] {
        assert!(refused(&mut list, op.clone(), dot(2, 0)), "{op:?}");
    }
    let many = ListOp::Insert { left: start, right: end, values: vec![8, 9].into() };
    assert!(refused(&mut list, many.clone(), dot(2, u64::MAX)));
    assert!(refused(&mut list, many, dot(1, 2)));
    assert_eq!(values(&list), [2, 3, 1]);
}

/// A list with deletions, moves and changed values.
fn full() -> Vec<u8> {
    let mut list = list_of(1, &[1, 2, 3, 4, 5, 6]);
    list.move_to(0, 3).unwrap();
    list.move_to(3, 1).unwrap();
    list.set(1, 10).unwrap();
    list.set(4, 50).unwrap();
    list.delete(2..3).unwrap();
    encode(&*list)
}

/// Whatever decodes is a list that can be used, written, and merged.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(list) = decode::<List<u32>>(bytes) else { return Ok(()) };
    prop_assert_eq!(list.iter().count(), list.len());
    let written = encode(&list);
    prop_assert_eq!(encode(&decode::<List<u32>>(&written).unwrap()), written);
    let nothing = Version::default();
    for mut other in [(*list_of(3, &[7])).clone(), decode(&full()).unwrap()] {
        let mut effects = Effects::new(true, true);
        other.join(&nothing, list.clone(), &nothing, &mut effects);
        prop_assert_eq!(other.iter().count(), other.len());
        for undo in effects.take_undos().into_iter().rev() {
            other.rollback(undo);
        }
        prop_assert_eq!(other.iter().count(), other.len());
    }
    Ok(())
}

#[test]
fn a_state_with_one_damaged_byte_is_refused_or_whole() {
    let whole = full();
    assert!(decode::<List<u32>>(&whole).is_ok());
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << bit;
            check(&damaged).unwrap();
        }
        assert!(decode::<List<u32>>(&whole[..place]).is_err());
    }
}

#[test]
fn a_small_state_that_claims_billions_of_elements_takes_little_memory_and_time() {
    // Not packed; a run of a replica, its length, and that all of it is dead.
    let mut pieces = vec![0, 1, 5, 0, 0, 0, 0xc0];
    pieces.extend([0xfe, 0xff, 0xff, 0xff, 0x07]); // 2^31 - 1 elements
    pieces.extend([0, 0xff, 0xff, 0xff, 0xff, 0x07]);
    let nothing: Vec<u32> = Vec::new();
    let mut bytes = encode(&vec![ReplicaId::from_bytes([1; 16])]);
    bytes.push(pieces.len() as u8);
    bytes.extend(&pieces);
    bytes.extend(encode(&(&nothing, &nothing, &nothing)));
    check(&bytes).unwrap();
    let mut list: List<u32> = decode(&bytes).unwrap();
    let whole = Stretch { from: Target::At(dot(1, 0)), len: (1 << 31) - 1 };
    let at = Stamp { hlc: Hlc(9), dot: dot(2, 0) };
    list.apply(ListOp::Delete(vec![whole]), at, &mut Effects::silent()).unwrap();
    let more =
        ListOp::Insert { left: LeftOrigin::Start, right: RightOrigin::End, values: vec![1].into() };
    let full = list.apply(more, at, &mut Effects::silent());
    assert!(matches!(full, Err(CrdtError::Limit(_))));
}

/// Lists of two devices that share a replica id by mistake: what is an element of one
/// is a place of the other.
#[test]
fn lists_that_contradict_each_other_merge_to_one_that_loads_again() {
    let edits: [fn(&mut Standalone<List<u32>>); 7] = [
        |list| list.move_to(0, 1).unwrap(),
        |list| list.append(3).unwrap(),
        |list| list.append(3).and_then(|()| list.delete(2..3)).unwrap(),
        |list| list.append(3).and_then(|()| list.move_to(2, 0)).unwrap(),
        |list| list.append(3).and_then(|()| list.set(2, 4)).unwrap(),
        |list| list.move_to(0, 1).and_then(|()| list.move_to(0, 1)).unwrap(),
        |list| {
            list.append(3).and_then(|()| list.append(4)).and_then(|()| list.move_to(3, 0)).unwrap()
        },
    ];
    let lists = edits.map(|edit| {
        let mut list = list_of(1, &[1, 2]);
        edit(&mut list);
        list
    });
    for (one, other) in lists.iter().flat_map(|one| lists.iter().map(move |other| (one, other))) {
        let mut merged = (**one).clone();
        let mut effects = Effects::new(true, true);
        merged.join(one.version(), (**other).clone(), other.version(), &mut effects);
        let written = encode(&merged);
        let loaded = decode::<List<u32>>(&written).unwrap();
        assert_eq!((encode(&loaded), values(&loaded)), (written, values(&merged)));
        effects.take_undos().into_iter().rev().for_each(|undo| merged.rollback(undo));
        assert_eq!(encode(&merged), encode(&**one));
    }
}

proptest! {
    #[test]
    fn damaged_bytes_are_refused_or_whole(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut damaged = full();
        for (place, byte) in places {
            let place = place.index(damaged.len());
            damaged[place] = byte;
        }
        check(&damaged)?;
    }
}
