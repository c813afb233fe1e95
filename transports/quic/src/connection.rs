//! The two halves a program holds, and the task beside them.
//!
//! Both work on one stream of one connection. A frame is written whole or not at
//! all; a close returns when the peer holds everything; a connection whose halves
//! are dropped is closed once the peer has what was sent, at the latest one
//! handshake timeout after that.

use crate::error::{BROKEN, End, GONE, READ_ALL, lost, of_writing};
use crate::frames::{END, Frames, HELLO, Item, Oversized};
use crate::place::Place;
use crate::{Timing, error};
use bytes::{BufMut, Bytes, BytesMut};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, StoppedError, VarInt};
use repliq_core::{
    Connection, FrameReceiver, FrameSender, MAX_FRAME_BYTES, TransportError, TransportErrorKind,
};
use repliq_transport_tls::peer_of;
use repliq_transport_tls::rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

/// Frames up to this size are copied to stand beside their length, which is cheaper
/// than a piece of their own.
const COPIED: usize = 4 << 10;
/// The most that is taken from the stream at once.
const CHUNK: usize = 64 << 10;

/// The sending half of a QUIC connection.
///
/// Dropping it without a close still delivers what was sent, then the peer sees the
/// connection lost.
#[derive(Debug)]
pub struct QuicSender {
    stream: SendStream,
    /// What a send that was dropped half-way still has to write.
    unwritten: [Bytes; 2],
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
    Written,
    Finished,
    Done,
}

/// What the halves share; the task beside them learns when it is dropped.
#[derive(Debug)]
struct Link {
    connection: quinn::Connection,
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
        let read_all = Arc::new(AtomicBool::new(false));
        let keeper = Keeper {
            connection: connection.clone(),
            read_all: Arc::clone(&read_all),
            linger: timing.handshake,
            _place: place,
        };
        tokio::spawn(keeper.keep(dropped, send.stopped()));
        let link = Arc::new(Link { connection, read_all, idle: timing.idle, _dropped: dropping });
        Self {
            sender: QuicSender {
                stream: send,
                unwritten: Default::default(),
                closing: Closing::No,
                link: Arc::clone(&link),
            },
            receiver: QuicReceiver { stream: recv, frames: Frames::default(), ended: None, link },
        }
    }

    /// Makes the stream known to the peer.
    pub(crate) async fn say(&mut self) -> Result<(), TransportError> {
        self.sender.unwritten = sign(HELLO);
        self.sender.flush().await
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

fn sign(sign: u32) -> [Bytes; 2] {
    [Bytes::copy_from_slice(&sign.to_be_bytes()), Bytes::new()]
}

impl QuicSender {
    async fn flush(&mut self) -> Result<(), TransportError> {
        while let Some(first) = self.unwritten.iter().position(|piece| !piece.is_empty()) {
            let rest = self.unwritten.get_mut(first..).unwrap_or_default();
            self.stream.write_chunks(rest).await.map_err(|error| of_writing(&error))?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), TransportError> {
        if self.closing == Closing::Asked {
            self.flush().await?;
            self.unwritten = sign(END);
            self.closing = Closing::Written;
        }
        if self.closing == Closing::Written {
            self.flush().await?;
            // It fails only on a stream that was finished.
            let _ = self.stream.finish();
            self.closing = Closing::Finished;
        }
        delivered(self.stream.stopped().await)
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
        consume_budget().await;
        self.flush().await?;
        let length = u32::try_from(frame.len()).map_err(|_| TransportErrorKind::TooLarge)?;
        self.unwritten = if frame.len() <= COPIED {
            let mut joined = BytesMut::with_capacity(4 + frame.len());
            joined.put_u32(length);
            joined.put(frame);
            [joined.freeze(), Bytes::new()]
        } else {
            [Bytes::copy_from_slice(&length.to_be_bytes()), frame]
        };
        self.flush().await
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

/// Stays beside a connection until its halves are dropped, then closes it.
struct Keeper {
    connection: quinn::Connection,
    read_all: Arc<AtomicBool>,
    linger: Duration,
    /// The socket of the connection; a listener there may be gone.
    _place: Option<Arc<Place>>,
}

impl Keeper {
    async fn keep(
        self,
        dropped: oneshot::Receiver<Infallible>,
        stopped: impl Future<Output = Result<Option<VarInt>, StoppedError>>,
    ) {
        tokio::select! {
            _ = dropped => {}
            _ = self.connection.closed() => return,
        }
        let _ = timeout(self.linger, stopped).await;
        let code = if self.read_all.load(Ordering::SeqCst) { READ_ALL } else { error::GONE };
        self.connection.close(code, b"");
    }
}
