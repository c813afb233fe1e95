//! Effects and frames on their way out.
//!
//! Frames are numbered in the order they are sent, and none is larger than the
//! peer takes: what is larger goes in fragments. Nothing is ever dropped or
//! reordered here.

use crate::contract::Effect;
use crate::message::Message;
use crate::wire::encode_frame;
use bytes::Bytes;

/// The largest frame we send and take: 256 KiB.
pub(crate) const MAX_FRAME: u32 = 256 << 10;
/// The smallest limit a peer may set for frames.
pub(crate) const MIN_FRAME: u32 = 1 << 10;
/// What a fragment needs besides its bytes.
const FRAGMENT_OVERHEAD: usize = 32;

pub(crate) struct Output {
    pub(crate) effects: Vec<Effect>,
    next_frame: u64,
    pub(crate) max_frame: usize,
}

/// Which frames a message went out in.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// The number of the last one.
    pub(crate) last: u64,
    /// How many there were before it.
    pub(crate) before_last: u64,
}

impl Output {
    pub(crate) const fn new() -> Self {
        Self { effects: Vec::new(), next_frame: 1, max_frame: MAX_FRAME as usize }
    }

    /// The number of the last frame that was sent.
    pub(crate) const fn last_frame(&self) -> u64 {
        self.next_frame - 1
    }

    /// Sends a message, in fragments if it is larger than a frame.
    pub(crate) fn send(&mut self, message: &Message<'_>) -> Sent {
        let first = self.next_frame;
        let frame = encode_frame(first, message);
        if frame.len() <= self.max_frame {
            self.send_frame(frame);
        } else {
            let whole = repliq_core::encode(message);
            let mut parts = whole.chunks(self.max_frame - FRAGMENT_OVERHEAD).peekable();
            while let Some(bytes) = parts.next() {
                let message = Message::Fragment { last: parts.peek().is_none(), bytes };
                self.send_frame(encode_frame(self.next_frame, &message));
            }
        }
        Sent { last: self.last_frame(), before_last: self.last_frame() - first }
    }

    fn send_frame(&mut self, frame: Bytes) {
        self.effects.push(Effect::Send(frame));
        self.next_frame += 1;
    }
}
