//! The QUIC transport for Repliq.
//!
//! One connection carries one stream with frames in both directions; up to 2 MiB a
//! direction and 16 KiB at each end wait for a slow peer. A connection survives a change of address, costs
//! a keep-alive every 20 seconds, and is given up 60 seconds after the last packet
//! heard. It never sends data before the handshake is done (0-RTT is off), never
//! opens a second stream, and never reads the space in the URL's path.
//!
//! Its URLs are `quic://host:port/space`. Whom an end trusts stands in
//! [`TlsConfig`]; a listener without a certificate makes itself one, whose
//! fingerprint stands in its [`local_endpoint`](repliq_core::Listener::local_endpoint),
//! ready to copy: `quic://host:port/space?fingerprint=…`.

mod connection;
mod error;
mod frames;
mod listener;
mod outbound;
mod place;

pub use connection::{QuicReceiver, QuicSender};
pub use listener::QuicListener;
pub use repliq_transport_tls::{Fingerprint, Refusal, TlsConfig, TlsError};

use connection::Greeting;
use error::{at, of_connecting};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{IdleTimeout, ReadError, TransportConfig};
use repliq_core::{Connection, Endpoint, Transport, TransportError, TransportErrorKind};
use repliq_transport_tls::ClientSide;
use repliq_transport_tls::rustls::ServerConfig;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

const SCHEME: &str = "quic";
const DEFAULT_PORT: u16 = 443;
/// The protocol that both ends have to speak, in the handshake.
const ALPN: &[u8] = b"repliq/1";
/// What may wait for a slow peer, at each end of each direction.
const WINDOW: u32 = 2 << 20;
/// How many addresses of a name are tried, all at once.
const MAX_ADDRESSES: usize = 4;

/// Connects and listens at `quic://host:port`, by default port 443.
#[derive(Clone, Debug, Default)]
pub struct Quic {
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

impl Quic {
    /// The transport with these certificates and its default timing.
    #[must_use]
    pub fn new(tls: TlsConfig) -> Self {
        Self { tls, timing: Timing::default() }
    }

    /// How long connecting with its handshake may take, on either side, and how
    /// long a dropped connection goes on delivering what was sent. 10 seconds by
    /// default.
    #[must_use]
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timing.handshake = timeout;
        self
    }

    /// After how long a silence a side makes itself heard, 20 seconds by default.
    #[must_use]
    pub const fn ping_interval(mut self, interval: Duration) -> Self {
        self.timing.ping = interval;
        self
    }

    /// How long the peer may be silent before the connection counts as lost, 60
    /// seconds by default; the smaller one of both ends holds.
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timing.idle = timeout;
        self
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        endpoint: &Endpoint,
        side: &ClientSide,
        deadline: Instant,
    ) -> Result<Connection<QuicSender, QuicReceiver>, TransportError> {
        let failed = |error: &_| side.refusal().unwrap_or_else(|| of_connecting(endpoint, error));
        let here: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let config = client_config(side, self.timing)
            .map_err(|why| at(TransportErrorKind::Io, endpoint, why))?;
        let socket = quinn::Endpoint::client(here)
            .map_err(|error| at(TransportErrorKind::Io, endpoint, error))?;
        let connecting = socket
            .connect_with(config, address, &side.name.to_str())
            .map_err(|error| at(TransportErrorKind::Endpoint, endpoint, error))?;
        let connection = timeout_at(deadline, connecting)
            .await
            .map_err(|_| at(TransportErrorKind::Unreachable, endpoint, "no answer in time"))?
            .map_err(|error| failed(&error))?;
        let greeting = async {
            let stream = connection.open_bi().await?;
            let mut greeting = Greeting::new(connection.clone(), stream, self.timing, None);
            // What is wrong is told by what is heard.
            let _ = greeting.say().await;
            greeting.hear().await?;
            Ok(greeting)
        };
        match timeout_at(deadline, greeting).await {
            Ok(Ok(greeting)) => Ok(greeting.into_connection()),
            Ok(Err(ReadError::ConnectionLost(error))) => Err(failed(&error)),
            Ok(Err(error)) => Err(at(TransportErrorKind::Handshake, endpoint, error)),
            Err(_) => Err(at(TransportErrorKind::Handshake, endpoint, "no handshake in time")),
        }
    }
}

impl Transport for Quic {
    type Listener = QuicListener;
    type Sender = QuicSender;
    type Receiver = QuicReceiver;

    fn schemes(&self) -> &'static [&'static str] {
        &[SCHEME]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        address_to_connect_to(endpoint)?;
        TlsConfig::check(endpoint)
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Connection<QuicSender, QuicReceiver>, TransportError> {
        let unreachable = |why: &str| at(TransportErrorKind::Unreachable, endpoint, why);
        let address = address_to_connect_to(endpoint)?;
        let side = self.tls.client(endpoint, &[ALPN])?;
        let deadline = Instant::now() + self.timing.handshake;
        let addresses = timeout_at(deadline, lookup_host(address))
            .await
            .map_err(|_| unreachable("the name was not resolved in time"))?
            .map_err(|error| unreachable(&error.to_string()))?;
        // Nobody refuses a UDP packet, so one address after another would take long.
        let mut attempts: FuturesUnordered<_> = addresses
            .take(MAX_ADDRESSES)
            .map(|address| self.connect_to(address, endpoint, &side, deadline))
            .collect();
        let mut failure = unreachable("the name has no address");
        while let Some(attempt) = attempts.next().await {
            match attempt {
                Ok(connection) => return Ok(connection),
                Err(error) if failure.kind == TransportErrorKind::Unreachable => failure = error,
                Err(_) => {}
            }
        }
        Err(failure)
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<QuicListener, TransportError> {
        QuicListener::bind(endpoint, &self.tls, self.timing).await
    }
}

pub(crate) fn host_and_port(endpoint: &Endpoint) -> Result<(&str, u16), TransportError> {
    if endpoint.scheme() != SCHEME {
        return Err(at(TransportErrorKind::Endpoint, endpoint, "only quic:// is served here"));
    }
    endpoint.check_query(&["fingerprint"])?;
    endpoint.host_and_port(DEFAULT_PORT)
}

fn address_to_connect_to(endpoint: &Endpoint) -> Result<(&str, u16), TransportError> {
    match host_and_port(endpoint)? {
        (_, 0) => {
            let why = "nobody is at port 0; write the relay's port";
            Err(at(TransportErrorKind::Endpoint, endpoint, why))
        }
        address => Ok(address),
    }
}

fn client_config(side: &ClientSide, timing: Timing) -> Result<quinn::ClientConfig, String> {
    let crypto = QuicClientConfig::try_from(Arc::clone(&side.config)).map_err(told)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport_config(timing, 0)?));
    Ok(config)
}

pub(crate) fn server_config(
    tls: Arc<ServerConfig>,
    timing: Timing,
) -> Result<quinn::ServerConfig, String> {
    let crypto = QuicServerConfig::try_from(tls).map_err(told)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(transport_config(timing, 1)?))
        .max_incoming(1024)
        .incoming_buffer_size(16 << 10)
        .incoming_buffer_size_total(4 << 20);
    Ok(config)
}

fn transport_config(timing: Timing, streams: u8) -> Result<TransportConfig, String> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(0_u8.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window(WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .keep_alive_interval(Some(timing.ping))
        .max_idle_timeout(Some(IdleTimeout::try_from(timing.idle).map_err(told)?));
    Ok(config)
}

fn told(error: impl ToString) -> String {
    error.to_string()
}
