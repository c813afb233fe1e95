//! The conformance suite on the QUIC transport, over IPv4 loopback.

#![allow(clippy::unwrap_used)]

use quinn::crypto::rustls::QuicClientConfig;
use repliq_conformance::transport::TransportHarness;
use repliq_core::{Endpoint, MAX_FRAME_BYTES};
use repliq_transport_quic::{Quic, TlsConfig};
use std::any::Any;
use std::future::pending;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

/// What each end says first on its stream.
const HELLO: [u8; 4] = (u32::MAX - 1).to_be_bytes();

struct Loopback(TlsConfig);

impl TransportHarness for Loopback {
    type Transport = Quic;

    fn transport(&self) -> Quic {
        Quic::new(self.0.clone())
    }

    fn endpoint(&self) -> Endpoint {
        "quic://127.0.0.1:0".parse().unwrap()
    }

    /// Nobody refuses a UDP packet: that nobody is there shows after this timeout.
    fn connector(&self) -> Quic {
        self.transport().handshake_timeout(Duration::from_secs(6))
    }

    /// A connection on which no stream is ever opened.
    fn stall(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        let (socket, connecting) = self.raw(at);
        let connected = tokio::spawn(async move {
            let connection = connecting.await;
            pending::<()>().await;
            drop((socket, connection));
        });
        Some(Box::new(connected))
    }

    fn oversize(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        let (socket, connecting) = self.raw(at);
        let connected = tokio::spawn(async move {
            let connection = connecting.await.unwrap();
            let (mut send, mut recv) = connection.open_bi().await.unwrap();
            send.write_all(&HELLO).await.unwrap();
            recv.read_exact(&mut [0; 4]).await.unwrap();
            let length = u32::try_from(MAX_FRAME_BYTES).unwrap() + 1;
            send.write_all(&length.to_be_bytes()).await.unwrap();
            pending::<()>().await;
            drop((socket, connection));
        });
        Some(Box::new(connected))
    }

    fn silence(&self) -> Option<(Endpoint, Box<dyn Any + Send>)> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = format!("quic://{}", socket.local_addr().unwrap());
        Some((at.parse().unwrap(), Box::new(socket)))
    }
}

impl Loopback {
    /// A connection without anything of Repliq, and what keeps it.
    fn raw(&self, at: &Endpoint) -> (quinn::Endpoint, quinn::Connecting) {
        let side = self.0.client(at, &[b"repliq/1"]).unwrap();
        let crypto = QuicClientConfig::try_from(side.config).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = at.authority().parse().unwrap();
        let connecting = socket.connect_with(config, address, "127.0.0.1").unwrap();
        (socket, connecting)
    }
}

repliq_conformance::transport_conformance!(|| Loopback(TlsConfig::new()));
