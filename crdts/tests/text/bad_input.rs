//! What ops and bytes get that no honest author makes.

use crate::editing::text_of;
use proptest::prelude::*;
use repliq_core::{
    Crdt, CrdtError, Dot, Effects, Hlc, Loaded, ReplicaId, Saved, Stamp, Version, decode, encode,
};
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

/// A stranger may claim origins between which others stood before. Everybody
/// refuses that, whatever else they know: what came between later does not count.
#[test]
fn origins_that_were_never_neighbours_are_refused_by_all() {
    let mut alone = text_of(1);
    alone.insert(0, "abcdef").unwrap();
    let mut crowded = text_of(2);
    crowded.merge(alone.clone()).unwrap();
    for index in (0..=6).rev() {
        crowded.insert(index, "xy").unwrap();
    }
    let mut emptied = text_of(3);
    emptied.merge(crowded.clone()).unwrap();
    emptied.delete(..).unwrap();
    for left in 0..=6 {
        for right in left + 1..=7 {
            let from = match left {
                0 => LeftOrigin::Start,
                _ => LeftOrigin::At(dot(1, left - 1)),
            };
            let to = match right {
                7 => RightOrigin::End,
                _ => RightOrigin::At(dot(1, right - 1)),
            };
            for text in [&alone, &crowded, &emptied] {
                let mut text = (**text).clone();
                let (op, at) = (insert(from, to, "!"), stamp(9, 0));
                if right == left + 1 || right == 7 {
                    text.apply(op, at, &mut Effects::silent()).unwrap();
                    let copy: Text = decode(&encode(&text)).unwrap();
                    assert_eq!(copy.to_string(), text.to_string());
                } else {
                    assert!(refused(&mut text, op, at), "{left} {right}");
                }
            }
        }
    }
}

/// A state as somebody may forge it. The columns are heads, lengths, gaps, left
/// and right origins, and what is living and dead by turns.
#[derive(Clone)]
struct Forged {
    text: Vec<u8>,
    replicas: Vec<u8>,
    columns: [Vec<u8>; 6],
    deleted: Vec<u8>,
}

