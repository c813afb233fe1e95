//! The two halves a program holds, and the task beside them.
//!
//! Both work on one stream of one connection. A frame is written whole or not at
//! all; a close returns when the peer holds everything; a connection whose halves
//! are dropped is closed once the peer has what was sent, at the latest one
//! handshake timeout after that.

use crate::error::{BROKEN, End, GONE, READ_ALL, lost};
use crate::frames::{END, Frames, HELLO, Item, Oversized};
use crate::outbound::Outbound;
use crate::place::Place;
use crate::{Timing, error};
use bytes::Bytes;
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, StoppedError, VarInt};
use repliq_core::{
    Connection, FrameReceiver, FrameSender, MAX_FRAME_BYTES, TransportError, TransportErrorKind,
};
use repliq_transport_tls::peer_of;
use repliq_transport_tls::rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

/// The most that is taken from the stream at once.
const CHUNK: usize = 64 << 10;

/// The sending half of a QUIC connection.
///
/// Frames sent in a row leave together: the first at once, the others as soon as the
/// sending task waits for something, or when 16 KiB have gathered. Dropping it without a close still delivers what was sent, then the peer sees the
/// connection lost.
#[derive(Debug)]
pub struct QuicSender {
    closing: Closing,
    link: Arc<Link>,
}

/// The receiving half of a QUIC connection. Once it is dropped, the peer's sends
/// fail.
#[derive(Debug)]
pub struct QuicReceiver {
    stream: RecvStream,
    frames: Frames,
    ended: Option<End>,
    link: Arc<Link>,
}

/// How far closing this end has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
    No,
    Asked,
    Signed,
    Done,
}

/// What the halves share; the task beside them learns when it is dropped.
#[derive(Debug)]
struct Link {
    connection: quinn::Connection,
    outbound: Arc<Outbound>,
    read_all: Arc<AtomicBool>,
    idle: Duration,
    _dropped: oneshot::Sender<Infallible>,
}

/// The halves of a stream on which nothing was said yet.
pub(crate) struct Greeting {
    sender: QuicSender,
    receiver: QuicReceiver,
}

impl Greeting {
    pub(crate) fn new(
        connection: quinn::Connection,
        (send, recv): (SendStream, RecvStream),
        timing: Timing,
        place: Option<Arc<Place>>,
    ) -> Self {
        let (dropping, dropped) = oneshot::channel();
        let (outbound, read_all) = (Arc::new(Outbound::new(send)), Arc::default());
        let keeper = Keeper {
            connection: connection.clone(),
            outbound: Arc::clone(&outbound),
            read_all: Arc::clone(&read_all),
            linger: timing.handshake,
            _place: place,
        };
        tokio::spawn(keeper.keep(dropped));
        let idle = timing.idle;
        let link = Arc::new(Link { connection, outbound, read_all, idle, _dropped: dropping });
        Self {
            sender: QuicSender { closing: Closing::No, link: Arc::clone(&link) },
            receiver: QuicReceiver { stream: recv, frames: Frames::default(), ended: None, link },
        }
    }

    /// Makes the stream known to the peer.
    pub(crate) async fn say(&mut self) -> Result<(), TransportError> {
        self.sender.link.outbound.take_sign(HELLO).await;
        self.sender.link.outbound.flush().await
    }

    /// Waits until the peer has made it known.
    pub(crate) async fn hear(&mut self) -> Result<(), ReadError> {
        match self.receiver.item().await {
            Ok(Some(Item::Hello)) => Ok(()),
            Err(End::Failed { .. }) if self.receiver.link.connection.close_reason().is_some() => {
                let reason = self.receiver.link.connection.close_reason();
                Err(reason.unwrap_or(ConnectionError::LocallyClosed).into())
            }
            _ => Err(ReadError::Reset(BROKEN)),
        }
    }

