//! The two halves a program holds.
//!
//! Both work on one [`Link`]; dropping a half tells the link's keeper, which
//! still delivers what was sent. No half ever holds the link across an await.

use crate::Timing;
use crate::keeper::Keeper;
use crate::link::{Half, Link};
use crate::wire::Wire;
use bytes::Bytes;
use repliq_core::{
    Connection, FrameReceiver, FrameSender, MAX_FRAME_BYTES, Peer, TransportError,
    TransportErrorKind,
};
use std::future::poll_fn;
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;

/// The sending half of a WebSocket connection.
///
/// Frames sent in a row leave together: the first at once, the others as soon as
/// the sending task waits for something, or when 128 KiB have gathered. Dropping
/// it without a close still delivers what was sent, then the peer sees the
/// connection lost.
#[derive(Debug)]
pub struct WebSocketSender {
    link: Arc<Link>,
}

/// The receiving half of a WebSocket connection.
///
/// Once it is dropped, what the peer still sends is thrown away.
#[derive(Debug)]
pub struct WebSocketReceiver {
    link: Arc<Link>,
}

/// The two halves of an open socket. Its keeper runs until both are dropped.
pub(crate) fn open(
    socket: WebSocketStream<Wire>,
    timing: Timing,
    peer: Peer,
) -> Connection<WebSocketSender, WebSocketReceiver> {
    let link = Arc::new(Link::new(socket));
    tokio::spawn(Keeper::new(Arc::clone(&link), timing));
    Connection {
        sender: WebSocketSender { link: Arc::clone(&link) },
        receiver: WebSocketReceiver { link },
        peer,
    }
}

impl FrameSender for WebSocketSender {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(TransportErrorKind::TooLarge.into());
        }
        let mut frame = Some(frame);
        poll_fn(|context| self.link.poll_send(context, &mut frame)).await
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        poll_fn(|context| self.link.poll_close(context)).await
    }
}

impl FrameReceiver for WebSocketReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        poll_fn(|context| self.link.poll_recv(context)).await
    }
}

impl Drop for WebSocketSender {
    fn drop(&mut self) {
        self.link.drop_half(Half::Sender);
    }
}

impl Drop for WebSocketReceiver {
    fn drop(&mut self) {
        self.link.drop_half(Half::Receiver);
    }
}
