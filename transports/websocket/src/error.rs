//! From what tungstenite and the system report to the kinds of the contract.
//!
//! Every cause lands in exactly one kind; no text of a peer decides which.

use crate::answer::meaning;
use repliq_core::{Endpoint, TransportError, TransportErrorKind};
use std::io;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// How one direction of a connection ended. It is kept, so that every later call
/// is told the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The peer closed cleanly.
    Closed,
    /// Something went wrong.
    Failed { kind: TransportErrorKind, why: String },
}

impl End {
    pub(crate) fn lost(why: impl ToString) -> Self {
        Self::Failed { kind: TransportErrorKind::Lost, why: why.to_string() }
    }

    pub(crate) fn protocol(why: impl ToString) -> Self {
        Self::Failed { kind: TransportErrorKind::Protocol, why: why.to_string() }
    }

    /// What reading ended with.
    pub(crate) fn of_reading(error: &tungstenite::Error) -> Self {
        use tungstenite::Error;
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Closed,
            Error::Io(_) | Error::Tls(_) => Self::lost(error),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::lost(error),
            Error::Capacity(_) => {
                Self::Failed { kind: TransportErrorKind::TooLarge, why: error.to_string() }
            }
            _ => Self::protocol(error),
        }
    }

    /// The code that tells the peer why, when it did something wrong.
    pub(crate) fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Failed { kind: TransportErrorKind::TooLarge, .. } => Some(CloseCode::Size),
            Self::Failed { kind: TransportErrorKind::Protocol, .. } => Some(CloseCode::Protocol),
            _ => None,
        }
    }

    /// What receiving gives from now on.
    pub(crate) fn on_receiving<T>(&self) -> Result<Option<T>, TransportError> {
        match self {
            Self::Closed => Ok(None),
            Self::Failed { kind, why } => Err(TransportError::new(*kind, why.as_str())),
        }
    }

    /// What sending gives from now on.
    pub(crate) fn on_sending(&self) -> TransportError {
        let why = match self {
            Self::Closed => "the peer has closed the connection",
            Self::Failed { why, .. } => why,
        };
        TransportError::new(TransportErrorKind::Lost, why)
    }
}

pub(crate) fn endpoint_error(endpoint: &Endpoint, why: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Endpoint, format!("{endpoint}: {why}"))
}

pub(crate) fn unreachable(endpoint: &Endpoint, why: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Unreachable, format!("{endpoint}: {why}"))
}

pub(crate) fn handshake_error(endpoint: &Endpoint, why: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Handshake, format!("{endpoint}: {why}"))
}

/// Why the handshake failed, in TLS or after it.
pub(crate) fn handshake_failed(endpoint: &Endpoint, error: &tungstenite::Error) -> TransportError {
    #[cfg(feature = "tls")]
    if let tungstenite::Error::Io(error) = error
        && let Some(refusal) = crate::tls::refusal_of(error)
    {
        return refusal;
    }
    match error {
        tungstenite::Error::Http(answer) => handshake_error(endpoint, &meaning(answer)),
        error => handshake_error(endpoint, &error.to_string()),
    }
}

pub(crate) fn listen_error(endpoint: &Endpoint, error: &io::Error) -> TransportError {
    let kind = match error.kind() {
        io::ErrorKind::AddrInUse => TransportErrorKind::InUse,
        _ => TransportErrorKind::Io,
    };
    TransportError::new(kind, format!("{endpoint}: {error}"))
}