    pub(crate) fn into_connection(self) -> Connection<QuicSender, QuicReceiver> {
        let identity = self.sender.link.connection.peer_identity();
        let certificates = identity.and_then(|any| any.downcast::<Vec<CertificateDer<'_>>>().ok());
        let peer = peer_of(certificates.as_deref().map(Vec::as_slice));
        Connection { sender: self.sender, receiver: self.receiver, peer }
    }
}

impl QuicSender {
    async fn finish(&mut self) -> Result<(), TransportError> {
        if self.closing == Closing::Asked {
            self.link.outbound.take_sign(END).await;
            self.closing = Closing::Signed;
        }
        self.link.outbound.finish().await?;
        delivered(self.link.outbound.stopped().await)
    }
}

/// Whether the peer has all of a finished stream.
fn delivered(stopped: Result<Option<VarInt>, StoppedError>) -> Result<(), TransportError> {
    match stopped {
        Ok(None | Some(READ_ALL)) => Ok(()),
        Ok(Some(_)) => Err(lost("the peer receives nothing more")),
        Err(StoppedError::ConnectionLost(ConnectionError::ApplicationClosed(close)))
            if close.error_code == READ_ALL =>
        {
            Ok(())
        }
        Err(error) => Err(lost(error)),
    }
}

impl FrameSender for QuicSender {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(TransportErrorKind::TooLarge.into());
        }
        if self.closing != Closing::No {
            return Err(TransportErrorKind::Closed.into());
        }
        let length = u32::try_from(frame.len()).map_err(|_| TransportErrorKind::TooLarge)?;
        self.link.outbound.send(length, frame).await
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        match self.closing {
            Closing::Done => return Ok(()),
            Closing::No => self.closing = Closing::Asked,
            _ => {}
        }
        let (connection, idle) = (self.link.connection.clone(), self.link.idle);
        let progress = || connection.stats().frame_tx.stream;
        {
            let mut finishing = pin!(self.finish());
            let mut before = progress();
            loop {
                if let Ok(finished) = timeout(idle, finishing.as_mut()).await {
                    finished?;
                    break;
                }
                // A living peer that takes nothing would keep this waiting for ever.
                let now = progress();
                if now == before {
                    connection.close(GONE, b"");
                    return Err(lost("the peer took nothing for too long"));
                }
                before = now;
            }
        }
        self.closing = Closing::Done;
        Ok(())
    }
}

impl QuicReceiver {
    async fn item(&mut self) -> Result<Option<Item>, End> {
        loop {
            match self.frames.next() {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {}
                Err(Oversized(length)) => {
                    let why = format!("the peer announces a frame of {length} bytes");
                    self.link.connection.close(BROKEN, b"a frame is too large");
                    return Err(End::failed(TransportErrorKind::TooLarge, why));
                }
            }
            match self.stream.read_chunk(CHUNK, true).await {
                Ok(Some(chunk)) => self.frames.push(chunk.bytes),
                Ok(None) => {
                    return Err(End::failed(TransportErrorKind::Lost, "it ended without a close"));
                }
                Err(error) => return Err(End::of_reading(&error)),
            }
        }
    }
}

impl FrameReceiver for QuicReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        if let Some(end) = &self.ended {
            return end.told();
        }
        consume_budget().await;
        self.link.outbound.be_eager();
        let end = match self.item().await {
            Ok(Some(Item::Frame(frame))) => return Ok(Some(frame)),
            Ok(Some(Item::End)) => {
                self.link.read_all.store(true, Ordering::SeqCst);
                let _ = self.stream.stop(READ_ALL);
                End::Closed
            }
            Ok(_) => {
                self.link.connection.close(BROKEN, b"a second greeting");
                End::failed(TransportErrorKind::Protocol, "the peer greets a second time")
            }
            Err(end) => end,
        };
        self.ended.insert(end).told()
    }
}

impl Drop for QuicSender {
    fn drop(&mut self) {
        self.link.outbound.drop_sender();
    }
}

/// Stays beside a connection until its halves are dropped, then closes it.
struct Keeper {
    connection: quinn::Connection,
    outbound: Arc<Outbound>,
    read_all: Arc<AtomicBool>,
    linger: Duration,
    /// The socket of the connection; a listener there may be gone.
    _place: Option<Arc<Place>>,
}

impl Keeper {
    async fn keep(self, mut dropped: oneshot::Receiver<Infallible>) {
        let mut delivering = pin!(async {
            self.outbound.keep_writing().await;
            let _ = self.outbound.stopped().await;
        });
        let delivered = tokio::select! {
            _ = &mut dropped => false,
            () = delivering.as_mut() => true,
            _ = self.connection.closed() => return,
        };
        if delivered {
            tokio::select! {
                _ = dropped => {}
                _ = self.connection.closed() => return,
            }
        } else {
            let _ = timeout(self.linger, delivering).await;
        }
        let code = if self.read_all.load(Ordering::SeqCst) { READ_ALL } else { error::GONE };
        self.connection.close(code, b"");
    }
}
