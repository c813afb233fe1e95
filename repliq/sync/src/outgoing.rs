//! The sending direction: our feed on its way to the peer.
//!
//! It keeps at most a window of unacknowledged frames under way, tells the peer
//! how far each frame moves its cursor, and names documents and replicas once.

use crate::contract::DocumentName;
use crate::message::{Entry, Message, Position};
use crate::output::Sent;
use crate::reconcile::{Fingerprint, Prefix, RangeReply, Summary};
use repliq_core::{Change, Dot, ReplicaId, Version};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// At most this many bytes of changes are under way without an ack, plus one
/// message.
pub(crate) const WINDOW_BYTES: usize = 2 << 20;
/// At most this many messages with changes are under way without an ack.
pub(crate) const WINDOW_FRAMES: usize = 256;
/// What one message of changes is filled up to.
pub(crate) const FILL_BYTES: usize = 128 << 10;
/// Skipped feed entries are told to the peer at the latest after this many: so
/// many are read again at most when a connection breaks.
const SKIPPED: u64 = 64;
/// The tables start anew past this many names, so that they stay bounded.
pub(crate) const TABLE: usize = 4096;
/// The tables start anew past this many bytes of names.
pub(crate) const TABLE_BYTES: usize = 4 << 20;
/// How many ranges are asked about at once.
const ASKED: usize = 256;

/// A change of our store on its way to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingChange {
    /// Which document it belongs to.
    pub document: DocumentName,
    /// The change.
    pub change: Change,
    /// It came from this very peer and need not go back. The session sends it
    /// all the same while it is not sure that the peer still has it, which a
    /// peer that was restored from a backup may not. Set it only for changes
    /// that came with a cursor that was saved, or in this very session.
    pub skip: bool,
}

pub(crate) enum Mode {
    /// The peer has not said hello yet.
    Waiting,
    /// Finding out what the peer lacks; `asked` is under way.
    Comparing { summary: Option<Summary>, asked: Vec<Prefix>, ask: Vec<Prefix> },
    /// Sending what it lacks, document by document.
    Filling { current: Option<Arc<str>> },
    /// Sending the feed.
    Feeding,
}

struct InFlight {
    frame: u64,
    /// The feed number before this message.
    before: u64,
    bytes: usize,
    sent: Duration,
    /// Frames of the message before the last, each of which may be answered by
    /// an ack that acknowledges nothing new but shows progress.
    parts: u64,
}

pub(crate) struct Outgoing {
    pub(crate) mode: Mode,
    /// Where our feed ends, as far as we were told.
    pub(crate) head: Position,
    /// How far the feed was read and, but for what the peer has, sent.
    pub(crate) sent: Position,
    /// Where the peer believes its cursor to be.
    told: u64,
    /// Where the feed goes on after comparing and filling.
    pub(crate) resume: Position,
    pub(crate) lacking: Vec<(Arc<str>, Version)>,
    /// A read of feed or document, or a summary, was asked for.
    pub(crate) reading: bool,
    documents: HashMap<Arc<str>, u32>,
    replicas: HashMap<ReplicaId, u32>,
    previous: Option<(Arc<str>, Dot)>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// Replies owed once the feed is sent up to a number.
    pub(crate) probes: VecDeque<(u64, u64)>,
    /// The feed was sent to its end once.
    caught_up: bool,
    /// Entries up to this number are sent even if they came from the peer.
    pub(crate) skip_after: u64,
    /// Bytes of the names in the table of documents.
    table_bytes: usize,
}

impl Outgoing {
    pub(crate) fn new(head: Position) -> Self {
        Self {
            mode: Mode::Waiting,
            head,
            sent: Position::default(),
            told: 0,
            resume: Position::default(),
            lacking: Vec::new(),
            reading: false,
            documents: HashMap::new(),
            replicas: HashMap::new(),
            previous: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            probes: VecDeque::new(),
            caught_up: false,
            skip_after: 0,
            table_bytes: 0,
        }
    }

    /// Starts the feed at a place that the peer knows without being told.
    pub(crate) fn feed_from(&mut self, place: Position) {
        self.mode = Mode::Feeding;
        self.sent = place;
        self.told = place.number;
    }

    /// Takes note that the feed grew.
    pub(crate) fn advance_head(&mut self, head: Position) {
        if head.number > self.head.number {
            self.head = head;
        }
    }

    /// Whether more changes may be put under way.
    pub(crate) fn window_open(&self) -> bool {
        self.in_flight.len() < WINDOW_FRAMES && self.in_flight_bytes < WINDOW_BYTES
    }

    /// Up to which feed number the peer has made everything durable.
    pub(crate) fn acked(&self) -> u64 {
        match (&self.mode, self.in_flight.front()) {
            (Mode::Feeding, None) => self.sent.number,
            (Mode::Feeding, Some(oldest)) => oldest.before,
            _ => 0,
        }
    }

    /// When the oldest message that is still under way was sent.
    pub(crate) fn oldest_sent(&self) -> Option<Duration> {
        self.in_flight.front().map(|oldest| oldest.sent)
    }

    /// Takes in an ack. The time of what is still under way restarts, since the
    /// peer makes progress.
    pub(crate) fn ack(&mut self, frame: u64, now: Duration) {
        let mut progress = false;
        while let Some(done) = self.in_flight.pop_front_if(|oldest| oldest.frame <= frame) {
            self.in_flight_bytes -= done.bytes;
            progress = true;
        }
        if let Some(oldest) = self.in_flight.front_mut() {
            if progress {
                oldest.sent = now;
            } else if let Some(parts) = oldest.parts.checked_sub(1) {
                oldest.parts = parts;
                oldest.sent = now;
            }
        }
    }

