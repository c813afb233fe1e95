//! Changes from one value to another: what its author holds, its receiver holds, dot
//! for dot, however the ops of a transaction were made one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unusual_byte_groupings,
    reason = "few devices and short values; bits are grouped as the encoding groups them"
)]

use proptest::prelude::*;
use repliq_core::{
    ApplyError, Chain, Change, ChangeHeader, Crdt, CrdtError, Dot, Effects, Hlc, KeyId, Loaded,
    Millis, OpReader, ReplicaId, Saved, Standalone, Stored, Transaction, TransactionLog, Tx,
    Version, encode,
};
use repliq_crdts::{
    CrdtMap, CrdtMapMut, GCounter, GCounterMut, List, ListMut, PnCounter, PnCounterMut, Text,
    TextMut,
};

/// One edit: what is done, where, and how much.
type Step = (u8, usize, usize);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0_u8..12, 0_usize..40, 1_usize..4), 1..12)
}

/// A user with a cursor, who mostly types and erases where the cursor is.
fn type_in(text: &mut impl TextMut, cursor: &mut usize, (kind, place, len): Step) {
    let end = text.current().len();
    *cursor = (*cursor).min(end);
    match kind {
        0 => *cursor = place.min(end),
        1..=5 => {
            text.insert(*cursor, ["a", "bcd", "é", "🦀x"][len]).unwrap();
            *cursor += ["a", "bcd", "é", "🦀x"][len].chars().count();
        }
        6..=8 => {
            let from = cursor.saturating_sub(len);
            text.delete(from..*cursor).unwrap();
            *cursor = from;
        }
        _ => text.delete(*cursor..(*cursor + len).min(end)).unwrap(),
    }
}

trait Used: Crdt {
    fn edit(tx: &mut Tx<'_, Self>, cursor: &mut usize, step: Step);
}

impl Used for Text {
    fn edit(tx: &mut Tx<'_, Self>, cursor: &mut usize, step: Step) {
        type_in(tx, cursor, step);
    }
}

impl Used for List<u8> {
    fn edit(tx: &mut Tx<'_, Self>, cursor: &mut usize, (kind, place, len): Step) {
        let end = tx.len();
        *cursor = (*cursor).min(end);
        match kind {
            0 => *cursor = place.min(end),
            1..=4 => {
                tx.insert_each(*cursor, (0..len as u8).collect::<Vec<_>>()).unwrap();
                *cursor += len;
            }
            5 if end > 1 => tx.move_to(place % end, *cursor % end).unwrap(),
            6 if end > 0 => tx.set(place % end, 9).unwrap(),
            7..=9 => {
                let from = cursor.saturating_sub(len);
                tx.delete(from..*cursor).unwrap();
                *cursor = from;
            }
            _ => tx.delete(*cursor..(*cursor + len).min(end)).unwrap(),
        }
    }
}

impl Used for PnCounter {
    fn edit(tx: &mut Tx<'_, Self>, _: &mut usize, (kind, _, len): Step) {
        match kind {
            0 => tx.add(i64::MAX),
            1..6 => tx.add(len as i64),
            _ => tx.add(-(len as i64)),
        }
    }
}

impl Used for GCounter {
    fn edit(tx: &mut Tx<'_, Self>, _: &mut usize, (kind, _, len): Step) {
        tx.add(if kind == 0 { u64::MAX } else { len as u64 });
    }
}

impl Used for CrdtMap<String, Text> {
    fn edit(tx: &mut Tx<'_, Self>, cursor: &mut usize, (kind, place, len): Step) {
        let key = (place / 30).to_string();
        match kind {
            0 if len == 1 => tx.remove(key),
            _ => type_in(&mut tx.entry(key), cursor, (kind, place, len)),
        }
    }
}

fn replica(number: u8) -> ReplicaId {
    ReplicaId::from_bytes([number; 16])
}

fn travelled(change: &Change) -> Change {
    let mut bytes = change.to_bytes();
    bytes.extend(b"behind");
    let (read, rest) = Change::read(&bytes).unwrap();
    assert_eq!(rest, b"behind");
    read
}

/// Two devices that edit at once and hear of each other now and then, and one that
/// only listens.
fn all_hold_the_same<C: Used>(transactions: &[(usize, bool, Vec<Step>)]) {
    let mut devices = [1, 2, 3].map(|number| Standalone::<C>::new(replica(number)));
    let mut made: Vec<(usize, Change)> = Vec::new();
    let mut heard = [0; 3];
    let mut cursors = [0; 3];
    let mut hear = |devices: &mut [Standalone<C>; 3], made: &[(usize, Change)], of: usize| {
        for (author, change) in made.iter().skip(heard[of]) {
            if *author != of {
                devices[of].apply(&travelled(change)).unwrap();
            }
        }
        heard[of] = made.len();
    };
    for (author, hears, steps) in transactions {
        if *hears {
            hear(&mut devices, &made, *author);
        }
        let cursor = &mut cursors[*author];
        let edit = |tx: &mut Tx<'_, C>| steps.iter().for_each(|step| C::edit(tx, cursor, *step));
        let ((), change) = devices[*author].commit(edit).unwrap();
        made.extend(change.map(|change| (*author, change)));
    }
    (0..3).for_each(|device| hear(&mut devices, &made, device));
    let [one, two, three] = &devices;
    for other in [two, three] {
        assert_eq!(encode(&**one), encode(&**other));
        assert_eq!(one.version(), other.version());
    }
    // A state says the same as the changes.
    let saved: Saved<C> = Loaded::from_bytes(&one.to_bytes().unwrap()).unwrap();
    let mut joined = Standalone::<C>::new(replica(4));
    joined.merge(Standalone::resume(saved, replica(5))).unwrap();
    assert_eq!(encode(&*joined), encode(&**one));
}

/// Counts the ops of a transaction, which stay apart.
struct Apart(usize);

impl<C: Crdt> TransactionLog<C> for Apart {
    fn begin(&mut self) -> Hlc {
        Hlc(7 << 16)
    }

