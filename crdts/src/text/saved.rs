//! How a text is written and read: first what a reader sees, in one piece, then
//! the order under it, then what was deleted.
//!
//! A text from a peer is checked whole before it is let in. One that was saved here
//! opens by what a reader sees, which takes a tenth of the time; its history is
//! read and checked, in the same way, when it is first asked for, and of a damaged
//! one every edit is refused; its deleted letters are read when they are asked for. A checksum would not do: who forges a history can
//! forge that too, and what it says has to be put in order anyway to be edited.

use super::buried::Buried;
use super::scalars::Scalars;
use super::{History, Text};
use crate::seq::{Columns, Damage, Handles, Packing, Seq, pack, unpack};
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
    /// From when it is first asked for; `None` inside is one that does not read.
    history: OnceLock<Option<History>>,
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
                history: None,
                asleep: Some(Box::new(asleep)),
                widths: OnceLock::new(),
            });
        }
        let history = asleep.wake_checked().map_err(|damage| D::Error::custom(damage.0))?;
        Ok(Text { history: Some(history), ..Text::default() })
    }
}

impl Asleep {
    fn new(saved: Saved) -> Result<Self, Damage> {
        let text = String::from_utf8(unpack(&saved.text.0)?);
        let text = text.map_err(|_| Damage("it is not UTF-8"))?;
        let len = u32::try_from(text.chars().count());
        let len = len.map_err(|_| Damage("it is too long"))?;
        Ok(Self { saved, text, len, history: OnceLock::new() })
    }

    /// What a reader sees.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many scalars a reader sees.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// The history, if it reads.
    pub(super) fn history(&self) -> Option<&History> {
        self.history.get_or_init(|| self.wake().ok()).as_ref()
    }

    /// The history, if it was read.
    pub(super) fn into_history(self) -> Option<History> {
        self.history.into_inner().flatten()
    }

    /// Reads the history, and checks all of it but the letters that are deleted.
    fn wake(&self) -> Result<History, Damage> {
        let Saved { replicas, pieces, deleted, .. } = &self.saved;
        let seq = Seq::from_columns(replicas, &pieces.0, Handles::LivingFirst)?;
        if self.len != seq.visible() {
            return Err(Damage("it is longer or shorter than it says"));
        }
        let dead = seq.elements() - seq.visible();
        let buried = Buried::new(self.len, dead, &deleted.0)?;
        if self.text.len().checked_add(buried.bytes()).is_none_or(|len| len > super::LIMIT) {
            return Err(Damage("it is too long"));
        }
        Ok(History { seq, scalars: Scalars::loaded(&self.text, self.len, buried) })
    }

    /// Reads the history, and checks all of it.
    fn wake_checked(&self) -> Result<History, Damage> {
        let history = self.wake()?;
        match history.scalars.damage() {
            Some(damage) => Err(damage),
            None => Ok(history),
        }
    }
}

impl Saved {
    fn of(History { seq, scalars }: &History) -> Self {
        let Columns { replicas, pieces, dead } = seq.columns();
        let mut text = String::new();
        for run in seq.runs().filter(|run| !run.is_dead()) {
            text.push_str(scalars.get(run.first(), run.len()));
        }
        let mut deleted = String::new();
        for dead in dead {
            scalars.copy(dead.first, dead.len, &mut deleted);
        }
        Self {
            text: Bytes(pack(text.as_bytes(), Packing::Quick)),
            replicas,
            pieces: Bytes(pieces),
            deleted: Bytes(pack(deleted.as_bytes(), Packing::Small)),
        }
    }
}
