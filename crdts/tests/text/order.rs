//! The order of concurrent insertions: what readers will notice, and the
//! reference at large.

use crate::editing::{op_of, text_of};
use crate::reference::Reference;
use proptest::prelude::*;
use repliq_core::{Crdt, Dot, Effects, Hlc, ReplicaId, Stamp, Standalone, decode, encode};
use repliq_crdts::{Text, TextMut, TextOp};

fn merged(texts: &mut [Standalone<Text>]) -> String {
    for _ in 0..2 {
        for to in 0..texts.len() {
            for from in 0..texts.len() {
                let other = texts[from].clone();
                texts[to].merge(other).unwrap();
            }
        }
    }
    assert!(texts.windows(2).all(|pair| *pair[0] == *pair[1]));
    texts[0].to_string()
}

#[test]
fn words_typed_at_one_place_stand_one_after_the_other() {
    let (mut a, mut b) = (text_of(1), text_of(2));
    for (index, scalar) in "milk ".chars().enumerate() {
        a.insert(index, &scalar.to_string()).unwrap();
    }
    for (index, scalar) in "eggs ".chars().enumerate() {
        b.insert(index, &scalar.to_string()).unwrap();
    }
    assert_eq!(merged(&mut [a, b]), "milk eggs ");
}

#[test]
fn words_typed_backwards_are_not_mixed_either() {
    let (mut a, mut b) = (text_of(1), text_of(2));
    for scalar in "milk ".chars().rev() {
        a.insert(0, &scalar.to_string()).unwrap();
    }
    for scalar in "eggs ".chars().rev() {
        b.insert(0, &scalar.to_string()).unwrap();
    }
    assert_eq!(merged(&mut [b, a]), "milk eggs ");
}

#[test]
fn what_is_inserted_into_a_part_that_someone_deletes_stays() {
    let mut a = text_of(1);
    a.insert(0, "0123456789").unwrap();
    let mut b = text_of(2);
    b.merge(a.clone()).unwrap();
    a.delete(2..8).unwrap();
    b.insert(5, "new").unwrap();
    assert_eq!(merged(&mut [a, b]), "01new89");
}

#[test]
fn what_two_delete_is_deleted_once() {
    let mut a = text_of(1);
    a.insert(0, "0123456789").unwrap();
    let mut b = text_of(2);
    b.merge(a.clone()).unwrap();
    a.delete(2..6).unwrap();
    b.delete(4..8).unwrap();
    assert_eq!(merged(&mut [a, b]), "0189");
}

/// A replica of a document that lives long, with the reference beside it.
struct Peer {
    text: Text,
    reference: Reference,
    held: Vec<bool>,
    slots: u64,
}

struct Said {
    op: TextOp,
    at: Stamp,
    past: Vec<bool>,
}

type Step = (usize, u8, usize, usize, usize);

fn live(steps: &[Step]) {
    let mut said: Vec<Said> = Vec::new();
    let mut peers: Vec<Peer> = (0..3)
        .map(|_| Peer {
            text: Text::default(),
            reference: Reference::default(),
            held: Vec::new(),
            slots: 0,
        })
        .collect();
    for &(number, kind, position, len, other) in steps {
        let peer = &mut peers[number];
        if kind < 6 {
            let count = peer.text.len();
            let index = if kind == 0 { count } else { position % (count + 1) };
            let op = if kind < 4 {
                op_of(&peer.text, |text| text.insert(index, &"abcdefgh"[..1 + len % 8]))
            } else {
                op_of(&peer.text, |text| text.delete(index..(index + len).min(count)))
            };
            let Some(op) = op else { continue };
            let replica = ReplicaId::from_bytes([number as u8; 16]);
            let at = Stamp { hlc: Hlc(0), dot: Dot { replica, seq: peer.slots } };
            peer.slots += Text::slots(&op);
            peer.text.apply(op.clone(), at, &mut Effects::silent()).unwrap();
            peer.reference.apply(&op, at);
            peer.held.resize(said.len(), false);
            said.push(Said { op, at, past: peer.held.clone() });
            peer.held.push(true);
        } else if kind < 9 {
            hear(peer, &said, 1 + other % 7);
        } else {
            peer.text = decode(&encode(&peer.text)).unwrap();
        }
        let peer = &peers[number];
        assert_eq!(peer.text.to_string(), peer.reference.text());
    }
    for peer in &mut peers {
        hear(peer, &said, usize::MAX);
        assert_eq!(peer.text.to_string(), peer.reference.text());
    }
    assert!(peers.windows(2).all(|pair| encode(&pair[0].text) == encode(&pair[1].text)));
}

/// Tells a peer of up to `count` ops that it does not hold, in a causal order.
fn hear(peer: &mut Peer, said: &[Said], count: usize) {
    peer.held.resize(said.len(), false);
    let mut told = 0;
    for (number, Said { op, at, past }) in said.iter().enumerate() {
        let ready = past.iter().zip(&peer.held).all(|(needed, held)| !needed || *held);
        if told < count && !peer.held[number] && ready {
            peer.text.apply(op.clone(), *at, &mut Effects::silent()).unwrap();
            peer.reference.apply(op, *at);
            peer.held[number] = true;
            told += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_long_lived_document_is_in_the_order_of_the_reference(
        steps in prop::collection::vec(
            (0_usize..3, 0_u8..10, 0_usize..1000, 0_usize..30, 0_usize..100), 1..250
        )
    ) {
        live(&steps);
    }

    #[test]
    fn many_edits_of_a_few_places_are_in_the_order_of_the_reference(
        steps in prop::collection::vec(
            (0_usize..3, 0_u8..9, 0_usize..4, 0_usize..3, 0_usize..100), 1..120
        )
    ) {
        live(&steps);
    }
}
