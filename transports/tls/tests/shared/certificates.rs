//! Who trusts whom, for every transport that encrypts: a certificate that should not
//! be trusted is refused with a typed error that says why, and a verified key reaches
//! the program.
//!
//! The test that takes this in says which transport: `Encrypted`, `encrypted` and
//! `ANYWHERE`.

use crate::{ANYWHERE, Encrypted, encrypted};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use repliq_core::{
    Connection, Endpoint, Listener, Peer, Transport, TransportError, TransportErrorKind,
};
use repliq_transport_tls::{Refusal, TlsConfig};
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::pin::pin;
use tempfile::TempDir;

type Met = Connection<<Encrypted as Transport>::Sender, <Encrypted as Transport>::Receiver>;

/// An authority that issues certificates into a directory.
struct Authority {
    home: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(home.path().join("authority.pem"), params.self_signed(&key).unwrap().pem())
            .unwrap();
        Self { home, issuer: Issuer::new(params, key) }
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("authority.pem")
    }

    fn issue(&self, tls: TlsConfig, name: &str, from: i32, to: i32) -> TlsConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (chain, secret) = (self.home.path().join("c.pem"), self.home.path().join("k.pem"));
        fs::write(&chain, certificate.pem()).unwrap();
        fs::write(&secret, key.serialize_pem()).unwrap();
        tls.certificate_files(chain, secret).unwrap()
    }

    fn good(&self) -> TlsConfig {
        self.issue(TlsConfig::new(), "127.0.0.1", 2000, 4000)
    }
}

async fn meet(
    listening: TlsConfig,
    connecting: TlsConfig,
    change: impl Fn(String) -> String,
) -> (Result<Met, TransportError>, Option<Met>) {
    let mut listener = encrypted(listening).listen(&ANYWHERE.parse().unwrap()).await.unwrap();
    let at: Endpoint = change(listener.local_endpoint().to_string()).parse().unwrap();
    let connector = encrypted(connecting);
    let (mut connecting, mut accepting) = (pin!(connector.connect(&at)), pin!(listener.accept()));
    tokio::select! {
        connected = &mut connecting => match connected {
            Ok(connected) => (Ok(connected), Some(accepting.await.unwrap())),
            Err(error) => (Err(error), None),
        },
        accepted = &mut accepting => (connecting.await, Some(accepted.unwrap())),
    }
}

fn refusal(met: (Result<Met, TransportError>, Option<Met>)) -> (Refusal, String) {
    let error = met.0.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Untrusted, "{error}");
    let text = error.to_string();
    (error.source().unwrap().downcast_ref::<Refusal>().unwrap().clone(), text)
}

