//! The two halves of a connection: a bounded queue of frames each way.
//!
//! A queue whose sender closed it ends cleanly; one whose sender was dropped ends
//! as lost, after what was sent. No half ever waits for the other half of its own
//! side.

use bytes::Bytes;
use repliq_core::{
    Connection, FrameReceiver, FrameSender, MAX_FRAME_BYTES, Peer, TransportError,
    TransportErrorKind,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::coop::consume_budget;

/// How many frames wait in one direction before `send` waits.
const QUEUED_FRAMES: usize = 16;

/// The sending half of an in-process connection.
#[derive(Debug)]
pub struct MemorySender {
    /// Nothing once this side was closed.
    frames: Option<mpsc::Sender<Bytes>>,
    closed: Arc<AtomicBool>,
}

/// The receiving half of an in-process connection.
#[derive(Debug)]
pub struct MemoryReceiver {
    frames: mpsc::Receiver<Bytes>,
    closed: Arc<AtomicBool>,
}

/// Both ends of a new connection.
pub(crate) fn pair()
-> (Connection<MemorySender, MemoryReceiver>, Connection<MemorySender, MemoryReceiver>) {
    let (near_sender, far_receiver) = direction();
    let (far_sender, near_receiver) = direction();
    let end = |sender, receiver| Connection { sender, receiver, peer: Peer::Anonymous };
    (end(near_sender, near_receiver), end(far_sender, far_receiver))
}

fn direction() -> (MemorySender, MemoryReceiver) {
    let (sender, receiver) = mpsc::channel(QUEUED_FRAMES);
    let closed = Arc::new(AtomicBool::new(false));
    (
        MemorySender { frames: Some(sender), closed: Arc::clone(&closed) },
        MemoryReceiver { frames: receiver, closed },
    )
}

impl FrameSender for MemorySender {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        let frames = self.frames.as_ref().ok_or(TransportErrorKind::Closed)?;
        if frame.len() > MAX_FRAME_BYTES {
            return Err(TransportErrorKind::TooLarge.into());
        }
        consume_budget().await;
        match frames.try_send(frame) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(frame)) => {
                frames.send(frame).await.map_err(|_| TransportErrorKind::Lost.into())
            }
            Err(TrySendError::Closed(_)) => Err(TransportErrorKind::Lost.into()),
        }
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        // Before the queue ends: the receiver looks at it only after that.
        self.closed.store(true, Ordering::Release);
        self.frames = None;
        Ok(())
    }
}

impl FrameReceiver for MemoryReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        match self.frames.recv().await {
            Some(frame) => Ok(Some(frame)),
            None if self.closed.load(Ordering::Acquire) => Ok(None),
            None => Err(TransportErrorKind::Lost.into()),
        }
    }
}
