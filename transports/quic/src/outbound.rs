//! What leaves on a stream: frames in the order they were taken, small ones of a burst
//! together.
//!
//! It promises that a frame is taken whole or not at all, that what was taken is written
//! even when the call that gave it is dropped, and that at most one frame and 16 KiB
//! wait here. The sender and the task beside the connection both write; whoever holds
//! the lock does.

use crate::error::of_writing;
use bytes::{BufMut, Bytes, BytesMut};
use quinn::{SendStream, StoppedError, VarInt};
use repliq_core::TransportError;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, MutexGuard, Notify};

/// Frames up to this size are copied to stand beside their length, which is cheaper
/// than a piece of their own.
const COPIED: usize = 4 << 10;
/// From how many bytes gathered frames are written by the sender itself.
const GATHERED: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Outbound {
    queue: Mutex<Queue>,
    /// There is something to do for the task beside the connection.
    wanted: Notify,
    /// The next frame is written at once, for its latency; in a burst frames gather.
    eager: AtomicBool,
    /// Nothing will be sent any more.
    dropped: AtomicBool,
}

#[derive(Debug)]
struct Queue {
    stream: SendStream,
    /// Pieces that are written next.
    pieces: [Bytes; 2],
    /// Small frames with their lengths, after those.
    gathered: BytesMut,
    /// How many frames were gathered since they were last written.
    frames: u32,
}

impl Outbound {
    pub(crate) fn new(stream: SendStream) -> Self {
        let gathered = BytesMut::new();
        Self {
            queue: Mutex::new(Queue { stream, pieces: Default::default(), gathered, frames: 0 }),
            wanted: Notify::new(),
            eager: AtomicBool::new(true),
            dropped: AtomicBool::new(false),
        }
    }

    async fn lock(&self) -> Writing<'_> {
        Writing { queue: self.queue.lock().await, wanted: &self.wanted }
    }

    /// Takes a frame with its length, and sees to it that it leaves.
    pub(crate) async fn send(&self, length: u32, frame: Bytes) -> Result<(), TransportError> {
        let mut writing = self.lock().await;
        let queue = &mut *writing.queue;
        if queue.gathered.len() >= GATHERED || queue.has_pieces() || frame.len() > COPIED {
            queue.flush().await?;
        }
        queue.gathered.put_u32(length);
        if frame.len() > COPIED {
            queue.pieces = [queue.gathered.split().freeze(), frame];
            return queue.flush().await;
        }
        queue.gathered.put(frame);
        queue.frames += 1;
        if self.eager.swap(false, Ordering::Relaxed) || queue.gathered.len() >= GATHERED {
            return queue.flush().await;
        }
        Ok(())
    }

    /// Takes a length that no frame has.
    pub(crate) async fn take_sign(&self, sign: u32) {
        self.lock().await.queue.gathered.put_u32(sign);
    }

    /// Writes everything.
    pub(crate) async fn flush(&self) -> Result<(), TransportError> {
        self.lock().await.queue.flush().await
    }

    /// Writes everything and ends the stream.
    pub(crate) async fn finish(&self) -> Result<(), TransportError> {
        let queue = &mut *self.lock().await.queue;
        queue.flush().await?;
        // It fails only on a stream that was finished.
        let _ = queue.stream.finish();
        Ok(())
    }

    /// Waits until the peer has all of the finished stream, or wants no more of it.
    pub(crate) async fn stopped(&self) -> Result<Option<VarInt>, StoppedError> {
        let stopped = self.queue.lock().await.stream.stopped();
        stopped.await
    }

    /// Whoever waits for an answer wants the next question to leave at once.
    pub(crate) fn be_eager(&self) {
        self.eager.store(true, Ordering::Relaxed);
    }

    /// Tells the task beside the connection that nothing will be sent any more.
    pub(crate) fn drop_sender(&self) {
        self.dropped.store(true, Ordering::SeqCst);
        self.wanted.notify_one();
    }

    /// Writes what a burst of sends left behind, for as long as the sender lives; then
    /// ends the stream. Errors are the sender's to tell.
    pub(crate) async fn keep_writing(&self) {
        loop {
            self.wanted.notified().await;
            let mut queue = self.queue.lock().await;
            if queue.frames == 1 {
                self.be_eager();
            }
            let _ = queue.flush().await;
            drop(queue);
            if self.dropped.load(Ordering::SeqCst) {
                let _ = self.finish().await;
                return;
            }
        }
    }
}

/// The right to write. What is left when it is given up, or when the call that had it is
/// dropped, is for the task beside the connection.
struct Writing<'a> {
    queue: MutexGuard<'a, Queue>,
    wanted: &'a Notify,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if self.queue.has_pieces() || !self.queue.gathered.is_empty() {
            self.wanted.notify_one();
        }
    }
}

impl Queue {
    fn has_pieces(&self) -> bool {
        self.pieces.iter().any(|piece| !piece.is_empty())
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        loop {
            let Some(first) = self.pieces.iter().position(|piece| !piece.is_empty()) else {
                if self.gathered.is_empty() {
                    return Ok(());
                }
                self.pieces = [self.gathered.split().freeze(), Bytes::new()];
                self.frames = 0;
                continue;
            };
            let rest = self.pieces.get_mut(first..).unwrap_or_default();
            self.stream.write_chunks(rest).await.map_err(|error| of_writing(&error))?;
        }
    }
}
