//! The header of a change as bytes: what is at its usual value takes none.
//!
//! It promises that every header reads as it was written, and that damage is a
//! typed error. It never looks at the payload.

use super::{Chain, ChangeHeader, KeyId};
use crate::{DecodeError, Hlc, ReplicaId, Version};

/// The first number of a header is `slots << FLAGS`, and in the lowest bits which of
/// the parts that may be left out follow.
pub(super) const FLAGS: u32 = 5;
/// The chain is not that of a replica's first change.
const CHAIN: u64 = 1;
/// There are deps.
const DEPS: u64 = 2;
/// The payload is sealed.
const KEY: u64 = 4;
/// The counter of the timestamp is not 0.
const COUNTER: u64 = 8;
/// The payload is packed.
const PACKED: u64 = 16;

impl ChangeHeader {
    /// The first number: which parts follow, and whether the payload is packed.
    fn first(&self, packed: bool) -> u64 {
        let flag = |set: bool, flag: u64| if set { flag } else { 0 };
        let flags = flag(self.chain != Chain::START, CHAIN)
            | flag(!self.deps.is_empty(), DEPS)
            | flag(self.key.is_sealed(), KEY)
            | flag(self.hlc.counter() != 0, COUNTER)
            | flag(packed, PACKED);
        // More slots than a change may take are refused by whoever opens it.
        self.slots.min(u64::MAX >> FLAGS) << FLAGS | flags
    }

    /// How many bytes it takes.
    pub(super) fn len(&self) -> usize {
        let first = self.first(false);
        let part = |flag: u64, len: usize| if first & flag == 0 { 0 } else { len };
        let entries: usize = self.deps.iter().map(|(_, count)| 16 + number_len(count)).sum();
        number_len(first)
            + 6
            + part(COUNTER, number_len(u64::from(self.hlc.counter())))
            + part(CHAIN, 8)
            + part(DEPS, number_len(self.deps.len() as u64) + entries)
            + part(KEY, number_len(u64::from(self.key.0)))
    }

    pub(super) fn write(&self, packed: bool, out: &mut Vec<u8>) {
        let first = self.first(packed);
        let has = |flag: u64| first & flag != 0;
        write_number(first, out);
        let [millis @ .., _, _] = self.hlc.0.to_be_bytes();
        out.extend_from_slice(&millis);
        if has(COUNTER) {
            write_number(u64::from(self.hlc.counter()), out);
        }
        if has(CHAIN) {
            out.extend_from_slice(&self.chain.0);
        }
        if has(DEPS) {
            write_number(self.deps.len() as u64, out);
            for (replica, count) in self.deps.iter() {
                out.extend_from_slice(replica.as_bytes());
                write_number(count, out);
            }
        }
        if has(KEY) {
            write_number(u64::from(self.key.0), out);
        }
    }

    /// The header, whether the payload is packed, and the payload.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, bool, &[u8]), DecodeError> {
        let (first, rest) = read_number(bytes)?;
        let has = |flag: u64| first & flag != 0;
        let (&[a, b, c, d, e, f], mut rest) = take::<6>(rest)?;
        let mut hlc = u64::from_be_bytes([a, b, c, d, e, f, 0, 0]);
        let (mut chain, mut deps, mut key) = (Chain::START, Version::new(), KeyId::PLAIN);
        if has(COUNTER) {
            let (counter, after) = read_number(rest)?;
            let counter = u16::try_from(counter).map_err(|_| OUT_OF_RANGE)?;
            (hlc, rest) = (hlc | u64::from(counter), after);
        }
        if has(CHAIN) {
            let (before, after) = take::<8>(rest)?;
            (chain, rest) = (Chain(*before), after);
        }
        if has(DEPS) {
            (deps, rest) = read_version(rest)?;
        }
        if has(KEY) {
            let (id, after) = read_number(rest)?;
            (key, rest) = (KeyId(u32::try_from(id).map_err(|_| OUT_OF_RANGE)?), after);
        }
        Ok((Self { slots: first >> FLAGS, hlc: Hlc(hlc), chain, deps, key }, has(PACKED), rest))
    }
}

