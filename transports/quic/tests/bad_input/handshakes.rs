//! What a peer does wrong before there is a connection.

use crate::raw_peer::{HELLO, listener, meets, quic, raw_connection, soon};
use repliq_core::{Endpoint, Listener, Transport, TransportErrorKind};
use std::time::Duration;
use tokio::net::UdpSocket;

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_garbage_disturb_nobody() {
    let (mut listener, at) = listener(&quic()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for (first, length) in [(0xc0_u8, 1200), (0xc0, 20), (0x40, 1200), (0xff, 1200), (0, 1)] {
        let mut packet = vec![0x5a; length];
        packet[0] = first;
        for _ in 0..50 {
            socket.send_to(&packet, at.authority()).await.unwrap();
        }
        meets(&mut listener, &at).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_opens_a_connection_and_says_nothing_is_dropped_in_time() {
    let (mut listener, at) = listener(&quic().handshake_timeout(Duration::from_secs(3))).await;
    let raw = async {
        let (_socket, connection) = raw_connection(&at, &[b"repliq/1"]).await.unwrap();
        // A stream that nothing is written to is unknown to the other side.
        let stream = connection.open_bi().await.unwrap();
        connection.closed().await;
        drop(stream);
    };
    tokio::select! {
        _ = listener.accept() => panic!("a connection that said nothing was accepted"),
        () = soon("being dropped", raw) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_starts_with_anything_but_a_greeting_is_refused() {
    let (mut listener, at) = listener(&quic()).await;
    for start in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 1, 7], &[0xff; 4], &HELLO[..2]] {
        let raw = async {
            let (_socket, connection) = raw_connection(&at, &[b"repliq/1"]).await.unwrap();
            let (mut send, _recv) = connection.open_bi().await.unwrap();
            send.write_all(start).await.unwrap();
            send.finish().unwrap();
            connection.closed().await;
        };
        tokio::select! {
            _ = listener.accept() => panic!("{start:?} was accepted"),
            () = soon("being refused", raw) => {}
        }
    }
    meets(&mut listener, &at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_protocol_is_refused_in_the_handshake() {
    let (mut listener, at) = listener(&quic()).await;
    for protocols in [&[&b"h3"[..]][..], &[]] {
        let raw = raw_connection(&at, protocols);
        tokio::select! {
            _ = listener.accept() => panic!("{protocols:?} was accepted"),
            refused = soon("being refused", raw) => assert!(refused.is_err()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_unreachable_in_bounded_time() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let zeros = "0".repeat(64);
    let at = format!("quic://{}?fingerprint={zeros}", silent.local_addr().unwrap());
    let transport = quic().handshake_timeout(Duration::from_millis(200));
    let error = soon("connecting", transport.connect(&at.parse().unwrap())).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_a_typed_error_that_names_it() {
    for url in
        ["ws://127.0.0.1:1", "quic://", "quic://h:", "quic://u:p@h:1", "quic://h:1?fingerprint=ab"]
    {
        let at: Endpoint = url.parse().unwrap();
        for error in [quic().connect(&at).await.unwrap_err(), quic().listen(&at).await.unwrap_err()]
        {
            assert_eq!(error.kind, TransportErrorKind::Endpoint, "{error}");
            assert!(error.to_string().contains(&at.to_string()), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_on_every_address_tells_one_to_connect_to() {
    let anywhere = "quic://0.0.0.0:0/team".parse().unwrap();
    let mut listener = quic().listen(&anywhere).await.unwrap();
    let at = listener.local_endpoint();
    assert!(at.as_str().starts_with("quic://127.0.0.1:"), "{at}");
    assert!(at.as_str().contains("/team?fingerprint="), "{at}");
    meets(&mut listener, &at).await;
}
