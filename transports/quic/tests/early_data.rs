//! Nothing is sent before the handshake is done: what is, anybody can send again.

#![allow(clippy::unwrap_used)]

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use repliq_core::{Endpoint, Listener, Transport};
use repliq_transport_quic::{Quic, TlsConfig};
use repliq_transport_tls::rustls::client::Resumption;
use repliq_transport_tls::rustls::server::ServerSessionMemoryCache;
use std::sync::Arc;
use std::time::Duration;

const ALPN: &[u8] = b"repliq/1";

/// Whether a client that wants to, and was there before, can send early.
async fn sends_early(at: &Endpoint) -> bool {
    let side = TlsConfig::new().client(at, &[ALPN]).unwrap();
    let mut tls = side.config.as_ref().clone();
    tls.enable_early_data = true;
    tls.resumption = Resumption::in_memory_sessions(8);
    let crypto = QuicClientConfig::try_from(tls).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = at.authority().parse().unwrap();
    let connect = || socket.connect_with(config.clone(), address, "127.0.0.1").unwrap();

    let first = connect().await.unwrap();
    // Tickets come after the handshake; a stream that ends shows that they have.
    let (mut send, mut recv) = first.open_bi().await.unwrap();
    send.write_all(&(u32::MAX - 1).to_be_bytes()).await.unwrap();
    recv.read_exact(&mut [0; 4]).await.unwrap();
    first.close(0_u8.into(), b"");
    match connect().into_0rtt() {
        Ok((_, accepted)) => accepted.await,
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_returns_cannot_send_before_the_handshake() {
    let mut listener =
        Quic::new(TlsConfig::new()).listen(&"quic://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = listener.local_endpoint();
    let accepting = async {
        let mut accepted = Vec::new();
        loop {
            accepted.push(listener.accept().await.unwrap());
        }
    };
    tokio::select! {
        () = accepting => {}
        early = soon(sends_early(&at)) => assert!(!early),
    }
}

/// The test above would see it.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_server_allows_it_such_a_client_does() {
    let anywhere: Endpoint = "quic://127.0.0.1:0".parse().unwrap();
    let side = TlsConfig::new().server(&anywhere, &[ALPN]).unwrap();
    let mut tls = side.config.as_ref().clone();
    tls.session_storage = ServerSessionMemoryCache::new(8);
    tls.send_tls13_tickets = 2;
    tls.max_early_data_size = u32::MAX;
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let server = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.local_addr().unwrap();
    let at = format!("quic://{address}?fingerprint={}", side.shown.unwrap()).parse().unwrap();
    let serving = async {
        let mut held = Vec::new();
        while let Some(incoming) = server.accept().await {
            let Ok(connection) = incoming.await else { continue };
            if let Ok((mut send, mut recv)) = connection.accept_bi().await {
                recv.read_exact(&mut [0; 4]).await.unwrap();
                send.write_all(&[0; 4]).await.unwrap();
                held.push((send, recv));
            }
        }
    };
    tokio::select! {
        () = serving => {}
        early = soon(sends_early(&at)) => assert!(early),
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future).await.unwrap()
}
