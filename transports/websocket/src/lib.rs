//! The WebSocket transport for Repliq, the default one; encrypted at `wss://` with
//! the feature `tls`.
//!
//! One binary WebSocket message carries one frame; at most one frame and 192 KiB
//! wait in this process for a slow peer. An idle connection costs two pings every
//! 20 seconds and is given up 60 seconds after the last byte heard. It never
//! compresses, never fragments, and never reads the space in the URL's path: the
//! path only goes into the request.
//!
//! # What the program must do
//! Poll `recv` whenever it can take a frame. Nothing is read ahead, so a program
//! that stops receiving slows its peer down; it loses no connection by that, for
//! each side pings by itself and counts unread bytes as heard.
//!
//! A process that ends right after `close` should first receive until `Ok(None)`:
//! only the peer's answer shows that it has read everything.

mod address;
mod answer;
mod connection;
mod error;
mod keeper;
mod link;
mod listener;
mod security;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use connection::{WebSocketReceiver, WebSocketSender};
pub use listener::WebSocketListener;
#[cfg(feature = "tls")]
pub use repliq_transport_tls::{Fingerprint, Refusal, TlsConfig, TlsError};

use address::{Address, SCHEME, SECURE_SCHEME};
use error::{endpoint_error, handshake_error, handshake_failed, unreachable};
use repliq_core::{
    Connection, Endpoint, MAX_FRAME_BYTES, Peer, Transport, TransportError, TransportErrorKind,
};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wire::{Carrier, Wire};

/// What is read from the socket at once. Every connection keeps a buffer of this size.
const READ_BYTES: usize = 64 << 10;
/// Received frames up to this size are copied: as a part of the buffer, a frame that is
/// kept would keep all of it.
const COPIED: usize = READ_BYTES / 8;
/// Waiting bytes that are written without waiting for a flush.
const WRITE_BYTES: usize = 128 << 10;
/// The most that waits to be written: what is below [`WRITE_BYTES`], one frame
/// with its header, and pongs.
const MAX_WRITE_BYTES: usize = WRITE_BYTES + MAX_FRAME_BYTES + (64 << 10);

/// Connects and listens at `ws://host:port`, by default port 80, and with the
/// feature `tls` at `wss://host:port`, by default port 443.
#[derive(Clone, Debug, Default)]
pub struct WebSocket {
    #[cfg(feature = "tls")]
    tls: TlsConfig,
    timing: Timing,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) handshake: Duration,
    pub(crate) ping: Duration,
    pub(crate) idle: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            ping: Duration::from_secs(20),
            idle: Duration::from_secs(60),
        }
    }
}

impl WebSocket {
    /// The transport with its default timing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The certificates for `wss://`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// How long connecting with its handshake may take, on either side, and how
    /// long a dropped connection goes on delivering what was sent. 10 seconds by
    /// default.
    #[must_use]
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timing.handshake = timeout;
        self
    }

    /// After how long a silence of its own a side pings, 20 seconds by default.
    /// Less than a millisecond counts as one.
    #[must_use]
    pub const fn ping_interval(mut self, interval: Duration) -> Self {
        self.timing.ping = interval;
        self
    }

    /// How long the peer may be silent before the connection counts as lost, 60
    /// seconds by default. It is looked at once per ping interval, so rounded up.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timing.idle = timeout;
        self
    }

    async fn carrier(
        &self,
        tcp: TcpStream,
        endpoint: &Endpoint,
        secure: bool,
    ) -> Result<(Carrier, Peer), TransportError> {
        #[cfg(feature = "tls")]
        if secure {
            return tls::connect(tcp, endpoint, &self.tls).await;
        }
        let _ = (endpoint, secure);
        Ok((Carrier::Plain(tcp), Peer::Anonymous))
    }
}

impl Transport for WebSocket {
    type Listener = WebSocketListener;
    type Sender = WebSocketSender;
    type Receiver = WebSocketReceiver;

    fn schemes(&self) -> &'static [&'static str] {
        if cfg!(feature = "tls") { &[SCHEME, SECURE_SCHEME] } else { &[SCHEME] }
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        let address = Address::to_connect_to(endpoint)?;
        #[cfg(feature = "tls")]
        if address.secure {
            TlsConfig::check(endpoint)?;
        }
        let _ = address;
        request(endpoint).map(drop)
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Connection<WebSocketSender, WebSocketReceiver>, TransportError> {
        let address = Address::to_connect_to(endpoint)?;
        let request = request(endpoint)?;
        let deadline = Instant::now() + self.timing.handshake;

        let tcp = timeout_at(deadline, TcpStream::connect((address.host, address.port)))
            .await
            .map_err(|_| unreachable(endpoint, "no answer in time"))?
            .map_err(|error| unreachable(endpoint, &error.to_string()))?;
        tcp.set_nodelay(true)
            .map_err(|error| TransportError::new(TransportErrorKind::Io, error))?;
        let handshake = async {
            let (carrier, peer) = self.carrier(tcp, endpoint, address.secure).await?;
            let (socket, _) = client_async_with_config(request, Wire::new(carrier), Some(limits()))
                .await
                .map_err(|error| handshake_failed(endpoint, &error))?;
            Ok(connection::open(socket, self.timing, peer))
        };
        timeout_at(deadline, handshake)
            .await
            .map_err(|_| handshake_error(endpoint, "no handshake in time"))?
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<WebSocketListener, TransportError> {
        WebSocketListener::bind(endpoint, self).await
    }
}

/// What asks for the connection, and for a space.
fn request(endpoint: &Endpoint) -> Result<Request, TransportError> {
    // The query is for this end alone, and HTTP wants a path before it.
    let path = if endpoint.path().is_empty() { "/" } else { endpoint.path() };
    format!("{}://{}{path}", endpoint.scheme(), endpoint.authority())
        .into_client_request()
        .map_err(|error| endpoint_error(endpoint, &error.to_string()))
}

/// The limits every socket keeps, on what it reads and on what it lets wait.
pub(crate) fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_write_buffer_size(MAX_WRITE_BYTES)
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
}
