//! Where a peer is: a URL.

use crate::{TransportError, TransportErrorKind};
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The space a URL without a path names.
pub const DEFAULT_SPACE: &str = "default";

/// A URL: `scheme://authority/path?key=value`. The path names the space at the
/// other end; an empty one names [`DEFAULT_SPACE`].
///
/// Without an authority, as in `unix:///run/repliq.sock?space=team`, the path says
/// where the peer is, and the parameter `space` names the space.
///
/// No URL carries a secret, but somebody may write one with a user and a password, or
/// with a token. They stand in [`as_str`](Self::as_str) alone: not in `Display`, `Debug`
/// nor any error, which programs show and log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    url: String,
    scheme_end: usize,
    authority_end: usize,
    path_end: usize,
}

impl Endpoint {
    /// What comes before `://`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.part(0, self.scheme_end)
    }

    /// Host and port, or whatever else names the peer in this scheme.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.part(self.scheme_end + 3, self.authority_end)
    }

    /// The host, without the brackets of an IPv6 address, and the port.
    ///
    /// # Errors
    /// [`TransportErrorKind::Endpoint`] when the authority is not of this form, or
    /// carries a user or a password.
    pub fn host_and_port(&self, default_port: u16) -> Result<(&str, u16), TransportError> {
        let refuse = |why| {
            let shown = without_user(&self.url);
            TransportError::new(TransportErrorKind::Endpoint, format!("{shown}: {why}"))
        };
        if self.authority().contains('@') {
            return Err(refuse("a URL must not carry a user or password"));
        }
        split_authority(self.authority(), default_port)
            .ok_or_else(|| refuse("write host and port like 127.0.0.1:8080 or [::1]:8080"))
    }

    /// The path with its leading slash, or nothing.
    #[must_use]
    pub fn path(&self) -> &str {
        self.part(self.authority_end, self.path_end)
    }

    /// The first value of a query parameter, as it is written.
    #[must_use]
    pub fn query(&self, key: &str) -> Option<&str> {
        let query = self.url.get(self.path_end + 1..)?;
        query.split('&').find_map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name == key).then_some(value),
            None => (pair == key).then_some(""),
        })
    }

    /// Checks that the query has no other parameters than these, and none twice: one
    /// that is passed over may be a mistyped one that somebody relies on.
    ///
    /// # Errors
    /// [`TransportErrorKind::Endpoint`].
    pub fn check_query(&self, known: &[&str]) -> Result<(), TransportError> {
        let query = self.url.get(self.path_end + 1..).unwrap_or_default();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            let why = if seen.contains(&name) {
                format!("{name}= stands in it twice")
            } else if known.contains(&name) {
                seen.push(name);
                continue;
            } else if known.is_empty() {
                format!("{name}= is not known here; leave what comes after the ? away")
            } else {
                format!("{name}= is not known here, only {}=", known.join("=, "))
            };
            // Without the query: what an unknown parameter holds may be a secret.
            let shown = without_user(self.part(0, self.path_end));
            return Err(TransportError::new(
                TransportErrorKind::Endpoint,
                format!("{shown}?…: {why}"),
            ));
        }
        Ok(())
    }

    /// The path as it is meant: `%XX` decoded.
    ///
    /// # Errors
    /// [`TransportErrorKind::Endpoint`] when it does not decode to UTF-8.
    pub fn decoded_path(&self) -> Result<String, TransportError> {
        self.decoded(self.path())
    }

    /// The space at the other end: the path without its slashes at either end, or
    /// without an authority the query parameter `space`; `%XX` decoded. Or
    /// [`DEFAULT_SPACE`].
    ///
    /// # Errors
    /// [`TransportErrorKind::Endpoint`] when it does not decode to UTF-8.
    pub fn space(&self) -> Result<String, TransportError> {
        let space = match self.authority() {
            "" => self.query("space").unwrap_or_default(),
            _ => self.path().trim_matches('/'),
        };
        if space.is_empty() { Ok(DEFAULT_SPACE.to_owned()) } else { self.decoded(space) }
    }

    /// The same peer, for this space.
    ///
    /// # Errors
    /// [`TransportErrorKind::Endpoint`] when there can be no such URL; only a transport
    /// of its own scheme can tell more.
    pub fn with_space(&self, space: &str) -> Result<Self, TransportError> {
        let (space, query) = (percent_encode(space), self.url.get(self.path_end + 1..));
        if !self.authority().is_empty() {
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            return format!("{}/{space}{query}", self.part(0, self.authority_end)).parse();
        }
        let others = query.into_iter().flat_map(|query| query.split('&'));
        let others = others.filter(|pair| pair.split('=').next() != Some("space"));
        let others: String = others.map(|pair| format!("&{pair}")).collect();
        format!("{}?space={space}{others}", self.part(0, self.path_end)).parse()
    }

    fn decoded(&self, part: &str) -> Result<String, TransportError> {
        percent_decode(part).ok_or_else(|| {
            let why = format!("{part:?} in {self} is not percent-encoded UTF-8");
            TransportError::new(TransportErrorKind::Endpoint, why)
        })
    }

    /// The whole URL, with whatever secrets somebody wrote into it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.url.get(from..to).unwrap_or_default()
    }
}

