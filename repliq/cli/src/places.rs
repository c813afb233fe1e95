//! Where a relay listens: URLs, and the certificates that encrypted ones need.
//!
//! It promises that a mistake in either is told before anything is opened, in one
//! line that says what to do. It never makes a certificate that nobody asked for.

use clap::Args;
use repliq::prelude::*;
use repliq::{Endpoint, TlsError, TransportError};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct PlaceOptions {
    /// Where to listen, as a URL: ws:// (plain), wss:// or quic:// (both encrypted); give it several times to
    /// listen at several places. Port 0 picks a free port. At 0.0.0.0 devices reach it by any address of this machine
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8080")]
    listen: Vec<String>,
    /// For wss:// and quic://: the certificate in this PEM file, followed by those that lead to its authority
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The private key of the certificate, as a PEM file
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// For wss:// and quic:// without an authority: a self-signed certificate that is kept in this directory, and
    /// made there the first time; devices trust it by the fingerprint in the URL that is printed
    #[arg(long, value_name = "DIR", conflicts_with = "certificate")]
    self_signed: Option<PathBuf>,
    /// Asks devices at wss:// and quic:// for a certificate; those without one are served too
    #[arg(long, conflicts_with = "require_clients_of")]
    ask_clients: bool,
    /// Serves only devices at wss:// and quic:// with a certificate of the authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    require_clients_of: Option<PathBuf>,
}

/// What is wrong with the places.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("{0}")]
    Url(#[from] TransportError),
    #[error("cannot listen at {0}: write ws://host:port, wss://host:port or quic://host:port")]
    Scheme(Endpoint),
    #[error(
        "{0} needs a certificate: give --certificate FILE and --key FILE, or --self-signed DIR to have one made and \
         kept there"
    )]
    NoCertificate(Endpoint),
    #[error(
        "{0} is for wss:// and quic://, but no --listen is one of these: leave it away, or add such a --listen"
    )]
    Unused(&'static str),
    #[error("{option} cannot be used: {why}")]
    Certificate { option: &'static str, why: TlsError },
}

/// Places to listen at, and what to show and to ask there.
pub(crate) struct Places {
    endpoints: Vec<Endpoint>,
    tls: TlsConfig,
}

impl PlaceOptions {
    /// Checks everything that can be checked without listening.
    pub(crate) fn places(&self) -> Result<Places, PlaceError> {
        let mut endpoints = Vec::with_capacity(self.listen.len());
        for url in &self.listen {
            let endpoint: Endpoint = url.parse()?;
            if !matches!(endpoint.scheme(), "ws" | "wss" | "quic") {
                return Err(PlaceError::Scheme(endpoint));
            }
            endpoint.host_and_port(0)?;
            endpoints.push(endpoint);
        }
        let encrypted = endpoints.iter().find(|endpoint| endpoint.scheme() != "ws");
        match (encrypted, self.first_certificate_option()) {
            (None, Some(option)) => return Err(PlaceError::Unused(option)),
            (Some(endpoint), _) if self.certificate.is_none() && self.self_signed.is_none() => {
                return Err(PlaceError::NoCertificate(endpoint.clone()));
            }
            _ => {}
        }
        Ok(Places { endpoints, tls: self.tls()? })
    }

    fn first_certificate_option(&self) -> Option<&'static str> {
        let given = [
            (self.certificate.is_some(), "--certificate"),
            (self.self_signed.is_some(), "--self-signed"),
            (self.ask_clients, "--ask-clients"),
            (self.require_clients_of.is_some(), "--require-clients-of"),
        ];
        given.into_iter().find_map(|(given, option)| given.then_some(option))
    }

    fn tls(&self) -> Result<TlsConfig, PlaceError> {
        let unusable = |option| move |why| PlaceError::Certificate { option, why };
        let mut tls = TlsConfig::new();
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            tls = tls.certificate_files(certificate, key).map_err(unusable("--certificate"))?;
        }
        if let Some(directory) = &self.self_signed {
            tls = tls.self_signed_in(directory).map_err(unusable("--self-signed"))?;
        }
        if let Some(authorities) = &self.require_clients_of {
            let option = "--require-clients-of";
            tls = tls.require_clients_of(authorities).map_err(unusable(option))?;
        }
        Ok(if self.ask_clients { tls.ask_clients() } else { tls })
    }
}

impl Places {
    /// Makes the relay listen at all of them, and tells where devices find it.
    pub(crate) async fn listen(
        &self,
        relay: &Relay,
    ) -> Result<Vec<Endpoint>, (Endpoint, repliq::Error)> {
        let mut listening = Vec::with_capacity(self.endpoints.len());
        for endpoint in &self.endpoints {
            let (url, tls) = (endpoint.as_str(), self.tls.clone());
            let listened = match endpoint.scheme() {
                "quic" => relay.listen(Quic::new(tls), url).await,
                _ => relay.listen(WebSocket::new().tls(tls), url).await,
            };
            listening.push(listened.map_err(|why| (endpoint.clone(), why))?);
        }
        Ok(listening)
    }
}
