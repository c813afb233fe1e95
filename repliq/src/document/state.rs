//! An open document in memory: its value, and what is on top of what is durable.
//!
//! Local changes are visible before they are durable. Until then what undoes
//! them is kept, also for changes of peers that were applied on top, so that a
//! failed commit leaves no trace: everything from it on is undone newest first,
//! and the changes of peers are applied again. Events wait for the same order.

use super::events::{Subscriber, Subscribers};
use crate::error::Unusable;
use parking_lot::Mutex;
use repliq_core::{
    Chain, Change, ChangeHeader, Crdt, CrdtError, Dot, Effects, ReplicaId, Version, apply_payload,
};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a document is given up whose changes do not decode.
const UNREADABLE: &str = "a change of it does not read as this type; open it as the very type that \
     the change was made with, parameters included, and update the older of two versions of an app";

/// What a failed change takes the author back to.
#[derive(Clone)]
pub(super) struct Mark {
    /// The next own slot.
    pub(super) seq: u64,
    /// The chain over the own changes.
    pub(super) chain: Chain,
    /// What came in since the own last change: the deps of the next.
    pub(super) unsaid: Version,
}

enum Kind {
    Local { id: u64, before: Mark, durable: bool },
    Remote(Change),
}

/// A change that is not durable, or lies on top of one that is not.
struct Recent<C: Crdt> {
    number: u64,
    kind: Kind,
    undos: Vec<C::Undo>,
    events: Vec<C::Event>,
}

/// Changes that the type does not apply.
#[derive(Clone, Default)]
pub(super) struct WithoutEffect {
    /// How many changes of peers do not decode as this type. They stay in the
    /// log, so no snapshot may take its place.
    pub(super) unread: usize,
    pub(super) refused: Option<RefusedOps>,
}

/// Changes with an op that their type refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedOps {
    /// How many changes.
    pub changes: usize,
    /// The last of them.
    pub last: Dot,
    /// Why it was refused.
    pub why: CrdtError,
}

/// See the module's documentation.
pub(super) struct State<C: Crdt> {
    replica: ReplicaId,
    pub(super) value: C,
    pub(super) version: Version,
    pub(super) mark: Mark,
    pub(super) subscribers: Subscribers<C::Event>,
    pub(super) unusable: Option<Unusable>,
    pub(super) without_effect: WithoutEffect,
    /// Some change did decode.
    reads: bool,
    /// Nothing more will happen, so subscriptions end.
    over: bool,
    /// Behind a lock only because undos and events need not be `Sync`; it is
    /// never waited for.
    recent: Mutex<VecDeque<Recent<C>>>,
    /// The number of the next change, of whoever: its id if it is made here.
    next: u64,
}

impl<C: Crdt> State<C> {
    pub(super) fn new(replica: ReplicaId, value: C, version: Version, mark: Mark) -> Self {
        Self {
            replica,
            value,
            version,
            mark,
            subscribers: Subscribers::default(),
            unusable: None,
            without_effect: WithoutEffect::default(),
            reads: false,
            over: false,
            recent: Mutex::new(VecDeque::new()),
            next: 0,
        }
    }

    /// Whether reads and updates may go on.
    pub(super) fn usable(&self) -> Result<(), Unusable> {
        self.unusable.clone().map_or(Ok(()), Err)
    }

    /// Marks the document as unusable, for good.
    pub(super) fn give_up(&mut self, why: &str) {
        if self.unusable.is_none() {
            self.unusable = Some(Unusable(why.into()));
            self.end();
        }
    }

    /// Ends all subscriptions, for good.
    pub(super) fn end(&mut self) {
        self.over = true;
        self.subscribers.end();
    }

