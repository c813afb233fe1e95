//! The letters that saved states are made of: numbers of 7 bits a byte, and byte
//! strings that are packed where that makes them shorter.
//!
//! Unpacking takes at most [`MOST`] times the memory of what is unpacked.

use super::Damage;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_slice_iter_to_slice;

const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;
const LZ4: u8 = 2;

/// What is shorter is not worth it.
const LEAST: usize = 32;

/// By how much packed bytes are shorter at most. Both forms could do more.
const MOST: usize = 64;

/// How bytes are packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Packing {
    /// By LZ4: for what is read first. Takes a fourth of the time to unpack, and half
    /// as many bytes again.
    Quick,
    /// By deflate: for what may be read later.
    Small,
    /// By deflate with little search for what comes again: for numbers, where that
    /// finds little.
    Numbers,
}

pub(super) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Reads a number from the start of `bytes`.
#[inline]
pub(super) fn read_number(bytes: &mut &[u8]) -> Result<u64, Damage> {
    // Most are short.
    if let [byte, rest @ ..] = *bytes
        && *byte < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(*byte));
    }
    read_long_number(bytes)
}

fn read_long_number(bytes: &mut &[u8]) -> Result<u64, Damage> {
    let mut number = 0;
    let mut shift = 0;
    while shift < u64::BITS {
        let (byte, rest) = bytes.split_first().ok_or(Damage("a number is cut off"))?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
        shift += 7;
    }
    Err(Damage("a number is malformed"))
}

/// The same bytes, in less space where that is worth it.
pub(crate) fn pack(bytes: &[u8], packing: Packing) -> Vec<u8> {
    if bytes.len() >= LEAST {
        let mut out = vec![if packing == Packing::Quick { LZ4 } else { DEFLATED }];
        write_number(&mut out, bytes.len() as u64);
        let start = out.len();
        // Higher levels take much longer for a few bytes.
        match packing {
            Packing::Quick => {
                out.resize(start + get_maximum_output_size(bytes.len()), 0);
                let room = out.get_mut(start..).unwrap_or_default();
                // There is room enough, so there is no error.
                let len = compress_into(bytes, room).unwrap_or(bytes.len());
                out.truncate(start + len);
            }
            Packing::Small => out.extend(compress_to_vec(bytes, 2)),
            Packing::Numbers => out.extend(compress_to_vec(bytes, 1)),
        }
        if out.len() <= bytes.len() && bytes.len() / MOST <= out.len() - start {
            out.shrink_to_fit();
            return out;
        }
    }
    let mut out = Vec::with_capacity(1 + bytes.len());
    out.push(PLAIN);
    out.extend(bytes);
    out
}

const DAMAGE: Damage = Damage("packed bytes are damaged");

/// How long is what [`pack`] was given, as is claimed: not longer than may be.
pub(crate) fn unpacked_len(packed: &[u8]) -> Result<usize, Damage> {
    let (form, mut rest) = packed.split_first().ok_or(DAMAGE)?;
    if *form == PLAIN { Ok(rest.len()) } else { claimed_len(&mut rest) }
}

fn claimed_len(rest: &mut &[u8]) -> Result<usize, Damage> {
    let len = usize::try_from(read_number(rest)?).map_err(|_| DAMAGE)?;
    if len / MOST > rest.len() {
        return Err(Damage("packed bytes claim to be too long"));
    }
    Ok(len)
}

/// What [`pack`] was given.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Damage> {
    let (form, mut rest) = packed.split_first().ok_or(DAMAGE)?;
    if *form == PLAIN {
        return Ok(rest.to_vec());
    }
    let len = claimed_len(&mut rest)?;
    let mut out = vec![0; len];
    let unpacked = match *form {
        DEFLATED => {
            decompress_slice_iter_to_slice(&mut out, std::iter::once(rest), false, true).ok()
        }
        LZ4 => decompress_into(rest, &mut out).ok(),
        _ => None,
    };
    if unpacked == Some(len) { Ok(out) } else { Err(DAMAGE) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_packed_unpacks_to_the_same(
            bytes in prop::collection::vec(any::<u8>(), 0..300), times in 1_usize..300
        ) {
            let bytes = bytes.repeat(times);
            for packing in [Packing::Quick, Packing::Small, Packing::Numbers] {
                prop_assert!(unpack(&pack(&bytes, packing)).as_ref() == Ok(&bytes), "{packing:?}");
            }
        }

        #[test]
        fn damaged_packed_bytes_are_an_error_or_short(
            mut packed in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            if let Some(first) = packed.first_mut() {
                *first %= 3;
            }
            if let Ok(bytes) = unpack(&packed) {
                prop_assert!(bytes.len() <= (packed.len() + 1) * MOST);
            }
        }

        #[test]
        fn numbers_are_read_as_they_were_written(number in any::<u64>()) {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(read_number(&mut rest), Ok(number));
            prop_assert!(rest.is_empty());
        }
    }
}
