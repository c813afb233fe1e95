//! Accepting connections.
//!
//! Each handshake is a task of its own, so a peer that stalls or spoils one delays
//! nobody. At most 256 run at a time; then the oldest gives way, since an honest one
//! takes two round trips. When many run, a peer first has to show that it receives
//! at the address it sends from. Nothing runs once the listener is closed or dropped.

use crate::connection::{Greeting, QuicReceiver, QuicSender};
use crate::error::{at, of_listening};
use crate::place::Place;
use crate::{ALPN, Timing, server_config};
use repliq_core::{Connection, Endpoint, Listener, TransportError, TransportErrorKind};
use repliq_transport_tls::TlsConfig;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::lookup_host;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

const MAX_HANDSHAKES: usize = 256;
/// How many handshakes run before addresses are checked first.
const MANY_HANDSHAKES: usize = 64;

type QuicConnection = Connection<QuicSender, QuicReceiver>;

/// Accepts QUIC connections at one address.
///
/// The connections it accepted share its socket. After a close a listener of this
/// process can listen there again at once, another process when they have ended.
#[derive(Debug)]
pub struct QuicListener {
    /// Nothing once the listener was closed.
    place: Option<Arc<Place>>,
    local: Endpoint,
    timing: Timing,
    handshakes: JoinSet<Option<QuicConnection>>,
    /// The running handshakes, oldest first; finished ones are weeded out when
    /// there are too many.
    oldest_first: VecDeque<AbortHandle>,
}

impl QuicListener {
    pub(crate) async fn bind(
        endpoint: &Endpoint,
        tls: &TlsConfig,
        timing: Timing,
    ) -> Result<Self, TransportError> {
        let address = crate::host_and_port(endpoint)?;
        let refused = |error| of_listening(endpoint, &error);
        let side = tls.server(endpoint, &[ALPN])?;
        let config = server_config(Arc::clone(&side.config), timing)
            .map_err(|why| at(TransportErrorKind::Io, endpoint, why))?;
        let address = lookup_host(address).await.map_err(refused)?.next();
        let address = address
            .ok_or_else(|| at(TransportErrorKind::Endpoint, endpoint, "the name has no address"))?;
        let place = Place::listen(address, config).await.map_err(refused)?;
        let (here, rest) = (connectable(place.address), side.path_and_query(endpoint));
        Ok(Self {
            local: format!("quic://{here}{rest}").parse()?,
            place: Some(place),
            timing,
            handshakes: JoinSet::new(),
            oldest_first: VecDeque::new(),
        })
    }

    fn start_handshake(&mut self, incoming: quinn::Incoming, place: Arc<Place>) {
        if self.oldest_first.len() >= MANY_HANDSHAKES {
            self.oldest_first.retain(|handshake| !handshake.is_finished());
            if !incoming.remote_address_validated()
                && incoming.may_retry()
                && self.oldest_first.len() >= MANY_HANDSHAKES
            {
                let _ = incoming.retry();
                return;
            }
        }
        if self.oldest_first.len() >= MAX_HANDSHAKES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        let timing = self.timing;
        let handshake = async move {
            let connection = incoming.accept().ok()?.await.ok()?;
            let stream = connection.accept_bi().await.ok()?;
            // There is one stream; the credit for others is never given.
            connection.set_max_concurrent_bi_streams(0_u8.into());
            let mut greeting = Greeting::new(connection, stream, timing, Some(place));
            greeting.hear().await.ok()?;
            greeting.say().await.ok()?;
            Some(greeting.into_connection())
        };
        self.oldest_first.push_back(
            self.handshakes
                .spawn(async move { timeout(timing.handshake, handshake).await.ok().flatten() }),
        );
    }
}

/// Where a listener at `bound` is reached from this machine.
fn connectable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

impl Listener for QuicListener {
    type Sender = QuicSender;
    type Receiver = QuicReceiver;

    async fn accept(&mut self) -> Result<QuicConnection, TransportError> {
        loop {
            let place = self.place.clone().ok_or(TransportErrorKind::Closed)?;
            tokio::select! {
                biased;
                Some(handshake) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = handshake {
                        return Ok(connection);
                    }
                }
                incoming = place.endpoint.accept() => match incoming {
                    Some(incoming) => self.start_handshake(incoming, Arc::clone(&place)),
                    // Its socket ended with the runtime that drove it.
                    None => return Err(TransportErrorKind::Io.into()),
                },
            }
        }
    }

    fn local_endpoint(&self) -> Endpoint {
        self.local.clone()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.oldest_first.clear();
        self.handshakes.shutdown().await;
        if let Some(place) = self.place.take() {
            place.leave().await;
        }
        Ok(())
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            place.stop();
        }
    }
}
