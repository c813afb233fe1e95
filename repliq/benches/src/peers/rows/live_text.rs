//! Two writers in one text at the same time.
//!
//! Each writer is a replica that makes its edits on what it had seen then; a
//! third replica takes in what both sent, in an order that respects causality.

use crate::peers::contestants::PEERS;
use crate::peers::peer::{Text, Texts};
use crate::peers::row::Measure::NanosEach;
use crate::peers::row::{
    Contestants, EDITS, Round, Row, Sample, Target, each, timed, until_too_slow,
};
use crate::peers::trace::{Live, LiveEdit, live};
use std::cell::{LazyCell, OnceCell};
use std::rc::Rc;

const TRACE: &str = "friendsforever";

type LazyTrace = LazyCell<Live, fn() -> Live>;

pub(crate) fn rows() -> Vec<Row> {
    let trace: Rc<LazyTrace> = Rc::new(LazyCell::new(|| live(TRACE)));
    let sessions: Vec<_> = PEERS
        .iter()
        .filter_map(|peer| Some((peer.name(), peer.texts()?)))
        .map(|(peer, texts)| {
            let session = Session { texts, trace: Rc::clone(&trace), sent: OnceCell::new() };
            (peer, Rc::new(session))
        })
        .collect();
    let contestants = |each: bool, round: fn(&Session) -> Sample| -> Contestants {
        let taking_part = sessions.iter().filter(|(_, session)| !each || session.texts.is_live());
        taking_part
            .map(|(peer, session)| {
                let session = Rc::clone(session);
                (*peer, Box::new(move || round(&session)) as Round)
            })
            .collect()
    };
    let row = |id: &str, what, note, at_most, contestants| Row {
        name: format!("text-{id}/{TRACE}"),
        what,
        case: Some(TRACE),
        note,
        measure: NanosEach,
        target: Target::at_most(at_most),
        contestants,
    };
    vec![
        row(
            "live-one",
            "text concurrent, one update",
            "a third replica decodes all that two writers did as one update, and reads the text; \
             for each of their transactions. Repliq's update is its state, as yrs's is: with every \
             letter, without who deleted it.",
            0.8,
            contestants(false, Session::one_update),
        ),
        row(
            "live-each",
            "text concurrent, an update per transaction",
            "the same as an update for each transaction, each decoded and taken in by itself.",
            0.3,
            contestants(true, Session::update_each),
        ),
    ]
}

/// A peer in the session.
struct Session {
    texts: &'static dyn Texts,
    trace: Rc<LazyTrace>,
    sent: OnceCell<Sent>,
}

/// What two replicas of a peer sent.
struct Sent {
    updates: Vec<Vec<u8>>,
    /// All of it as one update.
    whole: Vec<u8>,
    /// What both had in the end.
    end: String,
}

impl Session {
    fn sent(&self) -> &Sent {
        self.sent.get_or_init(|| play(self.texts, &self.trace))
    }

    /// Runs `work` on an empty text and reads the whole of it, which must be what
    /// the writers have, if all updates were taken in.
    fn nanos(&self, work: impl FnOnce(&mut dyn Text) -> usize) -> Sample {
        let sent = self.sent();
        let mut text = self.texts.empty(3);
        let ((edits, end), took) = timed(|| {
            let edits = work(&mut *text);
            (edits, text.text())
        });
        if edits == sent.updates.len() {
            assert!(end == sent.end, "the reader does not have what the writers have");
        }
        Sample { value: each(took, edits), whole: edits == self.trace.len() }
    }

    fn one_update(&self) -> Sample {
        let sent = self.sent();
        self.nanos(|text| {
            text.merge(&sent.whole);
            sent.updates.len()
        })
    }

    fn update_each(&self) -> Sample {
        let updates = &self.sent().updates;
        self.nanos(|text| until_too_slow(updates, EDITS, |update| text.apply(update)))
    }
}

/// Plays the session, or the beginning of it for a slow peer.
fn play(texts: &dyn Texts, edits: &[LiveEdit]) -> Sent {
    let mut writers = [texts.empty(1), texts.empty(2)];
    let mut made: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
    let mut taken = [0, 0];
    let mut updates: Vec<Vec<u8>> = Vec::with_capacity(edits.len());
    until_too_slow(edits, EDITS, |LiveEdit { author, seen, edit }| {
        let (author, other) = (*author, 1 - *author);
        for &missing in &made[other][taken[author]..*seen] {
            writers[author].apply(&updates[missing]);
        }
        taken[author] = *seen;
        made[author].push(updates.len());
        updates.push(writers[author].edit_encoded(std::slice::from_ref(edit)));
    });
    for author in [0, 1] {
        for &missing in &made[1 - author][taken[author]..] {
            writers[author].apply(&updates[missing]);
        }
    }
    let end = writers[0].text();
    assert!(end == writers[1].text(), "the writers do not agree");
    let whole = writers[0].whole(&updates);
    Sent { updates, whole, end }
}
