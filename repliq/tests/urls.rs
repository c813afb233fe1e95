//! A URL that can never be synced with is refused when it is given, not later.

#![allow(clippy::unwrap_used, clippy::panic)]

use repliq::prelude::*;
use repliq::{Error, Transport, TransportErrorKind};

async fn replica<T: Transport>(transport: T) -> Replica<MemoryBackend, T> {
    Replica::builder().storage(MemoryBackend::new()).transport(transport).build().await.unwrap()
}

/// Each is refused by `sync`, whatever the network does, with a message that has the
/// place, no secret that stands in the URL, and this word of what is wrong.
async fn refuses<T: Transport>(transport: T, urls: &[(&str, &str)]) {
    let replica = replica(transport).await;
    for (url, word) in urls {
        let error = match replica.sync(url).await {
            Ok(link) => panic!("{url} was taken: {}", link.status()),
            Err(error) => error,
        };
        let Error::Transport(cause) = &error else { panic!("{url}: {error:?}") };
        assert_eq!(cause.kind, TransportErrorKind::Endpoint, "{url}: {error}");
        let text = error.to_string();
        assert!(text.contains(word), "{url} lacks {word:?}: {text}");
        let place = url.split('?').next().unwrap();
        let place = place.rsplit('@').next().unwrap();
        assert!(text.contains(place) && !text.contains("secret"), "{url}: {text}");
    }
    replica.close().await;
}

const NO_HOST: &str = "write host and port like";

#[tokio::test]
async fn websocket_urls_that_can_never_work_are_refused_at_once() {
    let wrong = "ab".repeat(31);
    let short = format!("wss://h:1?fingerprint={wrong}");
    refuses(
        WebSocket::new(),
        &[
            ("", "ws://127.0.0.1:8080"),
            ("relay.example", "ws://127.0.0.1:8080"),
            ("127.0.0.1:8080", "has no scheme"),
            ("ws:/127.0.0.1", "has no scheme"),
            ("ws://", NO_HOST),
            ("ws:///team", NO_HOST),
            ("ws://:8080", NO_HOST),
            ("ws://h:", NO_HOST),
            ("ws://h:http", NO_HOST),
            ("ws://h:65536", NO_HOST),
            ("ws://h:-1", NO_HOST),
            ("ws://h:+80", NO_HOST),
            ("ws://::1:80", NO_HOST),
            ("ws://[::1", NO_HOST),
            ("ws://[relay.example]:80", NO_HOST),
            ("ws://relay<>.example", NO_HOST),
            ("ws://h:0", "port 0"),
            ("ws://ana:secret@h:1", "user or password"),
            ("ws://token@h:1", "user or password"),
            ("ws://h:1?token=secret", "token="),
            ("ws://h:1/team?fingerprint=ab", "fingerprint="),
            ("wss://h:1?fingerprnt=ab", "only fingerprint="),
            ("wss://h:1?fingerprint=ab&fingerprint=cd", "twice"),
            ("wss://h:1?fingerprint=", "64 hexadecimal digits"),
            (&short, "64 hexadecimal digits"),
            ("ws://h:1/my team", "%20"),
            ("ws://h:1/team ", "%20"),
            (" ws://h:1/team", "scheme"),
            ("ws://h:1/team#top", "%23"),
            ("ws://h:1/%zz", "percent-encoded"),
            ("ws://h:1/%ff", "percent-encoded"),
            ("http://h:1", "ws://"),
            ("quic://h:1", "ws://"),
            ("memory://h", "ws://"),
        ],
    )
    .await;
}

#[tokio::test]
async fn quic_urls_that_can_never_work_are_refused_at_once() {
    refuses(
        Quic::new(TlsConfig::new()),
        &[
            ("quic://", NO_HOST),
            ("quic://h:65536", NO_HOST),
            ("quic://h:0", "port 0"),
            ("quic://ana:secret@h:1", "user or password"),
            ("quic://h:1?token=secret", "token="),
            ("quic://h:1?fingerprint=ab", "64 hexadecimal digits"),
            ("quic://-:1", "quic://-:1"),
            ("quic://h:1/my team", "%20"),
            ("ws://h:1", "quic://"),
        ],
    )
    .await;
}

#[tokio::test]
async fn memory_urls_that_can_never_work_are_refused_at_once() {
    refuses(MemoryTransport::new(), &[("memory://", "no name"), ("ws://h:1", "memory://")]).await;
}

#[tokio::test]
async fn a_space_longer_than_a_name_is_refused_at_once() {
    let replica = replica(WebSocket::new()).await;
    let error = replica.sync(&format!("ws://h:1/{}", "x".repeat(256))).await.unwrap_err();
    assert!(matches!(error, Error::Name(_)), "{error}");
    replica.close().await;
}

/// Nobody is there, which may change: the link tries, and says so.
#[tokio::test]
async fn urls_that_may_work_are_taken() {
    let replica = replica(WebSocket::new()).await;
    let pinned = format!("wss://127.0.0.1:1/team?fingerprint={}", "ab".repeat(32));
    for url in ["ws://127.0.0.1:1", "ws://[::1]:1/", "ws://127.0.0.1:1/te%20am/a", &pinned] {
        replica.sync(url).await.unwrap().close().await;
    }
    replica.close().await;
}
