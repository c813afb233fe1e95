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
/// To patch a copy of the value, subscribe and copy it in one `read`: the events
/// go on exactly where that read was.
///
/// A subscriber that falls 65,536 events behind, or that came while an update was
/// under way that then failed, is dropped: the stream ends and [`Events::lagged`]
/// says so; subscribe again and read the whole value. The stream also ends when
/// the replica is closed.
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

    /// Whether the stream ended with a hole: events were not taken out in time,
    /// or what was there when it began was undone.
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
    /// The number of the first change it was there for.
    from: u64,
}

impl<E> Subscriber<E> {
    /// Ends the stream, saying that it has a hole.
    fn leave_behind(&self) {
        self.lagged.store(true, Ordering::Release);
    }
}

/// A new subscription, and its sending end.
pub(super) fn subscription<C: Crdt>(
    document: Arc<DocumentCore<C>>,
) -> (Subscriber<C::Event>, Events<C>) {
    let (sender, events) = mpsc::channel(BEHIND);
    let lagged = Arc::new(AtomicBool::new(false));
    let subscriber = Subscriber { events: sender, lagged: Arc::clone(&lagged), from: 0 };
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

    /// Takes in subscribers that have seen every change before this number.
    pub(super) fn join(&mut self, subscribers: Vec<Subscriber<E>>, from: u64) {
        self.0.extend(subscribers.into_iter().map(|subscriber| Subscriber { from, ..subscriber }));
    }

    /// Tells everyone who was there before the change with this number what it
    /// did. Who does not keep up, or has left, is told no more.
    pub(super) fn tell(&mut self, number: u64, events: Vec<E>) {
        for event in events {
            self.0.retain(|subscriber| {
                if number < subscriber.from {
                    return true;
                }
                match subscriber.events.try_send(event.clone()) {
                    Ok(()) => true,
                    Err(TrySendError::Closed(_)) => false,
                    Err(TrySendError::Full(_)) => {
                        subscriber.leave_behind();
                        false
                    }
                }
            });
        }
    }

    /// The change with this number is undone, and all after it: whoever came
    /// later has seen what never was.
    pub(super) fn take_back(&mut self, number: u64) {
        self.0.retain(|subscriber| {
            let fine = subscriber.from <= number;
            if !fine {
                subscriber.leave_behind();
            }
            fine
        });
    }

    /// Ends every stream.
    pub(super) fn end(&mut self) {
        self.0.clear();
    }
}
