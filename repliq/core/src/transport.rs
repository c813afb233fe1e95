//! The contract of a transport.

use crate::Endpoint;
use bytes::Bytes;
use std::error::Error;
use std::fmt;
use std::future::Future;

/// The largest frame a transport carries: 1 MiB. A larger one is refused before
/// it is allocated.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// A way to reach a peer: whole frames over a duplex connection.
///
/// Each sentence is held by a case of `repliq-conformance`; run that suite on
/// your own transport. Frames arrive whole, in order, unchanged and once; empty
/// frames arrive too. Implement the methods as plain `async fn`.
pub trait Transport: Send + Sync + 'static {
    /// Accepts connections.
    type Listener: Listener<Sender = Self::Sender, Receiver = Self::Receiver>;
    /// The sending half of a connection.
    type Sender: FrameSender;
    /// The receiving half of a connection.
    type Receiver: FrameReceiver;

    /// The URL schemes it serves, such as `["ws", "wss"]`.
    fn schemes(&self) -> &'static [&'static str];

    /// Looks at an endpoint without connecting, so that a mistake in a URL is told at
    /// once. What it refuses, `connect` refuses too; it refuses other schemes.
    ///
    /// # Errors
    /// [`TransportErrorKind::Endpoint`] when connecting there can never succeed.
    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        let schemes = self.schemes();
        if schemes.contains(&endpoint.scheme()) {
            return Ok(());
        }
        let served: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
        let why = format!("{endpoint}: only {} is served here", served.join(" and "));
        Err(TransportError::new(TransportErrorKind::Endpoint, why))
    }

    /// Connects to a listener.
    ///
    /// # Errors
    /// [`TransportError`]; in bounded time when nobody answers.
    fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Connection<Self::Sender, Self::Receiver>, TransportError>> + Send;

    /// Starts to listen. Port 0 picks a free port; the listener tells which.
    ///
    /// # Errors
    /// [`TransportErrorKind::InUse`] when something else listens there.
    fn listen(
        &self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Self::Listener, TransportError>> + Send;
}

/// Accepts connections at one endpoint.
pub trait Listener: Send + 'static {
    /// The sending half of an accepted connection.
    type Sender: FrameSender;
    /// The receiving half of an accepted connection.
    type Receiver: FrameReceiver;

    /// The next connection. Cancel-safe: dropping the future loses no
    /// connection. A peer that stalls or spoils its handshake delays nobody
    /// else and is no error here.
    ///
    /// # Errors
    /// [`TransportErrorKind::Closed`] after [`Listener::close`].
    fn accept(
        &mut self,
    ) -> impl Future<Output = Result<Connection<Self::Sender, Self::Receiver>, TransportError>> + Send;

    /// Where it listens: an endpoint one can connect to.
    fn local_endpoint(&self) -> Endpoint;

    /// Stops listening and frees the endpoint. Accepted connections live on.
    ///
    /// # Errors
    /// [`TransportError`] when the endpoint could not be freed.
    fn close(&mut self) -> impl Future<Output = Result<(), TransportError>> + Send;
}

/// The sending half of a connection.
///
/// Dropping it without a close breaks the connection off: the peer's `recv` gives
/// [`TransportErrorKind::Lost`].
pub trait FrameSender: Send + 'static {
    /// Sends one frame of at most [`MAX_FRAME_BYTES`]. Waits while the peer is
    /// slow, so what is buffered stays bounded. `Ok` means handed over, not
    /// received. A frame handed over leaves without a further call. Dropping the
    /// future sends the frame whole or not at all and harms no later one.
    ///
    /// # Errors
    /// [`TransportErrorKind::TooLarge`] for an oversized frame (the connection
    /// stays usable), [`TransportErrorKind::Closed`] after [`FrameSender::close`],
    /// [`TransportErrorKind::Lost`] when the peer is gone.
    fn send(&mut self, frame: Bytes) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Delivers what was sent, then ends this direction. Closing twice is fine.
    /// What the peer sent before it saw the end still arrives; not every transport
    /// lets it send more after that.
    ///
    /// # Errors
    /// [`TransportError`] when what was sent could not be delivered.
    fn close(&mut self) -> impl Future<Output = Result<(), TransportError>> + Send;
}

/// The receiving half of a connection.
pub trait FrameReceiver: Send + 'static {
    /// The next frame, or `Ok(None)` once the peer has closed, then and on every
    /// later call. Cancel-safe: dropping the future loses no frame and no part of one.
    ///
    /// # Errors
    /// [`TransportErrorKind::Lost`] when the peer is gone without a close,
    /// [`TransportErrorKind::TooLarge`] when it sends an oversized frame,
    /// [`TransportErrorKind::Protocol`] when it breaks the protocol underneath.
    fn recv(&mut self) -> impl Future<Output = Result<Option<Bytes>, TransportError>> + Send;
}

/// An open connection.
#[derive(Debug)]
pub struct Connection<S, R> {
    /// The sending half.
    pub sender: S,
    /// The receiving half.
    pub receiver: R,
    /// Who is at the other end.
    pub peer: Peer,
}

/// Who is at the other end of a connection, as far as the transport knows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Peer {
    /// Nobody checked.
    Anonymous,
    /// The transport verified that the peer holds this public key.
    Verified(Vec<u8>),
}

/// What went wrong in a transport.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The endpoint is malformed, or of a scheme this transport does not serve.
    Endpoint,
    /// Nobody answers at the endpoint.
    Unreachable,
    /// Something else listens at the endpoint.
    InUse,
    /// The peer answered, but not as a peer of this transport.
    Handshake,
    /// One side could not prove to the other who it is.
    Untrusted,
    /// The peer is gone without saying goodbye.
    Lost,
    /// This end was closed.
    Closed,
    /// A frame is larger than [`MAX_FRAME_BYTES`].
    TooLarge,
    /// The peer broke the protocol underneath.
    Protocol,
    /// Anything else the operating system reports.
    Io,
}

/// An error of a transport: its kind, and what lies underneath.
#[derive(Debug)]
pub struct TransportError {
    /// What went wrong.
    pub kind: TransportErrorKind,
    /// The cause.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl TransportError {
    /// An error with its cause.
    pub fn new(kind: TransportErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }
}

impl From<TransportErrorKind> for TransportError {
    fn from(kind: TransportErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Endpoint => "this endpoint cannot be used here: check the URL",
            TransportErrorKind::Unreachable => {
                "nobody answers there: check the address and that the other side runs"
            }
            TransportErrorKind::InUse => {
                "the address is in use: stop what listens there or choose another port"
            }
            TransportErrorKind::Handshake => "the other side does not speak this transport",
            TransportErrorKind::Untrusted => "who is at the other side could not be verified",
            TransportErrorKind::Lost => "the connection was lost",
            TransportErrorKind::Closed => "the connection is closed",
            TransportErrorKind::TooLarge => "a frame is larger than 1 MiB",
            TransportErrorKind::Protocol => "the other side broke the transport's protocol",
            TransportErrorKind::Io => "sending or receiving failed",
        })?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
