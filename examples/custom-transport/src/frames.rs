//! What is on the wire: a greeting, then frames, then a farewell.
//!
//! The greeting is 8 bytes and names protocol and version. A frame is its length, 4
//! bytes little-endian, and that many bytes; the length 2^32 - 1 is the farewell.
//! Without one the end of the stream is a lost peer, for a killed process closes its
//! sockets like any other.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use repliq_core::{MAX_FRAME_BYTES, TransportError, TransportErrorKind};
use std::io;
use tokio_util::codec::{Decoder, Encoder};

const GREETING: [u8; 8] = *b"repliq\0\x01";
const FAREWELL: u32 = u32::MAX;

/// What is written.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Frame(Bytes),
    Farewell,
}

/// What is read.
#[derive(Debug)]
pub(crate) enum Incoming {
    Frame(Bytes),
    Farewell,
}

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Lost(#[from] io::Error),
    #[error("{0} bytes")]
    TooLarge(usize),
    #[error("it does not greet like Repliq, or like a newer one")]
    Stranger,
}

impl Broken {
    pub(crate) fn told(&self) -> TransportError {
        let kind = match self {
            Self::Lost(_) => TransportErrorKind::Lost,
            Self::TooLarge(_) => TransportErrorKind::TooLarge,
            Self::Stranger => TransportErrorKind::Protocol,
        };
        TransportError::new(kind, self.to_string())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Frames {
    greeted: bool,
}

impl Encoder<Outgoing> for Frames {
    type Error = Broken;

    fn encode(&mut self, item: Outgoing, wire: &mut BytesMut) -> Result<(), Broken> {
        if !std::mem::replace(&mut self.greeted, true) {
            wire.put_slice(&GREETING);
        }
        match item {
            Outgoing::Farewell => wire.put_u32_le(FAREWELL),
            Outgoing::Frame(frame) => {
                let length =
                    u32::try_from(frame.len()).map_err(|_| Broken::TooLarge(frame.len()))?;
                wire.reserve(frame.len() + size_of::<u32>());
                wire.put_u32_le(length);
                wire.put_slice(&frame);
            }
        }
        Ok(())
    }
}

impl Decoder for Frames {
    type Item = Incoming;
    type Error = Broken;

    fn decode(&mut self, wire: &mut BytesMut) -> Result<Option<Incoming>, Broken> {
        if !self.greeted {
            let Some(greeting) = wire.first_chunk() else { return Ok(None) };
            if *greeting != GREETING {
                return Err(Broken::Stranger);
            }
            wire.advance(GREETING.len());
            self.greeted = true;
        }
        let Some(length) = wire.first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length);
        if length == FAREWELL {
            return Ok(Some(Incoming::Farewell));
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // Nothing is reserved for it: memory follows what arrives.
        if length > MAX_FRAME_BYTES {
            return Err(Broken::TooLarge(length));
        }
        if wire.len() < size_of::<u32>() + length {
            return Ok(None);
        }
        wire.advance(size_of::<u32>());
        Ok(Some(Incoming::Frame(wire.split_to(length).freeze())))
    }
}
