//! An idle connection lives, whatever its program does.

use crate::raw_peer::{listener, soon};
use repliq_core::{FrameReceiver, FrameSender, Listener, Transport};
use repliq_transport_websocket::WebSocket;
use std::time::Duration;
use tokio::time::sleep;

const PING: Duration = Duration::from_millis(40);
const IDLE: Duration = Duration::from_millis(400);

/// Lets three idle timeouts pass, with or without a pending recv on each side,
/// then sends both ways.
async fn outlives_idleness(receives: [bool; 2]) {
    let transport = WebSocket::new().ping_interval(PING).idle_timeout(IDLE);
    let (mut listener, at) = listener(&transport).await;
    let (connected, accepted) = tokio::join!(transport.connect(&at), listener.accept());
    let mut ends = [connected.unwrap(), accepted.unwrap()];
    let [one, other] = &mut ends;
    tokio::select! {
        () = sleep(IDLE * 3) => {}
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
