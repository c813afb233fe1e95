//! Subscriptions: the visible changes of a document as a stream.

use crate::document::core::DocumentCore;
use futures_core::Stream;
use repliq_core::Crdt;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How many events a subscriber may be behind.
const BEHIND: usize = 65_536;

/// The visible changes of a document, own and remote, in the order they were
/// applied, each once it is durable. It keeps the document loaded.
///
/// A subscriber that falls 65,536 events behind is dropped: the stream ends and
/// [`Events::lagged`] says so; subscribe again and read the whole value. The
/// stream also ends when the replica is closed.
pub struct Events<C: Crdt> {
    events: mpsc::Receiver<C::Event>,
    lagged: Arc<AtomicBool>,
    _document: Arc<DocumentCore<C>>,
}

impl<C: Crdt> Events<C> {
    /// The next event, or `None` at the end of the stream. Cancel-safe.
    pub async fn next(&mut self) -> Option<C::Event> {
        self.events.recv().await
    }

    /// An event that is there already, if one is.
    pub fn try_next(&mut self) -> Option<C::Event> {
        self.events.try_recv().ok()
    }

    /// Whether the stream ended because events were not taken out in time.
    #[must_use]
    pub fn lagged(&self) -> bool {
        self.lagged.load(Ordering::Acquire)
    }
}

impl<C: Crdt> Stream for Events<C> {
    type Item = C::Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<C::Event>> {
        self.events.poll_recv(context)
    }
}

impl<C: Crdt> fmt::Debug for Events<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("kind", &C::KIND).finish_non_exhaustive()
    }
}

/// The sending end of a subscription.
pub(super) struct Subscriber<E> {
    events: mpsc::Sender<E>,
    lagged: Arc<AtomicBool>,
}

/// A new subscription, and its sending end.
pub(super) fn subscription<C: Crdt>(
    document: Arc<DocumentCore<C>>,
) -> (Subscriber<C::Event>, Events<C>) {
    let (sender, events) = mpsc::channel(BEHIND);
    let lagged = Arc::new(AtomicBool::new(false));
    let subscriber = Subscriber { events: sender, lagged: Arc::clone(&lagged) };
    (subscriber, Events { events, lagged, _document: document })
}

/// Everyone who follows a document.
pub(super) struct Subscribers<E>(Vec<Subscriber<E>>);

impl<E> Default for Subscribers<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<E: Clone> Subscribers<E> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn join(&mut self, subscribers: Vec<Subscriber<E>>) {
        self.0.extend(subscribers);
    }

    /// Tells everyone. Who does not keep up, or has left, is told no more.
    pub(super) fn tell(&mut self, events: Vec<E>) {
        for event in events {
            self.0.retain(|subscriber| match subscriber.events.try_send(event.clone()) {
                Ok(()) => true,
                Err(TrySendError::Closed(_)) => false,
                Err(TrySendError::Full(_)) => {
                    subscriber.lagged.store(true, Ordering::Release);
                    false
                }
            });
        }
    }

    /// Ends every stream.
    pub(super) fn end(&mut self) {
        self.0.clear();
    }
}
