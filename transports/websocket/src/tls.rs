//! The handshake of TLS below that of WebSocket.
//!
//! It promises that whoever is not trusted is refused with a typed error before a
//! byte of WebSocket is said. It never decides whom to trust: that is what
//! [`TlsConfig`] says.

use crate::answer::Answer;
use crate::error::handshake_error;
use crate::wire::Carrier;
use repliq_core::{Endpoint, Peer, TransportError};
use repliq_transport_tls::{Refusal, ServerSide, TlsConfig, peer_of, rustls};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// What WebSocket connections start as.
pub(crate) const ALPN: &[u8] = b"http/1.1";

pub(crate) async fn connect(
    tcp: TcpStream,
    endpoint: &Endpoint,
    tls: &TlsConfig,
) -> Result<(Carrier, Peer), TransportError> {
    let side = tls.client(endpoint, &[ALPN])?;
    let connector = TlsConnector::from(Arc::clone(&side.config));
    match connector.connect(side.name.clone(), tcp).await {
        Ok(stream) => Ok(opened(stream.into())),
        Err(error) => Err(side
            .refusal()
            .or_else(|| refusal_of(&error))
            .unwrap_or_else(|| handshake_error(endpoint, &meaning(&error)))),
    }
}

pub(crate) async fn accept(mut tcp: TcpStream, side: &ServerSide) -> io::Result<(Carrier, Peer)> {
    let mut first = [0];
    tcp.peek(&mut first).await?;
    if let Some(answer) = Answer::to_unencrypted(first[0]) {
        answer.give(&mut tcp).await?;
        return Err(io::ErrorKind::InvalidData.into());
    }
    let acceptor = TlsAcceptor::from(Arc::clone(&side.config));
    Ok(opened(acceptor.accept(tcp).await?.into()))
}

/// What it means that the handshake failed, other than for a certificate.
fn meaning(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => {
            "that port is not encrypted: write ws://".to_owned()
        }
        _ => error.to_string(),
    }
}

fn opened(stream: TlsStream<TcpStream>) -> (Carrier, Peer) {
    let peer = peer_of(stream.get_ref().1.peer_certificates());
    (Carrier::Encrypted(Box::new(stream)), peer)
}

/// What the peer says about this end's certificate. In TLS 1.3 it is said only after
/// the handshake, where the first answer is due.
pub(crate) fn refusal_of(error: &io::Error) -> Option<TransportError> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match error {
        rustls::Error::AlertReceived(alert) => {
            Refusal::of_alert(u8::from(*alert)).map(TransportError::from)
        }
        _ => None,
    }
}
