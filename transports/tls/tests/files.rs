//! Files that are not what they should be are typed errors that name them.

#![allow(clippy::unwrap_used)]

use repliq_transport_tls::{TlsConfig, TlsError};
use std::fs;
use tempfile::TempDir;

#[test]
fn a_missing_file_is_named() {
    let home = TempDir::new().unwrap();
    let missing = home.path().join("missing.pem");
    for error in [
        TlsConfig::new().certificate_files(&missing, &missing).unwrap_err(),
        TlsConfig::new().trust_file(&missing).unwrap_err(),
        TlsConfig::new().require_clients_of(&missing).unwrap_err(),
    ] {
        assert!(matches!(error, TlsError::File { .. }), "{error:?}");
        assert!(error.to_string().contains("missing.pem"), "{error}");
    }
}

#[test]
fn a_file_without_what_it_should_hold_is_named() {
    let home = TempDir::new().unwrap();
    TlsConfig::new().self_signed_in(home.path()).unwrap();
    let (certificate, key) = (home.path().join("certificate.pem"), home.path().join("key.pem"));
    let error = TlsConfig::new().certificate_files(&key, &key).unwrap_err();
    assert!(matches!(&error, TlsError::NoCertificate(path) if *path == key), "{error:?}");
    let error = TlsConfig::new().certificate_files(&certificate, &certificate).unwrap_err();
    assert!(matches!(&error, TlsError::NoKey(path) if *path == certificate), "{error:?}");
    let empty = home.path().join("empty.pem");
    for content in ["", "no PEM", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        fs::write(&empty, content).unwrap();
        let error = TlsConfig::new().trust_file(&empty).unwrap_err();
        assert!(matches!(error, TlsError::NoCertificate(_)), "{error:?}");
    }
}

#[test]
fn a_key_of_another_certificate_is_refused_before_anybody_connects() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    TlsConfig::new().self_signed_in(one.path()).unwrap();
    TlsConfig::new().self_signed_in(other.path()).unwrap();
    let certificate = one.path().join("certificate.pem");
    let mixed =
        TlsConfig::new().certificate_files(certificate, other.path().join("key.pem")).unwrap();
    let error = mixed.server(&"wss://127.0.0.1:1".parse().unwrap(), &[]).unwrap_err();
    assert!(error.to_string().contains("wss://127.0.0.1:1"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_private_key_that_is_made_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let home = TempDir::new().unwrap();
    TlsConfig::new().self_signed_in(home.path()).unwrap();
    let mode = fs::metadata(home.path().join("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
