//! A peer that speaks QUIC by hand, so that it can speak the rest wrongly.

use quinn::crypto::rustls::QuicClientConfig;
use repliq_core::{Connection, Endpoint, Listener, Transport};
use repliq_transport_quic::{Quic, QuicListener, QuicReceiver, QuicSender, TlsConfig};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type Accepted = Connection<QuicSender, QuicReceiver>;

pub(crate) const HELLO: [u8; 4] = (u32::MAX - 1).to_be_bytes();
pub(crate) const END: [u8; 4] = u32::MAX.to_be_bytes();

/// A hang becomes a failure that says where.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(120), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: no end after 120 s"),
    }
}

pub(crate) fn quic() -> Quic {
    Quic::new(TlsConfig::new())
}

pub(crate) async fn listener(transport: &Quic) -> (QuicListener, Endpoint) {
    let listener = transport.listen(&"quic://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = listener.local_endpoint();
    (listener, at)
}

/// A connection that speaks these protocols, or none, and what keeps it.
pub(crate) async fn raw_connection(
    at: &Endpoint,
    protocols: &[&[u8]],
) -> Result<(quinn::Endpoint, quinn::Connection), quinn::ConnectionError> {
    let side = TlsConfig::new().client(at, protocols).unwrap();
    let config = QuicClientConfig::try_from(side.config).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(config));
    let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = at.authority().parse().unwrap();
    let connection = socket.connect_with(config, address, "127.0.0.1").unwrap().await?;
    Ok((socket, connection))
}

pub(crate) struct Raw {
    pub(crate) _socket: quinn::Endpoint,
    pub(crate) connection: quinn::Connection,
    pub(crate) send: quinn::SendStream,
    pub(crate) recv: quinn::RecvStream,
}

/// A raw client after a correct greeting, and what the listener accepted.
pub(crate) async fn raw_client(transport: &Quic) -> (Raw, Accepted, QuicListener) {
    let (mut listener, at) = listener(transport).await;
    let raw = async {
        let (_socket, connection) = raw_connection(&at, &[b"repliq/1"]).await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&HELLO).await.unwrap();
        let mut hello = [0; 4];
        recv.read_exact(&mut hello).await.unwrap();
        assert_eq!(hello, HELLO);
        Raw { _socket, connection, send, recv }
    };
    let both = async { tokio::join!(raw, listener.accept()) };
    let (raw, accepted) = soon("accepting a raw client", both).await;
    (raw, accepted.unwrap(), listener)
}

/// Somebody honest gets through.
pub(crate) async fn meets(listener: &mut QuicListener, at: &Endpoint) {
    let transport = quic();
    let met = async { tokio::join!(transport.connect(at), listener.accept()) };
    let (connected, accepted) = soon("an honest connection", met).await;
    connected.unwrap();
    accepted.unwrap();
}
