//! What the storage thread tells an open document. It never waits for the
//! document: it posts here, and whoever has the document's lock next takes it
//! in before doing anything else.

use parking_lot::Mutex;
use repliq_core::Change;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Past this many, changes of peers are not kept here but read from the log.
const KEPT: usize = 1024;

/// Something that happened to a document.
pub(crate) enum Item {
    /// The uncommitted change with this id is durable.
    Committed(u64),
    /// The uncommitted change with this id, and all later ones, will never be.
    Failed(u64),
    /// The log holds changes of our own that were given up: a commit turned out
    /// to be durable after all.
    Behind,
    /// The replica is closed: nothing more will happen.
    Closed,
    /// A change of a peer is durable.
    Remote {
        /// The kind it was made with.
        kind: Arc<str>,
        /// The change.
        change: Change,
    },
}

#[derive(Default)]
struct Items {
    items: VecDeque<Item>,
    remote: usize,
    overflow: bool,
}

/// What was posted and not taken in yet.
#[derive(Default)]
pub(super) struct Inbox {
    items: Mutex<Items>,
    filled: AtomicBool,
}

impl Inbox {
    pub(super) fn post(&self, item: Item) {
        let mut inbox = self.items.lock();
        if matches!(item, Item::Remote { .. }) {
            if inbox.overflow || inbox.remote == KEPT {
                inbox.overflow = true;
                drop(inbox);
                return self.ring();
            }
            inbox.remote += 1;
        }
        inbox.items.push_back(item);
        drop(inbox);
        self.ring();
    }

    /// Makes whoever has the document next look here.
    pub(super) fn ring(&self) {
        self.filled.store(true, Ordering::SeqCst);
    }

    /// Whether there is something to take.
    pub(super) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::SeqCst)
    }

    /// Everything posted since the last time, and whether changes of peers have
    /// to be read from the log besides.
    pub(super) fn take(&self) -> (VecDeque<Item>, bool) {
        self.filled.store(false, Ordering::SeqCst);
        let Items { items, overflow, .. } = std::mem::take(&mut *self.items.lock());
        (items, overflow)
    }
}
