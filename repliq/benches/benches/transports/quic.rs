//! The QUIC transport beside quinn: one stream, the same certificates and windows.
//!
//! Bare, a frame is its length and its bytes, written together; what arrives is taken
//! in chunks and cut apart, which spares quinn calls. Quickest for small frames is to
//! gather them and to write many at once: then nothing promises when a frame leaves.

use crate::{Load, ours, pass};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{RecvStream, SendStream, TransportConfig};
use repliq::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const ALPN: &[u8] = b"bare";
/// As much as the transport lets wait.
const WINDOW: u32 = 2 << 20;
const CHUNK: usize = 64 << 10;
/// Up to here, copying a frame beside its length is quicker than writing two pieces.
const COPIED: usize = 4 << 10;
/// How much of small frames is written at once.
pub(crate) const GATHERED: usize = 16 << 10;

pub(crate) async fn ours(load: Load) -> Duration {
    ours::round(Quic::new(TlsConfig::new()), "quic://127.0.0.1:0", load).await
}

pub(crate) async fn bare(load: Load) -> Duration {
    round(load, 0).await
}

pub(crate) async fn gathered(load: Load) -> Duration {
    round(load, GATHERED).await
}

async fn round(load: Load, enough: usize) -> Duration {
    let tls = TlsConfig::new();
    let server = tls.server(&"quic://127.0.0.1:0".parse().unwrap(), &[ALPN]).unwrap();
    let fingerprint = server.shown.unwrap();
    let crypto = QuicServerConfig::try_from(server.config).unwrap();
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(transport());
    let far = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let at = far.local_addr().unwrap();

    let url = format!("quic://{at}?fingerprint={fingerprint}").parse().unwrap();
    let client = tls.client(&url, &[ALPN]).unwrap();
    let crypto = QuicClientConfig::try_from(client.config).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport());
    let near = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();

    let connecting = near.connect_with(config, at, "127.0.0.1").unwrap();
    let accepting = async { far.accept().await.unwrap().await.unwrap() };
    let (connected, accepted) = tokio::join!(connecting, accepting);
    let connected = connected.unwrap();
    let (mut near_send, near_recv) = connected.open_bi().await.unwrap();
    // A stream that nothing is written to is unknown to the other side.
    near_send.write_all(&[0]).await.unwrap();
    let (far_send, mut far_recv) = accepted.accept_bi().await.unwrap();
    far_recv.read_exact(&mut [0]).await.unwrap();
    let (up, _send, _recv) = one_way(near_send, far_recv, load, enough).await;
    let (down, ..) = one_way(far_send, near_recv, load, enough).await;
    up + down
}

fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into());
    Arc::new(config)
}

async fn one_way(
    mut send: SendStream,
    mut recv: RecvStream,
    load: Load,
    enough: usize,
) -> (Duration, SendStream, RecvStream) {
    let sending = async move {
        let mut writer = Writer { gathered: BytesMut::new(), enough };
        for frame in load.frames() {
            writer.write(&mut send, frame).await;
        }
        writer.flush(&mut send).await;
        send
    };
    let receiving = async move {
        let mut frames = Frames::default();
        for _ in 0..load.frames {
            assert_eq!(frames.next(&mut recv).await.len(), load.bytes);
        }
        recv
    };
    pass(sending, receiving).await
}

/// Writes frames with their lengths.
struct Writer {
    gathered: BytesMut,
    /// From how many bytes small frames are written.
    enough: usize,
}

impl Writer {
    async fn write(&mut self, send: &mut SendStream, frame: Bytes) {
        self.gathered.put_u32(u32::try_from(frame.len()).unwrap());
        if frame.len() <= COPIED {
            self.gathered.put(frame);
            if self.gathered.len() >= self.enough {
                self.flush(send).await;
            }
        } else {
            let mut pieces = [self.gathered.split().freeze(), frame];
            send.write_all_chunks(&mut pieces).await.unwrap();
        }
    }

    async fn flush(&mut self, send: &mut SendStream) {
        send.write_chunk(self.gathered.split().freeze()).await.unwrap();
    }
}

#[derive(Default)]
struct Frames {
    buffer: BytesMut,
}

impl Frames {
    async fn next(&mut self, recv: &mut RecvStream) -> Bytes {
        loop {
            if let Some(length) = self.buffer.first_chunk() {
                let length = u32::from_be_bytes(*length) as usize;
                if self.buffer.len() >= 4 + length {
                    self.buffer.advance(4);
                    return self.buffer.split_to(length).freeze();
                }
                self.buffer.reserve((4 + length - self.buffer.len()).max(CHUNK));
            } else {
                self.buffer.reserve(CHUNK);
            }
            let chunk = recv.read_chunk(CHUNK, true).await.unwrap().unwrap();
            self.buffer.extend_from_slice(&chunk.bytes);
        }
    }
}
