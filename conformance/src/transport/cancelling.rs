//! Dropping a future half-way loses nothing.

use super::TransportHarness;
use super::ends::{Patience, attempt, broken, in_both_roles, listen, number_in, numbered};
use crate::{CaseResult, Rng};
use bytes::Bytes;
use repliq_core::{FrameReceiver, FrameSender, Listener, MAX_FRAME_BYTES, Transport};
use std::time::Duration;

pub(super) async fn recv_is_cancel_safe<H: TransportHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |ends| {
        let frames: Vec<Bytes> = (0..300)
            .map(|number| {
                // The first ones overfill the buffers between the ends, so that one is
                // there in part, however the threads run.
                let len = match number {
                    0..16 => MAX_FRAME_BYTES,
                    _ if number % 20 == 0 => 300_000,
                    _ => rng.below(3000),
                };
                numbered(number, len)
            })
            .collect();
        let (patience, mut far) = (ends.patience, ends.far);
        let mut near = ends.near;
        let sent = frames.clone();
        let sending = tokio::spawn(async move {
            for frame in sent {
                near.sender.send(frame).await?;
                // Lets the other side run dry, so that its recv has to wait.
                tokio::task::yield_now().await;
            }
            Ok::<_, repliq_core::TransportError>(near)
        });
        for frame in &frames {
            let got = patience.within("receiving", stubborn(&mut far.receiver, rng)).await??;
            if got.as_ref() != Some(frame) {
                return broken("a frame was lost or damaged by dropping a recv");
            }
        }
        patience.within("sending", sending).await???;
        Ok(())
    })
    .await
}

/// Receives by many attempts, each dropped soon.
async fn stubborn<R: FrameReceiver>(
    receiver: &mut R,
    rng: &mut Rng,
) -> Result<Option<Bytes>, repliq_core::TransportError> {
    loop {
        let got = match rng.below(4) {
            0 => tokio::time::timeout(Duration::from_millis(1), receiver.recv()).await.ok(),
            turns => attempt(turns, receiver.recv()).await,
        };
        if let Some(got) = got {
            return got;
        }
    }
}

const CONNECTORS: u64 = 20;

pub(super) async fn accept_is_cancel_safe<H: TransportHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    for number in 0..CONNECTORS {
        let (connector, at) = (harness.connector(), at.clone());
        let connecting = tokio::spawn(async move {
            let mut connection = connector.connect(&at).await?;
            connection.sender.send(numbered(number, 100)).await?;
            Ok::<_, repliq_core::TransportError>(connection)
        });
        let accepting = async {
            loop {
                let turns = 1 + rng.below(3);
                if let Some(accepted) = attempt(turns, listener.accept()).await {
                    return accepted;
                }
                tokio::task::yield_now().await;
            }
        };
        let mut accepted = patience.within("accepting after dropped accepts", accepting).await??;
        let got = number_in(&patience.frame(&mut accepted.receiver).await?)?;
        if got != number {
            return broken(format!("connection {got} came where {number} was due"));
        }
        patience.within("connecting", connecting).await???;
    }
    Ok(())
}

pub(super) async fn a_dropped_send_leaves_only_whole_frames<H: TransportHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    const LAST: u64 = u64::MAX;
    in_both_roles(harness, async |mut ends| {
        let mut dropped = 0;
        let mut taken = Vec::new();
        for number in 0..2_000 {
            let sent = attempt(1 + rng.below(3), ends.near.sender.send(numbered(number, 90_000)));
            match sent.await {
                Some(sent) => {
                    sent?;
                    taken.push(number);
                }
                None => dropped += 1,
            }
            if dropped == 20 {
                break;
            }
        }
        let sending = ends.patience.send(&mut ends.near.sender, numbered(LAST, 10));
        let receiving = async {
            let mut arrived = Vec::new();
            loop {
                let number = number_in(&ends.patience.frame(&mut ends.far.receiver).await?)?;
                if number == LAST {
                    return Ok(arrived);
                }
                arrived.push(number);
            }
        };
        let ((), arrived) = tokio::try_join!(sending, receiving)?;
        if !arrived.is_sorted_by(|before, after| before < after) {
            return broken("after a dropped send, frames came twice or out of order");
        }
        if taken.iter().any(|number| !arrived.contains(number)) {
            return broken("a frame whose send succeeded was lost to a dropped send");
        }
        Ok(())
    })
    .await
}
