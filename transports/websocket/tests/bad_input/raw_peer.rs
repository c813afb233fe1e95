//! A peer that speaks WebSocket by hand, so that it can speak it wrongly.

use bytes::Bytes;
use repliq_core::{Connection, Endpoint, FrameReceiver, Listener, Transport, TransportErrorKind};
use repliq_transport_websocket::{
    WebSocket, WebSocketListener, WebSocketReceiver, WebSocketSender,
};
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) type Accepted = Connection<WebSocketSender, WebSocketReceiver>;

pub(crate) const BINARY: u8 = 0x2;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const FINAL: u8 = 0x80;

/// A hang becomes a failure that says where.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(120), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: no end after 120 s"),
    }
}

pub(crate) async fn listener(transport: &WebSocket) -> (WebSocketListener, Endpoint) {
    let listener = transport.listen(&"ws://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = listener.local_endpoint();
    (listener, at)
}

pub(crate) async fn tcp(at: &Endpoint) -> TcpStream {
    TcpStream::connect(at.authority()).await.unwrap()
}

/// A raw client after a correct handshake, and what the listener accepted.
pub(crate) async fn raw_client(transport: &WebSocket) -> (TcpStream, Accepted) {
    let (mut listener, at) = listener(transport).await;
    let mut raw = tcp(&at).await;
    raw.write_all(
        b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .await
    .unwrap();
    let accepted = soon("accepting a raw client", listener.accept()).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(soon("the response", raw.read_u8()).await.unwrap());
    }
    (raw, accepted)
}

/// A frame as a client sends it, masked with zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend(payload);
    frame
}

/// The header of a client's frame that claims this length.
pub(crate) fn header(first: u8, len: u64) -> Vec<u8> {
    let mut header = vec![first, 0x80 | 127];
    header.extend(len.to_be_bytes());
    header.extend([0; 4]);
    header
}

/// Reads one short, unmasked frame: its first byte and payload.
pub(crate) async fn read_frame(raw: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let first = raw.read_u8().await.unwrap();
    let len = match raw.read_u8().await.unwrap() {
        126 => u64::from(raw.read_u16().await.unwrap()),
        127 => raw.read_u64().await.unwrap(),
        len => u64::from(len),
    };
    let mut payload = vec![0; usize::try_from(len).unwrap()];
    raw.read_exact(&mut payload).await.unwrap();
    (first, payload)
}

/// Reads until the peer closes or resets.
pub(crate) async fn read_to_end(raw: &mut TcpStream) {
    let mut sink = [0; 4096];
    while matches!(soon("the end of the stream", raw.read(&mut sink)).await, Ok(1..)) {}
}

pub(crate) async fn expect_error(accepted: &mut Accepted, kind: TransportErrorKind) {
    for _ in 0..2 {
        let error = soon("receiving", accepted.receiver.recv()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

pub(crate) async fn expect_frame(accepted: &mut Accepted, frame: &'static [u8]) {
    let got = soon("receiving", accepted.receiver.recv()).await.unwrap();
    assert_eq!(got, Some(Bytes::from_static(frame)));
}
