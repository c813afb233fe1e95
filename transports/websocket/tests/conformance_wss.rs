//! The conformance suite on the WebSocket transport, encrypted.

#![allow(clippy::unwrap_used)]

use repliq_conformance::transport::TransportHarness;
use repliq_core::Endpoint;
use repliq_transport_websocket::{TlsConfig, WebSocket};
use std::any::Any;
use std::net::{TcpListener, TcpStream};

struct Loopback(TlsConfig);

impl TransportHarness for Loopback {
    type Transport = WebSocket;

    fn transport(&self) -> WebSocket {
        WebSocket::new().tls(self.0.clone())
    }

    fn endpoint(&self) -> Endpoint {
        "wss://127.0.0.1:0".parse().unwrap()
    }

    fn stall(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(TcpStream::connect(at.authority()).unwrap()))
    }

    fn silence(&self) -> Option<(Endpoint, Box<dyn Any + Send>)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("wss://{}", listener.local_addr().unwrap());
        Some((at.parse().unwrap(), Box::new(listener)))
    }
}

repliq_conformance::transport_conformance!(|| Loopback(TlsConfig::new()));
