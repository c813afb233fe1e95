//! How a text is written and read: first what a reader sees, in one piece, then
//! the order that it has under it.

use super::Text;
use super::scalars::Scalars;
use crate::seq::{Columns, Seq};
use repliq_core::ReplicaId;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.seq.columns();
        let mut out = serializer.serialize_tuple(3)?;
        out.serialize_element(&self.to_string())?;
        out.serialize_element(&columns.replicas)?;
        out.serialize_element(&Bytes(columns.pieces))?;
        out.end()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(3, TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, replica ids and pieces")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text, A::Error> {
        let short = || A::Error::custom("a part is missing");
        let text: String = parts.next_element()?.ok_or_else(short)?;
        let replicas: Vec<ReplicaId> = parts.next_element()?.ok_or_else(short)?;
        let Bytes(pieces) = parts.next_element()?.ok_or_else(short)?;
        let columns = Columns { replicas, pieces };
        let seq = Seq::from_columns(&columns).map_err(|damage| A::Error::custom(damage.0))?;
        let scalars = spread(&text, &seq).ok_or_else(|| A::Error::custom("its length is wrong"))?;
        Ok(Text { seq, scalars })
    }
}

/// Gives every living element its scalar. The handles are in the order of reading.
fn spread(text: &str, seq: &Seq) -> Option<Scalars> {
    if text.chars().count() != seq.visible() as usize || u32::try_from(text.len()).is_err() {
        return None;
    }
    let mut scalars = Scalars::default();
    let mut rest = text;
    for run in seq.runs() {
        if run.is_dead() {
            scalars.skip(run.len());
            continue;
        }
        let len = run.len() as usize;
        let end = rest.char_indices().nth(len).map_or(rest.len(), |(end, _)| end);
        let (taken, left) = rest.split_at_checked(end)?;
        scalars.push(taken, run.len());
        rest = left;
    }
    Some(scalars)
}

/// Bytes in one piece, not as a list of numbers.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }
}
