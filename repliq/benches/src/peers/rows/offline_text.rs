//! Two writers who meet again after 10,000 edits each.
//!
//! Both start from one text of 10,000 letters. An edit inserts up to eight
//! letters or deletes up to four at a random place, and is a change of its own.
//! Measured is that one of them decodes and takes in what the other did, as one
//! update, and reads the text.

use crate::millis;
use crate::peers::contestants::PEERS;
use crate::peers::peer::{Text, Texts};
use crate::peers::random::Random;
use crate::peers::row::Measure::Millis;
use crate::peers::row::{Round, Row, Sample, Target, timed};
use crate::peers::trace::Edit;
use std::cell::LazyCell;
use std::rc::Rc;

const EDITS: usize = 10_000;
const START: usize = 10_000;

pub(crate) fn rows() -> Vec<Row> {
    let work: Rc<LazyCell<Work>> = Rc::new(LazyCell::new(Work::new));
    let contestants = PEERS.iter().filter_map(|peer| {
        let (texts, work) = (peer.texts()?, Rc::clone(&work));
        let mut meeting = None;
        let round = move || meeting.get_or_insert_with(|| Meeting::new(texts, &work)).meet(&work);
        Some((peer.name(), Box::new(round) as Round))
    });
    vec![Row {
        name: "text-offline".to_owned(),
        what: "text, offline merge of 2 x 10,000 random edits",
        case: None,
        note: "one of two who were apart decodes the 10,000 changes of the other as one update, \
               takes them in beside its own, and reads the text.",
        measure: Millis,
        target: Target::at_most(0.4),
        contestants: contestants.collect(),
    }]
}

/// What the two do; it is ASCII, so positions are the same in every unit.
struct Work {
    start: Edit,
    edits: [Vec<Edit>; 2],
    /// How many letters are left when both know everything.
    length: usize,
}

impl Work {
    fn new() -> Self {
        let mut random = Random::new(20_261_128);
        let start = Edit { position: 0, deleted: 0, inserted: random.letters(START) };
        let (first, mine) = edits(&mut random);
        let (second, theirs) = edits(&mut random);
        let inserted = |text: &[Option<usize>]| text.iter().filter(|of| of.is_none()).count();
        let mut kept = vec![0; START];
        for place in mine.iter().chain(&theirs).flatten() {
            kept[*place] += 1;
        }
        let shared = kept.iter().filter(|by| **by == 2).count();
        let length = inserted(&mine) + inserted(&theirs) + shared;
        Self { start, edits: [first, second], length }
    }
}

/// Random edits of the start, and what is left in the end: of each letter its
/// place in the start, if it was there.
fn edits(random: &mut Random) -> (Vec<Edit>, Vec<Option<usize>>) {
    let mut text: Vec<_> = (0..START).map(Some).collect();
    let mut edits = Vec::with_capacity(EDITS);
    for _ in 0..EDITS {
        let position = random.below(text.len());
        let edit = if random.below(3) == 0 {
            let deleted = (1 + random.below(4)).min(text.len() - position);
            Edit { position, deleted, inserted: String::new() }
        } else {
            let letters = 1 + random.below(8);
            Edit { position, deleted: 0, inserted: random.letters(letters) }
        };
        let new = std::iter::repeat_n(None, edit.inserted.len());
        text.splice(position..position + edit.deleted, new);
        edits.push(edit);
    }
    (edits, text)
}

/// What a peer needs to have them meet.
struct Meeting {
    texts: &'static dyn Texts,
    start: Vec<u8>,
    /// What the other one sends.
    update: Vec<u8>,
    /// What both have in the end.
    end: String,
}

impl Meeting {
    fn new(texts: &'static dyn Texts, work: &Work) -> Self {
        let start = texts.empty(1).edit_encoded(std::slice::from_ref(&work.start));
        let mut meeting = Self { texts, start, update: Vec::new(), end: String::new() };
        let (mut other, update) = meeting.away(3, &work.edits[1]);
        let (_, mine) = meeting.away(2, &work.edits[0]);
        meeting.update = update;
        other.apply(&mine);
        meeting.end = other.text();
        assert_eq!(meeting.end.len(), work.length, "an edit is lost");
        meeting
    }

    /// A writer after its edits, and what it sends.
    fn away(&self, author: u8, edits: &[Edit]) -> (Box<dyn Text>, Vec<u8>) {
        let mut text = self.texts.empty(author);
        text.apply(&self.start);
        text.mark();
        let parts: Vec<_> = edits.chunks(1).map(|edit| text.edit_encoded(edit)).collect();
        let update = text.since(&parts);
        (text, update)
    }

    fn meet(&self, work: &Work) -> Sample {
        let (mut text, _) = self.away(2, &work.edits[0]);
        let (end, took) = timed(|| {
            text.apply(&self.update);
            text.text()
        });
        assert!(end == self.end, "the two do not agree");
        millis(took).into()
    }
}
