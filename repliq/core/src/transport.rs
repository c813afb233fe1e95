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
/// Implement the methods as plain `async fn`. Run `repliq-conformance` on your own
/// transport: behind each sentence, here and on the traits below, stand the cases that
/// hold it, each in both roles where that makes a difference.
///
/// # Contract
/// - Frames arrive whole, in order, unchanged and once
///   (`frames_arrive_whole_in_order_unchanged_and_once`, `frames_of_every_size_arrive`,
///   `many_small_frames_arrive`), equal ones as often as they are sent
///   (`equal_frames_all_arrive`), and whatever is in them
///   (`no_frame_is_taken_for_a_signal`).
/// - Empty frames arrive too (`an_empty_frame_arrives`), and those of
///   [`MAX_FRAME_BYTES`] (`a_frame_of_the_maximum_size_arrives`).
/// - Both directions work at once (`both_directions_carry_frames_at_once`), and every
///   connection for itself (`connections_do_not_mix`).
/// - [`schemes`](Transport::schemes) names what it serves
///   (`it_serves_the_schemes_it_names`); any other is [`TransportErrorKind::Endpoint`]
///   (`another_scheme_is_refused`).
/// - [`check`](Transport::check) takes every endpoint that somebody listens at, and
///   refuses what `connect` refuses by its URL alone
///   (`an_endpoint_is_checked_without_connecting`).
/// - To connect where nobody listens is [`TransportErrorKind::Unreachable`], in bounded
///   time (`nobody_there_is_unreachable`); one who answers and says nothing is given up,
///   too (`a_silent_listener_is_given_up`).
/// - A peer is [`Peer::Verified`] if the transport saw it prove its key, which is the same
///   each time (`a_verified_peer_has_one_key`).
/// - To listen where somebody listens is [`TransportErrorKind::InUse`]
///   (`a_place_in_use_is_refused`).
/// - Port 0, or what stands for it, gives each listener a free place, and the listener
///   tells which (`each_listener_has_a_place_of_its_own`).
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
///
/// # Contract
/// - Everybody who connects is accepted once, also a hundred at a time
///   (`many_connections_at_once_are_accepted`).
/// - `accept` is cancel-safe: dropping its future loses no connection
///   (`accept_is_cancel_safe`).
/// - A peer that stalls its handshake delays nobody else and is no error
///   (`a_stalled_handshake_delays_nobody`), nor is one that breaks it off
///   (`a_spoilt_handshake_is_no_error`).
/// - `close` frees the endpoint (`closing_a_listener_frees_its_place`); from then on
///   `accept` gives [`TransportErrorKind::Closed`] (`accepting_after_close_is_refused`),
///   whoever waited (`nobody_is_accepted_after_close`).
/// - Accepted connections live on (`accepted_connections_outlive_their_listener`).
pub trait Listener: Send + 'static {
    /// The sending half of an accepted connection.
    type Sender: FrameSender;
    /// The receiving half of an accepted connection.
    type Receiver: FrameReceiver;

    /// The next connection. A peer that stalls or spoils its handshake is none.
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
/// # Contract
/// - `Ok` from `send` means handed over, not received; a frame handed over leaves without
///   a further call (`a_frame_leaves_without_another_call`).
/// - `send` waits while the peer is slow, so what is buffered stays bounded
///   (`send_waits_while_the_peer_is_slow`); receiving goes on meanwhile
///   (`receiving_goes_on_while_a_send_waits`).
/// - Dropping its future sends the frame whole or not at all and harms no other one
///   (`a_dropped_send_leaves_only_whole_frames`).
/// - An oversized frame is [`TransportErrorKind::TooLarge`], and the connection stays
///   usable (`an_oversized_frame_is_refused_and_the_connection_stays_usable`).
/// - When the peer is gone, `send` gives [`TransportErrorKind::Lost`], also one that waits
///   (`sending_to_a_lost_peer_fails`, `a_waiting_send_fails_when_the_peer_is_lost`).
/// - `close` delivers what was sent, then ends this direction
///   (`close_delivers_what_was_sent`), whatever is dropped after it
///   (`what_was_closed_outlives_its_sender`) and whatever the peer had sent that nobody
///   received (`close_delivers_past_unread_frames`).
/// - After it `send` gives [`TransportErrorKind::Closed`]
///   (`sending_after_own_close_is_refused`).
/// - Closing twice is fine (`closing_twice_is_fine`), and closing from both ends
///   (`closing_from_both_ends_is_clean`); after a close whose future was dropped another
///   one does what is left (`a_dropped_close_can_be_said_again`).
/// - What the peer sent before it saw the end still arrives
///   (`own_close_leaves_receiving_what_was_sent`); not every transport lets it send more.
/// - Dropping it without a close breaks the connection off
///   (`a_sender_dropped_without_close_is_lost`).
pub trait FrameSender: Send + 'static {
    /// Sends one frame of at most [`MAX_FRAME_BYTES`].
    ///
    /// # Errors
    /// [`TransportErrorKind::TooLarge`] for an oversized frame (the connection
    /// stays usable), [`TransportErrorKind::Closed`] after [`FrameSender::close`],
    /// [`TransportErrorKind::Lost`] when the peer is gone.
    fn send(&mut self, frame: Bytes) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Delivers what was sent, then ends this direction.
    ///
    /// # Errors
    /// [`TransportError`] when what was sent could not be delivered.
    fn close(&mut self) -> impl Future<Output = Result<(), TransportError>> + Send;
}

/// The receiving half of a connection.
///
/// # Contract
/// - `recv` gives `Ok(None)` once the peer has closed, then and on every later call
///   (`a_clean_end_is_told_and_stays`).
/// - It is cancel-safe: dropping its future loses no frame and no part of one
///   (`recv_is_cancel_safe`).
/// - When the peer is gone without a close it gives [`TransportErrorKind::Lost`], then and
///   on every later call (`a_peer_gone_without_close_is_lost`), also one that waits
///   (`a_waiting_recv_learns_of_a_lost_peer`).
/// - A frame that is announced as larger than [`MAX_FRAME_BYTES`] is
///   [`TransportErrorKind::TooLarge`] (`an_oversized_frame_of_a_peer_is_refused`).
///
/// # What no case shows
/// Only the transport's own tests can look at its memory and speak its protocol wrongly:
/// - An oversized frame is refused before it is allocated.
/// - Any other offence is [`TransportErrorKind::Protocol`], and never a frame.
pub trait FrameReceiver: Send + 'static {
    /// The next frame, or `Ok(None)` once the peer has closed.
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
