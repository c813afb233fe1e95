//! Which host and port an endpoint names, and whether it is encrypted.
//!
//! It promises a typed error for whatever cannot be connected to, and never
//! resolves a name itself.

use crate::error::endpoint_error;
use repliq_core::{Endpoint, TransportError};

pub(crate) const SCHEME: &str = "ws";
pub(crate) const SECURE_SCHEME: &str = "wss";

/// A host, without the brackets of an IPv6 address, and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) secure: bool,
}

impl<'a> Address<'a> {
    pub(crate) fn of(endpoint: &'a Endpoint) -> Result<Self, TransportError> {
        let (secure, default_port) = match endpoint.scheme() {
            SCHEME => (false, 80),
            SECURE_SCHEME if cfg!(feature = "tls") => (true, 443),
            SECURE_SCHEME => {
                let why = "this build has no TLS; switch the feature `wss` of repliq on";
                return Err(endpoint_error(endpoint, why));
            }
            _ => return Err(endpoint_error(endpoint, "only ws:// and wss:// are served here")),
        };
        let (host, port) = endpoint.host_and_port(default_port)?;
        // What is not encrypted proves nobody's fingerprint.
        endpoint.check_query(if secure { &["fingerprint"] } else { &[] })?;
        Ok(Self { host, port, secure })
    }

    /// As [`Address::of`], where one connects to.
    pub(crate) fn to_connect_to(endpoint: &'a Endpoint) -> Result<Self, TransportError> {
        let address = Self::of(endpoint)?;
        if address.port == 0 {
            return Err(endpoint_error(endpoint, "nobody is at port 0; write the relay's port"));
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repliq_core::TransportErrorKind;

    #[test]
    fn a_url_names_host_port_and_whether_it_is_encrypted() {
        for (url, host, port, secure) in [
            ("ws://127.0.0.1:8080", "127.0.0.1", 8080, false),
            ("ws://[::1]/team", "::1", 80, false),
            #[cfg(feature = "tls")]
            ("wss://relay.example/team?fingerprint=ab", "relay.example", 443, true),
        ] {
            let url = url.parse().unwrap();
            assert_eq!(Address::of(&url).unwrap(), Address { host, port, secure }, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_connected_to_is_a_typed_error_that_names_it() {
        let urls = ["http://127.0.0.1:1", "ws://", "ws://h:65536", "ws://user:password@h:1"];
        let without_tls = (!cfg!(feature = "tls")).then_some("wss://127.0.0.1:1");
        for url in urls.into_iter().chain(without_tls) {
            let url: Endpoint = url.parse().unwrap();
            let error = Address::of(&url).unwrap_err();
            assert_eq!(error.kind, TransportErrorKind::Endpoint, "{url}");
            assert!(error.to_string().contains(&url.to_string()), "{error}");
        }
    }
}
