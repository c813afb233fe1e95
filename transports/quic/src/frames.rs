//! Frames in a stream of bytes: a length as four bytes, big-endian, then as many
//! bytes. Two lengths that no frame has are signs of their own.
//!
//! It promises to refuse an oversized frame before it is allocated, and to keep no
//! more than one chunk and one frame. What arrives in pieces is put together, so
//! whoever waits for a frame may stop waiting at any time.

use bytes::{Buf, Bytes};
use repliq_core::MAX_FRAME_BYTES;

/// The first thing each side sends: a stream nobody has written to is unknown to
/// the peer.
pub(crate) const HELLO: u32 = u32::MAX - 1;
/// The last thing a side sends that closes. A stream that ends without it was
/// broken off.
pub(crate) const END: u32 = u32::MAX;

/// What a stream carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Item {
    Hello,
    Frame(Bytes),
    End,
}

/// A frame of this length is over the maximum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Oversized(pub(crate) u32);

#[derive(Default, Debug)]
pub(crate) struct Frames {
    chunk: Bytes,
    header: Vec<u8>,
    /// A frame that spans chunks, and how long it will be.
    frame: Option<(Vec<u8>, usize)>,
}

impl Frames {
    /// Takes what arrived; the last chunk has to be used up.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// The next item, or nothing until more arrives.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, Oversized> {
        if self.frame.is_none() {
            let Some(length) = self.length() else {
                return Ok(None);
            };
            match length {
                HELLO => return Ok(Some(Item::Hello)),
                END => return Ok(Some(Item::End)),
                _ => {}
            }
            let whole = usize::try_from(length).unwrap_or(usize::MAX);
            if whole > MAX_FRAME_BYTES {
                return Err(Oversized(length));
            }
            // Copied, because a chunk keeps all that was received with it alive.
            if let Some(frame) = self.chunk.get(..whole) {
                let frame = Bytes::copy_from_slice(frame);
                self.chunk.advance(whole);
                return Ok(Some(Item::Frame(frame)));
            }
            self.frame = Some((Vec::with_capacity(whole), whole));
        }
        let Some((mut frame, whole)) = self.frame.take() else {
            return Ok(None);
        };
        let more = self.chunk.len().min(whole - frame.len());
        frame.extend_from_slice(&self.chunk.split_to(more));
        if frame.len() == whole {
            return Ok(Some(Item::Frame(frame.into())));
        }
        self.frame = Some((frame, whole));
        Ok(None)
    }

    fn length(&mut self) -> Option<u32> {
        let missing = self.chunk.len().min(4 - self.header.len());
        self.header.extend_from_slice(&self.chunk.split_to(missing));
        let length = u32::from_be_bytes(*self.header.first_chunk()?);
        self.header.clear();
        Some(length)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(chunks: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<Item>, Oversized> {
        let (mut frames, mut items) = (Frames::default(), Vec::new());
        for chunk in chunks {
            frames.push(chunk.into());
            while let Some(item) = frames.next()? {
                items.push(item);
            }
        }
        Ok(items)
    }

    #[test]
    fn an_oversized_length_is_refused_before_its_bytes_come() {
        for length in [u32::try_from(MAX_FRAME_BYTES).unwrap() + 1, 1 << 31, HELLO - 1] {
            assert_eq!(items([length.to_be_bytes().to_vec()]), Err(Oversized(length)));
        }
    }

    proptest! {
        #[test]
        fn frames_in_any_pieces_are_put_together(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10),
            pieces in prop::collection::vec(1usize..30, 1..20),
        ) {
            let mut bytes = HELLO.to_be_bytes().to_vec();
            let mut expected = vec![Item::Hello];
            for frame in sent {
                bytes.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
                bytes.extend(&frame);
                expected.push(Item::Frame(frame.into()));
            }
            bytes.extend(END.to_be_bytes());
            expected.push(Item::End);
            let mut pieces = pieces.into_iter().cycle();
            let mut chunks = Vec::new();
            while !bytes.is_empty() {
                let rest = bytes.split_off(pieces.next().unwrap().min(bytes.len()));
                chunks.push(std::mem::replace(&mut bytes, rest));
            }
            prop_assert_eq!(items(chunks), Ok(expected));
        }
    }
}
