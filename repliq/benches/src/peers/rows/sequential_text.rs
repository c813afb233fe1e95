//! One writer: typing, taking over, saving and loading a text.

use crate::millis;
use crate::peers::contestants::PEERS;
use crate::peers::peer::{Text, Texts};
use crate::peers::row::Measure::{Bytes, Millis, NanosEach};
use crate::peers::row::{
    EDITS, Measure, Round, Row, Sample, Target, count, each, timed, until_too_slow,
};
use crate::peers::trace::{Edit, Sequential, sequential};
use std::cell::{LazyCell, OnceCell};
use std::rc::Rc;

const TRACES: &[&str] =
    &["automerge-paper", "rustcode", "json-crdt-blog-post", "friendsforever_flat"];

/// What is measured with every trace, and what with the first one only.
const KINDS: &[Kind] = &[
    Kind {
        id: "local-one",
        what: "text local, one transaction",
        note: "all edits as one transaction, then the text is read; for each edit.",
        measure: NanosEach,
        target: Target::at_most(1.1),
        single_edits: false,
        everywhere: true,
        round: Session::local_one,
    },
    Kind {
        id: "local-each",
        what: "text local, a change per edit",
        note: "a transaction for each edit, and what others must hear of it as bytes.",
        measure: NanosEach,
        target: Target::at_most(0.3),
        single_edits: true,
        everywhere: true,
        round: Session::local_each,
    },
    Kind {
        id: "remote-one",
        what: "text remote, one update",
        note: "another replica decodes all edits as one update and reads the text.",
        measure: NanosEach,
        target: Target::at_most(1.2),
        single_edits: false,
        everywhere: true,
        round: Session::remote_one,
    },
    Kind {
        id: "remote-each",
        what: "text remote, an update per edit",
        note: "another replica decodes and takes in the updates of a change per edit one by one.",
        measure: NanosEach,
        target: Target::at_most(0.3),
        single_edits: true,
        everywhere: true,
        round: Session::remote_each,
    },
    Kind {
        id: "save",
        what: "text, save",
        note: "to bytes, from a replica that took in all edits.",
        measure: Millis,
        target: None,
        single_edits: false,
        everywhere: true,
        round: Session::save,
    },
    Kind {
        id: "load",
        what: "text, load to text",
        note: "from the saved bytes to a replica that can be edited, and the text is read.",
        measure: Millis,
        target: Target::at_most(0.5),
        single_edits: false,
        everywhere: true,
        round: Session::load,
    },
    Kind {
        id: "load-edit",
        what: "text, load and edit",
        note: "from the saved bytes, and a letter is inserted; the text is not read.",
        measure: Millis,
        target: Target::at_most(0.6),
        single_edits: false,
        everywhere: true,
        round: Session::load_and_edit,
    },
    Kind {
        id: "update-bytes",
        what: "text, the update of one edit",
        note: "the mean of the updates of a change per edit.",
        measure: Bytes,
        target: None,
        single_edits: false,
        everywhere: false,
        round: Session::update_bytes,
    },
    Kind {
        id: "saved-bytes",
        what: "text, saved",
        note: "what `save` writes. Letters that were deleted are in it for Repliq, \
               diamond-types, its fork, Loro and Automerge; who deleted them and when for all of \
               those but Repliq.",
        measure: Bytes,
        target: Some(Target { at_most: 0.95, against: Some("diamond-types") }),
        single_edits: false,
        everywhere: true,
        round: Session::saved_bytes,
    },
    Kind {
        id: "history-bytes",
        what: "text, full history",
        note: "all edits as one update: what a new replica needs to have them all. yrs garbage \
               collects deleted letters and has no full history.",
        measure: Bytes,
        target: Some(Target { at_most: 0.95, against: Some("diamond-types") }),
        single_edits: false,
        everywhere: true,
        round: Session::history_bytes,
    },
];

struct Kind {
    id: &'static str,
    what: &'static str,
    note: &'static str,
    measure: Measure,
    target: Option<Target>,
    /// Whether only those take part whose text is readable after every edit.
    single_edits: bool,
    /// Whether it is measured with every trace.
    everywhere: bool,
    round: fn(&Session) -> Sample,
}

pub(crate) fn rows() -> Vec<Row> {
    TRACES.iter().flat_map(|name| rows_of(name)).collect()
}

fn rows_of(name: &'static str) -> Vec<Row> {
    let first = name == TRACES[0];
    let trace: Rc<LazyTrace> = Rc::new(LazyCell::new(Box::new(|| sequential(name))));
    let sessions: Vec<_> = PEERS
        .iter()
        .filter_map(|peer| Some((peer.name(), peer.texts()?)))
        .map(|(peer, texts)| (peer, Rc::new(Session::new(texts, Rc::clone(&trace)))))
        .collect();
    let row = |kind: &Kind| Row {
        name: format!("text-{}/{name}", kind.id),
        what: kind.what,
        case: Some(name),
        note: kind.note,
        measure: kind.measure,
        target: match kind.id {
            "local-one" if first => Target::at_most(0.8),
            _ => kind.target,
        },
        contestants: sessions
            .iter()
            .filter(|(_, session)| !kind.single_edits || session.texts.is_live())
            .map(|(peer, session)| {
                let (session, round) = (Rc::clone(session), kind.round);
                (*peer, Box::new(move || round(&session)) as Round)
            })
            .collect(),
    };
    KINDS.iter().filter(|kind| first || kind.everywhere).map(row).collect()
}

