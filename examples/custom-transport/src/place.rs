//! Where a socket is: a path, out of a URL. What the system says about it becomes a
//! typed error that names the URL. It never touches the file system.

use repliq_core::{Endpoint, TransportError, TransportErrorKind};
use std::io::{self, ErrorKind};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const SCHEME: &str = "unix";

#[derive(Clone, Debug)]
pub(crate) struct Place {
    path: PathBuf,
    endpoint: Endpoint,
}

impl Place {
    pub(crate) fn of(endpoint: &Endpoint) -> Result<Self, TransportError> {
        let refuse = |why: &str| {
            let why = format!("{endpoint} {why}; write it like unix:///run/repliq.sock");
            Err(TransportError::new(TransportErrorKind::Endpoint, why))
        };
        if endpoint.scheme() != SCHEME {
            return refuse("is not served here");
        }
        if !endpoint.authority().is_empty() {
            return refuse("names a host");
        }
        endpoint.check_query(&["space"])?;
        let path = PathBuf::from(endpoint.decoded_path()?);
        if path.as_os_str().is_empty() {
            return refuse("has no path");
        }
        // The system's limit, 107 bytes on Linux, is known to this function alone.
        if let Err(error) = SocketAddr::from_pathname(&path) {
            return refuse(&format!("has a path that no socket can have ({error})"));
        }
        Ok(Self { path, endpoint: endpoint.clone() })
    }

    /// A name in this directory, if it is written as one, that is not in use.
    pub(crate) fn or_free_name(self) -> Result<Self, TransportError> {
        static PICKED: AtomicU64 = AtomicU64::new(0);
        let Some(directory) = self.endpoint.path().strip_suffix('/') else { return Ok(self) };
        loop {
            let number = PICKED.fetch_add(1, Ordering::Relaxed);
            let name = format!("{SCHEME}://{directory}/{}-{number}.sock", std::process::id());
            let place = Self::of(&name.parse()?)?;
            if !place.path.exists() {
                return Ok(place);
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The file whose lock says that somebody listens here.
    pub(crate) fn lock_path(&self) -> PathBuf {
        self.path.with_added_extension("lock")
    }
}

/// An error of connecting or listening, with its kind and the URL.
pub(crate) fn failed(endpoint: &Endpoint, error: io::Error) -> TransportError {
    let (kind, advice) = match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => (TransportErrorKind::Unreachable, ""),
        ErrorKind::AddrInUse => (TransportErrorKind::InUse, ""),
        ErrorKind::PermissionDenied => {
            (TransportErrorKind::Io, "; check who may write to the socket and enter its directory")
        }
        _ => (TransportErrorKind::Io, ""),
    };
    TransportError::new(kind, format!("{endpoint}: {error}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not through the file system: root may everything.
    #[test]
    fn a_missing_permission_says_what_to_check() {
        let endpoint: Endpoint = "unix:///run/relay.sock".parse().unwrap();
        let error = failed(&endpoint, ErrorKind::PermissionDenied.into());
        assert_eq!(error.kind, TransportErrorKind::Io);
        let text = error.to_string();
        assert!(text.contains("unix:///run/relay.sock") && text.contains("check who"), "{text}");
    }
}
