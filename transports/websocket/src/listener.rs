//! Accepting connections.
//!
//! Each handshake is a task of its own, so a peer that stalls or spoils one
//! delays nobody. At most 256 run at a time; then the oldest gives way, since an
//! honest one takes a round trip. Nothing runs once the listener is closed or
//! dropped.

use crate::address::Address;
use crate::answer::Answer;
use crate::connection::{WebSocketReceiver, WebSocketSender, open};
use crate::error::listen_error;
use crate::security::Security;
use crate::wire::Wire;
use crate::{Timing, WebSocket, limits};
use repliq_core::{Connection, Endpoint, Listener, TransportError, TransportErrorKind};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

const MAX_HANDSHAKES: usize = 256;
/// How long accepting rests when the system refuses, as when files run out.
const REST: Duration = Duration::from_millis(50);

type WebSocketConnection = Connection<WebSocketSender, WebSocketReceiver>;

/// Accepts WebSocket connections at one address.
#[derive(Debug)]
pub struct WebSocketListener {
    /// Nothing once the listener was closed.
    tcp: Option<TcpListener>,
    local: Endpoint,
    timing: Timing,
    security: Security,
    handshakes: JoinSet<Option<WebSocketConnection>>,
    /// The running handshakes, oldest first; finished ones are weeded out when
    /// there are too many.
    oldest_first: VecDeque<AbortHandle>,
    resting_until: Option<Instant>,
}

impl WebSocketListener {
    pub(crate) async fn bind(
        endpoint: &Endpoint,
        transport: &WebSocket,
    ) -> Result<Self, TransportError> {
        let address = Address::of(endpoint)?;
        let security = Security::of(endpoint, address.secure, transport)?;
        let refused = |error: io::Error| listen_error(endpoint, &error);
        let tcp = TcpListener::bind((address.host, address.port)).await.map_err(refused)?;
        let at = connectable(tcp.local_addr().map_err(refused)?);
        Ok(Self {
            tcp: Some(tcp),
            local: security.endpoint(endpoint, at)?,
            timing: transport.timing,
            security,
            handshakes: JoinSet::new(),
            oldest_first: VecDeque::new(),
            resting_until: None,
        })
    }

    fn start_handshake(&mut self, tcp: TcpStream) {
        if self.oldest_first.len() >= MAX_HANDSHAKES {
            self.oldest_first.retain(|handshake| !handshake.is_finished());
        }
        if self.oldest_first.len() >= MAX_HANDSHAKES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        let (timing, security) = (self.timing, self.security.clone());
        self.oldest_first.push_back(self.handshakes.spawn(async move {
            let handshake = async {
                tcp.set_nodelay(true).ok()?;
                let (carrier, peer) = security.accept(tcp).await.ok()?;
                Some(open(upgrade(Wire::new(carrier)).await?, timing, peer))
            };
            timeout(timing.handshake, handshake).await.ok().flatten()
        }));
    }
}

/// Agrees on WebSocket, or tells the peer why not.
async fn upgrade(mut wire: Wire) -> Option<WebSocketStream<Wire>> {
    match accept_async_with_config(&mut wire, Some(limits())).await {
        // Nothing was read past the request: a peer that says more has to wait for the
        // answer first.
        Ok(_) => {
            let socket = WebSocketStream::from_raw_socket(wire, Role::Server, Some(limits()));
            Some(socket.await)
        }
        Err(error) => {
            if let Some(answer) = Answer::to(&error) {
                let _ = answer.give(&mut wire).await;
            }
            None
        }
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

/// Whether an error of accepting concerns one connection, not the listener.
fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

impl Listener for WebSocketListener {
    type Sender = WebSocketSender;
    type Receiver = WebSocketReceiver;

    async fn accept(&mut self) -> Result<WebSocketConnection, TransportError> {
        loop {
            let tcp = self.tcp.as_ref().ok_or(TransportErrorKind::Closed)?;
            let rested = self.resting_until.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                Some(handshake) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = handshake {
                        return Ok(connection);
                    }
                }
                () = sleep_until(rested), if self.resting_until.is_some() => {
                    self.resting_until = None;
                }
                accepted = tcp.accept(), if self.resting_until.is_none() => match accepted {
                    Ok((tcp, _)) => self.start_handshake(tcp),
                    Err(error) if is_of_one_peer(&error) => {}
                    Err(_) => self.resting_until = Some(Instant::now() + REST),
                },
            }
        }
    }

    fn local_endpoint(&self) -> Endpoint {
        self.local.clone()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.tcp = None;
        self.oldest_first.clear();
        self.handshakes.shutdown().await;
        Ok(())
    }
}
