//! Connections beside each other, and beyond their listener.

use super::TransportHarness;
use super::ends::{ConnectionOf, Patience, broken, listen, meet, number_in, numbered};
use crate::{CaseResult, Failure, Rng};
use repliq_core::{FrameReceiver, Listener, Transport};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::Barrier;

pub(super) async fn connections_do_not_mix<H: TransportHarness>(
    harness: &H,
    rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    let mut pairs = Vec::new();
    for _ in 0..6 {
        pairs.push(meet(harness, &mut listener, &at).await?);
    }
    // Which connection is which is told by a first frame, for listeners may
    // accept in another order.
    for (number, (connected, _)) in (0..).zip(&mut pairs) {
        patience.send(&mut connected.sender, numbered(number << 32, 50)).await?;
    }
    let mut order = Vec::new();
    for (_, accepted) in &mut pairs {
        order.push(number_in(&patience.frame(&mut accepted.receiver).await?)? >> 32);
    }
    let mut next = vec![(0, 0); pairs.len()];
    for _ in 0..300 {
        let at = rng.below(pairs.len());
        let (Some((connected, accepted)), Some(next)) = (pairs.get_mut(at), next.get_mut(at))
        else {
            return broken("the case picked a connection that is not there");
        };
        let (outward, inward) = (at as u64, order.get(at).copied().unwrap_or_default());
        next.0 += 1;
        next.1 += 1;
        patience.send(&mut connected.sender, numbered((outward << 32) + next.0, 200)).await?;
        patience.send(&mut accepted.sender, numbered((inward << 32) + next.1, 300)).await?;
        // Each end hears its own partner's tag, in the partner's order.
        tag(patience, &mut connected.receiver, outward).await?;
        tag(patience, &mut accepted.receiver, inward).await?;
    }
    Ok(())
}

async fn tag(patience: Patience, receiver: &mut impl FrameReceiver, expected: u64) -> CaseResult {
    let got = number_in(&patience.frame(receiver).await?)? >> 32;
    if got == expected {
        return Ok(());
    }
    broken(format!("connection {expected} received a frame of connection {got}"))
}

const MANY: u32 = 100;

pub(super) async fn many_connections_at_once_are_accepted<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    let mut connecting = Vec::new();
    // All of them have begun to connect before the first is accepted.
    let begun = Arc::new(Barrier::new(MANY as usize + 1));
    for number in (0_u64..).take(MANY as usize) {
        let (connector, at, begun) = (harness.connector(), at.clone(), Arc::clone(&begun));
        connecting.push(tokio::spawn(async move {
            let mut connect = pin!(connector.connect(&at));
            let at_once = tokio::select! {
                biased;
                connection = &mut connect => Some(connection),
                () = std::future::ready(()) => None,
            };
            begun.wait().await;
            let mut connection = match at_once {
                Some(connection) => connection?,
                None => patience.within("connecting", connect).await??,
            };
            patience.send(&mut connection.sender, numbered(number, 40)).await?;
            patience.expect(&mut connection.receiver, &numbered(number, 80)).await
        }));
    }
    begun.wait().await;
    let mut accepted = Vec::new();
    for _ in 0..MANY {
        accepted.push(patience.within("accepting", listener.accept()).await??);
    }
    for connection in &mut accepted {
        let number = number_in(&patience.frame(&mut connection.receiver).await?)?;
        patience.send(&mut connection.sender, numbered(number, 80)).await?;
    }
    for connecting in connecting {
        connecting.await??;
    }
    Ok(())
}

pub(super) async fn accepted_connections_outlive_their_listener<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    let patience = Patience(harness.patience());
    let (mut listener, at) = listen(harness).await?;
    let (mut connected, mut accepted) = meet(harness, &mut listener, &at).await?;
    patience.within("closing the listener", listener.close()).await??;
    exchange::<H>(patience, &mut connected, &mut accepted).await?;
    drop(listener);
    exchange::<H>(patience, &mut connected, &mut accepted).await?;
    patience.close(&mut accepted.sender).await?;
    patience.expect_clean_end(&mut connected.receiver).await
}

async fn exchange<H: TransportHarness>(
    patience: Patience,
    one: &mut ConnectionOf<H>,
    other: &mut ConnectionOf<H>,
) -> Result<(), Failure> {
    patience.send(&mut one.sender, "there".into()).await?;
    patience.expect(&mut other.receiver, b"there").await?;
    patience.send(&mut other.sender, "and back".into()).await?;
    patience.expect(&mut one.receiver, b"and back").await
}
