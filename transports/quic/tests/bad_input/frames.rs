//! What a peer does wrong on an open connection.

use crate::raw_peer::{Accepted, END, HELLO, quic, raw_client, soon};
use bytes::Bytes;
use repliq_core::{FrameReceiver, FrameSender, MAX_FRAME_BYTES, TransportErrorKind};
use std::time::Duration;
use tokio::time::timeout;

async fn expect_error(accepted: &mut Accepted, kind: TransportErrorKind) {
    for _ in 0..2 {
        let error = soon("receiving", accepted.receiver.recv()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

async fn expect_frame(accepted: &mut Accepted, frame: &'static [u8]) {
    let got = soon("receiving", accepted.receiver.recv()).await.unwrap();
    assert_eq!(got, Some(Bytes::from_static(frame)));
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_be_bytes(), payload].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_cut_off_by_the_end_is_lost_after_what_came_before() {
    let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
    raw.send.write_all(&frame(b"whole")).await.unwrap();
    raw.send.write_all(&frame(b"cut off")[..7]).await.unwrap();
    raw.send.finish().unwrap();
    expect_frame(&mut accepted, b"whole").await;
    expect_error(&mut accepted, TransportErrorKind::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_a_close_is_lost() {
    let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
    raw.send.write_all(&frame(b"whole")).await.unwrap();
    raw.send.finish().unwrap();
    expect_frame(&mut accepted, b"whole").await;
    expect_error(&mut accepted, TransportErrorKind::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_inside_a_frame_is_lost() {
    let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
    raw.send.write_all(&frame(&[1; 1000])[..500]).await.unwrap();
    raw.send.reset(7_u8.into()).unwrap();
    expect_error(&mut accepted, TransportErrorKind::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closed_inside_a_frame_is_lost_for_both_halves() {
    let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
    raw.send.write_all(&frame(&[1; 1000])[..500]).await.unwrap();
    raw.connection.close(7_u8.into(), b"no reason");
    expect_error(&mut accepted, TransportErrorKind::Lost).await;
    let sent = accepted.sender.send("late".into()).await;
    assert_eq!(sent.unwrap_err().kind, TransportErrorKind::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_length_is_refused_before_its_bytes_come() {
    let over = u32::try_from(MAX_FRAME_BYTES).unwrap() + 1;
    for length in [over, 1 << 31, u32::MAX - 2] {
        let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
        raw.send.write_all(&length.to_be_bytes()).await.unwrap();
        expect_error(&mut accepted, TransportErrorKind::TooLarge).await;
        let told = soon("the end of the connection", raw.connection.closed()).await;
        assert!(told.to_string().contains("too large"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_greeting_breaks_the_protocol() {
    let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
    raw.send.write_all(&HELLO).await.unwrap();
    expect_error(&mut accepted, TransportErrorKind::Protocol).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_is_one_whatever_stands_behind_it() {
    let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
    raw.send.write_all(&[&END[..], &frame(b"too late")].concat()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(soon("the end", accepted.receiver.recv()).await.unwrap(), None);
    }
    accepted.sender.send("still here".into()).await.unwrap();
    let mut got = [0; 14];
    soon("reading", raw.recv.read_exact(&mut got)).await.unwrap();
    assert_eq!(got[..], frame(b"still here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_gets_one_stream_and_no_other() {
    let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
    let soon_after = Duration::from_millis(100);
    timeout(soon_after, raw.connection.open_bi()).await.unwrap_err();
    timeout(soon_after, raw.connection.open_uni()).await.unwrap_err();
    assert!(raw.connection.max_datagram_size().is_none(), "datagrams are off");
    raw.send.write_all(&frame(b"undisturbed")).await.unwrap();
    expect_frame(&mut accepted, b"undisturbed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_nobody_receives_stops_at_the_window() {
    let (mut raw, mut accepted, _listener) = raw_client(&quic()).await;
    let (mut sent, frame) = (0, frame(&[5; 60_000]));
    while timeout(Duration::from_millis(300), raw.send.write_all(&frame)).await.is_ok() {
        sent += frame.len();
        assert!(sent < 32 << 20, "{sent} bytes were taken while nobody received");
    }
    expect_frame(&mut accepted, &[5; 60_000]).await;
}

/// It is heard, so it is not silent; but what was sent cannot be delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_fails_when_a_living_peer_reads_nothing() {
    let transport =
        quic().ping_interval(Duration::from_millis(50)).idle_timeout(Duration::from_secs(2));
    let (raw, mut accepted, _listener) = raw_client(&transport).await;
    let frame = Bytes::from(vec![0; 500_000]);
    while timeout(Duration::from_millis(300), accepted.sender.send(frame.clone())).await.is_ok() {}
    let closed = soon("closing", accepted.sender.close()).await;
    assert_eq!(closed.unwrap_err().kind, TransportErrorKind::Lost);
    drop(raw);
}
