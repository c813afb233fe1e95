//! Large payloads, packed: typed text takes half as much or less.
//!
//! It promises that what was packed unpacks to the same, and that unpacking takes no
//! more memory than a change may, nor more than [`RATIO`] times what came in: a few bytes
//! from a stranger stay a few. Small payloads, as that of a keystroke, and very large ones are left alone.

use super::MAX_CHANGE_BYTES;
use crate::DecodeError;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use std::ops::RangeInclusive;

/// How large payloads are that are packed, in bytes: smaller ones gain little, larger ones
/// would hold up their author for longer than some 30 ms.
const WORTHWHILE: RangeInclusive<usize> = 512..=1 << 20;

/// How many times as large as it came a payload may be.
const RATIO: usize = 64;

/// How hard to try, of 10: beyond it takes longer for little.
const EFFORT: u8 = 6;

/// The payload packed, if that is worth it.
pub(super) fn pack(payload: &[u8]) -> Option<Vec<u8>> {
    if !WORTHWHILE.contains(&payload.len()) {
        return None;
    }
    let packed = compress_to_vec(payload, EFFORT);
    let saves = packed.len() <= payload.len() / 8 * 7;
    (saves && payload.len() <= limit(&packed)).then_some(packed)
}

pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, DecodeError> {
    decompress_to_vec_with_limit(packed, limit(packed))
        .map_err(|_| DecodeError::Invalid("the payload does not unpack"))
}

fn limit(packed: &[u8]) -> usize {
    packed.len().saturating_mul(RATIO).min(MAX_CHANGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_the_same_and_is_smaller(
            words in prop::collection::vec("[a-c]{1,5}|.{3}", 0..900)
        ) {
            let payload = words.join(" ").into_bytes();
            if let Some(packed) = pack(&payload) {
                prop_assert!(packed.len() < payload.len());
                prop_assert_eq!(unpack(&packed), Ok(payload));
            } else {
                prop_assert!(payload.len() < 4096);
            }
        }

        #[test]
        fn what_was_not_packed_is_a_typed_error_or_bounded(
            bytes in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            if let Ok(payload) = unpack(&bytes) {
                prop_assert!(payload.len() <= bytes.len() * RATIO);
            }
        }
    }

    #[test]
    fn what_would_unpack_to_too_much_is_not_packed_and_not_unpacked() {
        assert_eq!(pack(&[0; 100_000]), None);
        assert_eq!(pack(&b"some words or other ".repeat(100_000)), None);
        let bomb = compress_to_vec(&[0; 100_000], EFFORT);
        assert!(bomb.len() * RATIO < 100_000);
        assert!(unpack(&bomb).is_err());
        let large = compress_to_vec(&vec![b'a'; MAX_CHANGE_BYTES + 1], 0);
        assert!(unpack(&large).is_err());
    }
}