/// Reads a version as the codec writes it.
fn read_version(bytes: &[u8]) -> Result<(Version, &[u8]), DecodeError> {
    let (count, mut rest) = read_number(bytes)?;
    let count = usize::try_from(count).map_err(|_| DecodeError::TooLong)?;
    if count > rest.len() / 17 {
        return Err(DecodeError::TooLong);
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let (replica, after) = take::<16>(rest)?;
        let (held, after) = read_number(after)?;
        entries.push((ReplicaId::from_bytes(*replica), held));
        rest = after;
    }
    Ok((entries.into_iter().collect(), rest))
}

const OUT_OF_RANGE: DecodeError = DecodeError::Invalid("a number is out of range");

/// Appends a number, seven bits a byte, the lowest first: as everywhere in Repliq.
#[inline]
pub(super) fn write_number(number: u64, out: &mut Vec<u8>) {
    if number < 0x80 {
        out.push((number & 0x7f) as u8);
    } else {
        write_long_number(number, out);
    }
}

fn write_long_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// How many bytes [`write_number`] takes.
pub(super) const fn number_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

#[inline]
pub(super) fn read_number(bytes: &[u8]) -> Result<(u64, &[u8]), DecodeError> {
    match bytes.split_first() {
        Some((&byte @ 0..0x80, rest)) => Ok((u64::from(byte), rest)),
        _ => read_long_number(bytes),
    }
}

fn read_long_number(bytes: &[u8]) -> Result<(u64, &[u8]), DecodeError> {
    let mut number = 0_u64;
    let mut rest = bytes;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(DecodeError::Truncated)?;
        rest = after;
        if shift == 63 && byte > 1 {
            break;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((number, rest));
        }
    }
    Err(DecodeError::Invalid("a number is malformed"))
}

pub(super) fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), DecodeError> {
    bytes.split_first_chunk().ok_or(DecodeError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::decode_prefix;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_header_reads_as_it_was_written_and_no_part_of_it_does(
            slots in 0_u64..=u64::MAX >> FLAGS,
            hlc in prop_oneof![any::<u64>(), any::<u64>().prop_map(|hlc| hlc >> 16 << 16)],
            chain in prop_oneof![Just([0; 8]), any::<[u8; 8]>()],
            deps in prop::collection::vec((any::<[u8; 16]>(), 1_u64..), 0..4),
            key in prop_oneof![Just(0), any::<u32>()],
            packed in any::<bool>(),
        ) {
            let deps = deps.into_iter().map(|(id, count)| (ReplicaId::from_bytes(id), count));
            let (chain, key) = (Chain(chain), KeyId(key));
            let header = ChangeHeader { slots, hlc: Hlc(hlc), chain, deps: deps.collect(), key };
            let mut bytes = Vec::new();
            header.write(packed, &mut bytes);
            prop_assert_eq!(bytes.len(), header.len());
            for end in 0..bytes.len() {
                prop_assert!(ChangeHeader::read(&bytes[..end]).is_err());
            }
            bytes.push(7);
            prop_assert_eq!(ChangeHeader::read(&bytes), Ok((header, packed, &[7][..])));
        }

        #[test]
        fn numbers_are_those_of_the_codec(number in any::<u64>()) {
            let mut bytes = Vec::new();
            write_number(number, &mut bytes);
            prop_assert_eq!(&bytes, &crate::encode(&number));
            prop_assert_eq!(read_number(&bytes), Ok((number, &[][..])));
        }

        #[test]
        fn malformed_numbers_are_typed_errors(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            prop_assert_eq!(
                read_number(&bytes).ok().map(|(number, rest)| (number, rest.len())),
                decode_prefix::<u64>(&bytes).ok().map(|(number, rest)| (number, rest.len())),
            );
        }
    }
}
