//! How a text is written and read: first what a reader sees, in one piece, then
//! the order under it, then what was deleted.
//!
//! A text from a peer is checked whole before it is let in. One that was saved here
//! opens by what a reader sees, which takes a tenth of the time; its history is
//! read and checked, in the same way, when it is first asked for, and of a damaged
//! one every edit is refused. A checksum would not do: who forges a history can
//! forge that too, and what it says has to be put in order anyway to be edited.

use super::scalars::Scalars;
use super::{History, Text};
use crate::seq::{Columns, Damage, Elements, Seq, pack, unpack};
use repliq_core::ReplicaId;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::OnceLock;

/// A text as it is written.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    /// What a reader sees, packed.
    text: Bytes,
    replicas: Vec<ReplicaId>,
    pieces: Bytes,
    /// What was deleted, in the order of its dots, packed.
    deleted: Bytes,
}

/// Bytes in one piece, not as a list of numbers.
#[derive(Clone, Serialize, Deserialize)]
struct Bytes(#[serde(with = "serde_bytes")] Vec<u8>);

/// A text that was loaded to be read: its history is still as it was written.
#[derive(Clone)]
pub(super) struct Asleep {
    saved: Saved,
    text: String,
    len: u32,
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.history(), &self.asleep) {
            (Ok(history), _) => Saved::of(history).serialize(serializer),
            // What does not read is kept as it is.
            (Err(_), Some(asleep)) => asleep.saved.serialize(serializer),
            (Err(error), None) => Err(serde::ser::Error::custom(error)),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        let asleep = Asleep::new(saved).map_err(|damage| D::Error::custom(damage.0))?;
        if repliq_core::decodes_at_rest() {
            return Ok(Text {
                history: OnceLock::new(),
                asleep: Some(Box::new(asleep)),
                widths: OnceLock::new(),
            });
        }
        let history = asleep.wake().map_err(|damage| D::Error::custom(damage.0))?;
        Ok(Text { history: OnceLock::from(Some(history)), ..Text::default() })
    }
}

impl Asleep {
    fn new(saved: Saved) -> Result<Self, Damage> {
        let text = read(&saved.text)?;
        let len = u32::try_from(text.chars().count());
        Ok(Self { saved, text, len: len.map_err(|_| Damage("it is too long"))? })
    }

    /// What a reader sees.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many scalars a reader sees.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Reads the history, and checks all of it.
    pub(super) fn wake(&self) -> Result<History, Damage> {
        let Saved { replicas, pieces, deleted, .. } = &self.saved;
        let (seq, dead) = Seq::read_in_order_of_dots(replicas, &pieces.0)?;
        let scalars = spread(&self.text, &read(deleted)?, &seq, &dead);
        let scalars = scalars.ok_or(Damage("it is longer or shorter than it says"))?;
        Ok(History { seq, scalars })
    }
}

impl Saved {
    fn of(History { seq, scalars }: &History) -> Self {
        let Columns { replicas, pieces } = seq.columns();
        let mut text = String::new();
        for run in seq.runs().filter(|run| !run.is_dead()) {
            text.push_str(scalars.get(run.first(), run.len()));
        }
        let mut deleted = String::new();
        for dead in seq.dead_in_order_of_dots() {
            deleted.push_str(scalars.get(dead.first, dead.len));
        }
        Self {
            text: Bytes(pack(text.as_bytes())),
            replicas,
            pieces: Bytes(pieces),
            deleted: Bytes(pack(deleted.as_bytes())),
        }
    }
}

fn read(packed: &Bytes) -> Result<String, Damage> {
    String::from_utf8(unpack(&packed.0)?).map_err(|_| Damage("it is not UTF-8"))
}

/// Gives every element its scalar: to the living what a reader sees, in that
/// order, to the dead what was deleted, in the order of dots. `None` if there are
/// not as many.
fn spread(text: &str, deleted: &str, seq: &Seq, dead: &[Elements]) -> Option<Scalars> {
    let len = text.len().checked_add(deleted.len()).filter(|len| *len <= super::LIMIT)?;
    if len == seq.elements() as usize && text.is_ascii() && deleted.is_ascii() {
        return spread_ascii(text.as_bytes(), deleted.as_bytes(), seq, dead);
    }
    let mut parts = Vec::new();
    let mut text = Cursor { rest: text, is_ascii: text.is_ascii() };
    for run in seq.runs().filter(|run| !run.is_dead()) {
        parts.push((run.first(), run.len(), text.take(run.len())?));
    }
    let mut deleted = Cursor { rest: deleted, is_ascii: deleted.is_ascii() };
    for dead in dead {
        parts.push((dead.first, dead.len, deleted.take(dead.len)?));
    }
    if !text.rest.is_empty() || !deleted.rest.is_empty() {
        return None;
    }
    parts.sort_unstable_by_key(|(first, ..)| *first);
    let mut scalars = Scalars::with_capacity(len);
    for (_, count, part) in parts {
        scalars.push(part, count);
    }
    Some(scalars)
}

/// [`spread`] where the places of the scalars are known beforehand.
fn spread_ascii(
    mut text: &[u8],
    mut deleted: &[u8],
    seq: &Seq,
    dead: &[Elements],
) -> Option<Scalars> {
    let mut all = vec![0; seq.elements() as usize];
    for run in seq.runs().filter(|run| !run.is_dead()) {
        let (part, rest) = text.split_at_checked(run.len() as usize)?;
        text = rest;
        all.get_mut(run.first() as usize..run.end() as usize)?.copy_from_slice(part);
    }
    for &Elements { first, len } in dead {
        let (part, rest) = deleted.split_at_checked(len as usize)?;
        deleted = rest;
        all.get_mut(first as usize..(first + len) as usize)?.copy_from_slice(part);
    }
    let mut scalars = Scalars::default();
    scalars.push(&String::from_utf8(all).ok()?, seq.elements());
    Some(scalars)
}

/// A text that is taken apart from its start.
struct Cursor<'a> {
    rest: &'a str,
    is_ascii: bool,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: u32) -> Option<&'a str> {
        let count = count as usize;
        let end = if self.is_ascii {
            count
        } else {
            let mut scalars = self.rest.char_indices();
            let last = scalars.nth(count.checked_sub(1)?)?;
            last.0 + last.1.len_utf8()
        };
        let (taken, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(taken)
    }
}
