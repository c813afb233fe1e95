//! From what quinn and the system report to the kinds of the contract.
//!
//! Every cause lands in exactly one kind; no text of a peer decides which.

use quinn::{ConnectionError, ReadError, VarInt, WriteError};
use repliq_core::{Endpoint, TransportError, TransportErrorKind};
use repliq_transport_tls::Refusal;
use std::io;

/// Both ends are done, or gone.
pub(crate) const GONE: VarInt = VarInt::from_u32(0);
/// The peer's last frame and its end were read.
pub(crate) const READ_ALL: VarInt = VarInt::from_u32(1);
/// The peer broke the protocol of frames.
pub(crate) const BROKEN: VarInt = VarInt::from_u32(2);

/// How receiving ended. It is kept, so that every later call is told the same.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Closed,
    Failed { kind: TransportErrorKind, why: String },
}

impl End {
    pub(crate) fn failed(kind: TransportErrorKind, why: impl ToString) -> Self {
        Self::Failed { kind, why: why.to_string() }
    }

    pub(crate) fn of_reading(error: &ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => Self::failed(kind_of(error), error),
            other => Self::failed(TransportErrorKind::Lost, other),
        }
    }

    pub(crate) fn told<T>(&self) -> Result<Option<T>, TransportError> {
        match self {
            Self::Closed => Ok(None),
            Self::Failed { kind, why } => Err(TransportError::new(*kind, why.as_str())),
        }
    }
}

/// What receiving is told of a broken connection.
fn kind_of(error: &ConnectionError) -> TransportErrorKind {
    match error {
        ConnectionError::TransportError(_) => TransportErrorKind::Protocol,
        _ => TransportErrorKind::Lost,
    }
}

pub(crate) fn of_writing(error: &WriteError) -> TransportError {
    match error {
        WriteError::Stopped(_) => lost("the peer receives nothing more"),
        WriteError::ConnectionLost(error) => lost(error),
        other => lost(other),
    }
}

pub(crate) fn lost(why: impl ToString) -> TransportError {
    TransportError::new(TransportErrorKind::Lost, why.to_string())
}

/// Why there is no connection.
pub(crate) fn of_connecting(endpoint: &Endpoint, error: &ConnectionError) -> TransportError {
    let kind = match error {
        ConnectionError::TimedOut => TransportErrorKind::Unreachable,
        ConnectionError::ConnectionClosed(close) => {
            // The alerts of TLS are 0x100 to 0x1ff (RFC 9001, section 4.8).
            let alert = u64::from(close.error_code).checked_sub(0x100);
            let alert = alert.and_then(|alert| u8::try_from(alert).ok());
            if let Some(refusal) = alert.and_then(Refusal::of_alert) {
                return refusal.into();
            }
            TransportErrorKind::Handshake
        }
        _ => TransportErrorKind::Handshake,
    };
    at(kind, endpoint, error)
}

pub(crate) fn of_listening(endpoint: &Endpoint, error: &io::Error) -> TransportError {
    let kind = match error.kind() {
        io::ErrorKind::AddrInUse => TransportErrorKind::InUse,
        _ => TransportErrorKind::Io,
    };
    at(kind, endpoint, error)
}

pub(crate) fn at(
    kind: TransportErrorKind,
    endpoint: &Endpoint,
    why: impl ToString,
) -> TransportError {
    TransportError::new(kind, format!("{endpoint}: {}", why.to_string()))
}
