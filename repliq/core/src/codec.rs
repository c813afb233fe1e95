//! Postcard with bounds: how everything of Repliq is written and read.

use crate::bounded::{Bounded, Limits};
use crate::framing;
use crate::nested::{Levels, Nested};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;

/// How deeply a decoded value may be nested: 64 levels. Decoding recurses once
/// a level, and 240 KB of nested values overflow a thread's stack otherwise.
pub const MAX_NESTING: usize = 64;

/// Why bytes do not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end in the middle of a value.
    #[error("the data ends in the middle of a value; it was cut off")]
    Truncated,
    /// Bytes are left after the value.
    #[error("{0} bytes follow the value; it was written by something else")]
    Trailing(usize),
    /// A value is nested deeper than [`MAX_NESTING`].
    #[error("the value is nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// A length is larger than its limit, or than what the input could hold.
    #[error("a length in the data is over its limit")]
    TooLong,
    /// The bytes are not a value of this type.
    #[error("the data is not a value of the expected type: {0}")]
    Invalid(&'static str),
    /// A field of a struct of CRDTs was written as another type than it has.
    #[error(
        "the field with tag {tag} was written as another type than {expected}: give a field that \
         changes its type a new tag, and retire the old one"
    )]
    WrongField {
        /// The tag of the field.
        tag: u32,
        /// The [`Crdt::KIND`](crate::Crdt::KIND) of the field.
        expected: &'static str,
    },
}

/// Appends the encoding of `value` to `out`.
///
/// # Panics
/// When the `Serialize` of `value` fails or gives a sequence without a length;
/// neither happens with derived implementations.
#[allow(clippy::expect_used, reason = "a promise of the type's author, not of data")]
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let taken = std::mem::take(out);
    *out = postcard::to_extend(value, taken).expect("the type's Serialize must not fail");
}

/// Most of what is encoded fits in here, without growing on the way.
const USUAL_BYTES: usize = 32;

/// The encoding of `value`.
///
/// # Panics
/// As [`encode_into`].
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    encode_into(value, &mut out);
    out
}

/// As [`encode_into`], for values that a user made: what [`decode`] would not
/// take for its nesting is refused, however deep it is. `out` then holds any
/// part of it.
///
/// # Errors
/// [`DecodeError::TooDeep`], or [`DecodeError::Invalid`] when the value does not
/// serialize.
pub fn try_encode_into<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    encode_within(value, out, MAX_NESTING)
}

/// As [`try_encode_into`], for what [`decode_state`] reads.
pub(crate) fn try_encode_state_into<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    encode_within(value, out, 2 * MAX_NESTING)
}

fn encode_within<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    nesting: usize,
) -> Result<(), DecodeError> {
    let levels = Levels::new(nesting);
    let _ = framing::cause();
    let taken = std::mem::take(out);
    match postcard::to_extend(&Nested::new(value, &levels), taken) {
        Ok(encoded) => {
            *out = encoded;
            Ok(())
        }
        Err(_) if levels.exceeded() => Err(DecodeError::TooDeep),
        Err(_) => {
            let unwritten = DecodeError::Invalid("its type does not serialize it");
            Err(framing::cause().unwrap_or(unwritten))
        }
    }
}

/// Decodes a value that takes up all of `bytes`.
///
/// Nesting is limited to [`MAX_NESTING`] levels, and no more elements are
/// visited than the input has bytes a level, so time and memory are bounded by the
/// input. (A sequence of values of zero bytes must not be longer than that.)
///
/// # Errors
/// [`DecodeError`]; nothing but the error comes of bad input.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = decode_prefix(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(rest.len())) }
}

/// As [`decode`], for the state of a document: it has its own levels around
/// those of the values in it, so twice as many are let in.
///
/// # Errors
/// As [`decode`].
pub fn decode_state<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = decode_within(bytes, 2 * MAX_NESTING)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(rest.len())) }
}

thread_local! {
    static AT_REST: Cell<bool> = const { Cell::new(false) };
}

/// As [`decode_state`], for a state that its own reader has written: a type may
/// put off what reading does not need (see [`decodes_at_rest`]).
pub(crate) fn decode_state_at_rest<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            AT_REST.set(self.0);
        }
    }
    let _before = Before(AT_REST.replace(true));
    decode_state(bytes)
}

/// Whether what this thread is decoding is a value that was saved here: asked by a
/// type in its `Deserialize`. What reading does not need may then be put off, and
/// be checked when it is asked for: opening costs what is seen of it. What comes
/// from a peer must be checked at once, before anything is built on it.
#[must_use]
pub fn decodes_at_rest() -> bool {
    AT_REST.get()
}

/// Decodes a value from the start of `bytes` and returns it with what follows.
pub(crate) fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    decode_within(bytes, MAX_NESTING)
}

