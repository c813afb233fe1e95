//! The authorities that certificates of listeners are checked against.

use crate::TlsError;
use crate::identity::read_certificates;
use rustls::RootCertStore;
use std::path::Path;
use std::sync::{Arc, OnceLock};

#[derive(Clone, Debug, Default)]
pub(crate) enum Trust {
    #[default]
    System,
    These(Arc<RootCertStore>),
}

impl Trust {
    pub(crate) fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        match self {
            Self::These(roots) => Ok(Arc::clone(roots)),
            Self::System => of_the_system(),
        }
    }
}

/// Read once a process.
fn of_the_system() -> Result<Arc<RootCertStore>, TlsError> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(Arc::clone(roots)) }
}

pub(crate) fn read(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate).map_err(|error| {
            TlsError::Unusable(format!("a certificate in {}: {error}", path.display()))
        })?;
    }
    Ok(Arc::new(roots))
}
