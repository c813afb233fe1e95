//! What a peer does wrong on an open connection.

use crate::raw_peer::{
    BINARY, CLOSE, CONTINUATION, FINAL, PING, TEXT, expect_error, expect_frame, frame, header,
    raw_client, read_frame, soon,
};
use bytes::Bytes;
use repliq_core::{FrameReceiver, FrameSender, MAX_FRAME_BYTES, TransportErrorKind};
use repliq_transport_websocket::WebSocket;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_cut_off_by_the_end_is_lost_after_what_came_before() {
    let (mut raw, mut accepted) = raw_client(&WebSocket::new()).await;
    raw.write_all(&frame(FINAL | BINARY, b"whole")).await.unwrap();
    let cut = frame(FINAL | BINARY, b"cut off");
    raw.write_all(&cut[..cut.len() - 3]).await.unwrap();
    drop(raw);
    expect_frame(&mut accepted, b"whole").await;
    expect_error(&mut accepted, TransportErrorKind::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_inside_a_frame_is_lost() {
    let (mut raw, mut accepted) = raw_client(&WebSocket::new()).await;
    raw.write_all(&header(FINAL | BINARY, 1000)).await.unwrap();
    raw.set_zero_linger().unwrap();
    drop(raw);
    expect_error(&mut accepted, TransportErrorKind::Lost).await;
    let sent = accepted.sender.send("late".into()).await;
    assert_eq!(sent.unwrap_err().kind, TransportErrorKind::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_length_is_refused_before_its_bytes_come() {
    for len in [MAX_FRAME_BYTES as u64 + 1, 1 << 40, 1 << 63, u64::MAX] {
        let (mut raw, mut accepted) = raw_client(&WebSocket::new()).await;
        raw.write_all(&header(FINAL | BINARY, len)).await.unwrap();
        expect_error(&mut accepted, TransportErrorKind::TooLarge).await;
        let (first, reason) = soon("a close frame", read_frame(&mut raw)).await;
        assert_eq!((first, &reason[..]), (FINAL | CLOSE, &1009u16.to_be_bytes()[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_without_end_are_refused_at_the_limit() {
    let (raw, mut accepted) = raw_client(&WebSocket::new()).await;
    let flooding = tokio::spawn(async move {
        let mut raw = raw;
        raw.write_all(&frame(BINARY, &[1; 60_000])).await?;
        loop {
            raw.write_all(&frame(CONTINUATION, &[2; 60_000])).await?;
        }
        #[allow(unreachable_code)]
        Ok::<(), std::io::Error>(())
    });
    expect_error(&mut accepted, TransportErrorKind::TooLarge).await;
    drop(accepted);
    soon("an end of the flood", flooding).await.unwrap().unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_of_one_frame_arrive_as_one() {
    let (mut raw, mut accepted) = raw_client(&WebSocket::new()).await;
    for (first, part) in [(BINARY, "in "), (CONTINUATION, "three "), (FINAL, "parts")] {
        raw.write_all(&frame(first, part.as_bytes())).await.unwrap();
        raw.write_all(&frame(FINAL | PING, b"between")).await.unwrap();
    }
    expect_frame(&mut accepted, b"in three parts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_peer_of_this_transport_sends_breaks_the_protocol() {
    let unmasked = [FINAL | BINARY, 1, b'x'];
    for (what, bytes) in [
        ("a text message", frame(FINAL | TEXT, b"text")),
        ("a text message that is no text", frame(FINAL | TEXT, &[0xff, 0xfe])),
        ("an unmasked frame", unmasked.to_vec()),
        ("a continuation of nothing", frame(FINAL | CONTINUATION, b"x")),
        ("an unknown kind", frame(FINAL | 0x3, b"x")),
        ("an unknown control", frame(FINAL | 0xb, b"x")),
        ("a compressed frame", frame(FINAL | 0x40 | BINARY, b"x")),
        ("a ping in parts", frame(PING, b"x")),
        ("a long ping", frame(FINAL | PING, &[0; 126])),
    ] {
        let (mut raw, mut accepted) = raw_client(&WebSocket::new()).await;
        raw.write_all(&bytes).await.unwrap();
        let error = soon(what, accepted.receiver.recv()).await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Protocol, "{what}: {error}");
        let (first, reason) = soon("a close frame", read_frame(&mut raw)).await;
        assert_eq!((first, &reason[..]), (FINAL | CLOSE, &1002u16.to_be_bytes()[..]), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_answered_and_ends_cleanly() {
    let (mut raw, mut accepted) = raw_client(&WebSocket::new()).await;
    raw.write_all(&frame(FINAL | CLOSE, &1000u16.to_be_bytes())).await.unwrap();
    assert_eq!(soon("the end", accepted.receiver.recv()).await.unwrap(), None);
    let (first, _) = soon("the answer", read_frame(&mut raw)).await;
    assert_eq!(first, FINAL | CLOSE);
    accepted.sender.close().await.unwrap();
}

/// The pongs nobody reads fill the write buffer; they must not grow beyond it, and
/// must not keep a frame from being sent once there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_from_a_peer_that_reads_nothing_stays_bounded() {
    let (mut raw, mut accepted) = raw_client(&WebSocket::new()).await;
    let (mut read, mut write) = raw.split();
    let mut pings = Vec::new();
    for _ in 0..400 {
        pings.extend(frame(FINAL | PING, &[7; 125]));
    }
    let flooding = async {
        for _ in 0..400 {
            write.write_all(&pings).await.unwrap();
        }
        write.write_all(&frame(FINAL | BINARY, b"after the flood")).await.unwrap();
    };
    let ((), ()) = soon("the flood", async {
        tokio::join!(flooding, expect_frame(&mut accepted, b"after the flood"))
    })
    .await;

    let answer = Bytes::from(vec![3; MAX_FRAME_BYTES]);
    let sending = accepted.sender.send(answer.clone());
    let reading = async {
        let mut pongs = 0;
        loop {
            let (first, payload) = read_frame(&mut read).await;
            if first == FINAL | BINARY {
                return (pongs, payload);
            }
            pongs += 1;
        }
    };
    let (sent, (pongs, payload)) =
        soon("sending after the flood", async { tokio::join!(sending, reading) }).await;
    sent.unwrap();
    assert_eq!(payload, answer);
    assert!(pongs < 160_000, "{pongs} pongs waited for a peer that read none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_silent_for_too_long_is_lost_after_pings() {
    let transport = WebSocket::new()
        .ping_interval(Duration::from_millis(50))
        .idle_timeout(Duration::from_secs(2));
    let (mut raw, mut accepted) = raw_client(&transport).await;
    expect_error(&mut accepted, TransportErrorKind::Lost).await;
    assert_eq!(
        accepted.sender.send("late".into()).await.unwrap_err().kind,
        TransportErrorKind::Lost
    );
    let (first, payload) = soon("a ping", read_frame(&mut raw)).await;
    assert_eq!((first, &payload[..]), (FINAL | PING, &[][..]));
}

/// The send waits for a peer that never reads; silence must end that wait too.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_waits_for_a_silent_peer_is_lost_in_time() {
    let transport = WebSocket::new()
        .ping_interval(Duration::from_millis(20))
        .idle_timeout(Duration::from_secs(1));
    let (_raw, mut accepted) = raw_client(&transport).await;
    let flooding = async {
        loop {
            if let Err(error) = accepted.sender.send(Bytes::from(vec![0; 200_000])).await {
                return error;
            }
        }
    };
    let error = soon("giving up", flooding).await;
    assert_eq!(error.kind, TransportErrorKind::Lost, "{error}");
}

/// Otherwise the peer's close, which stands behind its frames, would never be
/// seen, and both would wait.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_a_dropped_receiver_is_thrown_away() {
    let (mut raw, accepted) = raw_client(&WebSocket::new()).await;
    drop(accepted.receiver);
    let frame = frame(FINAL | BINARY, &[5; 500_000]);
    for _ in 0..60 {
        soon("writing to a dropped receiver", raw.write_all(&frame)).await.unwrap();
    }
}
