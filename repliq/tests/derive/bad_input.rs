//! Broken frames: a typed error, and nothing more.

use crate::support::{ops_of, replica, v1, v2};
use repliq::prelude::*;
use repliq::{DecodeError, decode, encode, try_encode_into};
use repliq_conformance::{Rng, run_seed};

fn sample() -> Standalone<v2::Note> {
    use v2::{AuthorMut, NoteMut};
    let mut note = Standalone::<v2::Note>::new(replica(1));
    note.name().set("Soup".to_string());
    note.author().name().set("Ada".to_string());
    note.body().insert(0, "leek").unwrap();
    note
}

/// `(tag, digest, slots, bytes)`, as an op is written.
fn frame(tag: u32, digest: [u8; 2], slots: u64, bytes: &[u8]) -> Vec<u8> {
    encode(&(tag, digest, slots, bytes))
}

fn op() -> (u32, [u8; 2], u64, Vec<u8>) {
    use v2::NoteMut;
    let op = ops_of(&v2::Note::default(), |note| note.name().set("Soup".to_string())).remove(0);
    decode(&encode(&op)).unwrap()
}

#[test]
fn a_frame_that_says_other_slots_than_its_op_is_refused() {
    let (tag, digest, slots, bytes) = op();
    assert_eq!(slots, 1);
    assert!(decode::<v2::NoteOp>(&frame(tag, digest, 1, &bytes)).is_ok());
    for slots in [0, 2, u64::MAX] {
        let read = decode::<v2::NoteOp>(&frame(tag, digest, slots, &bytes));
        assert!(matches!(read, Err(DecodeError::Invalid(why)) if why.contains("slot")), "{read:?}");
    }
    // Not even an op that nobody here knows takes none.
    assert!(decode::<v2::NoteOp>(&frame(77, digest, 0, &bytes)).is_err());
}

