//! The unit of log, wire and acknowledgement: one committed transaction.

use crate::DecodeError;
use crate::{Dot, Hlc, ReplicaId, Version};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

mod header;
mod packed;

/// The largest body of a change, in bytes: 16 MiB. A larger transaction is
/// refused before anything is logged; split it.
pub const MAX_CHANGE_BYTES: usize = 16 << 20;

/// The largest number of slots one change may take: 2^32 - 1. It bounds how far
/// a single change can move a clock (65.5 seconds).
pub const MAX_CHANGE_SLOTS: u64 = u32::MAX as u64;

/// The key a payload is sealed under; [`KeyId::PLAIN`] says it is not sealed.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct KeyId(pub u32);

impl KeyId {
    /// The payload is readable by everyone.
    pub const PLAIN: Self = Self(0);

    /// Whether the payload is sealed under a key.
    #[must_use]
    pub const fn is_sealed(self) -> bool {
        self.0 != 0
    }
}

/// The first 8 bytes of the running BLAKE3 hash over a replica's changes to one
/// document. Two stores that claim the same replica id and parted ways have
/// different chains at the same sequence number: that is how a fork is seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Chain(pub [u8; 8]);

impl Chain {
    /// The chain before a replica's first change to a document.
    pub const START: Self = Self([0; 8]);

    /// The chain after the change that starts at `dot` and has this body. The
    /// body holds the chain before it, so each value covers all that precede.
    #[must_use]
    pub fn after(dot: Dot, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(dot.replica.as_bytes());
        hasher.update(&dot.seq.to_be_bytes());
        hasher.update(body);
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        Self(first)
    }
}

/// What a change says about itself, besides its dot and its payload. Readable
/// by relays, also when the payload is sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeHeader {
    /// How many slots the change takes, at least 1.
    pub slots: u64,
    /// The timestamp of the first op; the ops after it take the values after it.
    pub hlc: Hlc,
    /// The chain over this replica's earlier changes to the document.
    pub chain: Chain,
    /// The entries of the author's version that advanced since its last change.
    pub deps: Version,
    /// The key the payload is sealed under, or [`KeyId::PLAIN`].
    pub key: KeyId,
}

/// One committed transaction of one replica on one document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The first slot of the change.
    pub dot: Dot,
    /// Header and payload as they travel and are logged: a relay passes these
    /// bytes on as they came.
    pub body: Bytes,
}

impl Change {
    /// Puts header and payload (ops in the encoding of the document's type, one
    /// after the other, or their sealed form) together. A large payload that is not
    /// sealed is packed.
    #[must_use]
    pub fn new(dot: Dot, header: &ChangeHeader, payload: &[u8]) -> Self {
        let packed = if header.key.is_sealed() { None } else { packed::pack(payload) };
        let held = packed.as_deref().unwrap_or(payload);
        let mut body = Vec::with_capacity(header.len() + held.len());
        header.write(packed.is_some(), &mut body);
        body.extend_from_slice(held);
        Self { dot, body: body.into() }
    }

