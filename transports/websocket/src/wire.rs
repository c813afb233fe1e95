//! A byte stream, encrypted or not, that remembers whether bytes passed.
//!
//! It changes nothing about reading and writing; whoever watches for silence
//! takes the two marks from time to time.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Wire {
    carrier: Carrier,
    heard: bool,
    spoke: bool,
}

/// What carries the bytes.
#[derive(Debug)]
pub(crate) enum Carrier {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Encrypted(Box<tokio_rustls::TlsStream<TcpStream>>),
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Wire {
    pub(crate) fn new(carrier: Carrier) -> Self {
        Self { carrier, heard: true, spoke: true }
    }

    fn tcp(&self) -> &TcpStream {
        match &self.carrier {
            Carrier::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Carrier::Encrypted(tls) => tls.get_ref().0,
        }
    }

    fn duplex(&mut self) -> Pin<&mut dyn Duplex> {
        match &mut self.carrier {
            Carrier::Plain(tcp) => Pin::new(tcp as &mut dyn Duplex),
            #[cfg(feature = "tls")]
            Carrier::Encrypted(tls) => Pin::new(tls.as_mut() as &mut dyn Duplex),
        }
    }

    /// Whether the peer was heard since the last call. Bytes that wait to be read
    /// count: not reading them is no fault of the peer.
    pub(crate) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard) || self.has_unread()
    }

    /// Whether anything was written since the last call.
    pub(crate) fn take_spoke(&mut self) -> bool {
        std::mem::take(&mut self.spoke)
    }

    fn has_unread(&self) -> bool {
        // A peek has a waiter of its own, so it takes no wakeup from a reader.
        let mut byte = [0];
        let peek = pin!(self.tcp().peek(&mut byte));
        matches!(peek.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(1..)))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.duplex().poll_read(context, buffer))?;
        self.heard |= buffer.filled().len() > before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.duplex().poll_write(context, bytes))?;
        self.spoke |= written > 0;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.duplex().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.duplex().poll_shutdown(context)
    }
}
