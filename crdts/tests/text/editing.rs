//! Editing by positions, against a plain list of scalars.

use proptest::prelude::*;
use repliq_core::{Author, CrdtError, EditError, Loaded, ReplicaId, Saved, Standalone, Stored};
use repliq_crdts::{Side, Text, TextMut, TextOp};

/// Takes down the op of an edit instead of applying it.
pub(crate) struct Recorder<'a> {
    text: &'a Text,
    op: Option<TextOp>,
}

impl Author<Text> for Recorder<'_> {
    fn author(&mut self, op: TextOp) -> Result<(), CrdtError> {
        self.op = Some(op);
        Ok(())
    }

    fn current(&self) -> &Text {
        self.text
    }
}

pub(crate) fn op_of(
    text: &Text,
    edit: impl FnOnce(&mut Recorder<'_>) -> Result<(), EditError>,
) -> Option<TextOp> {
    let mut recorder = Recorder { text, op: None };
    edit(&mut recorder).unwrap();
    recorder.op
}

pub(crate) fn text_of(replica: u8) -> Standalone<Text> {
    Text::new(ReplicaId::from_bytes([replica; 16]))
}

fn check(text: &Text, model: &[char]) {
    let expected: String = model.iter().collect();
    assert_eq!(text.to_string(), expected);
    assert_eq!(text.chunks().collect::<String>(), expected);
    assert_eq!((text.len(), text.is_empty()), (model.len(), model.is_empty()));
    assert_eq!(text.len_utf8(), expected.len());
    assert_eq!(text.len_utf16(), expected.encode_utf16().count());
}

fn scalars(long: bool) -> BoxedStrategy<String> {
    if long { "[a-z \n]{500,3000}".boxed() } else { "[a-zé本😀]{0,12}".boxed() }
}

fn edits() -> impl Strategy<Value = Vec<(u8, usize, usize, String)>> {
    let text = prop_oneof![30 => scalars(false), 1 => scalars(true)];
    let position = prop_oneof![1 => Just(0), 1 => Just(usize::MAX), 4 => any::<usize>()];
    prop::collection::vec((0_u8..10, position, 0_usize..30, text), 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn edits_by_position_do_what_they_do_to_a_list(edits in edits()) {
        let mut text = text_of(1);
        let mut model: Vec<char> = Vec::new();
        let mut last = 0;
        for (kind, position, len, typed) in edits {
            // Every other edit goes on where the one before ended, as typing does.
            let far = if position == usize::MAX { model.len() } else { position % (model.len() + 1) };
            let start = if kind % 2 == 0 { last.min(model.len()) } else { far };
            let end = (start + len * (1 + 40 * usize::from(kind == 9))).min(model.len());
            match kind {
                0..=4 => {
                    text.insert(start, &typed).unwrap();
                    model.splice(start..start, typed.chars());
                }
                5..=7 | 9 => {
                    text.delete(start..end).unwrap();
                    model.drain(start..end);
                }
                _ => {
                    text.replace(start..end, &typed).unwrap();
                    model.splice(start..end, typed.chars());
                }
            }
            last = if kind < 5 { start + typed.chars().count() } else { start };
            prop_assert_eq!(text.len(), model.len());
            prop_assert_eq!(text.char_at(start), model.get(start).copied());
        }
        check(&text, &model);
        let saved = repliq_core::encode(&*text);
        let read: Text = repliq_core::decode(&saved).unwrap();
        check(&read, &model);
        prop_assert_eq!(repliq_core::encode(&read), saved);
        // From where it was saved it reads the same, before and after its history is asked for.
        let read: Text = Loaded::from_bytes(&text.to_bytes().unwrap()).unwrap();
        for _ in 0..2 {
            check(&read, &model);
            for index in [0, last, model.len() / 2, model.len()] {
                prop_assert_eq!(read.char_at(index), text.char_at(index));
                prop_assert_eq!(read.slice(index.min(last)..last), text.slice(index.min(last)..last));
                prop_assert_eq!(read.index_to_utf8(index), text.index_to_utf8(index));
                prop_assert_eq!(read.index_to_utf16(index), text.index_to_utf16(index));
            }
            prop_assert_eq!(&read, &*text);
        }
        let mut other = text_of(2);
        other.merge(Standalone::resume(Saved { state: read, ..Saved::default() }, text.replica())).unwrap();
        check(&other, &model);
    }

    /// What is kept at hand of the latest edits must never show.
    #[test]
    fn an_edit_does_what_it_does_to_the_same_text_loaded_a_moment_ago(
        steps in prop::collection::vec((0_usize..2, 0_u8..12, 0_usize..40, 1_usize..4), 1..80),
    ) {
        let mut texts = [text_of(1), text_of(2)];
        let mut cursors = [0, 0];
        for (who, kind, place, len) in steps {
            let other = texts[1 - who].clone();
            let text = &mut texts[who];
            let saved = Saved {
                version: text.version().clone(),
                last: text.last(),
                state: repliq_core::decode(&repliq_core::encode(&**text)).unwrap(),
            };
            let mut loaded: Standalone<Text> = Standalone::resume(saved, text.replica());
            for text in [&mut *text, &mut loaded] {
                let count = text.len();
                let cursor = if kind % 2 == 0 { cursors[who].min(count) } else { place % (count + 1) };
                match kind {
                    0..=5 => text.insert(cursor, &"abc"[..len]).unwrap(),
                    6..=8 => text.delete(cursor..(cursor + len).min(count)).unwrap(),
                    9 => text.delete(cursor.saturating_sub(len)..cursor).unwrap(),
                    _ => text.merge(other.clone()).unwrap(),
                }
            }
            if kind < 6 {
                cursors[who] = cursors[who].min(text.len()) + len;
            }
            prop_assert_eq!(text.to_string(), loaded.to_string());
            prop_assert_eq!(&**text, &*loaded);
        }
    }

    #[test]
    fn every_index_has_its_byte_and_its_utf16_unit(typed in "[a-cé本😀]{0,60}", cut in 0_usize..40) {
        let mut text = text_of(1);
        text.insert(0, &typed).unwrap();
        let cut = cut.min(text.len());
        text.delete(..cut).unwrap();
        let expected: String = typed.chars().skip(cut).collect();
        let starts: Vec<usize> =
            expected.char_indices().map(|(start, _)| start).chain([expected.len()]).collect();
        for byte in 0..=expected.len() + 1 {
            prop_assert_eq!(text.utf8_to_index(byte), starts.iter().position(|start| *start == byte));
        }
        let mut unit = 0;
        for (index, start) in starts.iter().enumerate() {
            prop_assert_eq!(text.index_to_utf8(index), Some(*start));
            prop_assert_eq!(text.index_to_utf16(index), Some(unit));
            prop_assert_eq!(text.utf16_to_index(unit), Some(index));
            let width = expected[*start..].chars().next().map_or(0, char::len_utf16);
            if width == 2 {
                prop_assert_eq!(text.utf16_to_index(unit + 1), None);
            }
            unit += width;
        }
        prop_assert_eq!(text.index_to_utf8(starts.len()), None);
        prop_assert_eq!(text.index_to_utf16(starts.len()), None);
        prop_assert_eq!(text.utf16_to_index(unit + 1), None);
    }

    #[test]
    fn a_slice_is_what_stands_between_two_indexes(
        parts in prop::collection::vec(("[a-cé]{1,9}", any::<usize>()), 1..20),
        bounds in prop::collection::vec((0_usize..120, 0_usize..120), 10),
    ) {
        let mut text = text_of(1);
        for (typed, place) in parts {
            let place = place % (text.len() + 1);
            text.insert(place, &typed).unwrap();
        }
        let scalars: Vec<char> = text.to_string().chars().collect();
        for (from, to) in bounds {
            let expected = scalars.get(from..to).map(|slice| slice.iter().collect::<String>());
            prop_assert_eq!(text.slice(from..to), expected);
        }
        prop_assert_eq!(text.slice(..), Some(text.to_string()));
        prop_assert_eq!(text.slice(1..1), Some(String::new()));
    }
}

#[test]
fn an_edit_out_of_range_is_refused_and_changes_nothing() {
    let mut text = text_of(1);
    text.insert(0, "abc").unwrap();
    let out = |index| Err(EditError::OutOfRange { index, len: 3 });
    assert_eq!(text.insert(4, "x"), out(4));
    assert_eq!(text.insert(usize::MAX, ""), out(usize::MAX));
    assert_eq!(text.delete(2..4), out(4));
    assert_eq!(text.delete(9..9), out(9));
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = 2..1;
    assert!(text.delete(reversed.clone()).is_err());
    assert!(text.replace(reversed, "x").is_err());
    assert_eq!(text.replace(1..5, "x"), out(5));
    assert!(text.delete(..=usize::MAX).is_err());
    assert_eq!(text.to_string(), "abc");
    assert_eq!(text.version().get(text.replica()), 3);
}

#[test]
fn an_edit_of_nothing_takes_no_slot() {
    let mut text = text_of(1);
    text.insert(0, "").unwrap();
    text.delete(0..0).unwrap();
    text.replace(.., "").unwrap();
    assert!(text.version().is_empty());
}

#[test]
fn a_failed_transaction_leaves_no_trace() {
    let mut text = text_of(1);
    text.insert(0, "one two three").unwrap();
    text.delete(3..7).unwrap();
    let before = text.clone();
    let failed: Result<(), EditError> = text.try_edit(|tx| {
        tx.insert(2, "xyz")?;
        tx.delete(1..6)?;
        tx.replace(.., "gone")?;
        tx.insert(99, "!")
    });
    assert_eq!(failed, Err(EditError::OutOfRange { index: 99, len: 4 }));
    assert_eq!(*text, *before);
    text.insert(3, "!").unwrap();
    assert_eq!(text.to_string(), "one! three");
}

#[test]
fn an_anchor_stays_with_its_character() {
    let mut text = text_of(1);
    text.insert(0, "one two").unwrap();
    let before = text.anchor(4, Side::Before).unwrap();
    let after = text.anchor(3, Side::After).unwrap();
    let (start, end) =
        (text.anchor(0, Side::After).unwrap(), text.anchor(7, Side::Before).unwrap());
    assert_eq!(text.anchor(8, Side::Before), None);
    text.insert(4, "or ").unwrap();
    text.insert(0, ">").unwrap();
    assert_eq!(text.to_string(), ">one or two");
    assert_eq!((text.position(&before), text.position(&after)), (Some(8), Some(4)));
    text.insert(3, "--").unwrap();
    assert_eq!((text.position(&before), text.position(&after)), (Some(10), Some(6)));
    text.delete(2..12).unwrap();
    assert_eq!(text.to_string(), ">o".to_owned() + "o");
    assert_eq!((text.position(&before), text.position(&after)), (Some(2), Some(2)));
    assert_eq!((text.position(&start), text.position(&end)), (Some(0), Some(3)));
    assert_eq!(text_of(2).position(&before), None);
}
