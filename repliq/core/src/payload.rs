//! The payload of a change: its ops, one after the other, without separators.
//!
//! It promises that what was written is read again, and that ops which
//! [`Crdt::grow`] makes one are one op before they are encoded. It never knows what
//! an op says, and holds back at most one.

use crate::codec::decode_prefix;
use crate::{
    ChangeHeader, Crdt, CrdtError, DecodeError, Dot, Effects, MAX_CHANGE_BYTES, MAX_NESTING, Stamp,
    decode, try_encode_into,
};
use serde::de::DeserializeOwned;

/// An op of at most this many bytes is not decoded again to be sure that it can
/// be: a type that reads deeper than it writes does not get far in so few.
const SURELY_SHALLOW: usize = MAX_NESTING / 2;

/// Reads the ops of a change's payload one after the other.
#[derive(Debug)]
pub struct OpReader<'a> {
    rest: &'a [u8],
}

impl<'a> OpReader<'a> {
    /// A reader at the start of `payload`.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// The next op, or `None` at the end.
    ///
    /// # Errors
    /// [`DecodeError`] as [`decode`]; do not read on after one.
    pub fn next_op<Op: DeserializeOwned>(&mut self) -> Result<Option<Op>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let before = self.rest.len();
        let (op, rest) = decode_prefix(self.rest)?;
        if rest.len() == before {
            return Err(DecodeError::Invalid("an op takes no bytes"));
        }
        self.rest = rest;
        Ok(Some(op))
    }
}

/// Writes the ops of a transaction: what its log does with them.
pub struct OpWriter<C: Crdt> {
    /// May still grow, and is not yet encoded.
    held: Option<C::Op>,
    payload: Vec<u8>,
}

impl<C: Crdt> OpWriter<C> {
    /// A writer that adds to `payload`.
    #[must_use]
    pub const fn new(payload: Vec<u8>) -> Self {
        Self { held: None, payload }
    }

    /// Makes an op a part of the one written last; see
    /// [`TransactionLog::grow`](crate::TransactionLog::grow).
    #[inline]
    pub fn grow(&mut self, op: &mut C::Op) -> Option<u64> {
        let held = self.held.as_mut()?;
        C::grow(held, op).then(|| C::slots(held))
    }

    /// Writes an op.
    ///
    /// # Errors
    /// [`CrdtError`] when this op, or the one before it, is nested deeper than can be
    /// read again, or the payload is larger than a change may be.
    #[inline]
    pub fn write(&mut self, op: &C::Op) -> Result<(), CrdtError> {
        self.write_held()?;
        if C::may_grow(op) {
            self.held = Some(op.clone());
            return Ok(());
        }
        self.encode(op)
    }

    /// How many bytes are written so far.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// The payload, with every op in it.
    ///
    /// # Errors
    /// As [`OpWriter::write`].
    pub fn finish(&mut self) -> Result<&[u8], CrdtError> {
        self.write_held()?;
        Ok(&self.payload)
    }

    /// What the payload was written to, to be used again.
    #[must_use]
    pub fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    #[inline]
    fn write_held(&mut self) -> Result<(), CrdtError> {
        match self.held.take() {
            Some(held) => self.encode(&held),
            None => Ok(()),
        }
    }

    fn encode(&mut self, op: &C::Op) -> Result<(), CrdtError> {
        let before = self.payload.len();
        try_encode_into(op, &mut self.payload)?;
        if self.payload.len() > MAX_CHANGE_BYTES {
            return Err(CrdtError::Limit("an update takes at most 16 MiB"));
        }
        let encoded = self.payload.get(before..).unwrap_or_default();
        if encoded.len() > SURELY_SHALLOW {
            // What nobody could decode must not get into the log.
            decode::<C::Op>(encoded)?;
        }
        Ok(())
    }
}

/// Applies the ops of a change that is not sealed, and returns how many they were.
///
/// # Errors
/// [`CrdtError`] when the payload does not decode or does not take the slots that the
/// header says, or an op is refused. What the ops before did is then to be undone, by
/// the undos in `effects`.
pub fn apply_payload<C: Crdt>(
    value: &mut C,
    dot: Dot,
    header: &ChangeHeader,
    payload: &[u8],
    effects: &mut Effects<C>,
) -> Result<u64, CrdtError> {
    let mut reader = OpReader::new(payload);
    let mut at = Stamp { hlc: header.hlc, dot };
    let mut left = header.slots;
    let mut ops = 0;
    while let Some(op) = reader.next_op::<C::Op>()? {
        let slots = C::slots(&op);
        left = match left.checked_sub(slots) {
            Some(left) if slots > 0 => left,
            _ => return Err(DecodeError::Invalid("ops take other slots than they say").into()),
        };
        value.apply(op, at, effects)?;
        at.hlc = at.hlc.plus(1);
        at.dot.seq = at.dot.seq.saturating_add(slots);
        ops += 1;
    }
    match left {
        0 => Ok(ops),
        _ => Err(DecodeError::Invalid("ops take fewer slots than the change says").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{encode, encode_into};

    #[test]
    fn ops_are_read_one_after_the_other_until_the_end() {
        let mut payload = encode(&Some(1_u8));
        encode_into(&None::<u8>, &mut payload);
        let mut reader = OpReader::new(&payload);
        assert_eq!(reader.next_op().unwrap(), Some(Some(1_u8)));
        assert_eq!(reader.next_op().unwrap(), Some(None::<u8>));
        assert_eq!(reader.next_op::<Option<u8>>().unwrap(), None);
        assert!(OpReader::new(&[0]).next_op::<()>().is_err());
    }
}