fn split_authority(authority: &str, default_port: u16) -> Option<(&str, u16)> {
    let (host, after) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, after)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    // A name in other letters is written as it stands in DNS: xn--….
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if !host.chars().all(valid) {
        return None;
    }
    let port = match after.strip_prefix(':') {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
        None if after.is_empty() => default_port,
        None => return None,
    };
    (!host.is_empty()).then_some((host, port))
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl FromStr for Endpoint {
    type Err = TransportError;

    fn from_str(url: &str) -> Result<Self, TransportError> {
        let malformed = |why: &str| {
            TransportError::new(
                TransportErrorKind::Endpoint,
                format!("{:?} {why}; write it like ws://127.0.0.1:8080", without_user(url)),
            )
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| malformed("has no scheme"))?;
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || !scheme.chars().all(valid) {
            return Err(malformed("has no valid scheme"));
        }
        if url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(malformed(
                "holds a space, a control character or a #, which are %20, %XX and %23 in a path",
            ));
        }
        let rest_start = url.len() - rest.len();
        let path_end = rest.find('?').map_or(url.len(), |at| rest_start + at);
        let before_query = url.get(rest_start..path_end).unwrap_or_default();
        let authority_end = before_query.find('/').map_or(path_end, |at| rest_start + at);
        Ok(Self { url: url.to_owned(), scheme_end: scheme.len(), authority_end, path_end })
    }
}

/// What stands for a user and a password.
const HIDDEN: &str = "***";

/// A URL that is refused: no user and no password, wherever they were meant to end. A
/// password may hold the `/` that ends the authority.
fn without_user(url: &str) -> String {
    let start = url.find("://").map_or(0, |scheme| scheme + 3);
    match url.rfind('@') {
        Some(end) if end > start => {
            let (scheme, rest) = (url.get(..start), url.get(end..));
            [scheme.unwrap_or_default(), HIDDEN, rest.unwrap_or_default()].concat()
        }
        _ => url.to_owned(),
    }
}

