//! The letters that saved states are made of: numbers of 7 bits a byte, and byte
//! strings that are packed where that makes them shorter.
//!
//! Unpacking takes at most [`MOST`] times the memory of what is unpacked.

use super::Damage;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

/// What is shorter is not worth it.
const LEAST: usize = 32;

/// By how much packed bytes are shorter at most. Deflate could do a thousand times.
const MOST: usize = 64;

/// Higher levels take much longer for a few bytes.
const LEVEL: u8 = 3;

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
    let mut number = 0;
    for shift in (0..64).step_by(7) {
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
    }
    Err(Damage("a number is malformed"))
}

/// The same bytes, in less space where that is worth it.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if bytes.len() >= LEAST {
        let packed = compress_to_vec(bytes, LEVEL);
        if packed.len() < bytes.len() && bytes.len() / packed.len().max(1) < MOST {
            out.push(DEFLATED);
            write_number(&mut out, bytes.len() as u64);
            out.extend(packed);
            return out;
        }
    }
    out.push(PLAIN);
    out.extend(bytes);
    out
}

/// What [`pack`] was given.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Damage> {
    const DAMAGE: Damage = Damage("packed bytes are damaged");
    let (form, mut rest) = packed.split_first().ok_or(DAMAGE)?;
    match *form {
        PLAIN => Ok(rest.to_vec()),
        DEFLATED => {
            let len = usize::try_from(read_number(&mut rest)?).map_err(|_| DAMAGE)?;
            if len / MOST > rest.len() {
                return Err(Damage("packed bytes claim to be too long"));
            }
            let out = decompress_to_vec_with_limit(rest, len).map_err(|_| DAMAGE)?;
            if out.len() == len { Ok(out) } else { Err(DAMAGE) }
        }
        _ => Err(DAMAGE),
    }
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
            prop_assert_eq!(unpack(&pack(&bytes)), Ok(bytes));
        }

        #[test]
        fn damaged_packed_bytes_are_an_error_or_short(
            mut packed in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            if let Some(first) = packed.first_mut() {
                *first &= 1;
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
