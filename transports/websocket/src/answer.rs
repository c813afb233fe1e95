//! What whoever does not ask for a WebSocket is told: a plain answer in HTTP.
//!
//! It promises that a browser, a probe, or a peer that encrypts where nobody does (or
//! does not where everybody must) learns what is wrong. It reads a bounded rest of what
//! the peer says, for closing on unread bytes would take the answer back.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::header::UPGRADE;
use tokio_tungstenite::tungstenite::http::{Response, StatusCode};

/// What is read of a peer after it was answered.
const MAX_REST: u64 = 64 << 10;
/// What every record of a TLS handshake starts with (RFC 8446, section 5.1).
#[cfg(feature = "tls")]
const TLS_HANDSHAKE: u8 = 22;

/// An answer that ends a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// This is no place for anything but a WebSocket.
    WebSocketOnly,
    /// This is no place for anything unencrypted (RFC 2817, section 4.2).
    #[cfg(feature = "tls")]
    TlsOnly,
    /// This is not understood.
    NotHttp,
}

impl Answer {
    /// The answer to a request that was refused for this; none when the peer is gone.
    pub(crate) fn to(refused: &Error) -> Option<Self> {
        match refused {
            Error::Io(_) | Error::Tls(_) | Error::ConnectionClosed | Error::AlreadyClosed => None,
            Error::Protocol(
                ProtocolError::WrongHttpMethod
                | ProtocolError::WrongHttpVersion
                | ProtocolError::MissingConnectionUpgradeHeader
                | ProtocolError::MissingUpgradeWebSocketHeader
                | ProtocolError::MissingSecWebSocketVersionHeader
                | ProtocolError::MissingSecWebSocketKey,
            ) => Some(Self::WebSocketOnly),
            _ => Some(Self::NotHttp),
        }
    }

    /// The answer to a connection that starts with this byte where TLS has to.
    #[cfg(feature = "tls")]
    pub(crate) fn to_unencrypted(first: u8) -> Option<Self> {
        (first != TLS_HANDSHAKE).then_some(Self::TlsOnly)
    }

    pub(crate) async fn give<S>(self, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(self.text().as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MAX_REST), &mut tokio::io::sink()).await.map(drop)
    }

    fn text(self) -> String {
        let (head, body) = match self {
            Self::WebSocketOnly => (
                "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Connection: Upgrade, close",
                "A relay listens here. Sync with it at this URL with ws:// (or wss://).\n",
            ),
            #[cfg(feature = "tls")]
            Self::TlsOnly => (
                "426 Upgrade Required\r\nUpgrade: TLS/1.3, HTTP/1.1\r\n\
                 Connection: Upgrade, close",
                "This port is encrypted. Write https:// to look at it, wss:// to sync with it.\n",
            ),
            Self::NotHttp => (
                "400 Bad Request\r\nConnection: close",
                "This port is for WebSocket, without encryption: sync with it at ws://.\n",
            ),
        };
        let length = body.len();
        format!(
            "HTTP/1.1 {head}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }
}

/// What an answer says to whoever connects.
pub(crate) fn meaning(answer: &Response<Option<Vec<u8>>>) -> String {
    let upgrade = answer.headers().get(UPGRADE).and_then(|to| to.to_str().ok());
    match (answer.status(), upgrade) {
        (StatusCode::UPGRADE_REQUIRED, Some(to)) if to.starts_with("TLS") => {
            "that port is encrypted: write wss://".to_owned()
        }
        (status, _) => format!("it answers {status}, so no relay is there"),
    }
}
