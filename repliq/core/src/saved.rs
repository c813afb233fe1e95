//! A value at rest: what `Storage::put` writes and `Storage::get` reads.

use crate::codec::{decode_prefix, decode_state_at_rest, try_encode_state_into};
use crate::{Crdt, DecodeError, Hlc, Standalone, Version, encode_into};

/// A value with what it takes to go on editing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved<C> {
    /// What the value has seen.
    pub version: Version,
    /// The last timestamp given out or seen.
    pub last: Hlc,
    /// The value.
    pub state: C,
}

/// Why a saved value does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It was written as another type, or by another encoding of this one.
    #[error("it holds a {found}, not a {expected}: open it as the type it was written as")]
    WrongKind {
        /// The [`Crdt::KIND`] it was written with.
        found: String,
        /// The [`Crdt::KIND`] asked for.
        expected: &'static str,
    },
    /// It does not decode.
    #[error("it is damaged: {0}")]
    Decode(#[from] DecodeError),
}

/// What can be saved: a [`Standalone`], or a bare value that will only be read.
pub trait Stored {
    /// Kind, version, last timestamp and state, one after the other.
    ///
    /// # Errors
    /// [`DecodeError`] when the value is nested deeper than can be read again.
    fn to_bytes(&self) -> Result<Vec<u8>, DecodeError>;
}

impl<C: Crdt> Stored for Standalone<C> {
    fn to_bytes(&self) -> Result<Vec<u8>, DecodeError> {
        write::<C>(self.version(), self.last(), self)
    }
}

impl<C: Crdt> Stored for C {
    fn to_bytes(&self) -> Result<Vec<u8>, DecodeError> {
        write(&Version::new(), Hlc(0), self)
    }
}

/// What a saved value loads as: a bare value for reading, or [`Saved`], which
/// [`Standalone::resume`] goes on with.
pub trait Loaded: Sized {
    /// Reads what [`Stored::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`LoadError`] when the bytes hold another type or are damaged.
    fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError>;
}

impl<C: Crdt> Loaded for Saved<C> {
    fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        let (found, rest) = decode_prefix::<String>(bytes)?;
        if found != C::KIND {
            return Err(LoadError::WrongKind { found, expected: C::KIND });
        }
        let ((version, last), rest) = decode_prefix(rest)?;
        Ok(Self { version, last, state: decode_state_at_rest(rest)? })
    }
}

impl<C: Crdt> Loaded for C {
    fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        Saved::from_bytes(bytes).map(|saved| saved.state)
    }
}

fn write<C: Crdt>(version: &Version, last: Hlc, state: &C) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    encode_into(C::KIND, &mut out);
    encode_into(&(version, last), &mut out);
    try_encode_state_into(state, &mut out)?;
    Ok(out)
}
