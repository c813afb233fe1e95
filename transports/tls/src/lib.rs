//! What the transports of Repliq that encrypt share: who this end is, whom it
//! trusts, and how a refusal is told.
//!
//! It promises TLS 1.3, no early data, no resumption past a check, and a typed
//! [`Refusal`] for every certificate that is not trusted. A fingerprint in a URL
//! (`?fingerprint=…`) replaces authorities, names and dates: exactly that
//! certificate is trusted. It never opens a connection itself.

mod fingerprint;
mod identity;
mod refusal;
mod roots;
mod sides;
mod verify;

pub use fingerprint::Fingerprint;
pub use refusal::{Refusal, TlsError};
/// The TLS library whose types [`ClientSide`] and [`ServerSide`] carry.
pub use rustls;
pub use sides::{ClientSide, ServerSide, peer_of};

use identity::Identity;
use roots::Trust;
use rustls::RootCertStore;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Who this end is, and whom it trusts. Clones share one identity.
///
/// By default an end that connects shows no certificate and trusts the authorities
/// of the system, or the one certificate whose fingerprint the URL names; an end
/// that listens makes itself a certificate, for development: its fingerprint stands
/// in the listener's endpoint, and it lives as long as the configuration.
#[derive(Clone, Debug, Default)]
pub struct TlsConfig {
    own: Option<Arc<Identity>>,
    made: Arc<OnceLock<Arc<Identity>>>,
    trust: Trust,
    clients: Clients,
}

/// What a listener wants to know about who connects.
#[derive(Clone, Debug, Default)]
enum Clients {
    #[default]
    Anonymous,
    Asked,
    Of(Arc<RootCertStore>),
}

impl TlsConfig {
    /// The default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows the certificate in this PEM file, with those that lead to its authority
    /// after it, and proves it with the private key in the other.
    ///
    /// # Errors
    /// [`TlsError`] when a file cannot be read or does not hold what it should.
    pub fn certificate_files(
        mut self,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        self.own = Some(Arc::new(Identity::read(chain.as_ref(), key.as_ref(), false)?));
        Ok(self)
    }

    /// Shows a self-signed certificate that is kept in this directory, as
    /// `certificate.pem` and `key.pem`, and made there if it does not exist. So its
    /// fingerprint stays the same when a relay starts again.
    ///
    /// # Errors
    /// [`TlsError`] when the files cannot be read or written.
    pub fn self_signed_in(mut self, directory: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.own = Some(Arc::new(Identity::kept_in(directory.as_ref())?));
        Ok(self)
    }

    /// Trusts the authorities in this PEM file, instead of those of the system, with
    /// certificates of listeners.
    ///
    /// # Errors
    /// [`TlsError`] when the file cannot be read or holds no certificate.
    pub fn trust_file(mut self, authorities: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.trust = Trust::These(roots::read(authorities.as_ref())?);
        Ok(self)
    }

    /// Asks those who connect for a certificate. Whoever shows one has to hold its
    /// key, which becomes [`Peer::Verified`](repliq_core::Peer::Verified); who issued
    /// it does not matter. Others stay anonymous.
    #[must_use]
    pub fn ask_clients(mut self) -> Self {
        self.clients = Clients::Asked;
        self
    }

    /// Refuses whoever connects without a certificate of the authorities in this PEM
    /// file.
    ///
    /// # Errors
    /// [`TlsError`] when the file cannot be read or holds no certificate.
    pub fn require_clients_of(mut self, authorities: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.clients = Clients::Of(roots::read(authorities.as_ref())?);
        Ok(self)
    }

    /// The fingerprint of the certificate that this end shows, if it was given one.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.own.as_ref().map(|identity| identity.fingerprint())
    }

    fn listening_identity(&self) -> Result<Arc<Identity>, TlsError> {
        if let Some(own) = self.own.as_ref().or_else(|| self.made.get()) {
            return Ok(Arc::clone(own));
        }
        let made = Arc::new(Identity::make()?);
        Ok(Arc::clone(self.made.get_or_init(|| made)))
    }
}