    /// Takes in new subscribers.
    pub(super) fn join(&mut self, subscribers: Vec<Subscriber<C::Event>>) {
        if !self.over {
            self.subscribers.join(subscribers, self.next);
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Takes note of a change made here. Returns its id.
    pub(super) fn authored(&mut self, after: Mark, mut effects: Effects<C>) -> u64 {
        let id = self.number();
        self.version.advance(self.replica, after.seq);
        let before = std::mem::replace(&mut self.mark, after);
        self.recent.get_mut().push_back(Recent {
            number: id,
            kind: Kind::Local { id, before, durable: false },
            undos: effects.take_undos(),
            events: effects.take_events(),
        });
        id
    }

    /// Undoes what a transaction did that never became a change.
    pub(super) fn undo(&mut self, undos: Vec<C::Undo>) {
        undo(&mut self.value, undos);
    }

    /// Gives up a document that was opened as a type as which nothing reads.
    pub(super) fn check_readable(&mut self) {
        if self.without_effect.unread > 0 && !self.reads {
            self.give_up(UNREADABLE);
        }
    }

    /// Whether everything in memory is durable, and all there is.
    pub(super) fn is_durable(&self) -> bool {
        self.recent.lock().is_empty() && self.unusable.is_none() && self.without_effect.unread == 0
    }

    /// A local change is durable: its events, and those that waited for it, go out.
    pub(super) fn committed(&mut self, id: u64) {
        let change = self.recent.get_mut().iter_mut().find_map(|recent| match &mut recent.kind {
            Kind::Local { id: found, durable, .. } if *found == id => Some(durable),
            _ => None,
        });
        if let Some(durable) = change {
            *durable = true;
        }
        while let Some(oldest) = self.recent.get_mut().front() {
            if matches!(oldest.kind, Kind::Local { durable: false, .. }) {
                break;
            }
            if let Some(oldest) = self.recent.get_mut().pop_front() {
                self.subscribers.tell(oldest.number, oldest.events);
            }
        }
    }

    /// A local change, and so all later ones, will never be durable.
    pub(super) fn failed(&mut self, id: u64) {
        let at =
            self.recent.get_mut().iter().position(
                |recent| matches!(recent.kind, Kind::Local { id: found, .. } if found == id),
            );
        let Some(at) = at else { return };
        self.subscribers.take_back(id);
        let mut again = VecDeque::new();
        for recent in self.recent.get_mut().drain(at..).rev() {
            undo(&mut self.value, recent.undos);
            match recent.kind {
                Kind::Local { before, .. } => self.mark = before,
                Kind::Remote(change) => again.push_front(change),
            }
        }
        self.version.set(self.replica, self.mark.seq);
        // Nothing is counted a second time.
        let counted = self.without_effect.clone();
        for change in again {
            // It was applied before, so its past is here; what it refuses it
            // refused then.
            self.version.set(change.dot.replica, change.dot.seq);
            self.apply(change);
        }
        self.without_effect = counted;
    }

    /// Applies a durable change of a peer, or of the log. `false` when changes
    /// before it are missing; one that is here already is passed over.
    pub(super) fn apply(&mut self, change: Change) -> bool {
        let Ok((header, _)) = change.open() else {
            self.give_up("a change in its log does not decode; sync a new store from a peer");
            return true;
        };
        let held = self.version.get(change.dot.replica);
        if change.dot.seq + header.slots <= held {
            return true;
        }
        if change.dot.seq != held || !self.version.covers(&header.deps) {
            return false;
        }
        let (undos, events) = match self.run(&change, &header) {
            Ok(effects) => effects,
            Err(why) => {
                self.give_up(why);
                return true;
            }
        };
        let end = change.dot.seq + header.slots;
        self.version.advance(change.dot.replica, end);
        self.note(change.dot.replica, end, &header.deps);
        let number = self.number();
        if self.recent.get_mut().is_empty() {
            self.subscribers.tell(number, events);
        } else {
            let kind = Kind::Remote(change);
            self.recent.get_mut().push_back(Recent { number, kind, undos, events });
        }
        true
    }

    /// Keeps track of what the next own change has to name as its deps.
    fn note(&mut self, replica: ReplicaId, end: u64, deps: &Version) {
        if replica != self.replica {
            self.mark.unsaid.advance(replica, end);
            return;
        }
        self.mark.seq = end;
        for (named, count) in deps.iter() {
            if self.mark.unsaid.get(named) <= count {
                self.mark.unsaid.set(named, 0);
            }
        }
    }

    /// Runs the ops of a change. A change that does not fit, or whose type
    /// refuses an op, leaves the value as it was and counts as seen.
    #[allow(clippy::type_complexity, reason = "a pair of lists")]
    fn run(
        &mut self,
        change: &Change,
        header: &ChangeHeader,
    ) -> Result<(Vec<C::Undo>, Vec<C::Event>), &'static str> {
        if header.key.is_sealed() {
            return Err("it holds sealed changes; open the replica with the key");
        }
        let mut effects = Effects::new(!self.subscribers.is_empty(), true);
        let (dot, value) = (change.dot, &mut self.value);
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let (_, payload) = change.payload()?;
            apply_payload(value, dot, header, &payload, &mut effects)
        }));
        match applied {
            Ok(Ok(_)) => {
                self.reads = true;
                Ok((effects.take_undos(), effects.take_events()))
            }
            // The type has left the refused op's state alone; what the ops
            // before it did is undone, so that the change has no effect anywhere.
            Ok(Err(error)) => {
                undo(&mut self.value, effects.take_undos());
                match error {
                    // An own change that does not read was made as another type.
                    CrdtError::Decode(_) if dot.replica == self.replica => Err(UNREADABLE),
                    CrdtError::Decode(_) => {
                        self.without_effect.unread += 1;
                        Ok((Vec::new(), Vec::new()))
                    }
                    why => {
                        let before = self.without_effect.refused.as_ref();
                        let changes = before.map_or(0, |before| before.changes) + 1;
                        let refused = RefusedOps { changes, last: dot, why };
                        self.without_effect.refused = Some(refused);
                        Ok((Vec::new(), Vec::new()))
                    }
                }
            }
            Err(_) => Err("its type panicked while it applied a change"),
        }
    }
}

fn undo<C: Crdt>(value: &mut C, undos: Vec<C::Undo>) {
    for undo in undos.into_iter().rev() {
        value.rollback(undo);
    }
}
