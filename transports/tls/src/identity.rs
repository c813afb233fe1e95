//! A certificate and its private key: read from files, or made.

use crate::{Fingerprint, TlsError};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// What a certificate made here names. It is trusted by its fingerprint, so the
/// name decides nothing.
const NAME: &str = "localhost";

#[derive(Debug)]
pub(crate) struct Identity {
    leaf: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// Whether it can only be trusted by its fingerprint.
    pub(crate) self_signed: bool,
}

impl Identity {
    pub(crate) fn read(chain: &Path, key: &Path, self_signed: bool) -> Result<Self, TlsError> {
        let mut certificates = read_certificates(chain)?.into_iter();
        let leaf = certificates.next().ok_or_else(|| TlsError::NoCertificate(chain.to_owned()))?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| in_pem(key, error, TlsError::NoKey))?;
        Ok(Self { leaf, intermediates: certificates.collect(), key, self_signed })
    }

    pub(crate) fn make() -> Result<Self, TlsError> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(unmade)?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Ok(Self {
            leaf: made.cert.der().clone(),
            intermediates: Vec::new(),
            key: key.into(),
            self_signed: true,
        })
    }

    pub(crate) fn kept_in(directory: &Path) -> Result<Self, TlsError> {
        let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
        if !certificate.exists() {
            let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(unmade)?;
            let read = |source| TlsError::File { path: directory.to_owned(), source };
            fs::create_dir_all(directory).map_err(read)?;
            // The certificate last: where it is, its key is whole.
            write_secret(&key, &made.signing_key.serialize_pem())?;
            let unfinished = directory.join("certificate.pem.unfinished");
            fs::write(&unfinished, made.cert.pem()).map_err(read)?;
            fs::rename(&unfinished, &certificate).map_err(read)?;
        }
        Self::read(&certificate, &key, true)
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.leaf)
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        [std::slice::from_ref(&self.leaf), &self.intermediates].concat()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

/// All certificates in a PEM file, at least one.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| in_pem(path, error, TlsError::NoCertificate);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    if certificates.is_empty() {
        Err(TlsError::NoCertificate(path.to_owned()))
    } else {
        Ok(certificates)
    }
}

fn in_pem(path: &Path, error: pem::Error, none: fn(std::path::PathBuf) -> TlsError) -> TlsError {
    match error {
        pem::Error::Io(source) => TlsError::File { path: path.to_owned(), source },
        _ => none(path.to_owned()),
    }
}

/// A file that only its owner may read, where the system knows that.
fn write_secret(path: &Path, text: &str) -> Result<(), TlsError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn unmade(error: rcgen::Error) -> TlsError {
    TlsError::Unusable(error.to_string())
}
