//! The two sides of a handshake, as a transport needs them.

use crate::verify::{AnyClient, Right, Server};
use crate::{Clients, Fingerprint, Refusal, TlsConfig, TlsError};
use repliq_core::{Endpoint, Peer, TransportError, TransportErrorKind};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use std::sync::{Arc, OnceLock};

/// What connects, once.
#[derive(Debug)]
pub struct ClientSide {
    /// The configuration for one connection.
    pub config: Arc<ClientConfig>,
    /// The name or address that the URL says.
    pub name: ServerName<'static>,
    refusal: Arc<OnceLock<Refusal>>,
}

impl ClientSide {
    /// Why the handshake failed, if it was for the listener's certificate.
    #[must_use]
    pub fn refusal(&self) -> Option<TransportError> {
        self.refusal.get().map(|refusal| refusal.clone().into())
    }
}

/// What listens.
#[derive(Debug)]
pub struct ServerSide {
    /// The configuration for every connection.
    pub config: Arc<ServerConfig>,
    /// What has to stand in a URL for others to trust this listener: the fingerprint
    /// of a certificate that no authority issued.
    pub shown: Option<Fingerprint>,
}

impl ServerSide {
    /// The path of an endpoint with what a URL to this listener has to say.
    #[must_use]
    pub fn path_and_query(&self, endpoint: &Endpoint) -> String {
        match self.shown {
            None => endpoint.path().to_owned(),
            Some(fingerprint) => format!("{}?fingerprint={fingerprint}", endpoint.path()),
        }
    }
}

impl TlsConfig {
    /// Looks at an endpoint without connecting: what [`TlsConfig::client`] refuses
    /// whoever is there.
    ///
    /// # Errors
    /// [`TransportErrorKind::Endpoint`] when the URL names no host that a certificate
    /// can be for, or pins what is no fingerprint.
    pub fn check(endpoint: &Endpoint) -> Result<(), TransportError> {
        wanted(endpoint).map(drop)
    }

    /// What connects to this endpoint, speaking one of these protocols.
    ///
    /// # Errors
    /// As [`TlsConfig::check`], and [`TransportErrorKind::Io`] when the certificates
    /// cannot be used.
    pub fn client(
        &self,
        endpoint: &Endpoint,
        protocols: &[&[u8]],
    ) -> Result<ClientSide, TransportError> {
        let (name, pinned) = wanted(endpoint)?;
        let refusal = Arc::new(OnceLock::new());
        let config = self
            .client_config(pinned, Arc::clone(&refusal), protocols)
            .map_err(|error| error.at(endpoint))?;
        Ok(ClientSide { config: Arc::new(config), name, refusal })
    }

    fn client_config(
        &self,
        pinned: Option<Fingerprint>,
        refusal: Arc<OnceLock<Refusal>>,
        protocols: &[&[u8]],
    ) -> Result<ClientConfig, TlsError> {
        let provider = provider();
        let right = match pinned {
            Some(fingerprint) => Right::Pinned(fingerprint),
            None => {
                let roots = self.trust.roots()?;
                let builder =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
                Right::Issued(builder.build().map_err(unusable)?)
            }
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Server { right, provider, refusal }));
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some(own) => builder.with_client_auth_cert(own.chain(), own.key()).map_err(unusable)?,
        };
        // A resumed session would come past the check of the certificate.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = owned(protocols);
        Ok(config)
    }

    /// What listens at this endpoint, speaking one of these protocols.
    ///
    /// # Errors
    /// [`TransportErrorKind::Endpoint`] when the URL pins another certificate than
    /// this end's, [`TransportErrorKind::Io`] when the certificates cannot be used.
    pub fn server(
        &self,
        endpoint: &Endpoint,
        protocols: &[&[u8]],
    ) -> Result<ServerSide, TransportError> {
        let own = self.listening_identity().map_err(|error| error.at(endpoint))?;
        let fingerprint = own.fingerprint();
        if let Some(pinned) = pinned(endpoint)?.filter(|pinned| *pinned != fingerprint) {
            let why = format!("it pins {pinned}, but this end's certificate has {fingerprint}");
            return Err(endpoint_error(endpoint, &why));
        }
        let config = self.server_config(&own, protocols).map_err(|error| error.at(endpoint))?;
        let shown = own.self_signed.then_some(fingerprint);
        Ok(ServerSide { config: Arc::new(config), shown })
    }

    fn server_config(
        &self,
        own: &crate::identity::Identity,
        protocols: &[&[u8]],
    ) -> Result<ServerConfig, TlsError> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?;
        let builder = match &self.clients {
            Clients::Anonymous => builder.with_no_client_auth(),
            Clients::Asked => builder.with_client_cert_verifier(Arc::new(AnyClient(provider))),
            Clients::Of(roots) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider)
                    .build()
                    .map_err(unusable)?,
            ),
        };
        let mut config = builder.with_single_cert(own.chain(), own.key()).map_err(unusable)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = owned(protocols);
        Ok(config)
    }
}

/// Who showed these certificates: the holder of the first one's public key
/// (SubjectPublicKeyInfo, as DER).
#[must_use]
pub fn peer_of(certificates: Option<&[CertificateDer<'_>]>) -> Peer {
    let leaf = certificates.and_then(|certificates| certificates.first());
    match leaf.map(ParsedCertificate::try_from) {
        Some(Ok(parsed)) => Peer::Verified(parsed.subject_public_key_info().to_vec()),
        _ => Peer::Anonymous,
    }
}

/// Whom the URL names, and the certificate that it pins.
fn wanted(
    endpoint: &Endpoint,
) -> Result<(ServerName<'static>, Option<Fingerprint>), TransportError> {
    let (host, _) = endpoint.host_and_port(0)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| endpoint_error(endpoint, &error.to_string()))?;
    Ok((name, pinned(endpoint)?))
}

fn pinned(endpoint: &Endpoint) -> Result<Option<Fingerprint>, TransportError> {
    let parse = |text: &str| {
        text.parse().map_err(|error: crate::fingerprint::NoFingerprint| {
            endpoint_error(endpoint, &error.to_string())
        })
    };
    endpoint.query("fingerprint").map(parse).transpose()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn owned(protocols: &[&[u8]]) -> Vec<Vec<u8>> {
    protocols.iter().map(|protocol| protocol.to_vec()).collect()
}

fn unusable(error: impl ToString) -> TlsError {
    TlsError::Unusable(error.to_string())
}

fn endpoint_error(endpoint: &Endpoint, why: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Endpoint, format!("{endpoint}: {why}"))
}
