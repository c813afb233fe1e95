//! Which host and port an endpoint names.
//!
//! It promises a typed error for whatever cannot be connected to, and never
//! resolves a name itself.

use crate::error::endpoint_error;
use repliq_core::{Endpoint, TransportError};

const SCHEME: &str = "ws";
const DEFAULT_PORT: u16 = 80;

/// A host, without the brackets of an IPv6 address, and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

impl<'a> Address<'a> {
    pub(crate) fn of(endpoint: &'a Endpoint) -> Result<Self, TransportError> {
        let refuse = |why| Err(endpoint_error(endpoint, why));
        match endpoint.scheme() {
            SCHEME => {}
            "wss" => return refuse("this build has no TLS; use ws://"),
            _ => return refuse("only ws:// is served here"),
        }
        let authority = endpoint.authority();
        if authority.contains('@') {
            return refuse("a URL must not carry a user or password");
        }
        match Self::parse(authority) {
            Some(address) => Ok(address),
            None => refuse("write host and port like 127.0.0.1:8080 or [::1]:8080"),
        }
    }

    fn parse(authority: &'a str) -> Option<Self> {
        let (host, after) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match after.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if after.is_empty() => DEFAULT_PORT,
            None => return None,
        };
        (!host.is_empty()).then_some(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repliq_core::TransportErrorKind;

    #[test]
    fn an_authority_names_host_and_port() {
        for (authority, host, port) in [
            ("127.0.0.1:8080", "127.0.0.1", 8080),
            ("[::1]:9", "::1", 9),
            ("[::1]", "::1", 80),
            ("relay.example", "relay.example", 80),
            ("h:0", "h", 0),
        ] {
            assert_eq!(Address::parse(authority), Some(Address { host, port }), "{authority}");
        }
    }

    #[test]
    fn what_cannot_be_connected_to_is_a_typed_error_that_names_it() {
        for url in [
            "wss://127.0.0.1:1",
            "http://127.0.0.1:1",
            "ws://",
            "ws://:80",
            "ws://h:",
            "ws://h:65536",
            "ws://h:-1",
            "ws://::1",
            "ws://[::1",
            "ws://[]:1",
            "ws://[::1]x",
            "ws://user:password@h:1",
        ] {
            let error = Address::of(&url.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind, TransportErrorKind::Endpoint, "{url}");
            assert!(error.to_string().contains(url), "{error}");
        }
    }
}
