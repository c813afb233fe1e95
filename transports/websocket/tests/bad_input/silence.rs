//! An idle connection lives, whatever its program does.

use crate::raw_peer::{FINAL, PING as PING_FRAME, frame, listener, raw_client, read_to_end, soon};
use bytes::Bytes;
use repliq_core::{FrameReceiver, FrameSender, Listener, Transport, TransportErrorKind};
use repliq_transport_websocket::WebSocket;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

/// Many pings fit into the silence that ends a connection, so that a busy machine does
/// not end one that lives.
const PING: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_secs(2);

/// Lets two idle timeouts pass, with or without a pending recv on each side,
/// then sends both ways.
async fn outlives_idleness(receives: [bool; 2]) {
    let transport = WebSocket::new().ping_interval(PING).idle_timeout(IDLE);
    let (mut listener, at) = listener(&transport).await;
    let (connected, accepted) = tokio::join!(transport.connect(&at), listener.accept());
    let mut ends = [connected.unwrap(), accepted.unwrap()];
    let [one, other] = &mut ends;
    tokio::select! {
        () = sleep(IDLE * 2) => {}
        end = one.receiver.recv(), if receives[0] => panic!("the connection ended: {end:?}"),
        end = other.receiver.recv(), if receives[1] => panic!("the connection ended: {end:?}"),
    }
    for (from, to) in [(0, 1), (1, 0)] {
        ends[from].sender.send("still here".into()).await.unwrap();
        let got = soon("a frame after idleness", ends[to].receiver.recv()).await.unwrap();
        assert_eq!(got, Some("still here".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ends_that_only_receive_stay_connected() {
    outlives_idleness([true, true]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_does_not_receive_keeps_its_connection() {
    outlives_idleness([true, false]).await;
    outlives_idleness([false, true]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ends_that_do_nothing_stay_connected() {
    outlives_idleness([false, false]).await;
}

/// It is heard, so it is not silent; but what was sent cannot be delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_fails_when_a_living_peer_reads_nothing() {
    let transport = WebSocket::new().ping_interval(PING).idle_timeout(IDLE);
    let (raw, mut accepted) = raw_client(&transport).await;
    let (_unread, mut write) = raw.into_split();
    let living = tokio::spawn(async move {
        while write.write_all(&frame(FINAL | PING_FRAME, b"")).await.is_ok() {
            sleep(PING).await;
        }
    });
    let frame = Bytes::from(vec![0; 500_000]);
    while timeout(IDLE, accepted.sender.send(frame.clone())).await.is_ok() {}
    let closed = soon("closing", accepted.sender.close()).await;
    assert_eq!(closed.unwrap_err().kind, TransportErrorKind::Lost);
    drop(accepted);
    soon("letting go", living).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_answers_a_close_is_let_go_in_time() {
    let transport = WebSocket::new().handshake_timeout(IDLE);
    let (mut raw, mut accepted) = raw_client(&transport).await;
    accepted.sender.send("last".into()).await.unwrap();
    accepted.sender.close().await.unwrap();
    drop(accepted);
    read_to_end(&mut raw).await;
}
