//! How connections end: cleanly after a close, as lost without one.

use super::TransportHarness;
use super::ends::{Patience, attempt, broken, expect_error, in_both_roles, numbered};
use super::pressure::unless_it_waits;
use crate::{CaseResult, Rng};
use repliq_core::{FrameReceiver, FrameSender, TransportErrorKind};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

pub(super) async fn a_clean_end_is_told_and_stays<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        ends.patience.send(&mut ends.near.sender, "last".into()).await?;
        ends.patience.close(&mut ends.near.sender).await?;
        ends.patience.expect(&mut ends.far.receiver, b"last").await?;
        for _ in 0..3 {
            ends.patience.expect_clean_end(&mut ends.far.receiver).await?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn close_delivers_what_was_sent<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let (patience, mut near) = (ends.patience, ends.near);
        let leaving = tokio::spawn(async move {
            for number in 0..300 {
                patience.send(&mut near.sender, numbered(number, 16 << 10)).await?;
            }
            let closed = patience.close(&mut near.sender).await;
            // Both halves at once: without this the receiver would stay outside.
            drop(near);
            closed
        });
        for number in 0..300 {
            patience.expect(&mut ends.far.receiver, &numbered(number, 16 << 10)).await?;
        }
        patience.expect_clean_end(&mut ends.far.receiver).await?;
        patience.within("leaving", leaving).await??
    })
    .await
}

pub(super) async fn what_was_closed_outlives_its_sender<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        send_five(ends.patience, &mut ends.near.sender).await?;
        ends.patience.close(&mut ends.near.sender).await?;
        drop((ends.near, ends.listener));
        expect_five(ends.patience, &mut ends.far.receiver).await?;
        ends.patience.expect_clean_end(&mut ends.far.receiver).await
    })
    .await
}

/// On TCP, dropping a socket that has unread bytes resets it, and that can
/// overtake what was sent.
pub(super) async fn close_delivers_past_unread_frames<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let (patience, mut near) = (ends.patience, ends.near);
        send_five(patience, &mut ends.far.sender).await?;
        let leaving = tokio::spawn(async move {
            for number in 0..100 {
                patience.send(&mut near.sender, numbered(number, 64 << 10)).await?;
            }
            let closed = patience.close(&mut near.sender).await;
            // Both halves at once: without this the receiver would stay outside.
            drop(near);
            closed
        });
        for number in 0..100 {
            patience.expect(&mut ends.far.receiver, &numbered(number, 64 << 10)).await?;
        }
        patience.expect_clean_end(&mut ends.far.receiver).await?;
        patience.within("leaving", leaving).await??
    })
    .await
}

pub(super) async fn a_peer_gone_without_close_is_lost<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        send_five(ends.patience, &mut ends.near.sender).await?;
        expect_five(ends.patience, &mut ends.far.receiver).await?;
        drop(ends.near);
        for _ in 0..3 {
            ends.patience.expect_lost(&mut ends.far.receiver).await?;
        }
        Ok(())
    })
    .await
}

/// Its receiver may live on: the end of one direction is told all the same.
pub(super) async fn a_sender_dropped_without_close_is_lost<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        send_five(ends.patience, &mut ends.near.sender).await?;
        drop(ends.near.sender);
        expect_five(ends.patience, &mut ends.far.receiver).await?;
        ends.patience.expect_lost(&mut ends.far.receiver).await
    })
    .await
}

pub(super) async fn a_waiting_recv_learns_of_a_lost_peer<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let mut waiting = pin!(ends.far.receiver.recv());
        let first = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
        if first.is_ready() {
            return broken("recv has a result while the peer neither sends nor leaves");
        }
        drop(ends.near);
        let told = ends.patience.within("a waiting recv", waiting).await?;
        expect_error(told, TransportErrorKind::Lost, "a waiting recv whose peer is gone")
    })
    .await
}

