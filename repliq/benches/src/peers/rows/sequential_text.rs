//! One writer: typing, taking over, saving and loading a text.

use crate::millis;
use crate::peers::contestants::PEERS;
use crate::peers::peer::{Text, Texts};
use crate::peers::row::Measure::{Bytes, Millis, NanosEach};
use crate::peers::row::{Measure, Round, Row, Sample, Target, count, each, timed, until_too_slow};
use crate::peers::trace::{Edit, Sequential, sequential};
use std::cell::{LazyCell, OnceCell};
use std::rc::Rc;

const TRACES: &[&str] =
    &["automerge-paper", "rustcode", "json-crdt-blog-post", "friendsforever_flat"];

pub(crate) fn rows() -> Vec<Row> {
    TRACES.iter().flat_map(|name| rows_of(name)).collect()
}

fn rows_of(name: &'static str) -> Vec<Row> {
    let trace: Rc<LazyTrace> = Rc::new(LazyCell::new(Box::new(|| sequential(name))));
    let sessions: Vec<_> = PEERS
        .iter()
        .filter_map(|peer| Some((peer.name(), peer.texts()?)))
        .map(|(peer, texts)| (peer, Rc::new(Session::new(texts, Rc::clone(&trace)))))
        .collect();
    let row =
        |id, what, measure, target, round| row(name, &sessions, id, what, measure, target, round);
    let local = Target::at_most(if name == "automerge-paper" { 0.8 } else { 1.1 });
    let history = Some(Target { at_most: 0.95, against: Some("diamond-types") });
    vec![
        row("local-one", "local, one transaction", NanosEach, local, Session::local_one),
        row(
            "local-each",
            "local, a change per edit, encoded",
            NanosEach,
            Target::at_most(0.3),
            Session::local_each,
        ),
        row(
            "remote-one",
            "remote, one update, decoded",
            NanosEach,
            Target::at_most(1.2),
            Session::remote_one,
        ),
        row(
            "remote-each",
            "remote, an update per edit, decoded",
            NanosEach,
            Target::at_most(0.3),
            Session::remote_each,
        ),
        row("save", "save", Millis, None, Session::save),
        row("load", "load to text", Millis, Target::at_most(0.5), Session::load),
        row("load-edit", "load and edit", Millis, Target::at_most(0.6), Session::load_and_edit),
        row("update-bytes", "the update of one edit", Bytes, None, Session::update_bytes),
        row("saved-bytes", "saved", Bytes, None, Session::saved_bytes),
        row("history-bytes", "full history", Bytes, history, Session::history_bytes),
    ]
}

fn row(
    trace: &str,
    sessions: &[(&'static str, Rc<Session>)],
    id: &str,
    what: &str,
    measure: Measure,
    target: Option<Target>,
    round: fn(&Session) -> Sample,
) -> Row {
    let contestant = |(peer, session): &(&'static str, Rc<Session>)| {
        let session = Rc::clone(session);
        (*peer, Box::new(move || round(&session)) as Round)
    };
    Row {
        name: format!("text-{id}/{trace}"),
        what: format!("text {what} ({trace})"),
        measure,
        target,
        contestants: sessions.iter().map(contestant).collect(),
    }
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
            let mut text = self.texts.new(1);
            let mut updates = Vec::with_capacity(self.edits().len());
            until_too_slow(self.edits(), |edit| {
                updates.push(text.edit_encoded(std::slice::from_ref(edit)));
            });
            updates
        })
    }

    /// All edits as one transaction, encoded.
    fn whole(&self) -> &[u8] {
        self.whole.get_or_init(|| self.texts.new(1).edit_encoded(self.edits()))
    }

    fn typed(&self) -> Box<dyn Text> {
        let mut text = self.texts.new(1);
        text.edit(self.edits());
        text
    }

    fn saved(&self) -> &[u8] {
        self.saved.get_or_init(|| self.typed().save())
    }

    /// Runs `work` on an empty text and reads the whole of it, which must be the
    /// end of the trace if all edits were made.
    fn nanos(&self, author: u8, work: impl FnOnce(&mut dyn Text) -> usize) -> Sample {
        let mut text = self.texts.new(author);
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
            until_too_slow(edits, |edit| {
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
        self.nanos(2, |text| until_too_slow(updates, |update| text.apply(update)))
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
        let mut text = self.texts.new(1);
        let whole = text.edit_encoded(self.edits());
        count(text.since(&[whole]).len()).into()
    }
}