impl Forged {
    /// What is honest: "ab" of one replica, of which "b" was deleted, and an "x"
    /// of another between them.
    fn honest() -> Self {
        let heads = vec![NEXT | NO_GAP, NEXT | NO_GAP | BEFORE | PREVIOUS];
        Self {
            text: b"ax".to_vec(),
            replicas: vec![1, 2],
            columns: [heads, vec![1, 0], vec![], vec![], vec![], vec![1, 1, 1]],
            deleted: b"b".to_vec(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let plain = |bytes: &[u8]| {
            let mut out = vec![u8::try_from(bytes.len() + 1).unwrap(), 0];
            out.extend(bytes);
            out
        };
        let mut columns: Vec<u8> = self.columns[..5].iter().map(|part| part.len() as u8).collect();
        columns.extend(self.columns.concat());
        let replicas: Vec<_> =
            self.replicas.iter().map(|id| ReplicaId::from_bytes([*id; 16])).collect();
        [plain(&self.text), encode(&replicas), plain(&columns), plain(&self.deleted)].concat()
    }

    fn is_refused(&self) -> bool {
        let state = self.bytes();
        let refused = decode::<Text>(&state).is_err();
        // From where it was saved it may be let in, but is never edited nor merged.
        let saved = [encode(Text::KIND), encode(&(Version::new(), Hlc(0))), state.clone()].concat();
        if let Ok(mut text) = <Text as Loaded>::from_bytes(&saved) {
            let before = text.to_string();
            assert_eq!(before.as_bytes(), self.text);
            assert_eq!(
                (text.len(), text.char_at(1)),
                (before.chars().count(), before.chars().nth(1))
            );
            let op = insert(LeftOrigin::Start, RightOrigin::End, "!");
            let edited = text.apply(op, stamp(9, 0), &mut Effects::silent());
            assert_eq!(edited.is_err(), refused);
            if refused {
                text.join(
                    &Version::new(),
                    (*text_of(3)).clone(),
                    &Version::new(),
                    &mut Effects::silent(),
                );
                assert_eq!((text.to_string(), encode(&text)), (before, state));
                assert_eq!(text.anchor(0, repliq_crdts::Side::Before), None);
                let mut other = text_of(3);
                other.insert(0, "o").unwrap();
                // Nor is anything counted as seen.
                let (version, last) = (other.version().clone(), other.last());
                let damaged = || {
                    let seen = [(ReplicaId::from_bytes([9; 16]), 7)].into_iter().collect();
                    let saved = Saved { state: text.clone(), version: seen, last: last.plus(9) };
                    repliq_core::Standalone::resume(saved, ReplicaId::from_bytes([9; 16]))
                };
                assert!(other.merge(damaged()).is_err());
                assert_eq!((other.version(), other.last()), (&version, last));
                assert_eq!(other.to_string(), "o");
                assert!(damaged().merge(other).is_err());
            }
        }
        refused
    }
}

const AFTER: u8 = 0;
const BEFORE: u8 = 1;
const BETWEEN: u8 = 2;
const BACK: u8 = 1 << 2;
const FORWARD: u8 = 2 << 2;
const PREVIOUS: u8 = 3 << 2;
const RIGHT_BACK: u8 = 1 << 4;
const RIGHT_FORWARD: u8 = 2 << 4;
const NO_GAP: u8 = 1 << 6;
const NEXT: u8 = 1 << 7;

#[test]
fn a_forged_state_is_a_typed_error() {
    let honest = Forged::honest();
    assert!(!honest.is_refused());
    let with = |forge: fn(&mut Forged)| {
        let mut forged = Forged::honest();
        forge(&mut forged);
        forged.is_refused()
    };
    let heads = |head: u8, lefts: &[u8], rights: &[u8]| {
        let mut forged = Forged::honest();
        forged.columns[0][1] = NEXT | NO_GAP | head;
        forged.columns[3] = lefts.to_vec();
        forged.columns[4] = rights.to_vec();
        forged.is_refused()
    };
    assert!(with(|state| state.text.push(b'y')), "text that nobody wrote");
    assert!(with(|state| state.text.truncate(1)), "text that is missing");
    assert!(with(|state| state.text[1] = 0xff), "text that is not UTF-8");
    assert!(with(|state| state.deleted.extend(b"bcde")), "deleted text that nobody wrote");
    assert!(with(|state| state.deleted.clear()), "deleted text that is missing");
    assert!(with(|state| state.replicas = vec![2, 1]), "replicas out of order");
    assert!(with(|state| state.replicas = vec![1, 1]), "a replica twice");
    assert!(with(|state| state.replicas = vec![1, 2, 3]), "a replica that wrote nothing");
    assert!(with(|state| state.replicas = vec![1]), "a replica that is missing");
    assert!(with(|state| state.columns[0][0] = NO_GAP), "no first replica");
    assert!(with(|state| state.columns[1][0] = 0x80), "a length that is cut off");
    assert!(with(|state| state.columns[1].push(0)), "a length of nothing");
    assert!(with(|state| state.columns[2].push(0)), "a gap of nothing");
    assert!(with(|state| state.columns[3].push(0)), "an origin of nothing");
    assert!(with(|state| state.columns[5] = vec![1, 3]), "more dead than there are");
    assert!(with(|state| state.columns[5] = vec![1, 0xff, 0xff, 0xff, 0xff, 0xff, 1]));
    assert!(with(|state| state.columns[0][0] |= PREVIOUS), "a left origin before the first");
    assert!(heads(3, &[], &[]), "an unknown child");
    assert!(heads(AFTER | RIGHT_BACK, &[], &[]), "a right origin that is inherited and not");
    assert!(heads(BEFORE, &[], &[]), "a left child of nothing");
    assert!(heads(BEFORE | PREVIOUS | RIGHT_BACK, &[], &[0]), "two right origins");
    assert!(heads(BETWEEN | 3 << 4, &[], &[]), "an unknown right origin");
    assert!(heads(AFTER | BACK, &[2], &[]), "a left origin before all");
    assert!(heads(AFTER | FORWARD, &[0], &[]), "a left origin after all");
    assert!(heads(BEFORE | BACK, &[], &[2]), "a right origin before all");
    assert!(heads(BEFORE | FORWARD, &[], &[0]), "a right origin after all");
    assert!(heads(BETWEEN | RIGHT_BACK, &[], &[2]), "another right origin before all");
    assert!(heads(BETWEEN | RIGHT_FORWARD, &[], &[0]), "another right origin after all");
    assert!(heads(BETWEEN | PREVIOUS | RIGHT_BACK, &[], &[1]), "origins the wrong way round");
    assert!(heads(BETWEEN | PREVIOUS | RIGHT_BACK, &[], &[0]), "one origin on both sides");
    assert!(heads(BETWEEN | RIGHT_BACK, &[], &[0]), "origins that were never neighbours");
    assert!(heads(BETWEEN | BACK | RIGHT_BACK, &[1], &[0]), "a right origin below the left one");
    assert!(!heads(BETWEEN | BACK, &[1], &[]), "the end as the right origin");
    assert!(!heads(BEFORE | BACK, &[], &[1]), "a place before all");
}

/// Nobody sees them, so they are not read before somebody asks.
#[test]
fn damaged_deleted_letters_are_refused_from_a_peer_and_replaced_in_what_was_saved_here() {
    for letters in [vec![0xff], b"by".to_vec()] {
        let forged = Forged { deleted: letters, ..Forged::honest() };
        assert!(decode::<Text>(&forged.bytes()).is_err());
        let saved =
            [encode(Text::KIND), encode(&(Version::new(), Hlc(0))), forged.bytes()].concat();
        let text = <Text as Loaded>::from_bytes(&saved).unwrap();
        let replaced = Forged { deleted: "\u{fffd}".into(), ..Forged::honest() };
        assert_eq!(encode(&text), replaced.bytes());
        let mut other = text_of(3);
        other.insert(0, "o").unwrap();
        let state = Saved { state: text, ..Saved::default() };
        let mut saved = repliq_core::Standalone::resume(state, ReplicaId::from_bytes([9; 16]));
        saved.insert(1, "!").unwrap();
        assert_eq!(saved.to_string(), "a!x");
        other.merge(saved).unwrap();
        assert_eq!(other.to_string(), "a!xo");
        assert_eq!(decode::<Text>(&encode(&*other)).unwrap().to_string(), "a!xo");
    }
}

#[test]
fn origins_that_go_round_in_a_circle_are_a_typed_error() {
    let mut forged = Forged::honest();
    forged.columns[0] = vec![NEXT | NO_GAP | FORWARD, NEXT | NO_GAP | BACK];
    forged.columns[3] = vec![0, 0];
    assert!(forged.is_refused());
    // Each as a right origin that nothing else needs.
    let between = BETWEEN | NEXT | NO_GAP;
    forged.columns[0] = vec![between | RIGHT_FORWARD, between | RIGHT_BACK];
    (forged.columns[3], forged.columns[4]) = (vec![], vec![0, 1]);
    assert!(forged.is_refused());
}

#[test]
fn a_small_state_that_claims_billions_of_characters_is_refused_in_little_memory() {
    let mut forged = Forged::honest();
    forged.replicas = vec![1];
    let len = vec![0xfe, 0xff, 0xff, 0xff, 0x07]; // 2^31 - 1 characters
    let dead = vec![0, 0xff, 0xff, 0xff, 0xff, 0x07];
    forged.columns = [vec![NEXT | NO_GAP], len, vec![], vec![], vec![], dead];
    forged.text.clear();
    assert!(forged.is_refused());
    // And one that claims to be packed.
    let mut bytes = encode(&[1_u8, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0].as_slice());
    bytes.extend(encode(&Vec::<ReplicaId>::new()));
    assert!(decode::<Text>(&bytes).is_err());
}

proptest! {
    #[test]
    fn damaged_bytes_are_an_error_or_a_text_that_works(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let (mut a, mut b) = (text_of(1), text_of(2));
        a.insert(0, "hello world").unwrap();
        b.merge(a.clone()).unwrap();
        a.delete(2..7).unwrap();
        b.insert(4, "XYZ").unwrap();
        b.insert(0, "12").unwrap();
        a.merge(b.clone()).unwrap();
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