pub(super) async fn sending_after_own_close_is_refused<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        ends.patience.close(&mut ends.near.sender).await?;
        for _ in 0..2 {
            let sent = ends.near.sender.send("late".into());
            let sent = ends.patience.within("sending after own close", sent).await?;
            expect_error(sent, TransportErrorKind::Closed, "sending after own close")?;
        }
        ends.patience.expect_clean_end(&mut ends.far.receiver).await
    })
    .await
}

pub(super) async fn closing_twice_is_fine<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        send_five(ends.patience, &mut ends.near.sender).await?;
        for _ in 0..3 {
            ends.patience.close(&mut ends.near.sender).await?;
        }
        expect_five(ends.patience, &mut ends.far.receiver).await?;
        ends.patience.expect_clean_end(&mut ends.far.receiver).await?;
        ends.patience.close(&mut ends.near.sender).await
    })
    .await
}

pub(super) async fn own_close_leaves_receiving_what_was_sent<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        send_five(ends.patience, &mut ends.far.sender).await?;
        ends.patience.close(&mut ends.near.sender).await?;
        ends.patience.expect_clean_end(&mut ends.far.receiver).await?;
        ends.patience.close(&mut ends.far.sender).await?;
        expect_five(ends.patience, &mut ends.near.receiver).await?;
        ends.patience.expect_clean_end(&mut ends.near.receiver).await
    })
    .await
}

pub(super) async fn closing_from_both_ends_is_clean<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        send_five(ends.patience, &mut ends.near.sender).await?;
        send_five(ends.patience, &mut ends.far.sender).await?;
        let near = ends.patience.close(&mut ends.near.sender);
        let far = ends.patience.close(&mut ends.far.sender);
        tokio::try_join!(near, far)?;
        for receiver in [&mut ends.near.receiver, &mut ends.far.receiver] {
            expect_five(ends.patience, receiver).await?;
            ends.patience.expect_clean_end(receiver).await?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn sending_to_a_lost_peer_fails<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        drop(ends.far);
        let sending = async {
            loop {
                if let Err(error) = ends.near.sender.send(numbered(0, 1000)).await {
                    return error;
                }
                tokio::task::yield_now().await;
            }
        };
        let error = ends.patience.within("noticing a lost peer by sending", sending).await?;
        expect_error::<()>(Err(error), TransportErrorKind::Lost, "sending to a lost peer")
    })
    .await
}

async fn send_five(patience: Patience, sender: &mut impl FrameSender) -> CaseResult {
    for number in 0..5 {
        patience.send(sender, numbered(number, 500)).await?;
    }
    Ok(())
}

async fn expect_five(patience: Patience, receiver: &mut impl FrameReceiver) -> CaseResult {
    for number in 0..5 {
        patience.expect(receiver, &numbered(number, 500)).await?;
    }
    Ok(())
}

/// A close that was given up is no close: the next one does what is left.
pub(super) async fn a_dropped_close_can_be_said_again<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        // As much as the connection takes while nobody receives.
        let mut sent = 0;
        while let Some(taken) =
            unless_it_waits(ends.near.sender.send(numbered(sent, 32 << 10))).await
        {
            taken?;
            sent += 1;
        }
        let _ = attempt(50, ends.near.sender.close()).await;
        let (patience, mut near) = (ends.patience, ends.near);
        let leaving = tokio::spawn(async move {
            let closed = patience.close(&mut near.sender).await;
            drop(near);
            closed
        });
        for number in 0..sent {
            patience.expect(&mut ends.far.receiver, &numbered(number, 32 << 10)).await?;
        }
        // The send that was given up may have left, too.
        match patience.recv(&mut ends.far.receiver).await?? {
            Some(frame) if frame == numbered(sent, 32 << 10) => {}
            Some(_) => return broken("a frame arrived that was never sent"),
            None => return patience.within("leaving", leaving).await??,
        }
        patience.expect_clean_end(&mut ends.far.receiver).await?;
        patience.within("leaving", leaving).await??
    })
    .await
}
