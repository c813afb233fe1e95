//! How the state of a struct of CRDTs is written and read.
//!
//! The form is `(frames, rest)`: a frame `(tag, digest, bytes)` for every field, in
//! ascending order of tags, and the ops on fields that are not known. A field has a
//! frame though it is as it was at first: without one it is a field that no version
//! wrote which knew it, so that all ops on it are in the rest. Equal states give
//! equal bytes; reading refuses anything else and never panics.

use super::recognise::recognise;
use super::{Digest, check_tag, digest, read_op};
use crate::framing::{refuse, refuse_to_write, within};
use crate::unknown::{Kept, Part, UnknownState};
use crate::{
    Crdt, DecodeError, Effects, Stamp, UnknownFields, UnknownOp, Version, codec, decode_state,
};
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A struct of CRDTs.
pub trait Fields: Crdt {
    /// The tags of its fields, in ascending order.
    const TAGS: &'static [u32];

    /// The field with this tag.
    fn field(&self, tag: u32) -> Option<&dyn Field>;

    /// As [`Fields::field`].
    fn field_mut(&mut self, tag: u32) -> Option<&mut dyn Field>;

    /// What it keeps of other fields.
    fn unknown(&self) -> &UnknownFields;

    /// As [`Fields::unknown`].
    fn unknown_mut(&mut self) -> &mut UnknownFields;
}

/// A field of a struct of CRDTs: any CRDT.
pub trait Field {
    /// The digest of its kind.
    fn digest(&self) -> Digest;

    /// Its bytes.
    ///
    /// # Errors
    /// [`DecodeError::TooDeep`] when they could not be read again.
    fn write(&self) -> Result<Vec<u8>, DecodeError>;

    /// Takes over what was written as a field of this tag.
    ///
    /// # Errors
    /// [`DecodeError`] when it is of another type, or broken.
    fn read(&mut self, tag: u32, found: Digest, bytes: &[u8]) -> Result<(), DecodeError>;

    /// Applies an op that was kept. Whether it could be.
    #[doc(hidden)]
    fn apply_kept(&mut self, op: &UnknownOp, at: Stamp) -> bool;

    /// Joins this field, which has seen `mine`, with another state of it: that is
    /// what `with` makes of an untouched one.
    #[doc(hidden)]
    fn join_with(
        &mut self,
        mine: &Version,
        theirs: &Version,
        with: &mut dyn FnMut(&mut dyn Field) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError>;
}

impl<C: Crdt> Field for C {
    fn digest(&self) -> Digest {
        digest(C::KIND)
    }

    fn write(&self) -> Result<Vec<u8>, DecodeError> {
        let mut bytes = Vec::new();
        within(|| codec::try_encode_state_into(self, &mut bytes))?;
        Ok(bytes)
    }

    fn read(&mut self, tag: u32, found: Digest, bytes: &[u8]) -> Result<(), DecodeError> {
        if found != digest(C::KIND) {
            return Err(DecodeError::WrongField { tag, expected: C::KIND });
        }
        *self = within(|| decode_state(bytes))?;
        Ok(())
    }

    fn apply_kept(&mut self, op: &UnknownOp, at: Stamp) -> bool {
        let read = read_op::<C>(op.tag, op.digest, op.slots, &op.bytes);
        read.is_ok_and(|op| self.apply(op, at, &mut Effects::silent()).is_ok())
    }

    fn join_with(
        &mut self,
        mine: &Version,
        theirs: &Version,
        with: &mut dyn FnMut(&mut dyn Field) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut other = C::default();
        with(&mut other)?;
        self.join(mine, other, theirs, &mut Effects::silent());
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct StateFrame<'a> {
    tag: u32,
    digest: Digest,
    #[serde(borrow, with = "serde_bytes")]
    bytes: Cow<'a, [u8]>,
}

/// Writes a struct of CRDTs.
///
/// # Errors
/// When a field is nested deeper than it may be read.
pub fn write_state<T: Fields, S: Serializer>(state: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let mut frames = Vec::with_capacity(T::TAGS.len());
    for &tag in T::TAGS {
        let Some(field) = state.field(tag) else { continue };
        let bytes = field.write().map_err(refuse_to_write)?.into();
        frames.push(StateFrame { tag, digest: field.digest(), bytes });
    }
    let mut rest = Vec::new();
    for (tag, kept) in state.unknown().iter() {
        if let Some(UnknownState { digest, bytes }) = &kept.latest.state {
            frames.push(StateFrame { tag, digest: *digest, bytes: Cow::Borrowed(bytes) });
        }
        if !(kept.latest.ops.is_empty() && kept.branches.is_empty()) {
            rest.push((tag, &kept.latest.ops, &kept.branches));
        }
    }
    frames.sort_unstable_by_key(|frame| frame.tag);
    let mut out = serializer.serialize_tuple(2)?;
    out.serialize_element(&frames)?;
    out.serialize_element(&rest)?;
    out.end()
}

/// Reads a struct of CRDTs.
///
/// # Errors
/// When it is broken, or a field was written as another type.
pub fn read_state<'de, T: Fields, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_tuple(2, StateVisitor(PhantomData))
}

struct StateVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for StateVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", T::KIND)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<T, A::Error> {
        let short = || A::Error::custom("it is cut off");
        let frames: Vec<StateFrame<'de>> = parts.next_element()?.ok_or_else(short)?;
        let rest: Vec<Rest> = parts.next_element()?.ok_or_else(short)?;
        read(frames, rest).map_err(refuse)
    }
}

/// Of a field: its tag, the ops that are kept, and the branches.
type Rest = (u32, BTreeMap<Stamp, UnknownOp>, Vec<(Version, Part)>);

fn read<T: Fields>(frames: Vec<StateFrame<'_>>, rest: Vec<Rest>) -> Result<T, DecodeError> {
    let is_sorted =
        frames.is_sorted_by(|a, b| a.tag < b.tag) && rest.is_sorted_by(|a, b| a.0 < b.0);
    if !is_sorted {
        return Err(DecodeError::Invalid("fields are out of order"));
    }
    // They are sorted: the last is the largest.
    let last = [frames.last().map(|frame| frame.tag), rest.last().map(|(tag, ..)| *tag)];
    last.into_iter().flatten().try_for_each(check_tag)?;
    let mut state = T::default();
    let mut kept = UnknownFields::default();
    let mut written = Vec::with_capacity(frames.len());
    for StateFrame { tag, digest, bytes } in frames {
        written.push(tag);
        match state.field_mut(tag) {
            Some(field) => field.read(tag, digest, &bytes)?,
            None => {
                let bytes = bytes.into_owned().into();
                let state = Some(UnknownState { digest, bytes });
                let latest = Part { state, ops: BTreeMap::new() };
                kept.put(tag, Kept { latest, branches: Vec::new() });
            }
        }
    }
    for (tag, ops, branches) in rest {
        let mut of_field = kept.take(tag).unwrap_or_default();
        (of_field.latest.ops, of_field.branches) = (ops, branches);
        if let Some(field) = state.field_mut(tag) {
            recognise(field, tag, written.contains(&tag), &mut of_field)?;
        }
        kept.put(tag, of_field);
    }
    *state.unknown_mut() = kept;
    Ok(state)
}