type LazyTrace = LazyCell<Sequential, Box<dyn FnOnce() -> Sequential>>;

/// A peer and a trace, with what is prepared once for several rows.
struct Session {
    texts: &'static dyn Texts,
    trace: Rc<LazyTrace>,
    updates: OnceCell<Vec<Vec<u8>>>,
    whole: OnceCell<Vec<u8>>,
    saved: OnceCell<Vec<u8>>,
}

impl Session {
    fn new(texts: &'static dyn Texts, trace: Rc<LazyTrace>) -> Self {
        let (updates, whole, saved) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { texts, trace, updates, whole, saved }
    }

    fn edits(&self) -> &[Edit] {
        self.trace.edits(self.texts.unit())
    }

    /// An update for each edit, or for the first ones of a slow peer.
    fn updates(&self) -> &[Vec<u8>] {
        self.updates.get_or_init(|| {
            let mut text = self.texts.empty(1);
            let mut updates = Vec::with_capacity(self.edits().len());
            until_too_slow(self.edits(), EDITS, |edit| {
                updates.push(text.edit_encoded(std::slice::from_ref(edit)));
            });
            updates
        })
    }

    /// All edits as one transaction, encoded.
    fn whole(&self) -> &[u8] {
        self.whole.get_or_init(|| self.texts.empty(1).edit_encoded(self.edits()))
    }

    /// A replica that took in all edits.
    fn typed(&self) -> Box<dyn Text> {
        let mut text = self.texts.empty(2);
        text.apply(self.whole());
        text
    }

    fn saved(&self) -> &[u8] {
        self.saved.get_or_init(|| self.typed().save())
    }

    /// Runs `work` on an empty text and reads the whole of it, which must be the
    /// end of the trace if all edits were made.
    fn nanos(&self, author: u8, work: impl FnOnce(&mut dyn Text) -> usize) -> Sample {
        let mut text = self.texts.empty(author);
        let ((edits, end), took) = timed(|| {
            let edits = work(&mut *text);
            (edits, text.text())
        });
        let whole = edits == self.edits().len();
        assert!(!whole || end == self.trace.end, "it is not the end of {}", self.trace.name);
        Sample { value: each(took, edits), whole }
    }

    fn local_one(&self) -> Sample {
        let edits = self.edits();
        self.nanos(1, |text| {
            text.edit(edits);
            edits.len()
        })
    }

    fn local_each(&self) -> Sample {
        let edits = self.edits();
        let mut updates = Vec::with_capacity(edits.len());
        self.nanos(1, |text| {
            until_too_slow(edits, EDITS, |edit| {
                updates.push(text.edit_encoded(std::slice::from_ref(edit)));
            })
        })
    }

    fn remote_one(&self) -> Sample {
        let whole = self.whole();
        self.nanos(2, |text| {
            text.apply(whole);
            self.edits().len()
        })
    }

    fn remote_each(&self) -> Sample {
        let updates = self.updates();
        self.nanos(2, |text| until_too_slow(updates, EDITS, |update| text.apply(update)))
    }

    fn save(&self) -> Sample {
        let mut text = self.typed();
        let (saved, took) = timed(|| text.save());
        assert!(self.texts.load(&saved, 2).text() == self.trace.end);
        millis(took).into()
    }

    fn load(&self) -> Sample {
        let saved = self.saved();
        let (end, took) = timed(|| self.texts.load(saved, 2).text());
        assert!(end == self.trace.end);
        millis(took).into()
    }

    fn load_and_edit(&self) -> Sample {
        let saved = self.saved();
        let position = self.trace.end.find(' ').unwrap_or(0);
        let edit = [Edit { position, deleted: 0, inserted: "!".to_owned() }];
        let (text, took) = timed(|| {
            let mut text = self.texts.load(saved, 2);
            text.edit(&edit);
            text
        });
        let mut end = self.trace.end.clone();
        end.insert(position, '!');
        assert!(text.text() == end);
        millis(took).into()
    }

    fn update_bytes(&self) -> Sample {
        let updates = self.updates();
        (count(updates.iter().map(Vec::len).sum()) / count(updates.len())).into()
    }

    fn saved_bytes(&self) -> Sample {
        count(self.saved().len()).into()
    }

    fn history_bytes(&self) -> Sample {
        let whole = [self.whole().to_vec()];
        count(self.typed().since(&whole).len()).into()
    }
}
