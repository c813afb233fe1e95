//! Whether a listener encrypts.
//!
//! It promises that a listener at a `wss://` endpoint takes nothing unencrypted,
//! and shows what others need to trust it.

use crate::WebSocket;
use crate::address::SCHEME;
use crate::wire::Carrier;
use repliq_core::{Endpoint, Peer, TransportError};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

#[derive(Clone, Debug)]
pub(crate) enum Security {
    Plain,
    #[cfg(feature = "tls")]
    Tls(std::sync::Arc<repliq_transport_tls::ServerSide>),
}

impl Security {
    pub(crate) fn of(
        endpoint: &Endpoint,
        secure: bool,
        transport: &WebSocket,
    ) -> Result<Self, TransportError> {
        #[cfg(feature = "tls")]
        if secure {
            let side = transport.tls.server(endpoint, &[crate::tls::ALPN])?;
            return Ok(Self::Tls(side.into()));
        }
        let _ = (endpoint, secure, transport);
        Ok(Self::Plain)
    }

    /// Where one connects to reach a listener at this address.
    pub(crate) fn endpoint(
        &self,
        endpoint: &Endpoint,
        at: SocketAddr,
    ) -> Result<Endpoint, TransportError> {
        match self {
            Self::Plain => format!("{SCHEME}://{at}{}", endpoint.path()).parse(),
            #[cfg(feature = "tls")]
            Self::Tls(side) => {
                let scheme = crate::address::SECURE_SCHEME;
                format!("{scheme}://{at}{}", side.path_and_query(endpoint)).parse()
            }
        }
    }

    /// Starts to encrypt, or tells a peer that does not to do so.
    pub(crate) async fn accept(&self, tcp: TcpStream) -> io::Result<(Carrier, Peer)> {
        match self {
            Self::Plain => Ok((Carrier::Plain(tcp), Peer::Anonymous)),
            #[cfg(feature = "tls")]
            Self::Tls(side) => crate::tls::accept(tcp, side).await,
        }
    }
}
