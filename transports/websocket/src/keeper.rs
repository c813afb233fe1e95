//! The task beside every connection.
//!
//! It writes what a burst of sends left behind, pings, notices silence, carries
//! out a close and lingers until the peer has read it. It ends when both halves
//! are dropped and nothing is left to deliver, at the latest one handshake
//! timeout after that; it never reads while a receiver exists.

use crate::Timing;
use crate::link::{Kept, Link};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep};

pub(crate) struct Keeper {
    link: Arc<Link>,
    looks: Interval,
    /// How many silent looks in a row are too many.
    patience: u32,
    linger: Duration,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl Keeper {
    pub(crate) fn new(link: Arc<Link>, timing: Timing) -> Self {
        let period = timing.ping.max(Duration::from_millis(1));
        let mut looks = interval_at(Instant::now() + period, period);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let patience = timing.idle.as_nanos().div_ceil(period.as_nanos()).max(1);
        Self {
            link,
            looks,
            patience: u32::try_from(patience).unwrap_or(u32::MAX),
            linger: timing.handshake,
            lingering: None,
        }
    }
}

impl Future for Keeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while self.looks.poll_tick(context).is_ready() {
            self.link.look(self.patience);
        }
        match self.link.poll_keep(context) {
            Kept::Settled => Poll::Ready(()),
            Kept::InUse => Poll::Pending,
            Kept::Lingering => {
                let linger = self.linger;
                self.lingering.get_or_insert_with(|| Box::pin(sleep(linger))).as_mut().poll(context)
            }
        }
    }
}