/// What is kept of an unknown field costs more than an op on it, so there are not as
/// many fields as ops.
#[test]
fn a_tag_that_no_field_can_have_is_refused() {
    let (_, digest, _, bytes) = op();
    let (largest, larger) = (repliq::derive::MAX_TAG, repliq::derive::MAX_TAG + 1);
    assert!(decode::<v2::NoteOp>(&frame(largest, digest, 1, &bytes)).is_ok());
    let read = decode::<v2::NoteOp>(&frame(larger, digest, 1, &bytes));
    assert!(matches!(read, Err(DecodeError::Invalid(why)) if why.contains("tag")), "{read:?}");

    type Ops = Vec<(repliq::Stamp, (u32, [u8; 2], u64, Vec<u8>))>;
    let state = |of_state: u32, of_ops: u32| {
        let frames = vec![(of_state, digest, bytes.clone())];
        let rest: Vec<(u32, Ops, Vec<u8>)> = vec![(of_ops, Ops::new(), Vec::new())];
        decode::<v2::Note>(&encode(&(frames, rest)))
    };
    assert!(state(largest, largest).is_ok());
    for wrong in [state(larger, largest), state(largest, larger)] {
        assert!(
            matches!(wrong, Err(DecodeError::Invalid(why)) if why.contains("tag")),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_frame_longer_or_shorter_than_its_op_is_refused_with_the_reason() {
    let (tag, digest, slots, bytes) = op();
    let mut longer = bytes.clone();
    longer.push(0);
    let read = |bytes: &[u8]| decode::<v2::NoteOp>(&frame(tag, digest, slots, bytes)).unwrap_err();
    assert_eq!(read(&longer), DecodeError::Trailing(1));
    for end in 0..bytes.len() {
        assert_eq!(read(&bytes[..end]), DecodeError::Truncated);
    }
    let mut unreal = encode(&(tag, digest, slots));
    unreal.extend([0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]);
    assert_eq!(decode::<v2::NoteOp>(&unreal).unwrap_err(), DecodeError::Truncated);
}

#[test]
fn nesting_is_limited_in_a_frame_as_outside_of_one() {
    /// What recurses in a field.
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct Deep(Option<Box<Deep>>);

    #[derive(Crdt)]
    #[crdt(kind = "deep/1")]
    struct Holder {
        #[crdt(tag = 1)]
        deep: LwwRegister<Deep>,
        #[crdt(unknown)]
        unknown: UnknownFields,
    }

    let of = |levels: usize| {
        let deep = (0..levels).fold(Deep(None), |inner, _| Deep(Some(Box::new(inner))));
        HolderOp::Deep(RegisterOp::Set(deep))
    };
    let mut written = Vec::new();
    assert_eq!(try_encode_into(&of(20), &mut written), Ok(()));
    assert!(decode::<HolderOp>(&written).is_ok());
    assert_eq!(try_encode_into(&of(10_000), &mut Vec::new()), Err(DecodeError::TooDeep));

    let (tag, digest, ..): (u32, [u8; 2], u64, Vec<u8>) = decode(&written).unwrap();
    // `Set`, then one `Some` after the other.
    let mut forged = vec![1; 1_000_000];
    forged[0] = 0;
    let read = decode::<HolderOp>(&frame(tag, digest, 1, &forged));
    assert_eq!(read.unwrap_err(), DecodeError::TooDeep);
}

#[test]
fn damaged_ops_and_states_are_errors_or_sound_and_never_grow() {
    use v2::{AuthorMut, NoteMut};
    let seed = run_seed();
    println!("REPLIQ_SEED={seed}");
    let rng = &mut Rng::new(seed);
    let note = sample();
    let ops = ops_of(&*note, |note| {
        note.author().likes().add(5);
        note.body().insert(2, "xyz").unwrap();
        note.places().entry("x".to_string()).insert(0, "y").unwrap();
    });
    let mut whole: Vec<Vec<u8>> = ops.iter().map(encode).collect();
    whole.push(encode(&*note));
    whole.push(encode(&told_of_what_it_does_not_know(&ops)));
    for bytes in whole {
        for end in 0..bytes.len() {
            assert!(decode::<v2::NoteOp>(&bytes[..end]).is_err() || bytes.len() > end);
            assert!(decode::<v2::Note>(&bytes[..end]).is_err());
        }
        for _ in 0..3000 {
            let mut damaged = bytes.clone();
            for _ in 0..=rng.below(3) {
                let place = rng.below(damaged.len());
                match rng.below(3) {
                    0 => damaged[place] = rng.bits() as u8,
                    1 => drop(damaged.remove(place)),
                    _ => drop(damaged.splice(place..place, [0xff; 9])),
                }
            }
            if let Ok(op) = decode::<v2::NoteOp>(&damaged) {
                assert_eq!(encode(&decode::<v2::NoteOp>(&encode(&op)).unwrap()), encode(&op));
                let mut state = v2::Note::default();
                let before = encode(&state);
                let at = crate::support::stamp(1, 5);
                if state.apply(op, at, &mut repliq::Effects::silent()).is_err() {
                    assert_eq!(encode(&state), before);
                }
            }
            if let Ok(state) = decode::<v1::Note>(&damaged) {
                // A frame more for a field that the damage has taken away.
                assert!(encode(&state).len() <= damaged.len() + 16);
                let again: v1::Note = decode(&encode(&state)).unwrap();
                assert_eq!(encode(&again), encode(&state));
            }
        }
    }
}

fn told_of_what_it_does_not_know(ops: &[v2::NoteOp]) -> v1::Note {
    let mut old = v1::Note::default();
    for (seq, op) in ops.iter().enumerate() {
        let op = decode(&encode(op)).unwrap();
        let at = crate::support::stamp(1, 100 + 10 * seq as u64);
        old.apply(op, at, &mut repliq::Effects::silent()).unwrap();
    }
    old
}

#[test]
fn fields_out_of_order_or_twice_are_refused() {
    let state = encode(&*sample());
    type Frame = (u32, [u8; 2], Vec<u8>);
    let (frames, rest): (Vec<Frame>, Vec<()>) = decode(&state).unwrap();
    assert_eq!(frames.iter().map(|frame| frame.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let mut turned = frames.clone();
    turned.swap(0, 1);
    let twice: Vec<_> = [&frames[..], &frames[2..]].concat();
    for frames in [turned, twice] {
        let read = decode::<v2::Note>(&encode(&(frames, &rest))).map(drop);
        assert_eq!(read, Err(DecodeError::Invalid("fields are out of order")));
    }
}

#[test]
fn what_is_kept_of_a_forged_op_does_no_harm_after_an_update() {
    let (_, digest, _, bytes) = op();
    let mut old = v1::Note::default();
    let forged = [
        frame(3, digest, 1, &bytes),
        frame(3, digest_of_body(), 1, b"\xff\xff\xff"),
        frame(3, digest_of_body(), u64::MAX, b""),
        frame(1000, [0; 2], 1, &[7; 100]),
    ];
    for (seq, forged) in forged.iter().enumerate() {
        let op: v1::NoteOp = decode(forged).unwrap();
        let at = crate::support::stamp(1, seq as u64);
        old.apply(op, at, &mut repliq::Effects::silent()).unwrap();
    }
    let updated: v2::Note = crate::support::read_as(&old);
    assert!(updated.body.is_empty() && !updated.more.is_empty());
    assert_eq!(crate::support::read_as::<v2::Note>(&updated), updated);
}

fn digest_of_body() -> [u8; 2] {
    use v2::NoteMut;
    let op = ops_of(&v2::Note::default(), |note| note.body().insert(0, "x").unwrap()).remove(0);
    decode::<(u32, [u8; 2], u64, Vec<u8>)>(&encode(&op)).unwrap().1
}
