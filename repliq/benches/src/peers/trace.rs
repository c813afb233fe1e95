//! Editing histories: real ones from `josephg/editing-traces`, or, where that
//! folder is absent, generated ones from a printed seed.
//!
//! The folder is `$REPLIQ_TRACES`, or `../shared/data/traces` beside the
//! repository. Every trace is replayed in a plain string before it is used, so
//! its end is known from something that is no CRDT.

use super::random::Random;
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// What positions count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Unicode scalars, as in the traces.
    Scalars,
    /// Bytes of UTF-8.
    Bytes,
}

/// One edit: `deleted` units go at `position`, then `inserted` comes there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Edit {
    pub(crate) position: usize,
    pub(crate) deleted: usize,
    pub(crate) inserted: String,
}

/// What one writer did after another, and what the text was in the end.
pub(crate) struct Sequential {
    pub(crate) name: String,
    pub(crate) scalars: Vec<Edit>,
    pub(crate) bytes: Vec<Edit>,
    pub(crate) end: String,
}

impl Sequential {
    /// The edits, their positions in these units.
    pub(crate) fn edits(&self, unit: Unit) -> &[Edit] {
        match unit {
            Unit::Scalars => &self.scalars,
            Unit::Bytes => &self.bytes,
        }
    }

    fn new(name: &str, scalars: Vec<Edit>) -> Self {
        let (bytes, end) = replay(&scalars);
        Self { name: name.to_owned(), scalars, bytes, end }
    }
}

/// One edit of a live session. Its position is meant in the text as its author
/// had it then: after the author's own edits and the first `seen` of the other's.
pub(crate) struct LiveEdit {
    pub(crate) author: usize,
    pub(crate) seen: usize,
    pub(crate) edit: Edit,
}

/// What two writers did at the same time, in an order that respects causality.
/// It is ASCII, so that positions are the same in every unit.
pub(crate) type Live = Vec<LiveEdit>;

#[derive(Deserialize)]
struct Recorded {
    #[serde(rename = "endContent")]
    end: String,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    #[serde(default)]
    parents: Vec<usize>,
    #[serde(default)]
    agent: usize,
    patches: Vec<(usize, usize, String)>,
}

impl From<(usize, usize, String)> for Edit {
    fn from((position, deleted, inserted): (usize, usize, String)) -> Self {
        Self { position, deleted, inserted }
    }
}

/// The trace of one writer with this name.
pub(crate) fn sequential(name: &str) -> Sequential {
    let Some(file) = read(name) else {
        eprintln!("{name}: not there, a generated trace of 30,000 edits takes its place");
        return Sequential::new(&format!("generated ({name})"), generated(30_000));
    };
    let edits = file.txns.into_iter().flat_map(|txn| txn.patches).map(Edit::from).collect();
    let trace = Sequential::new(name, edits);
    assert_eq!(trace.end, file.end, "{name} does not end as it says");
    trace
}

/// The trace of two writers with this name.
pub(crate) fn live(name: &str) -> Live {
    let Some(file) = read(name) else {
        eprintln!("{name}: not there, a generated session of 2 x 5,000 edits takes its place");
        return generated_session(5_000);
    };
    // How many edits of each author are in the past of each edit, itself included.
    let mut past: Vec<[usize; 2]> = Vec::new();
    let mut edits = Live::new();
    for txn in file.txns {
        let mut before = [0; 2];
        for parent in txn.parents {
            before = [before[0].max(past[parent][0]), before[1].max(past[parent][1])];
        }
        let [patch] = <[_; 1]>::try_from(txn.patches).expect("one patch a transaction");
        let edit = Edit::from(patch);
        assert!(edit.inserted.is_ascii());
        let made = edits.iter().filter(|edit| edit.author == txn.agent).count();
        assert_eq!(before[txn.agent], made, "an author always goes on from what it did");
        edits.push(LiveEdit { author: txn.agent, seen: before[1 - txn.agent], edit });
        before[txn.agent] += 1;
        past.push(before);
    }
    edits
}

fn read(name: &str) -> Option<Recorded> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/traces");
    let folder = std::env::var_os("REPLIQ_TRACES").map_or_else(|| beside.into(), PathBuf::from);
    let file = File::open(folder.join(name).with_extension("json.gz")).ok()?;
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("a gzip file");
    Some(serde_json::from_str(&text).expect("a trace"))
}

/// The same edits by bytes, and the text in the end.
fn replay(edits: &[Edit]) -> (Vec<Edit>, String) {
    let mut text: Vec<char> = Vec::new();
    let ascii = edits.iter().all(|edit| edit.inserted.is_ascii());
    let mut bytes = Vec::with_capacity(edits.len());
    for edit in edits {
        let Edit { position, deleted, inserted } = edit;
        bytes.push(if ascii {
            edit.clone()
        } else {
            let length = |chars: &[char]| chars.iter().map(|c| c.len_utf8()).sum();
            Edit {
                position: length(&text[..*position]),
                deleted: length(&text[*position..position + deleted]),
                inserted: inserted.clone(),
            }
        });
        text.splice(*position..position + deleted, inserted.chars());
    }
    (bytes, text.into_iter().collect())
}

/// Somebody who types words, moves now and then and takes things back.
fn generated(count: usize) -> Vec<Edit> {
    let mut random = Random::new(20_261_126);
    let (mut length, mut cursor) = (0, 0);
    let mut edits = Vec::with_capacity(count);
    while edits.len() < count {
        if random.below(20) == 0 {
            cursor = random.below(length + 1);
        }
        let back = random.below(6) == 0 && cursor > 0;
        edits.push(if back {
            cursor -= 1;
            length -= 1;
            Edit { position: cursor, deleted: 1, inserted: String::new() }
        } else {
            cursor += 1;
            length += 1;
            Edit { position: cursor - 1, deleted: 0, inserted: random.letters(1) }
        });
    }
    edits
}

/// Two who type into one text, each seeing the other's edits some time later.
fn generated_session(each: usize) -> Live {
    let mut random = Random::new(20_261_127);
    let mut edits = Vec::with_capacity(2 * each);
    let mut made = [0, 0];
    let mut seen = [0, 0];
    for turn in 0..2 * each {
        let author = turn % 2;
        if random.below(8) == 0 {
            seen[author] = made[1 - author];
        }
        let length = made[author] + seen[author];
        let edit =
            Edit { position: random.below(length + 1), deleted: 0, inserted: random.letters(1) };
        edits.push(LiveEdit { author, seen: seen[author], edit });
        made[author] += 1;
    }
    edits
}
