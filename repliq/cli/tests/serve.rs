//! `repliq serve` as a process, from outside: it promises what the example relay
//! does, so it is held to the same tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../../../examples/relay/tests/serving/process.rs"]
mod process;
#[path = "../../../examples/relay/tests/serving/promises.rs"]
mod promises;

use process::Process;
use repliq::prelude::*;
use std::path::Path;
use std::process::Command;
use tempfile::tempdir;

fn repliq() -> Command {
    Command::new(env!("CARGO_BIN_EXE_repliq"))
}

/// The program, told to serve, and where to keep a certificate.
fn serve(listen: &[&str], data: &Path, self_signed: Option<&Path>) -> Command {
    let mut command = repliq();
    command.arg("serve");
    promises::tell(&mut command, listen, data, self_signed);
    command
}

#[test]
fn the_help_names_every_option_of_serve() {
    let help = Process::start(repliq().args(["serve", "--help"])).ended().went_well();
    for part in [
        "--listen",
        "--data",
        "--certificate",
        "--key",
        "--self-signed",
        "--ask-clients",
        "--require-clients-of",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
    for part in ["ws://127.0.0.1:8080", "Examples:", "?fingerprint=", "Ctrl-C"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let help = Process::start(repliq().arg("--help")).ended().went_well();
    assert!(help.contains("serve"), "{help}");
}

/// Each mistake is told at once, in a line that has these words, and nothing is
/// touched.
#[test]
fn a_mistake_in_the_options_is_one_line_that_says_what_to_do() {
    let home = tempdir().unwrap();
    let (data, missing) = (home.path().join("data"), home.path().join("missing.pem"));
    let missing = missing.to_str().unwrap();
    for (options, words) in [
        (&["--listen", "127.0.0.1:80"][..], &["no scheme", "ws://"][..]),
        (&["--listen", "http://127.0.0.1:80"], &["http://127.0.0.1:80", "quic://host:port"]),
        (&["--listen", "ws://"], &["ws://", "host and port"]),
        (&["--listen", "ws://127.0.0.1:99999"], &["99999", "host and port"]),
        (&["--listen", "ws://127.0.0.1:0", "--listen", "ws:///"], &["ws:///", "host and port"]),
        (&["--listen", "ws://me:secret@127.0.0.1:0"], &["user or password"]),
        (&["--listen", "quic://127.0.0.1:0"], &["quic://", "--certificate", "--self-signed"]),
        (&["--listen", "wss://127.0.0.1:0"], &["wss://", "--certificate", "--self-signed"]),
        (&["--listen", "wss://127.0.0.1:0", "--ask-clients"], &["--self-signed"]),
        (&["--self-signed", "x"], &["--self-signed", "no --listen"]),
        (&["--ask-clients"], &["--ask-clients", "no --listen"]),
        (&["--require-clients-of", "x"], &["--require-clients-of", "no --listen"]),
        (
            &["--listen", "wss://127.0.0.1:0", "--certificate", missing, "--key", missing],
            &["--certificate", "missing.pem"],
        ),
        (
            &["--listen", "quic://h:0", "--self-signed", "/dev/null", "--require-clients-of", "x"],
            &["--self-signed", "/dev/null"],
        ),
    ] {
        let mut command = repliq();
        command.arg("serve").args(options).arg("--data").arg(&data);
        let complaint = Process::start(&mut command).ended().complaint();
        for word in words {
            assert!(complaint.contains(word), "{options:?} lacks {word:?}: {complaint}");
        }
        assert!(!complaint.contains("secret"), "{options:?}: {complaint}");
    }
    assert!(!data.exists());
}

#[test]
fn options_that_need_or_exclude_each_other_are_named() {
    for (options, words) in [
        (&["--certificate", "c.pem"][..], &["--key"][..]),
        (&["--key", "k.pem"], &["--certificate"]),
        (
            &["--certificate", "c", "--key", "k", "--self-signed", "d"],
            &["--certificate", "--self-signed"],
        ),
        (&["--ask-clients", "--require-clients-of", "x"], &["--ask-clients"]),
        (&["--port", "80"], &["--port"]),
    ] {
        let ended = Process::start(repliq().arg("serve").args(options)).ended();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        for word in words {
            assert!(ended.errors.contains(word), "{options:?} lacks {word:?}: {}", ended.errors);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_requires_certificates_serves_only_devices_that_have_one() {
    let home = tempdir().unwrap();
    let of_device = home.path().join("device");
    let device = TlsConfig::new().self_signed_in(&of_device).unwrap();
    let mut relay = repliq();
    relay.args(["serve", "--listen", "quic://127.0.0.1:0", "--listen", "wss://127.0.0.1:0"]);
    relay.arg("--data").arg(home.path().join("data"));
    relay.arg("--self-signed").arg(home.path().join("relay"));
    relay.arg("--require-clients-of").arg(of_device.join("certificate.pem"));
    let mut relay = Process::start(&mut relay);
    let (quic, wss) = (relay.endpoint("quic"), relay.endpoint("wss"));

    for (tls, served) in [(device, true), (TlsConfig::new(), false)] {
        let over_quic = synced(Quic::new(tls.clone()), &quic).await;
        let over_wss = synced(WebSocket::new().tls(tls), &wss).await;
        for result in [over_quic, over_wss] {
            match result {
                Ok(()) => assert!(served),
                Err(why) => assert!(!served && why.contains("wants one"), "{why}"),
            }
        }
    }
}

async fn synced(transport: impl Transport, url: &str) -> Result<(), String> {
    let replica = Replica::builder().storage(MemoryBackend::new()).transport(transport);
    let replica = replica.build().await.unwrap();
    let link = replica.sync(url).await.unwrap();
    let synced = tokio::time::timeout(process::PATIENCE, link.synced()).await.unwrap();
    replica.close().await;
    synced.map_err(|error| error.to_string())
}
