//! What networks do to connections.

use crate::proxy::{Weather, proxy};
use crate::raw_peer::{Accepted, listener, quic, soon};
use bytes::Bytes;
use repliq_core::{Endpoint, FrameReceiver, FrameSender, Listener, Transport, TransportErrorKind};
use repliq_transport_quic::{Quic, QuicListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Two ends with a network between them.
async fn ends(transport: &Quic) -> (Accepted, Accepted, Arc<Weather>, QuicListener) {
    let (mut listener, at) = listener(transport).await;
    let weather = Arc::new(Weather::default());
    let between = proxy(at.authority().parse().unwrap(), Arc::clone(&weather)).await;
    let at: Endpoint = at.as_str().replace(at.authority(), &between.to_string()).parse().unwrap();
    let met = async { tokio::join!(transport.connect(&at), listener.accept()) };
    let (connected, accepted) = soon("connecting", met).await;
    (connected.unwrap(), accepted.unwrap(), weather, listener)
}

async fn exchange(one: &mut Accepted, other: &mut Accepted) {
    for (from, to) in
        [(&mut one.sender, &mut other.receiver), (&mut other.sender, &mut one.receiver)]
    {
        soon("sending", from.send("on the way".into())).await.unwrap();
        let got = soon("receiving", to.recv()).await.unwrap();
        assert_eq!(got, Some(Bytes::from_static(b"on the way")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_survives_a_change_of_its_address() {
    let (mut connected, mut accepted, weather, _listener) = ends(&quic()).await;
    for _ in 0..3 {
        exchange(&mut connected, &mut accepted).await;
        weather.moves.notify_one();
    }
    exchange(&mut connected, &mut accepted).await;
    soon("closing", connected.sender.close()).await.unwrap();
    assert_eq!(soon("the end", accepted.receiver.recv()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_lost_and_out_of_order_change_no_frame() {
    let (mut connected, mut accepted, weather, _listener) = ends(&quic()).await;
    weather.spoils.store(9, Ordering::SeqCst);
    let sending = async {
        for number in 0..60_u8 {
            connected.sender.send(vec![number; 10_000].into()).await.unwrap();
        }
        connected.sender.close().await.unwrap();
    };
    let receiving = async {
        for number in 0..60_u8 {
            assert_eq!(accepted.receiver.recv().await.unwrap(), Some(vec![number; 10_000].into()));
        }
        assert_eq!(accepted.receiver.recv().await.unwrap(), None);
    };
    soon("frames in bad weather", async { tokio::join!(sending, receiving) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_line_is_noticed_by_both_ends() {
    let transport =
        quic().ping_interval(Duration::from_millis(50)).idle_timeout(Duration::from_millis(400));
    let (mut connected, mut accepted, weather, _listener) = ends(&transport).await;
    exchange(&mut connected, &mut accepted).await;
    weather.cut.store(true, Ordering::SeqCst);
    for end in [&mut connected, &mut accepted] {
        let error = soon("noticing", end.receiver.recv()).await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Lost, "{error}");
        let error = end.sender.send("late".into()).await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Lost, "{error}");
        let error = end.sender.close().await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Lost, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ends_that_do_nothing_stay_connected() {
    let transport =
        quic().ping_interval(Duration::from_millis(40)).idle_timeout(Duration::from_millis(400));
    let (mut connected, mut accepted, _weather, _listener) = ends(&transport).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    exchange(&mut connected, &mut accepted).await;
}