    /// Notes a message of changes as under way.
    pub(crate) fn sent_changes(&mut self, sent: Sent, before: u64, bytes: usize, now: Duration) {
        let before = if matches!(self.mode, Mode::Feeding) { before } else { 0 };
        let (frame, parts) = (sent.last, sent.before_last);
        self.in_flight.push_back(InFlight { frame, before, bytes, sent: now, parts });
        self.in_flight_bytes += bytes;
    }

    /// What to ask the peer next while comparing.
    pub(crate) fn questions(&mut self) -> Option<Vec<(Prefix, Fingerprint)>> {
        let Mode::Comparing { summary: Some(summary), asked, ask } = &mut self.mode else {
            return None;
        };
        if !asked.is_empty() || ask.is_empty() {
            return None;
        }
        *asked = ask.split_off(ask.len().saturating_sub(ASKED));
        Some(asked.iter().map(|p| (p.clone(), summary.fingerprint(p))).collect())
    }

    /// Takes in the replies to the last questions. `None` when they make no sense.
    pub(crate) fn learn(&mut self, replies: Vec<RangeReply>) -> Option<()> {
        let Mode::Comparing { summary: Some(summary), asked, ask } = &mut self.mode else {
            return None;
        };
        let progress = replies.iter().any(|reply| *reply != RangeReply::Later);
        if replies.len() != asked.len() || !progress {
            return None;
        }
        for (prefix, reply) in std::mem::take(asked).into_iter().zip(replies) {
            if !summary.learn(prefix, reply, &mut self.lacking, ask) {
                return None;
            }
        }
        if ask.is_empty() {
            self.mode = Mode::Filling { current: None };
        }
        Some(())
    }

    /// Skipped entries that the peer should be told about now.
    pub(crate) fn untold(&mut self) -> Option<u64> {
        let untold = self.sent.number.saturating_sub(self.told);
        let at_head = self.sent.number >= self.head.number;
        let first = at_head && !self.caught_up;
        self.caught_up |= at_head;
        if untold > 0 && (first || untold >= SKIPPED) {
            self.told = self.sent.number;
            return Some(untold);
        }
        None
    }

    /// Tells the rest, before a reply and at the end of a session.
    pub(crate) fn last_untold(&mut self) -> Option<u64> {
        let untold = self.sent.number.saturating_sub(self.told);
        self.told = self.sent.number;
        (matches!(self.mode, Mode::Feeding) && untold > 0).then_some(untold)
    }

    /// Cuts changes into messages and hands each to `send` with the feed number
    /// before it and its bytes. In the feed every change, skipped or not, is one
    /// number further; in a document none is.
    pub(crate) fn pack(
        &mut self,
        changes: &[OutgoingChange],
        feed: bool,
        mut send: impl FnMut(&mut Self, &Message<'_>, u64, usize),
    ) {
        let mut rest = changes;
        while !rest.is_empty() {
            if self.documents.len() >= TABLE
                || self.replicas.len() >= TABLE
                || self.table_bytes >= TABLE_BYTES
            {
                self.documents.clear();
                self.replicas.clear();
                self.table_bytes = 0;
                self.previous = None;
                send(self, &Message::Forget, 0, 0);
            }
            let before = self.told;
            let (mut documents, mut replicas, mut entries) = (vec![], vec![], vec![]);
            let (mut bytes, mut taken) = (0, 0);
            for OutgoingChange { document, change, skip } in rest {
                let size = change.body.len() + 32;
                if taken > 0 && bytes + size > FILL_BYTES {
                    break;
                }
                taken += 1;
                if feed {
                    self.sent.number += 1;
                    if *skip && self.sent.number > self.skip_after {
                        continue;
                    }
                }
                bytes += size;
                let places = (self.documents.len(), self.replicas.len());
                let entry = self.entry(document, change);
                if self.documents.len() > places.0 {
                    documents.push((&*document.name, &*document.kind));
                    let name = document.name.len() + document.kind.len();
                    self.table_bytes += name;
                    bytes += name;
                }
                if self.replicas.len() > places.1 {
                    replicas.push(change.dot.replica);
                }
                entries.push(entry);
            }
            rest = rest.get(taken..).unwrap_or_default();
            if entries.is_empty() {
                continue;
            }
            let advance = if feed { self.sent.number - self.told } else { 0 };
            if feed {
                self.told = self.sent.number;
            }
            let message = Message::Changes { documents, replicas, advance, entries };
            send(self, &message, before, bytes);
        }
    }

    fn entry<'a>(&mut self, document: &'a DocumentName, change: &'a Change) -> Entry<'a> {
        let body = &*change.body;
        let slots = change.slots().unwrap_or(1);
        let next = Dot { replica: change.dot.replica, seq: change.dot.seq.saturating_add(slots) };
        let previous = self.previous.replace((Arc::clone(&document.name), next));
        match previous {
            Some((name, due)) if name == document.name && due.replica == change.dot.replica => {
                if due == change.dot {
                    Entry::Next(body)
                } else {
                    Entry::At(change.dot.seq, body)
                }
            }
            _ => Entry::Any {
                document: place(&mut self.documents, &document.name),
                replica: place(&mut self.replicas, &change.dot.replica),
                seq: change.dot.seq,
                body,
            },
        }
    }
}

fn place<T: Clone + Eq + std::hash::Hash>(table: &mut HashMap<T, u32>, key: &T) -> u32 {
    let next = u32::try_from(table.len()).unwrap_or(u32::MAX);
    match table.get(key) {
        Some(place) => *place,
        None => *table.entry(key.clone()).or_insert(next),
    }
}
