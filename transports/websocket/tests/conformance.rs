//! The conformance suite on the WebSocket transport, over IPv4 loopback.

#![allow(clippy::unwrap_used)]

use repliq_conformance::transport::TransportHarness;
use repliq_core::{Endpoint, MAX_FRAME_BYTES};
use repliq_transport_websocket::WebSocket;
use std::any::Any;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

struct Loopback;

impl TransportHarness for Loopback {
    type Transport = WebSocket;

    fn transport(&self) -> WebSocket {
        WebSocket::new()
    }

    fn endpoint(&self) -> Endpoint {
        "ws://127.0.0.1:0".parse().unwrap()
    }

    fn stall(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        Some(Box::new(TcpStream::connect(at.authority()).unwrap()))
    }

    fn silence(&self) -> Option<(Endpoint, Box<dyn Any + Send>)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("ws://{}", listener.local_addr().unwrap());
        Some((at.parse().unwrap(), Box::new(listener)))
    }

    fn oversize(&self, at: &Endpoint) -> Option<Box<dyn Any + Send>> {
        let mut raw = TcpStream::connect(at.authority()).unwrap();
        // The answer comes once somebody accepts.
        let rogue = thread::spawn(move || {
            raw.write_all(HANDSHAKE).unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                raw.read_exact(&mut byte).unwrap();
                answer.extend(byte);
            }
            // A binary frame, final and masked, of 8 bytes that tell its length.
            let mut header = vec![0x82, 0x80 | 127];
            header.extend((MAX_FRAME_BYTES as u64 + 1).to_be_bytes());
            header.extend([0; 4]);
            raw.write_all(&header).unwrap();
            raw
        });
        Some(Box::new(rogue))
    }
}

repliq_conformance::transport_conformance!(|| Loopback);
