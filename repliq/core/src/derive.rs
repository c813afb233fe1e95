//! What the code calls that `#[derive(Crdt)]` writes.
//!
//! A struct of CRDTs is written as a list of frames, one for each field that was
//! ever edited, and an op on it as one frame: the field's tag, a digest of its
//! type's kind, the length, the bytes. So a version of an app that does not know a
//! field can pass it by and keep it, and a field that was written as another type
//! is noticed. Nothing here is meant to be called by hand, and nothing of it
//! remembers anything: the state does.

mod recognise;
mod shown;
mod state;

pub use crate::{UnknownOp, UnknownUndo};
pub use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use shown::{Shown, ViaDebug, ViaDots};
pub use state::{Field, Fields, read_state, write_state};

use crate::framing::{refuse, refuse_to_write, within};
use crate::tx::AsTx;
use crate::{Crdt, CrdtError, Cursor, DecodeError, Dot, Tx, decode, try_encode_into};
use std::borrow::Cow;

/// The largest tag of a field. What is kept of an unknown field costs some 900 bytes
/// beside its ops, so hostile ops that each name another field would cost a hundred times
/// what they are; with this all of them cost 4 MB in a struct.
pub const MAX_TAG: u32 = 4_095;

/// Refuses a tag that no field has.
pub(crate) fn check_tag(tag: u32) -> Result<(), DecodeError> {
    if tag <= MAX_TAG { Ok(()) } else { Err(DecodeError::Invalid("a tag is larger than 4095")) }
}

/// Tells one kind from another: enough to notice a mistake, and short.
pub(crate) type Digest = [u8; 2];

/// The digest of a kind: FNV-1a, folded.
const fn digest(kind: &str) -> Digest {
    let mut hash: u32 = 0x811c_9dc5;
    let mut rest = kind.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = after;
    }
    let [a, b, c, d] = hash.to_le_bytes();
    [a ^ c, b ^ d]
}

/// An op on a field as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpFrame<'a> {
    tag: u32,
    digest: Digest,
    slots: u64,
    #[serde(borrow, with = "serde_bytes")]
    bytes: Cow<'a, [u8]>,
}

impl OpFrame<'_> {
    /// The tag of the field.
    #[must_use]
    pub const fn tag(&self) -> u32 {
        self.tag
    }

    /// The op, if the field is a `C`.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not, or the frame is broken.
    pub fn read<C: Crdt>(&self) -> Result<C::Op, DecodeError> {
        read_op::<C>(self.tag, self.digest, self.slots, &self.bytes)
    }

    /// The op as it is, for a version that knows the field.
    #[must_use]
    pub fn keep(self) -> UnknownOp {
        let Self { tag, digest, slots, bytes } = self;
        UnknownOp { tag, digest, slots, bytes: bytes.into_owned().into() }
    }
}

fn read_op<C: Crdt>(
    tag: u32,
    found: Digest,
    slots: u64,
    bytes: &[u8],
) -> Result<C::Op, DecodeError> {
    if found != digest(C::KIND) {
        return Err(DecodeError::WrongField { tag, expected: C::KIND });
    }
    let op = within(|| decode::<C::Op>(bytes))?;
    if C::slots(&op) != slots {
        return Err(DecodeError::Invalid("an op takes other slots than its frame says"));
    }
    Ok(op)
}

/// Reads an op on a struct.
///
/// # Errors
/// When the frame is broken or its tag larger than [`MAX_TAG`], or `read` refuses it.
pub fn read_frame<'de, D: Deserializer<'de>, Op>(
    deserializer: D,
    read: impl FnOnce(OpFrame<'de>) -> Result<Op, DecodeError>,
) -> Result<Op, D::Error> {
    let frame = OpFrame::deserialize(deserializer)?;
    if frame.slots == 0 {
        return Err(refuse(DecodeError::Invalid("an op takes no slot")));
    }
    check_tag(frame.tag).and_then(|()| read(frame)).map_err(refuse)
}

/// Writes an op on a field of a struct.
///
/// # Errors
/// When the op is nested deeper than it may be read.
pub fn write_frame<C: Crdt, S: Serializer>(
    tag: u32,
    op: &C::Op,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::new();
    within(|| try_encode_into(op, &mut bytes)).map_err(refuse_to_write)?;
    let (digest, slots) = (digest(C::KIND), C::slots(op));
    OpFrame { tag, digest, slots, bytes: bytes.into() }.serialize(serializer)
}

/// The part of a transaction that concerns one field of a struct.
pub fn field<'t, P: Crdt, C: Crdt>(
    parent: &'t mut (impl AsTx<P> + ?Sized),
    get: fn(&P) -> &C,
    wrap: fn(C::Op) -> P::Op,
) -> Tx<'t, C> {
    Tx::from_cursor(FieldCursor { parent: parent.tx(), get, wrap })
}

struct FieldCursor<'t, P: Crdt, C: Crdt> {
    parent: Tx<'t, P>,
    get: fn(&P) -> &C,
    wrap: fn(C::Op) -> P::Op,
}

impl<P: Crdt, C: Crdt> Cursor<C> for FieldCursor<'_, P, C> {
    fn state(&self) -> &C {
        (self.get)(&self.parent)
    }

    fn push(&mut self, op: C::Op) -> Result<(), CrdtError> {
        self.parent.push((self.wrap)(op))
    }

    fn next(&self) -> Option<Dot> {
        crate::Author::next(&self.parent)
    }
}
