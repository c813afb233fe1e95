//! Who may be connected to a relay: so many at once, and when they are all there, the
//! oldest that has not said who it is gives way to the next.
//!
//! An honest peer says it within a round trip, so only whoever opens connections faster
//! than that and keeps silent loses them. It promises never to end a session that has
//! begun; when all have, the next waits.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// Those that have not said who they are, in the order they came.
    silent: Mutex<Silent>,
}

#[derive(Default)]
struct Silent {
    next: u64,
    asked_to_go: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A connection's place, until it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

/// Tells a connection to give way.
pub(crate) struct Eviction(oneshot::Receiver<()>);

impl Places {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(count)), silent: Mutex::default() })
    }

    /// A place for the connection that came last.
    pub(crate) async fn take(self: &Arc<Self>) -> Option<(Place, Eviction)> {
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let oldest = self.silent.lock().asked_to_go.pop_first();
                if let Some((_, oldest)) = oldest {
                    // It may have ended by itself: its place is free then as well.
                    let _ = oldest.send(());
                }
                Arc::clone(&self.free).acquire_owned().await.ok()?
            }
        };
        let (asked_to_go, eviction) = oneshot::channel();
        let number = {
            let mut silent = self.silent.lock();
            silent.next += 1;
            let number = silent.next;
            silent.asked_to_go.insert(number, asked_to_go);
            number
        };
        Some((Place { places: Arc::clone(self), number, _permit: permit }, Eviction(eviction)))
    }
}

impl Place {
    /// Keeps the place for good: the peer has said who it is.
    pub(crate) fn keep(&self) {
        self.places.silent.lock().asked_to_go.remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.keep();
    }
}

impl Eviction {
    /// Waits until the connection has to give way, which may be never.
    pub(crate) async fn wait(self) {
        if self.0.await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn now<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_oldest_silent_one_gives_way_and_nobody_else() {
        let places = Places::new(3);
        let mut held: Vec<_> = (0..3).map(|_| now(places.take()).unwrap().unwrap()).collect();
        held[0].0.keep();
        let mut next = pin!(places.take());
        let poll = &mut Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(poll).is_pending());
        let (last, eldest) = (held.pop().unwrap(), held.pop().unwrap());
        assert!(now(eldest.1.wait()).is_some());
        assert!(now(last.1.wait()).is_none());
        drop(eldest.0);
        assert!(next.as_mut().poll(poll).is_ready());
        assert!(now(held.pop().unwrap().1.wait()).is_none());
    }

    #[test]
    fn who_has_said_who_it_is_keeps_its_place() {
        let places = Places::new(2);
        let held: Vec<_> = (0..2).map(|_| now(places.take()).unwrap().unwrap()).collect();
        held.iter().for_each(|(place, _)| place.keep());
        let mut next = pin!(places.take());
        let poll = &mut Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(poll).is_pending());
        let mut left = held.into_iter();
        let (gone, stays) = (left.next().unwrap(), left.next().unwrap());
        assert!(now(stays.1.wait()).is_none());
        drop(gone);
        assert!(next.as_mut().poll(poll).is_ready());
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let places = Places::new(2);
        for _ in 0..100 {
            drop(now(places.take()).unwrap().unwrap());
        }
        assert!(places.silent.lock().asked_to_go.is_empty());
    }
}
