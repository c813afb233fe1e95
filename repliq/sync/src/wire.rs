//! Frames: how messages become bytes and back.
//!
//! The first frame of each side starts with a magic and two version numbers
//! that every future version can read. Every later frame is a number, counted
//! from 1 in each direction, and one message in postcard.

use crate::error::SessionError;
use crate::message::{Hello, Message, PROTOCOL_NEWEST, PROTOCOL_OLDEST};
use bytes::Bytes;
use serde::Deserialize;

const MAGIC: [u8; 4] = *b"RPLQ";

/// A decoded frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Its number in its direction.
    pub number: u64,
    /// What it says.
    pub message: Message<'a>,
}

/// Writes a hello: magic, newest and oldest version (big-endian), then the
/// hello itself.
#[must_use]
pub fn encode_hello(hello: &Hello) -> Bytes {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&PROTOCOL_NEWEST.to_be_bytes());
    out.extend_from_slice(&PROTOCOL_OLDEST.to_be_bytes());
    repliq_core::encode_into(hello, &mut out);
    out.into()
}

/// Reads a hello.
///
/// # Errors
/// [`SessionError::NotRepliq`], [`SessionError::Version`], or
/// [`SessionError::Malformed`].
pub fn decode_hello(frame: &[u8]) -> Result<Hello, SessionError> {
    let rest = frame.strip_prefix(&MAGIC).ok_or(SessionError::NotRepliq)?;
    let [n0, n1, o0, o1, body @ ..] = rest else {
        return Err(SessionError::Malformed("a hello without versions"));
    };
    let their_newest = u16::from_be_bytes([*n0, *n1]);
    let their_oldest = u16::from_be_bytes([*o0, *o1]);
    if their_oldest > PROTOCOL_NEWEST || their_newest < PROTOCOL_OLDEST {
        return Err(SessionError::Version { their_oldest, their_newest });
    }
    repliq_core::decode(body).map_err(|_| SessionError::Malformed("a hello that does not decode"))
}

/// Whether a frame is a hello: no other frame starts with the magic, since no
/// message has the tag 80.
pub(crate) fn is_hello(frame: &[u8]) -> bool {
    frame.starts_with(&MAGIC)
}

/// Writes a frame.
#[must_use]
pub fn encode_frame(number: u64, message: &Message<'_>) -> Bytes {
    let mut out = repliq_core::encode(&number);
    repliq_core::encode_into(message, &mut out);
    out.into()
}

/// Reads a frame. No length is trusted: nothing larger than the frame is
/// allocated.
///
/// # Errors
/// [`SessionError::Malformed`].
pub fn decode_frame(frame: &[u8]) -> Result<Frame<'_>, SessionError> {
    let malformed = |_| SessionError::Malformed("a frame that does not decode");
    let (number, rest) = postcard::take_from_bytes(frame).map_err(malformed)?;
    let message = decode_message(rest)?;
    Ok(Frame { number, message })
}

pub(crate) fn decode_message(bytes: &[u8]) -> Result<Message<'_>, SessionError> {
    let mut input = postcard::Deserializer::from_bytes(bytes);
    let message = Message::deserialize(&mut input)
        .map_err(|_| SessionError::Malformed("a message that does not decode"))?;
    match input.finalize() {
        Ok([]) => Ok(message),
        _ => Err(SessionError::Malformed("bytes behind a message")),
    }
}