fn same(url: String) -> String {
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fingerprint_a_listener_shows_is_enough_to_trust_it() {
    let (connected, accepted) = meet(TlsConfig::new(), TlsConfig::new(), same).await;
    assert!(matches!(connected.unwrap().peer, Peer::Verified(_)));
    assert_eq!(accepted.unwrap().peer, Peer::Anonymous);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_fingerprint_is_refused_and_both_are_named() {
    let wrong = "ab".repeat(32);
    let met = meet(TlsConfig::new(), TlsConfig::new(), |url| {
        format!("{}?fingerprint={wrong}", url.split('?').next().unwrap())
    });
    let (refusal, text) = refusal(met.await);
    let Refusal::Fingerprint { expected, presented } = refusal else { panic!("{refusal}") };
    assert_eq!(expected.to_string(), wrong);
    assert!(text.contains(&wrong) && text.contains(&presented.to_string()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_trusted_authority_needs_no_fingerprint() {
    let authority = Authority::new();
    let trusting = TlsConfig::new().trust_file(authority.file()).unwrap();
    let no_query = |url: String| {
        assert!(!url.contains('?'), "{url}: a certificate that is renewed is not pinned");
        url
    };
    let (connected, _) = meet(authority.good(), trusting, no_query).await;
    assert!(matches!(connected.unwrap().peer, Peer::Verified(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_refused_and_both_are_named() {
    let authority = Authority::new();
    let other = authority.issue(TlsConfig::new(), "relay.example", 2000, 4000);
    let trusting = TlsConfig::new().trust_file(authority.file()).unwrap();
    let (refusal, text) = refusal(meet(other, trusting, same).await);
    assert!(matches!(refusal, Refusal::Name { .. }), "{refusal}");
    assert!(text.contains("127.0.0.1") && text.contains("relay.example"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_outside_its_time_is_refused() {
    let authority = Authority::new();
    let trusting = TlsConfig::new().trust_file(authority.file()).unwrap();
    let expired = authority.issue(TlsConfig::new(), "127.0.0.1", 2000, 2001);
    let (expired, text) = refusal(meet(expired, trusting.clone(), same).await);
    assert!(matches!(expired, Refusal::Expired { .. }), "{expired}");
    assert!(text.contains("renew it"), "{text}");
    let early = authority.issue(TlsConfig::new(), "127.0.0.1", 3000, 4000);
    let (early, _) = refusal(meet(early, trusting, same).await);
    assert_eq!(early, Refusal::NotYetValid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let trusting = TlsConfig::new().trust_file(ours.file()).unwrap();
    let (refusal, text) = refusal(meet(theirs.good(), trusting, same).await);
    assert!(text.contains("fingerprint="), "{text}");
    assert_eq!(refusal, Refusal::UnknownIssuer);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_client_that_shows_one_reaches_the_listener() {
    let home = TempDir::new().unwrap();
    let device = TlsConfig::new().self_signed_in(home.path()).unwrap();
    let asking = TlsConfig::new().ask_clients();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let (connected, accepted) = meet(asking.clone(), device.clone(), same).await;
        connected.unwrap();
        let Peer::Verified(key) = accepted.unwrap().peer else { panic!("the key was not seen") };
        keys.push(key);
    }
    assert_eq!(keys[0], keys[1]);
    let (connected, accepted) = meet(asking, TlsConfig::new(), same).await;
    connected.unwrap();
    assert_eq!(accepted.unwrap().peer, Peer::Anonymous);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_requires_certificates_refuses_others_by_name_of_the_reason() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let requiring = || TlsConfig::new().require_clients_of(ours.file()).unwrap();
    let (refused, _) = refusal(meet(requiring(), TlsConfig::new(), same).await);
    assert!(matches!(refused, Refusal::ByPeer(_)) && refused.to_string().contains("wants one"));
    let (refused, _) = refusal(meet(requiring(), theirs.good(), same).await);
    assert!(matches!(refused, Refusal::ByPeer(_)), "{refused}");
    let expired = ours.issue(TlsConfig::new(), "device", 2000, 2001);
    let (refused, _) = refusal(meet(requiring(), expired, same).await);
    assert!(refused.to_string().contains("expired"), "{refused}");
    let (connected, accepted) = meet(requiring(), ours.good(), same).await;
    connected.unwrap();
    assert!(matches!(accepted.unwrap().peer, Peer::Verified(_)));
}

#[tokio::test]
async fn a_kept_certificate_has_the_same_fingerprint_when_a_relay_starts_again() {
    let home = TempDir::new().unwrap();
    let at = ANYWHERE.parse().unwrap();
    let mut urls = Vec::new();
    for _ in 0..2 {
        let tls = TlsConfig::new().self_signed_in(home.path().join("tls")).unwrap();
        let fingerprint = tls.fingerprint().unwrap().to_string();
        let listener = encrypted(tls).listen(&at).await.unwrap();
        let shown = listener.local_endpoint().query("fingerprint").unwrap().to_owned();
        assert_eq!(shown, fingerprint);
        urls.push(shown);
    }
    assert_eq!(urls[0], urls[1]);
}

#[tokio::test]
async fn listening_at_a_url_that_pins_another_certificate_is_refused() {
    let wrong = "ab".repeat(32);
    let at = format!("{ANYWHERE}?fingerprint={wrong}").parse().unwrap();
    let error = encrypted(TlsConfig::new()).listen(&at).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Endpoint);
    assert!(error.to_string().contains("this end's certificate has"), "{error}");
}
