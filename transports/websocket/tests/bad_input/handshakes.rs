//! What a peer does wrong before there is a connection.

use crate::raw_peer::{listener, read_to_end, soon, tcp};
use repliq_core::{Endpoint, Listener, Transport, TransportErrorKind};
use repliq_transport_websocket::{WebSocket, WebSocketListener};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Somebody honest gets through.
async fn meets(listener: &mut WebSocketListener, at: &Endpoint) {
    let transport = WebSocket::new();
    let met = async { tokio::join!(transport.connect(at), listener.accept()) };
    let (connected, accepted) = soon("an honest connection", met).await;
    connected.unwrap();
    accepted.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_instead_of_a_handshake_is_dropped_and_delays_nobody() {
    let (mut listener, at) = listener(&WebSocket::new()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello \r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0",
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
    ] {
        let mut raw = tcp(&at).await;
        raw.write_all(garbage).await.unwrap();
        meets(&mut listener, &at).await;
        raw.shutdown().await.ok();
        read_to_end(&mut raw).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_of_headers_is_refused_before_it_is_read() {
    let (mut listener, at) = listener(&WebSocket::new()).await;
    let mut raw = tcp(&at).await;
    let flooding = tokio::spawn(async move {
        raw.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n").await?;
        for _ in 0..100_000 {
            raw.write_all(b"X-Padding: 0123456789\r\n").await?;
        }
        Ok::<_, std::io::Error>(())
    });
    meets(&mut listener, &at).await;
    soon("refusing", flooding).await.unwrap().unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_handshake_is_dropped_in_time() {
    let transport = WebSocket::new().handshake_timeout(Duration::from_millis(50));
    let (mut listener, at) = listener(&transport).await;
    let mut raw = tcp(&at).await;
    raw.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    tokio::select! {
        _ = listener.accept() => panic!("a handshake that never ended was accepted"),
        () = read_to_end(&mut raw) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_stalled_handshakes_than_are_run_at_a_time_delay_nobody() {
    // Longer than the test waits: only giving way can help.
    let transport = WebSocket::new().handshake_timeout(Duration::from_secs(600));
    let (mut listener, at) = listener(&transport).await;
    let mut stalled = Vec::new();
    for _ in 0..300 {
        stalled.push(tcp(&at).await);
        // Takes it from the queue of the system, which is shorter than that.
        tokio::time::timeout(Duration::ZERO, listener.accept()).await.unwrap_err();
    }
    meets(&mut listener, &at).await;
    // The oldest gave way.
    read_to_end(&mut stalled[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_listener_ends_its_handshakes() {
    let transport = WebSocket::new().handshake_timeout(Duration::from_secs(600));
    let (mut listener, at) = listener(&transport).await;
    let mut raw = tcp(&at).await;
    tokio::time::timeout(Duration::from_millis(20), listener.accept()).await.unwrap_err();
    listener.close().await.unwrap();
    read_to_end(&mut raw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_a_failed_handshake_in_bounded_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("ws://{}", silent.local_addr().unwrap()).parse().unwrap();
    let transport = WebSocket::new().handshake_timeout(Duration::from_secs(2));
    let error = soon("connecting", transport.connect(&at)).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Handshake, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_something_else_is_a_failed_handshake() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: wrong\r\n\r\n",
        "220 mail.example ESMTP\r\n",
        "",
    ] {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("ws://{}/team", server.local_addr().unwrap()).parse().unwrap();
        let serving = tokio::spawn(async move {
            let (mut raw, _) = server.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = raw.read(&mut request).await.unwrap();
            raw.write_all(answer.as_bytes()).await.unwrap();
            request[..read].starts_with(b"GET /team HTTP/1.1\r\n")
        });
        let error = soon("connecting", WebSocket::new().connect(&at)).await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Handshake, "{answer:?}: {error}");
        assert!(serving.await.unwrap(), "the path goes into the request");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_in_the_message() {
    let (_listener, at) = listener(&WebSocket::new()).await;
    let error = WebSocket::new().listen(&at).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::InUse);
    assert!(error.to_string().contains(at.authority()), "{error}");
}

#[tokio::test]
async fn a_listener_on_every_address_tells_one_to_connect_to() {
    let anywhere = "ws://0.0.0.0:0/team".parse().unwrap();
    let mut listener = WebSocket::new().listen(&anywhere).await.unwrap();
    let at = listener.local_endpoint();
    assert!(at.as_str().starts_with("ws://127.0.0.1:"), "{at}");
    assert!(at.as_str().ends_with("/team"), "{at}");
    meets(&mut listener, &at).await;
}

#[tokio::test]
async fn an_ipv6_address_is_listened_at_and_connected_to() {
    let transport = WebSocket::new();
    let mut listener = match transport.listen(&"ws://[::1]:0".parse().unwrap()).await {
        Ok(listener) => listener,
        // Only a machine without IPv6 may refuse.
        Err(error) => return assert!(std::net::TcpListener::bind("[::1]:0").is_err(), "{error}"),
    };
    let at = listener.local_endpoint();
    assert!(at.as_str().starts_with("ws://[::1]:"), "{at}");
    meets(&mut listener, &at).await;
}

/// What a listener answers to this, whole.
async fn answer(listener: &mut WebSocketListener, request: &[u8]) -> String {
    let mut raw = tcp(&listener.local_endpoint()).await;
    raw.write_all(request).await.unwrap();
    let mut answer = String::new();
    tokio::select! {
        _ = listener.accept() => panic!("{request:?} was accepted"),
        read = soon("the answer", raw.read_to_string(&mut answer)) => drop(read.unwrap()),
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_or_a_probe_is_answered_in_plain_http() {
    let (mut listener, at) = listener(&WebSocket::new()).await;
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"[..], "426 Upgrade Required"),
        (b"HEAD /team HTTP/1.0\r\n\r\n", "426 Upgrade Required"),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "4"),
        (
            b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            "426 Upgrade Required",
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello \r\n\r\n", "400 Bad Request"),
        (b"EHLO mail.example\r\n\r\n", "400 Bad Request"),
    ] {
        let answer = answer(&mut listener, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
        assert!(body.contains("ws://"), "{answer}");
        let names_websocket = head.contains("\r\nUpgrade: websocket");
        assert_eq!(names_websocket, head.contains("426"), "{answer}");
    }
    meets(&mut listener, &at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_request_at_an_encrypted_port_is_answered_in_plain_http() {
    let transport = WebSocket::new();
    let mut listener = transport.listen(&"wss://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let answer = answer(&mut listener, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.3"), "{answer}");
    assert!(answer.contains("wss://"), "{answer}");
}

/// What is written at the other scheme is refused with the scheme to write.
async fn at_the_wrong_scheme(listen: &str, write: &str, word: &str) {
    let transport = WebSocket::new();
    let mut listener = transport.listen(&listen.parse().unwrap()).await.unwrap();
    let address = listener.local_endpoint().authority().to_owned();
    let url = write.replace("HERE", &address).parse().unwrap();
    let error = tokio::select! {
        _ = listener.accept() => panic!("{url} was accepted"),
        refused = soon("being refused", transport.connect(&url)) => refused.unwrap_err(),
    };
    assert_eq!(error.kind, TransportErrorKind::Handshake, "{error}");
    assert!(error.to_string().contains(word), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_peer_at_an_encrypted_listener_is_told_to_encrypt() {
    at_the_wrong_scheme("wss://127.0.0.1:0", "ws://HERE/team", "is encrypted: write wss://").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypting_peer_at_a_plain_listener_is_told_not_to() {
    let pinned = format!("wss://HERE/team?fingerprint={}", "ab".repeat(32));
    at_the_wrong_scheme("ws://127.0.0.1:0", &pinned, "is not encrypted: write ws://").await;
}