    /// The change as it travels by itself: replica, first slot, and the body by its
    /// length. [`Change::read`] reads it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let len = self.body.len() as u64;
        let numbers = header::number_len(self.dot.seq) + header::number_len(len);
        let mut out = Vec::with_capacity(16 + numbers + self.body.len());
        out.extend_from_slice(self.dot.replica.as_bytes());
        header::write_number(self.dot.seq, &mut out);
        header::write_number(len, &mut out);
        out.extend_from_slice(&self.body);
        out
    }

    /// Reads a change from the start of `bytes`, and returns it with what follows.
    ///
    /// # Errors
    /// [`DecodeError`] when it is cut off. What is in it is read by [`Change::open`].
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let (replica, rest) = header::take::<16>(bytes)?;
        let (seq, rest) = header::read_number(rest)?;
        let (len, rest) = header::read_number(rest)?;
        let len = usize::try_from(len).map_err(|_| DecodeError::TooLong)?;
        if len > MAX_CHANGE_BYTES {
            return Err(DecodeError::TooLong);
        }
        let (body, rest) = rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        let dot = Dot { replica: ReplicaId::from_bytes(*replica), seq };
        Ok((Self { dot, body: Bytes::copy_from_slice(body) }, rest))
    }

    /// Splits the body into the header and the rest, which is the payload as it
    /// travels: [`Change::payload`] is what was put in.
    ///
    /// # Errors
    /// [`DecodeError`] when the header is damaged, the change takes no slot or
    /// more than [`MAX_CHANGE_SLOTS`], its sequence numbers overflow, or it is
    /// larger than [`MAX_CHANGE_BYTES`].
    pub fn open(&self) -> Result<(ChangeHeader, &[u8]), DecodeError> {
        let (header, _, payload) = self.read_body()?;
        Ok((header, payload))
    }

    /// The header and the payload.
    ///
    /// # Errors
    /// As [`Change::open`]; and when the payload is packed and does not unpack, or to more
    /// than [`MAX_CHANGE_BYTES`].
    pub fn payload(&self) -> Result<(ChangeHeader, Cow<'_, [u8]>), DecodeError> {
        let (header, packed, payload) = self.read_body()?;
        Ok((header, unpacked(packed, payload)?))
    }

    /// The header, whether the payload is packed, and the payload.
    pub(crate) fn read_body(&self) -> Result<(ChangeHeader, bool, &[u8]), DecodeError> {
        if self.body.len() > MAX_CHANGE_BYTES {
            return Err(DecodeError::TooLong);
        }
        let (header, packed, payload) = ChangeHeader::read(&self.body)?;
        let countable = self.dot.seq.checked_add(header.slots).is_some();
        if header.slots == 0 || header.slots > MAX_CHANGE_SLOTS || !countable {
            return Err(DecodeError::Invalid("a change must take 1 to 2^32 - 1 slots"));
        }
        Ok((header, packed, payload))
    }

    /// How many slots the change says it takes, without looking at the rest of
    /// its header: enough for a change that was opened before.
    ///
    /// # Errors
    /// [`DecodeError`] when the body does not start with a number.
    pub fn slots(&self) -> Result<u64, DecodeError> {
        Ok(header::read_number(&self.body)?.0 >> header::FLAGS)
    }

    /// The chain after this change.
    #[must_use]
    pub fn chain_after(&self) -> Chain {
        Chain::after(self.dot, &self.body)
    }

    /// The replica that made the change.
    #[must_use]
    pub const fn replica(&self) -> ReplicaId {
        self.dot.replica
    }
}

/// The payload of a body, as [`Change::payload`] gives it.
pub(crate) fn unpacked(packed: bool, payload: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    match packed {
        true => packed::unpack(payload).map(Cow::Owned),
        false => Ok(Cow::Borrowed(payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(slots: u64, seq: u64) -> Change {
        let replica = ReplicaId::from_bytes([1; 16]);
        let deps = [(ReplicaId::from_bytes([2; 16]), 300)].into_iter().collect();
        let header = ChangeHeader {
            slots,
            hlc: Hlc(7 << 16),
            chain: Chain([3; 8]),
            deps,
            key: KeyId::PLAIN,
        };
        Change::new(Dot { replica, seq }, &header, b"payload")
    }

    #[test]
    fn a_change_opens_to_what_was_put_in() {
        let change = sample(1, 4);
        let (header, payload) = change.open().unwrap();
        assert_eq!(payload, b"payload");
        assert_eq!(header.hlc, Hlc(7 << 16));
        assert_eq!(change.slots(), Ok(header.slots));
        assert_eq!(header.deps.get(ReplicaId::from_bytes([2; 16])), 300);
        assert_eq!(change.body.len(), 1 + 6 + 8 + (1 + 18) + 7);
    }

    #[test]
    fn impossible_slot_counts_are_typed_errors() {
        assert!(sample(0, 4).open().is_err());
        assert!(sample(MAX_CHANGE_SLOTS + 1, 4).open().is_err());
        assert!(sample(2, u64::MAX - 1).open().is_err());
    }

    #[test]
    fn every_truncation_of_a_header_is_a_typed_error() {
        let change = sample(1, 4);
        for end in 0..change.body.len() - 7 {
            let cut = Change { dot: change.dot, body: change.body.slice(..end) };
            assert!(cut.open().is_err(), "{end} bytes");
        }
    }

    #[test]
    fn the_chain_tells_histories_apart() {
        assert_ne!(sample(1, 4).chain_after(), sample(1, 5).chain_after());
        assert_ne!(sample(1, 4).chain_after(), sample(2, 4).chain_after());
        assert_eq!(sample(1, 4).chain_after(), sample(1, 4).chain_after());
    }
}