fn decode_within<T: DeserializeOwned>(
    bytes: &[u8],
    nesting: usize,
) -> Result<(T, &[u8]), DecodeError> {
    // A byte belongs to at most one element a level: a pair in a list is counted
    // as itself and for its parts. So no value that has bytes runs out.
    let elements = bytes.len().saturating_add(16).saturating_mul(nesting);
    let limits = Limits::new(nesting, elements);
    let _ = framing::cause();
    let mut inner = postcard::Deserializer::from_bytes(bytes);
    let value = T::deserialize(Bounded::new(&mut inner, &limits)).map_err(|error| {
        framing::cause().or_else(|| limits.exceeded()).unwrap_or(match error {
            postcard::Error::DeserializeUnexpectedEnd => DecodeError::Truncated,
            postcard::Error::DeserializeBadUtf8 => DecodeError::Invalid("text is not UTF-8"),
            postcard::Error::DeserializeBadVarint => DecodeError::Invalid("a number is malformed"),
            postcard::Error::DeserializeBadBool
            | postcard::Error::DeserializeBadOption
            | postcard::Error::DeserializeBadEnum => DecodeError::Invalid("a tag is unknown"),
            _ => DecodeError::Invalid("its parts do not fit together"),
        })
    })?;
    let rest = inner.finalize().map_err(|_| DecodeError::Truncated)?;
    Ok((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Nested {
        Leaf(u32),
        List(Vec<Nested>),
        Boxed(Box<Nested>),
        Maybe(Option<Box<Nested>>),
        Pair { left: Box<Nested>, text: String },
    }

    fn values() -> impl Strategy<Value = Nested> {
        any::<u32>().prop_map(Nested::Leaf).prop_recursive(6, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Nested::List),
                inner.clone().prop_map(|value| Nested::Boxed(Box::new(value))),
                prop::option::of(inner.clone().prop_map(Box::new)).prop_map(Nested::Maybe),
                (inner, ".{0,8}")
                    .prop_map(|(value, text)| Nested::Pair { left: Box::new(value), text }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_to_the_same(value in values()) {
            prop_assert_eq!(decode::<Nested>(&encode(&value)).unwrap(), value);
        }

        #[test]
        fn every_prefix_is_refused_and_every_extension_too(value in values()) {
            let bytes = encode(&value);
            for end in 0..bytes.len() {
                prop_assert!(decode::<Nested>(&bytes[..end]).is_err());
            }
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert_eq!(decode::<Nested>(&longer), Err(DecodeError::Trailing(1)));
        }

        #[test]
        fn garbage_is_an_error_or_a_value_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = decode::<Nested>(&bytes);
            let _ = decode::<Vec<String>>(&bytes);
        }
    }

    #[test]
    fn a_value_nested_a_million_deep_is_refused() {
        let bytes = vec![2_u8; 1_000_000];
        assert_eq!(decode::<Nested>(&bytes), Err(DecodeError::TooDeep));
    }

    proptest! {
        #[test]
        fn exactly_what_can_be_read_can_be_written(
            steps in prop::collection::vec(0_u8..4, 0..45)
        ) {
            let wrap = |inner: Nested, step: &u8| match step {
                0 => Nested::List(vec![inner]),
                1 => Nested::Boxed(Box::new(inner)),
                2 => Nested::Maybe(Some(Box::new(inner))),
                _ => Nested::Pair { left: Box::new(inner), text: String::new() },
            };
            let value = steps.iter().fold(Nested::Leaf(1), wrap);
            let mut written = vec![7];
            let result = try_encode_into(&value, &mut written);
            match decode::<Nested>(&encode(&value)) {
                Ok(_) => {
                    prop_assert_eq!(result, Ok(()));
                    prop_assert_eq!(&written[1..], encode(&value));
                }
                Err(error) => {
                    prop_assert_eq!(&error, &DecodeError::TooDeep);
                    prop_assert_eq!(result, Err(error));
                    prop_assert_eq!(decode_state::<Nested>(&encode(&value)), Ok(value));
                }
            }
        }
    }

    #[test]
    fn a_length_of_quintillions_is_refused_before_it_is_allocated_or_walked() {
        let mut bytes = vec![0xff; 9];
        bytes.push(0x01);
        assert!(decode::<Vec<u64>>(&bytes).is_err());
        assert_eq!(decode::<Vec<()>>(&bytes), Err(DecodeError::TooLong));
        assert!(decode::<String>(&bytes).is_err());
    }

    #[test]
    fn a_list_of_small_structures_is_within_the_bounds() {
        let pairs = vec![(1_u8, (true, 2_u8)); 1000];
        assert_eq!(decode::<Vec<(u8, (bool, u8))>>(&encode(&pairs)), Ok(pairs));
    }
}
