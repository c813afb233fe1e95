//! Why one end does not trust the other, and what is wrong with a configuration.

use crate::Fingerprint;
use repliq_core::{Endpoint, TransportError, TransportErrorKind};
use rustls::{AlertDescription, CertificateError};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a certificate was refused. It is the source of a [`TransportError`] of the
/// kind [`Untrusted`](TransportErrorKind::Untrusted).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not the certificate that the URL pins.
    #[error("the URL pins the fingerprint {expected}, but the certificate there has {presented}")]
    Fingerprint {
        /// What the URL says.
        expected: Fingerprint,
        /// What the other side shows.
        presented: Fingerprint,
    },
    /// A certificate for other names.
    #[error("the URL names {expected}, but the certificate there is for {}", presented.join(", "))]
    Name {
        /// The host in the URL.
        expected: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// A certificate past its time.
    #[error("the certificate there expired {} hours ago: renew it", ago.as_secs() / 3600)]
    Expired {
        /// How long ago.
        ago: Duration,
    },
    /// A certificate before its time.
    #[error("the certificate there is not valid yet: check the clocks of both sides")]
    NotYetValid,
    /// No trusted authority issued the certificate.
    #[error(
        "no trusted authority issued the certificate there: trust its authority's file, or pin \
         it with ?fingerprint=…"
    )]
    UnknownIssuer,
    /// Anything else about the certificate.
    #[error("the certificate there cannot be used: {0}")]
    Unusable(String),
    /// The other side does not trust this end's certificate, or wants one.
    #[error("the other side refuses this end's certificate: {0}")]
    ByPeer(String),
}

impl Refusal {
    /// What a TLS alert of the peer says about this end's certificate, if it is about
    /// that.
    #[must_use]
    pub fn of_alert(alert: u8) -> Option<Self> {
        Some(Self::ByPeer(match AlertDescription::from(alert) {
            AlertDescription::CertificateRequired => "it wants one, and there is none".to_owned(),
            AlertDescription::CertificateExpired => "it has expired".to_owned(),
            AlertDescription::UnknownCA | AlertDescription::DecryptError => {
                "no authority that it trusts issued it".to_owned()
            }
            other @ (AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied) => format!("{other:?}"),
            _ => return None,
        }))
    }

    pub(crate) fn of(error: &rustls::Error) -> Self {
        let rustls::Error::InvalidCertificate(error) = error else {
            return Self::Unusable(error.to_string());
        };
        match error {
            CertificateError::ExpiredContext { time, not_after } => {
                let ago = time.as_secs().saturating_sub(not_after.as_secs());
                Self::Expired { ago: Duration::from_secs(ago) }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::NotValidForNameContext { expected, presented } => Self::Name {
                expected: expected.to_str().into_owned(),
                presented: presented.clone(),
            },
            // An authority of the same name, with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            other => Self::Unusable(other.to_string()),
        }
    }
}

impl From<Refusal> for TransportError {
    fn from(refusal: Refusal) -> Self {
        Self::new(TransportErrorKind::Untrusted, refusal)
    }
}

/// What is wrong with the certificates that this end was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file without a certificate.
    #[error("{} holds no certificate: it has to be a PEM file", .0.display())]
    NoCertificate(PathBuf),
    /// A file without a private key.
    #[error("{} holds no private key: it has to be a PEM file", .0.display())]
    NoKey(PathBuf),
    /// The system trusts no authority.
    #[error("this system has no trusted authorities: name a file of them, or pin a fingerprint")]
    NoAuthorities,
    /// A certificate or key that cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl TlsError {
    /// As the error of a transport.
    #[must_use]
    pub fn at(self, endpoint: &Endpoint) -> TransportError {
        TransportError::new(TransportErrorKind::Io, format!("{endpoint}: {self}"))
    }
}