    fn record(&mut self, _: &C::Op) -> Result<(), CrdtError> {
        self.0 += 1;
        Ok(())
    }
}

/// A text to which this was done in one transaction whose ops stay apart.
fn said_apart(steps: &[Step]) -> (Text, usize) {
    let mut text = Text::default();
    let mut effects = Effects::silent();
    let next = Dot { replica: replica(1), seq: 0 };
    let mut transaction = Transaction::new(&mut text, next, &mut effects, Apart(0));
    let mut cursor = 0;
    steps.iter().for_each(|step| Text::edit(&mut Tx::lent(&mut transaction), &mut cursor, *step));
    let (_, log) = transaction.finish().unwrap();
    (text, log.0)
}

fn transactions() -> impl Strategy<Value = Vec<(usize, bool, Vec<Step>)>> {
    prop::collection::vec((0_usize..2, any::<bool>(), steps()), 1..10)
}

proptest! {
    #[test]
    fn texts_hold_what_their_authors_hold(transactions in transactions()) {
        all_hold_the_same::<Text>(&transactions);
    }

    #[test]
    fn lists_hold_what_their_authors_hold(transactions in transactions()) {
        all_hold_the_same::<List<u8>>(&transactions);
    }

    #[test]
    fn counters_hold_what_their_authors_hold(transactions in transactions()) {
        all_hold_the_same::<PnCounter>(&transactions);
        all_hold_the_same::<GCounter>(&transactions);
    }

    #[test]
    fn maps_of_texts_hold_what_their_authors_hold(transactions in transactions()) {
        all_hold_the_same::<CrdtMap<String, Text>>(&transactions);
    }

    #[test]
    fn a_transaction_reads_the_same_whether_its_ops_were_made_one_or_not(steps in steps()) {
        let (apart, count) = said_apart(&steps);
        let mut text = Text::new(replica(1));
        let mut cursor = 0;
        let (_, change) = text
            .commit(|tx| steps.iter().for_each(|step| Text::edit(tx, &mut cursor, *step)))
            .unwrap();
        prop_assert_eq!(text.to_string(), apart.to_string());
        prop_assert!(change.map_or(0, |change| ops_of::<Text>(&change).len()) <= count);
    }

    #[test]
    fn a_transaction_that_fails_leaves_no_trace_of_ops_that_were_made_one(
        before in steps(), steps in steps()
    ) {
        let mut text = Text::new(replica(1));
        let mut cursor = 0;
        text.commit(|tx| before.iter().for_each(|step| Text::edit(tx, &mut cursor, *step))).unwrap();
        let (state, version, last) = (encode(&*text), text.version().clone(), text.last());
        let failed = text.commit(|tx| {
            steps.iter().for_each(|step| Text::edit(tx, &mut cursor, *step));
            tx.push(repliq_crdts::TextOp::DeleteEach(Vec::new())).unwrap_err();
        });
        prop_assert!(failed.is_err());
        prop_assert_eq!((encode(&*text), text.version(), text.last()), (state, &version, last));
        // And what is said next is not said of what was undone.
        let mut other = Standalone::<Text>::new(replica(2));
        other.merge(text.clone()).unwrap();
        let (_, change) = text.commit(|tx| tx.insert(0, "x").unwrap()).unwrap();
        other.apply(&change.unwrap()).unwrap();
        prop_assert_eq!(encode(&*other), encode(&*text));
    }
}

fn ops_of<C: Crdt>(change: &Change) -> Vec<C::Op> {
    let (_, payload) = change.payload().unwrap();
    let mut reader = OpReader::new(&payload);
    std::iter::from_fn(|| reader.next_op::<C::Op>().unwrap()).collect()
}

/// A text whose wall stands still.
fn text_of(number: u8) -> Standalone<Text> {
    Text::new(replica(number)).with_wall(|| Millis(7))
}

/// What one transaction on "0123456789" says.
fn payload(edit: impl FnOnce(&mut Tx<'_, Text>)) -> Vec<u8> {
    let mut text = text_of(1);
    text.insert(0, "0123456789").unwrap();
    let ((), change) = text.commit(edit).unwrap();
    change.unwrap().open().unwrap().1.to_vec()
}

#[test]
fn letters_typed_or_erased_one_after_the_other_are_one_op() {
    let typed = payload(|tx| {
        for (index, letter) in (5..).zip(["a", "b", "c"]) {
            tx.insert(index, letter).unwrap();
        }
    });
    // After the sixth slot back, before the one after that: "abc".
    assert_eq!(typed, [0b010_10_00, 6, 3, b'a', b'b', b'c']);
    let erased = payload(|tx| [7, 6, 5].into_iter().for_each(|at| tx.delete(at..=at).unwrap()));
    assert_eq!(erased, [0b0_00_01, 5, 3]);
    let cut = payload(|tx| [5, 5, 5].into_iter().for_each(|at| tx.delete(at..=at).unwrap()));
    assert_eq!(cut, erased);
    let corrected = payload(|tx| {
        tx.insert(10, "a").unwrap();
        tx.insert(11, "b").unwrap();
        tx.delete(11..12).unwrap();
        tx.insert(11, "c").unwrap();
    });
    // What was typed and erased stays said: "ab", one letter less, "c" between.
    assert_eq!(corrected, [0b001_01_00, 2, b'a', b'b', 0b1_00_01, 1, 0b1_010_10_00, 3, b'c']);
}

#[test]
fn a_letter_that_is_typed_takes_two_bytes_and_its_change_ten_more() {
    let mut text = text_of(1);
    text.commit(|tx| tx.insert(0, "a").unwrap()).unwrap();
    let mut later = text.with_wall(|| Millis(8));
    let (_, change) = later.commit(|tx| tx.insert(1, "b").unwrap()).unwrap();
    let body = change.unwrap().body;
    assert_eq!(&body[..], [0x20, 0, 0, 0, 0, 0, 8, 0b1_001_01_00, b'b']);
}

#[test]
fn letters_typed_into_a_text_in_a_map_are_one_op() {
    let mut map = CrdtMap::<String, Text>::new(replica(1));
    let ((), change) = map
        .commit(|tx| {
            for (index, letter) in ["a", "b", "c"].into_iter().enumerate() {
                tx.entry("key".to_string()).insert(index, letter).unwrap();
            }
        })
        .unwrap();
    assert_eq!(ops_of::<CrdtMap<String, Text>>(&change.unwrap()).len(), 1);
}

#[test]
fn additions_are_one_addition_as_long_as_it_counts() {
    let mut counter = PnCounter::new(replica(1));
    let (_, change) = counter.commit(|tx| (0..1000).for_each(|_| tx.increment())).unwrap();
    assert_eq!(ops_of::<PnCounter>(&change.unwrap()), [repliq_crdts::PnCounterOp(1000)]);
    let (_, change) =
        counter.commit(|tx| [i64::MAX, 1].into_iter().for_each(|n| tx.add(n))).unwrap();
    assert_eq!(ops_of::<PnCounter>(&change.unwrap()).len(), 2);
    assert_eq!(counter.value(), i128::from(i64::MAX) + 1001);
}

#[test]
fn nothing_edited_is_no_change() {
    let mut text = text_of(1);
    assert_eq!(text.commit(|tx| tx.len()), Ok((0, None)));
    assert!(text.version().is_empty());
}

#[test]
fn what_a_value_took_in_is_what_its_next_change_was_made_on() {
    let (mut one, mut two) = (text_of(1), text_of(2));
    let change = |text: &mut Standalone<Text>| {
        text.commit(|tx| tx.insert(0, "x").unwrap()).unwrap().1.unwrap()
    };
    let deps = |change: &Change| change.open().unwrap().0.deps;
    let of = |entries: &[(u8, u64)]| -> Version {
        entries.iter().map(|(number, count)| (replica(*number), *count)).collect()
    };
    let first = change(&mut one);
    assert_eq!(deps(&first), of(&[]));
    two.apply(&first).unwrap();
    let answer = change(&mut two);
    assert_eq!(deps(&answer), of(&[(1, 1)]));
    assert_eq!(deps(&change(&mut two)), of(&[]));
    one.merge(two.clone()).unwrap();
    assert_eq!(deps(&change(&mut one)), of(&[(2, 2)]));
    let saved: Saved<Text> = Loaded::from_bytes(&two.to_bytes().unwrap()).unwrap();
    let mut resumed = Standalone::resume(saved, replica(2));
    assert_eq!(deps(&change(&mut resumed)), of(&[(1, 1)]));
}

/// What a change says of itself, with another payload.
fn change_of(dot: Dot, hlc: Hlc, deps: Version, key: KeyId, payload: &[u8]) -> Change {
    let header = ChangeHeader { slots: 1, hlc, chain: Chain::START, deps, key };
    Change::new(dot, &header, payload)
}

#[test]
fn what_cannot_be_taken_in_is_a_typed_error_and_changes_nothing() {
    let mut author = text_of(1);
    let mut made = |edit: fn(&mut Tx<'_, Text>)| author.commit(edit).unwrap().1.unwrap();
    let first = made(|tx| tx.insert(0, "abc").unwrap());
    let second = made(|tx| tx.insert(3, "d").unwrap());
    let mut text = text_of(2);
    text.insert(0, "mine").unwrap();
    let before = |text: &Standalone<Text>| (encode(&**text), text.version().clone(), text.last());
    let refuses = |text: &mut Standalone<Text>, change: &Change, why: ApplyError| {
        let held = before(text);
        assert_eq!(text.apply(change), Err(why));
        assert_eq!(before(text), held);
    };
    let (one, hlc, plain) = (replica(1), Hlc(7 << 16), KeyId::PLAIN);
    let at = |seq| Dot { replica: one, seq };
    refuses(&mut text, &second, ApplyError::Missing { replica: one, held: 0 });
    text.apply(&first).unwrap();
    refuses(&mut text, &first, ApplyError::Duplicate);
    let overlap = Change { dot: at(2), ..first.clone() };
    refuses(&mut text, &overlap, ApplyError::Forked { replica: one });
    let unmet: Version = [(replica(3), 4)].into_iter().collect();
    let later = change_of(at(3), hlc, unmet, plain, &[0x94, b'x']);
    refuses(&mut text, &later, ApplyError::Missing { replica: replica(3), held: 0 });
    let sealed = change_of(at(3), hlc, Version::new(), KeyId(3), b"secret");
    refuses(&mut text, &sealed, ApplyError::Sealed);
    let future = Hlc::from_millis(Millis(7 + 24 * 60 * 60 * 1000 + 1));
    let ahead = change_of(at(3), future, Version::new(), plain, &[0x94, b'x']);
    refuses(&mut text, &ahead, ApplyError::Ahead(future));
    for payload in [&[][..], &[0xff], &[0x94], &[0x94, b'x', 0x94], &[0x94, b'x', 0x94, b'y']] {
        let damaged = change_of(at(3), hlc, Version::new(), plain, payload);
        let held = before(&text);
        assert!(matches!(text.apply(&damaged), Err(ApplyError::Damaged(_))), "{payload:?}");
        assert_eq!(before(&text), held);
    }
    let cut = Change { body: second.body.slice(..4), ..second.clone() };
    assert!(matches!(text.apply(&cut), Err(ApplyError::Damaged(_))));
    text.apply(&second).unwrap();
    assert!(text.to_string().contains("abcd"));
}

#[test]
fn a_change_that_the_type_refuses_counts_as_taken_in() {
    let mut text = text_of(2);
    let dot = Dot { replica: replica(1), seq: 0 };
    // Inserts after the ninth slot before its own.
    let refused = change_of(dot, Hlc(7 << 16), Version::new(), KeyId::PLAIN, &[0x98, 9, b'x']);
    assert!(matches!(text.apply(&refused), Err(ApplyError::Refused(CrdtError::Invalid(_)))));
    assert!(text.is_empty());
    let next = Dot { seq: 1, ..dot };
    let next = change_of(next, Hlc(8 << 16), Version::new(), KeyId::PLAIN, &[0x80, b'x']);
    text.apply(&next).unwrap();
    assert_eq!(text.to_string(), "x");
}

#[test]
fn every_cut_of_a_change_that_travels_is_a_typed_error() {
    let mut text = text_of(1);
    let change = text.commit(|tx| tx.insert(0, "abc").unwrap()).unwrap().1.unwrap();
    let bytes = change.to_bytes();
    for end in 0..bytes.len() {
        assert!(Change::read(&bytes[..end]).is_err());
    }
    let mut endless = replica(1).as_bytes().to_vec();
    endless.extend([0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    assert!(Change::read(&endless).is_err());
}