/// The URL as it may be shown: without a user and a password.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.scheme_end + 3;
        let user = self.authority().rfind('@').unwrap_or(0);
        f.write_str(self.part(0, start))?;
        f.write_str(if user == 0 { "" } else { HIDDEN })?;
        f.write_str(self.part(start + user, self.url.len()))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_comes_apart_into_its_parts() {
        let endpoint: Endpoint = "quic://[::1]:9000/te%20am/?fingerprint=ab=c&x".parse().unwrap();
        assert_eq!(endpoint.scheme(), "quic");
        assert_eq!(endpoint.authority(), "[::1]:9000");
        assert_eq!(endpoint.path(), "/te%20am/");
        assert_eq!(endpoint.space().unwrap(), "te am");
        assert_eq!(endpoint.query("fingerprint"), Some("ab=c"));
        assert_eq!(endpoint.query("x"), Some(""));
        assert_eq!(endpoint.query("y"), None);
    }

    #[test]
    fn no_path_names_the_default_space() {
        for url in ["ws://127.0.0.1:8080", "ws://127.0.0.1:8080/", "ws://h?a=/b"] {
            assert_eq!(url.parse::<Endpoint>().unwrap().space().unwrap(), DEFAULT_SPACE, "{url}");
        }
    }

    #[test]
    fn without_an_authority_the_path_is_a_place_and_the_space_a_parameter() {
        let endpoint: Endpoint = "unix:///run/my%20relay.sock?space=te%20am".parse().unwrap();
        assert_eq!(endpoint.decoded_path().unwrap(), "/run/my relay.sock");
        assert_eq!(endpoint.space().unwrap(), "te am");
        let endpoint: Endpoint = "unix:///run/relay.sock".parse().unwrap();
        assert_eq!(endpoint.space().unwrap(), DEFAULT_SPACE);
    }

    #[test]
    fn an_endpoint_is_given_a_space_where_its_urls_have_it() {
        for (url, with) in [
            ("ws://h:1", "ws://h:1/te%20am"),
            ("ws://h:1/old?a=b", "ws://h:1/te%20am?a=b"),
            ("unix:///run/x", "unix:///run/x?space=te%20am"),
            ("unix:///run/x?a=b&space=old", "unix:///run/x?space=te%20am&a=b"),
        ] {
            let endpoint = url.parse::<Endpoint>().unwrap().with_space("te am").unwrap();
            assert_eq!(endpoint.as_str(), with);
            assert_eq!(endpoint.space().unwrap(), "te am");
        }
    }

    #[test]
    fn malformed_urls_are_typed_errors_that_say_how_to_write_one() {
        for url in ["", "127.0.0.1:80", "://x", "w s://x", "ws://a b", "ws://a#b"] {
            let error = url.parse::<Endpoint>().unwrap_err();
            assert_eq!(error.kind, TransportErrorKind::Endpoint);
            assert!(error.to_string().contains("ws://"), "{error}");
        }
        assert!("ws://h/%zz".parse::<Endpoint>().unwrap().space().is_err());
        assert!("ws://h/%ff".parse::<Endpoint>().unwrap().space().is_err());
        assert!("unix:///%ff".parse::<Endpoint>().unwrap().decoded_path().is_err());
        assert!("unix:///x?space=%ff".parse::<Endpoint>().unwrap().space().is_err());
    }

    #[test]
    fn an_authority_names_host_and_port() {
        for (authority, host, port) in [
            ("127.0.0.1:8080", "127.0.0.1", 8080),
            ("[::1]:9", "::1", 9),
            ("[::1]", "::1", 80),
            ("relay.example", "relay.example", 80),
            ("h:0", "h", 0),
        ] {
            let endpoint: Endpoint = format!("ws://{authority}/x").parse().unwrap();
            assert_eq!(endpoint.host_and_port(80).unwrap(), (host, port), "{authority}");
        }
        for authority in [
            "",
            ":80",
            "h:",
            "h:65536",
            "h:-1",
            "h:+1",
            "h:1:2",
            "::1",
            "[::1",
            "[]:1",
            "[::1]x",
            "[h]:1",
            "h%41:1",
            "hé:1",
            "h\\x",
            "user:secret@h:1",
        ] {
            let endpoint: Endpoint = format!("ws://{authority}").parse().unwrap();
            let error = endpoint.host_and_port(80).unwrap_err();
            assert_eq!(error.kind, TransportErrorKind::Endpoint, "{authority}");
            assert!(error.to_string().contains(&endpoint.to_string()), "{error}");
        }
    }

    #[test]
    fn a_secret_in_a_url_is_shown_nowhere() {
        for url in [
            "ws://ana:secret@h:1",
            "ws://secret@h:1/team",
            "ws://ana:@secret@h:1?a=b",
            "ws://ana:secret/secret@h:1",
            "ws://ana:secret@h:1/te am",
            "ana:secret@h:1",
            "://ana:secret@h:1",
            "ws://ana:sec ret@h:1",
            "ws://h:1?token=secret",
            "ws://ana:secret@h:1?token=secret",
        ] {
            let told = match url.parse::<Endpoint>() {
                Err(error) => format!("{error} {error:?}"),
                Ok(endpoint) => {
                    let refused =
                        endpoint.check_query(&["a"]).and(endpoint.host_and_port(1).map(drop));
                    let error = refused.unwrap_err();
                    assert_eq!(endpoint.as_str(), url);
                    format!("{error} {error:?}")
                }
            };
            assert!(!told.contains("sec"), "{url}: {told}");
        }
        for (url, shown) in [
            ("ws://ana:secret@h:1/a@b", "ws://***@h:1/a@b"),
            ("ws://h:1/ana@work?x=@", "ws://h:1/ana@work?x=@"),
            ("unix:///run/a@b", "unix:///run/a@b"),
            ("ws://@h", "ws://@h"),
        ] {
            let endpoint: Endpoint = url.parse().unwrap();
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(format!("{endpoint:?}"), shown);
        }
    }

    #[test]
    fn a_parameter_that_is_unknown_or_there_twice_is_named() {
        let check = |query: &str, known: &[&str]| {
            format!("ws://h/team{query}").parse::<Endpoint>().unwrap().check_query(known)
        };
        for query in ["", "?", "?fingerprint=ab", "?fingerprint", "?&fingerprint=ab&"] {
            check(query, &["fingerprint"]).unwrap();
        }
        for (query, known, named) in [
            ("?token=secret", &["fingerprint"][..], "token="),
            ("?fingerprint=ab&fingerprnt=ab", &["fingerprint"], "fingerprnt="),
            ("?fingerprint=ab&fingerprint=cd", &["fingerprint"], "twice"),
            ("?x", &[], "x="),
        ] {
            let error = check(query, known).unwrap_err();
            assert_eq!(error.kind, TransportErrorKind::Endpoint, "{query}");
            assert!(error.to_string().contains(named), "{query}: {error}");
        }
    }

    proptest! {
        #[test]
        fn every_space_survives_its_url(space in "[^/].{0,20}[^/]") {
            for url in ["ws://h:1", "unix:///run/x?a=b"] {
                let endpoint: Endpoint = url.parse().unwrap();
                prop_assert_eq!(&endpoint.with_space(&space).unwrap().space().unwrap(), &space);
            }
        }

        #[test]
        fn no_text_makes_it_panic(url in ".{0,40}") {
            if let Ok(endpoint) = url.parse::<Endpoint>() {
                let _ = (endpoint.authority(), endpoint.path(), endpoint.space(), endpoint.query("a"));
            }
        }
    }
}
