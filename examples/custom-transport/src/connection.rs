//! The two halves of a connection.
//!
//! They promise that a frame is written whole or not at all, that a read that was
//! dropped loses nothing, and that an end is told the same on every later call. At
//! most one frame waits in this process, the rest in the system's bounded buffer.

use crate::frames::{Broken, Frames, Incoming, Outgoing};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use repliq_core::{
    Connection, FrameReceiver, FrameSender, MAX_FRAME_BYTES, Peer, TransportError,
    TransportErrorKind,
};
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite};

/// The sending half of a connection over a Unix socket. Dropping it shuts its
/// direction down, so the peer learns of it at once.
#[derive(Debug)]
pub struct UnixSender {
    wire: FramedWrite<OwnedWriteHalf, Frames>,
    closing: Closing,
}

/// How far closing has come: a close that was dropped half-way goes on at the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
    No,
    Said,
    Done,
}

/// The receiving half of a connection over a Unix socket.
#[derive(Debug)]
pub struct UnixReceiver {
    wire: FramedRead<OwnedReadHalf, Frames>,
    /// How receiving ended: well, or not.
    ended: Option<Result<(), Broken>>,
}

pub(crate) fn open(stream: UnixStream) -> Connection<UnixSender, UnixReceiver> {
    let (read, write) = stream.into_split();
    Connection {
        sender: UnixSender {
            wire: FramedWrite::new(write, Frames::default()),
            closing: Closing::No,
        },
        receiver: UnixReceiver { wire: FramedRead::new(read, Frames::default()), ended: None },
        // A user id is no key: who may connect is for the directory to say.
        peer: Peer::Anonymous,
    }
}

impl FrameSender for UnixSender {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        if self.closing != Closing::No {
            return Err(TransportErrorKind::Closed.into());
        }
        if frame.len() > MAX_FRAME_BYTES {
            return Err(TransportErrorKind::TooLarge.into());
        }
        let sent = self.wire.send(Outgoing::Frame(frame)).await;
        sent.map_err(|broken| broken.told())
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.say_farewell().await.map_err(|broken| broken.told())
    }
}

impl UnixSender {
    async fn say_farewell(&mut self) -> Result<(), Broken> {
        if self.closing == Closing::No {
            self.wire.feed(Outgoing::Farewell).await?;
            self.closing = Closing::Said;
        }
        if self.closing == Closing::Said {
            self.wire.flush().await?;
            self.wire.get_mut().shutdown().await?;
            self.closing = Closing::Done;
        }
        Ok(())
    }
}

impl FrameReceiver for UnixReceiver {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        if self.ended.is_none() {
            self.ended = Some(match self.wire.next().await {
                Some(Ok(Incoming::Frame(frame))) => return Ok(Some(frame)),
                Some(Ok(Incoming::Farewell)) => Ok(()),
                Some(Err(broken)) => Err(broken),
                None => Err(io::Error::other("it left without a farewell").into()),
            });
        }
        match &self.ended {
            Some(Err(broken)) => Err(broken.told()),
            Some(Ok(())) | None => Ok(None),
        }
    }
}
