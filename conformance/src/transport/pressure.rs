//! A slow peer makes `send` wait, and nothing else.

use super::TransportHarness;
use super::ends::{Patience, broken, expect_error, in_both_roles, number_in, numbered};
use crate::{CaseResult, Failure, Rng};
use repliq_core::{FrameReceiver, FrameSender, TransportError, TransportErrorKind};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// More than any buffer of a transport and the system under it may hold.
const BOUND: u64 = 64 << 20;
const FRAME_BYTES: usize = 256 << 10;
/// What is not done after so many looks, with a pause before each, waits for
/// something. Each look is a turn that others had too, so that a busy machine is not
/// taken for a standstill.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(20);

/// What a future gives, unless it waits for something that does not come.
pub(super) async fn unless_it_waits<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..LOOKS {
        if let Ok(value) = timeout(PAUSE, future.as_mut()).await {
            return Some(value);
        }
    }
    None
}

pub(super) async fn send_waits_while_the_peer_is_slow<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let flood = Flood::start(ends.near.sender);
        flood.wait_for_standstill().await?;
        flood.receive_all(ends.patience, &mut ends.far.receiver).await
    })
    .await
}

pub(super) async fn receiving_goes_on_while_a_send_waits<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |mut ends| {
        let flood = Flood::start(ends.near.sender);
        flood.wait_for_standstill().await?;
        for number in 0..20 {
            let frame = numbered(number, 1000);
            ends.patience.send(&mut ends.far.sender, frame.clone()).await?;
            ends.patience.expect(&mut ends.near.receiver, &frame).await?;
        }
        flood.receive_all(ends.patience, &mut ends.far.receiver).await
    })
    .await
}

pub(super) async fn a_waiting_send_fails_when_the_peer_is_lost<H: TransportHarness>(
    harness: &H,
    _rng: &mut Rng,
) -> CaseResult {
    in_both_roles(harness, async |ends| {
        let flood = Flood::start(ends.near.sender);
        flood.wait_for_standstill().await?;
        drop(ends.far);
        let (_sender, sent) = ends.patience.within("a send to a lost peer", flood.task).await??;
        expect_error(sent, TransportErrorKind::Lost, "a send to a lost peer")
    })
    .await
}

/// A task that sends numbered frames without end.
struct Flood<S> {
    taken: Arc<AtomicU64>,
    /// The send that is under way had to wait.
    waits: Arc<AtomicBool>,
    last: Arc<AtomicU64>,
    task: JoinHandle<(S, Result<(), TransportError>)>,
}

impl<S: FrameSender> Flood<S> {
    fn start(mut sender: S) -> Self {
        let taken = Arc::new(AtomicU64::new(0));
        let last = Arc::new(AtomicU64::new(u64::MAX));
        let waits = Arc::new(AtomicBool::new(false));
        let (counted, end) = (Arc::clone(&taken), Arc::clone(&last));
        let waiting = Arc::clone(&waits);
        let task = tokio::spawn(async move {
            for number in 0.. {
                if number >= end.load(Ordering::SeqCst) {
                    break;
                }
                let mut sending = Box::pin(sender.send(numbered(number, FRAME_BYTES)));
                let sent = poll_fn(|context| {
                    let polled = sending.as_mut().poll(context);
                    waiting.store(polled.is_pending(), Ordering::SeqCst);
                    polled
                });
                let sent = sent.await;
                drop(sending);
                if let Err(error) = sent {
                    return (sender, Err(error));
                }
                counted.store(number + 1, Ordering::SeqCst);
            }
            (sender, Ok(()))
        });
        Self { taken, waits, last, task }
    }

    /// Waits until a send waits.
    async fn wait_for_standstill(&self) -> CaseResult {
        let (mut before, mut looks) = (u64::MAX, 0);
        while looks < LOOKS {
            let taken = self.taken.load(Ordering::SeqCst);
            if taken * FRAME_BYTES as u64 > BOUND {
                return broken(format!("{BOUND} bytes were taken while nobody received"));
            }
            if self.task.is_finished() {
                return broken("a send failed while the peer was only slow");
            }
            let stands = taken == before && self.waits.load(Ordering::SeqCst);
            looks = if stands { looks + 1 } else { 0 };
            before = taken;
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Ends the flood and expects all of it.
    async fn receive_all(
        self,
        patience: Patience,
        receiver: &mut impl FrameReceiver,
    ) -> CaseResult {
        let last = self.taken.load(Ordering::SeqCst) + 8;
        self.last.store(last, Ordering::SeqCst);
        for number in 0..last {
            let got = number_in(&patience.frame(receiver).await?)?;
            if got != number {
                return broken(format!("frame {got} came where {number} was due"));
            }
        }
        let (_sender, sent) = patience.within("a send that waited", self.task).await??;
        sent.map_err(Failure::from)
    }
}
