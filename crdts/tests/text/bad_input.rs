//! What ops and bytes get that no honest author makes.

use crate::editing::text_of;
use proptest::prelude::*;
use repliq_core::{Crdt, CrdtError, Dot, Effects, Hlc, ReplicaId, Stamp, decode, encode};
use repliq_crdts::text::{LeftOrigin, RightOrigin, Stretch, Target, Typed};
use repliq_crdts::{Text, TextMut, TextOp};

fn stamp(replica: u8, seq: u64) -> Stamp {
    Stamp { hlc: Hlc(1), dot: dot(replica, seq) }
}

fn dot(replica: u8, seq: u64) -> Dot {
    Dot { replica: ReplicaId::from_bytes([replica; 16]), seq }
}

fn insert(left: LeftOrigin, right: RightOrigin, text: &str) -> TextOp {
    TextOp::Insert { left, right, text: Typed::from(text) }
}

fn refused(text: &mut Text, op: TextOp, at: Stamp) -> bool {
    let before = encode(text);
    let mut effects = Effects::new(true, true);
    let refused = matches!(text.apply(op, at, &mut effects), Err(CrdtError::Invalid(_)));
    assert_eq!(encode(text), before);
    assert!(effects.take_events().is_empty() && effects.take_undos().is_empty());
    refused
}

#[test]
fn ops_that_fit_no_history_are_refused() {
    let mut alone = text_of(1);
    alone.insert(0, "abc").unwrap();
    let mut text = (*alone).clone();
    let [a, c] = [0, 2].map(|seq| dot(1, seq));
    let at = stamp(2, 0);
    let unordered = insert(LeftOrigin::At(c), RightOrigin::At(a), "x");
    assert!(refused(&mut text, unordered, at));
    assert!(refused(&mut text, insert(LeftOrigin::At(c), RightOrigin::At(c), "x"), at));
    assert!(refused(&mut text, insert(LeftOrigin::At(dot(1, 3)), RightOrigin::End, "x"), at));
    assert!(refused(&mut text, insert(LeftOrigin::At(c), RightOrigin::Following, "x"), at));
    assert!(refused(&mut text, insert(LeftOrigin::Back(1), RightOrigin::End, "x"), at));
    assert!(refused(&mut text, insert(LeftOrigin::Start, RightOrigin::Back(9), "x"), at));
    let end = stamp(2, u64::MAX);
    assert!(refused(&mut text, insert(LeftOrigin::Start, RightOrigin::At(a), "xy"), end));
    assert!(refused(&mut text, insert(LeftOrigin::At(c), RightOrigin::End, "x"), stamp(1, 1)));
    for (from, len) in [(c, 2), (a, 0), (a, u64::MAX), (dot(1, u64::MAX), 1), (dot(3, 0), 1)] {
        let stretch = Stretch { from: Target::At(from), len };
        assert!(refused(&mut text, TextOp::Delete(stretch), at), "{stretch:?}");
        let some = Stretch { from: Target::At(a), len: 1 };
        assert!(refused(&mut text, TextOp::DeleteEach(vec![some, stretch]), at));
    }
    assert!(decode::<TextOp>(&encode(&insert(LeftOrigin::Start, RightOrigin::End, ""))).is_err());
}

/// A stranger may claim origins between which others stand: the order is then
/// still the same for all.
#[test]
fn origins_that_were_never_neighbours_do_not_split_replicas() {
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]];
    let mut alone = text_of(1);
    alone.insert(0, "abcdef").unwrap();
    let at = |seq| dot(1, seq);
    let places = [(0, 5), (0, 1), (2, 5), (0, 3), (1, 4), (3, 4), (0, 2), (1, 5)];
    for skip in 0..places.len() {
        let ops: Vec<_> = (0..4)
            .map(|n| {
                let (left, right) = places[(n * 3 + skip) % places.len()];
                let op = insert(LeftOrigin::At(at(left)), RightOrigin::At(at(right)), "xy");
                (op, stamp(9 - n as u8, 0))
            })
            .collect();
        let mut seen = Vec::new();
        for order in orders {
            let mut text = (*alone).clone();
            for number in order {
                let (op, at) = ops[number].clone();
                text.apply(op, at, &mut Effects::silent()).unwrap();
            }
            seen.push(encode(&text));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{skip}");
    }
}

#[test]
fn a_small_state_that_claims_billions_of_characters_takes_little_memory() {
    let mut pieces = vec![1, 0, 0];
    pieces.extend([0xfe, 0xff, 0xff, 0xff, 0x07]); // 2^31 - 1 dead characters
    let replicas = vec![ReplicaId::from_bytes([1; 16])];
    let mut bytes = encode(&("", replicas));
    bytes.push(pieces.len() as u8);
    bytes.extend(&pieces);
    let mut text: Text = decode(&bytes).unwrap();
    assert!(text.is_empty());
    let op = insert(LeftOrigin::Start, RightOrigin::End, "x");
    let full = text.apply(op, stamp(2, 0), &mut Effects::silent());
    assert!(matches!(full, Err(CrdtError::Limit(_))));
    let last = bytes.len() - 1;
    bytes[last] = 0x0f;
    assert!(decode::<Text>(&bytes).is_err());
}

proptest! {
    #[test]
    fn damaged_bytes_are_an_error_or_a_text_that_works(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let (mut a, mut b) = (text_of(1), text_of(2));
        a.insert(0, "hello world").unwrap();
        b.merge(a.clone());
        a.delete(2..7).unwrap();
        b.insert(4, "XYZ").unwrap();
        b.insert(0, "12").unwrap();
        a.merge(b.clone());
        let mut bytes = encode(&*a);
        for (place, byte) in damage {
            *place.get_mut(&mut bytes) = byte;
        }
        if let Ok(mut text) = decode::<Text>(&bytes) {
            let copy: Text = decode(&encode(&text)).unwrap();
            prop_assert_eq!(copy.to_string(), text.to_string());
            text.join(a.version(), (*b).clone(), b.version(), &mut Effects::silent());
            let mut whole = (*a).clone();
            whole.join(a.version(), text, a.version(), &mut Effects::silent());
            prop_assert_eq!(whole.to_string().chars().count(), whole.len());
        }
    }
}
