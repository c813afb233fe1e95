//! Positions in scalars, bytes and UTF-16 units against a naive count, in long
//! texts that live through many edits, merges, failed transactions and reopenings.

use proptest::prelude::*;
use repliq_core::{CrdtError, Loaded, ReplicaId, Saved, Standalone, Stored};
use repliq_crdts::{Text, TextMut};

#[derive(Clone, Debug)]
enum Step {
    Insert {
        at: usize,
        text: String,
        times: usize,
    },
    Delete {
        at: usize,
        len: usize,
    },
    /// An edit that is taken back.
    Fail {
        at: usize,
        len: usize,
    },
    /// An edit of another replica, merged as a state.
    Merge {
        at: usize,
        text: String,
        len: usize,
    },
    /// Saved and opened again.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = || "[a-zé本😀\u{301}]{1,12}";
    let step = prop_oneof![
        6 => (any::<usize>(), text(), 1_usize..4)
            .prop_map(|(at, text, times)| Step::Insert { at, text, times }),
        1 => (any::<usize>(), text(), 100_usize..300)
            .prop_map(|(at, text, times)| Step::Insert { at, text, times }),
        4 => (any::<usize>(), 0_usize..30).prop_map(|(at, len)| Step::Delete { at, len }),
        1 => (any::<usize>(), 500_usize..3000).prop_map(|(at, len)| Step::Delete { at, len }),
        1 => (any::<usize>(), 0_usize..3000).prop_map(|(at, len)| Step::Fail { at, len }),
        1 => (any::<usize>(), text(), 0_usize..200)
            .prop_map(|(at, text, len)| Step::Merge { at, text, len }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

fn edit(text: &mut Standalone<Text>, model: &mut Vec<char>, step: &Step) {
    match step {
        Step::Insert { at, text: inserted, times } => {
            let at = at % (model.len() + 1);
            let inserted = inserted.repeat(*times);
            text.insert(at, &inserted).unwrap();
            model.splice(at..at, inserted.chars());
        }
        Step::Delete { at, len } => {
            let at = at % (model.len() + 1);
            let end = (at + len).min(model.len());
            text.delete(at..end).unwrap();
            model.drain(at..end);
        }
        Step::Fail { at, len } => {
            let at = at % (model.len() + 1);
            let end = (at + len).min(model.len());
            let failed: Result<(), CrdtError> = text.try_edit(|t| {
                t.insert(at, "né").unwrap();
                t.delete(at..end).unwrap();
                // Asked in between, so that what is taken back was counted.
                assert_eq!(t.index_to_utf8(t.len()), Some(t.len_utf8()));
                Err(CrdtError::Invalid("on purpose"))
            });
            assert!(failed.is_err());
        }
        Step::Merge { at, text: inserted, len } => {
            let at = at % (model.len() + 1);
            let end = (at + len).min(model.len());
            let saved: Saved<Text> = Saved {
                version: text.version().clone(),
                last: text.last(),
                state: (**text).clone(),
            };
            let mut other = Standalone::resume(saved, ReplicaId::from_bytes([2; 16]));
            other.delete(at..end).unwrap();
            other.insert(at, inserted).unwrap();
            text.merge(other).unwrap();
            model.splice(at..end, inserted.chars());
        }
        Step::Reopen => {
            // Its history is not read until an edit needs it.
            let saved = Saved::<Text>::from_bytes(&text.to_bytes().unwrap()).unwrap();
            *text = Standalone::resume(saved, text.replica());
        }
    }
}

/// How positions in a unit are asked for.
struct Unit {
    width: fn(char) -> usize,
    len: fn(&Text) -> usize,
    to_offset: fn(&Text, usize) -> Option<usize>,
    to_index: fn(&Text, usize) -> Option<usize>,
}

const UNITS: [Unit; 2] = [
    Unit {
        width: char::len_utf8,
        len: Text::len_utf8,
        to_offset: Text::index_to_utf8,
        to_index: Text::utf8_to_index,
    },
    Unit {
        width: char::len_utf16,
        len: Text::len_utf16,
        to_offset: Text::index_to_utf16,
        to_index: Text::utf16_to_index,
    },
];

fn check(text: &Text, model: &[char], asked: &[usize]) {
    for Unit { width, len, to_offset, to_index } in UNITS {
        let mut starts: Vec<usize> = model
            .iter()
            .scan(0, |end, scalar| {
                let start = *end;
                *end += width(*scalar);
                Some(start)
            })
            .collect();
        starts.push(model.iter().map(|scalar| width(*scalar)).sum());
        let whole = starts[model.len()];
        assert_eq!(len(text), whole);
        let asked = asked.iter().map(|at| at % (model.len() + 1));
        // The ends, and every so many scalars as an index is made of.
        let edges = (0..=model.len()).step_by(512).flat_map(|at| [at.saturating_sub(1), at]);
        for index in asked.chain(edges).chain([model.len()]) {
            let start = starts[index];
            assert_eq!(to_offset(text, index), Some(start), "of {index}");
            assert_eq!(to_index(text, start), Some(index), "at {start}");
            let end = starts.get(index + 1).copied().unwrap_or(start);
            for inside in start + 1..end {
                assert_eq!(to_index(text, inside), None, "inside, at {inside}");
            }
        }
        assert_eq!(to_offset(text, model.len() + 1), None);
        assert_eq!(to_index(text, whole + 1), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn positions_in_bytes_and_units_are_those_of_a_naive_count(
        start in 0_usize..6000,
        alphabet in prop::sample::select(vec!["ascii", "aé", "本文", "a😀e\u{301}"]),
        steps in steps(),
        asked in prop::collection::vec(any::<usize>(), 8),
        rarely in any::<bool>(),
    ) {
        let mut model: Vec<char> = alphabet.chars().cycle().take(start).collect();
        let mut text = Text::new(ReplicaId::from_bytes([1; 16]));
        text.insert(0, &model.iter().collect::<String>()).unwrap();
        check(&text, &model, &asked);
        for (number, step) in steps.iter().enumerate() {
            edit(&mut text, &mut model, step);
            // Now and then, so that it follows more than one edit at a time.
            if !rarely || number % 5 == 0 {
                check(&text, &model, &asked);
            }
        }
        check(&text, &model, &asked);
        prop_assert_eq!(text.to_string(), model.iter().collect::<String>());
    }
}
