//! The conformance suite on the QUIC transport, over IPv4 loopback.

#![allow(clippy::unwrap_used)]

use quinn::crypto::rustls::QuicClientConfig;
use repliq_conformance::transport::TransportHarness;
use repliq_core::Endpoint;
use repliq_transport_quic::{Quic, TlsConfig};
use std::any::Any;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

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
        let side = self.0.client(at, &[b"repliq/1"]).unwrap();
        let crypto = QuicClientConfig::try_from(side.config).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = at.authority().parse().unwrap();
        let connecting = socket.connect_with(config, address, "127.0.0.1").unwrap();
        let connected = tokio::spawn(async move {
            let connection = connecting.await;
            std::future::pending::<()>().await;
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

repliq_conformance::transport_conformance!(|| Loopback(TlsConfig::new()));
