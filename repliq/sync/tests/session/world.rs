//! Stores, the sessions between them and the network under these, in one
//! thread and with time as a number. What happens next is picked by the caller
//! or by a seed, so every run can be repeated.

use crate::store::Store;
use crate::tap::Tap;
use bytes::Bytes;
use repliq_core::{ReplicaId, Version};
use repliq_sync::{
    Arrival, Config, Effect, Identified, Phase, Position, RefusedChange, Role, Session,
    SessionError, Verdict,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.bits() % end as u64).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What the store has to do for a session, one after the other.
enum Job {
    Identify { peer: ReplicaId, claim: Option<Position> },
    ReadFeed { after: u64, max_bytes: usize },
    Summarize,
    ReadDocument { document: Arc<str>, after: Option<Version>, max_bytes: usize },
    Commit { arrivals: Vec<Arrival>, cursor: Option<Position> },
    SaveCursor(Position),
}

/// One end of a connection.
pub(crate) struct Side {
    pub(crate) store: usize,
    pub(crate) session: Session,
    number: u64,
    peer: Option<ReplicaId>,
    jobs: VecDeque<Job>,
    reading: Option<(Version, usize)>,
    /// Frames under way to this side.
    pub(crate) inbox: VecDeque<Bytes>,
    held: Option<Bytes>,
    /// What this side sent.
    pub(crate) tap: Tap,
    pub(crate) ended: Option<Result<(), SessionError>>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) synced: Vec<u64>,
    /// What both sides held when agreement was asked for.
    asked: BTreeMap<u64, [Versions; 2]>,
    pub(crate) refused: Vec<(bool, RefusedChange)>,
    /// How many entries of the feed were read, and how many reads of documents.
    pub(crate) entries_read: usize,
    pub(crate) documents_read: usize,
    pub(crate) summaries: usize,
    pub(crate) writable: bool,
}

type Versions = BTreeMap<Arc<str>, Version>;

pub(crate) struct Link {
    pub(crate) ends: [usize; 2],
    pub(crate) connection: Option<[Side; 2]>,
    /// How earlier connections ended, side by side.
    pub(crate) endings: Vec<[Option<Result<(), SessionError>>; 2]>,
    /// Lasts over reconnects: the store's knowledge of who is at the address.
    known: Option<ReplicaId>,
}

/// What happens to the n-th frame that the side sends in a link's first connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Lose,
    Duplicate,
    Swap,
    /// The byte at this place is changed by this.
    Flip(usize, u8),
    /// Only so many bytes arrive.
    Cut(usize),
}

pub(crate) struct World {
    pub(crate) stores: Vec<Store>,
    pub(crate) links: Vec<Link>,
    pub(crate) now: Duration,
    epochs: u64,
    sessions: u64,
    /// On the connection under way: which side's which frame, and what.
    pub(crate) fault: Option<(usize, usize, Fault)>,
    pub(crate) duplicates: Option<Rng>,
    pub(crate) failing_commits: usize,
}

impl World {
    pub(crate) fn new(stores: usize, links: &[[usize; 2]]) -> Self {
        let link = |ends: &[usize; 2]| Link {
            ends: *ends,
            connection: None,
            endings: Vec::new(),
            known: None,
        };
        let mut world = Self {
            stores: Vec::new(),
            links: links.iter().map(link).collect(),
            now: Duration::from_secs(1),
            epochs: 0,
            sessions: 0,
            fault: None,
            duplicates: None,
            failing_commits: 0,
        };
        for number in 0..stores {
            let epoch = world.new_epoch();
            world.stores.push(Store::new(number as u64, epoch));
        }
        world
    }

    pub(crate) fn new_epoch(&mut self) -> u64 {
        self.epochs += 1;
        Rng::new(self.epochs).bits()
    }

    /// Whether what arrives is what was sent, so that the checks make sense.
    fn intact(&self) -> bool {
        !matches!(self.fault, Some((.., Fault::Flip(..))))
    }

    pub(crate) fn write(&mut self, store: usize, document: &str, payload: &[u8]) {
        self.stores[store].write(document, payload);
        self.grew(store);
    }

    /// Tells the sessions of a store that its feed grew.
    pub(crate) fn grew(&mut self, store: usize) {
        let head = self.stores[store].head();
        for side in self.links.iter_mut().filter_map(|link| link.connection.as_mut()).flatten() {
            if side.store == store && side.peer.is_some() {
                side.session.feed_grew(head);
            }
        }
    }

    pub(crate) fn connect(&mut self, link: usize) {
        self.connect_patiently(link, PATIENCE);
    }

    pub(crate) fn connect_if_needed(&mut self, link: usize) {
        if self.links[link].connection.is_none() {
            self.connect(link);
        }
    }

    pub(crate) fn connect_patiently(&mut self, link: usize, patience: Duration) {
        let [a, b] = self.links[link].ends;
        let cursor = self.links[link].known.and_then(|p| self.stores[a].durable.cursors.get(&p));
        let initiator = Role::Initiator { cursor: cursor.copied() };
        let sides = [(a, initiator), (b, Role::Acceptor)].map(|(store, role)| {
            let replica = self.stores[store].replica;
            let space = "default".to_owned();
            let config = Config { replica, space, role, volatile: false, patience };
            let head = match role {
                Role::Acceptor => Position::default(),
                Role::Initiator { .. } => self.stores[store].head(),
            };
            self.sessions += 1;
            Side {
                store,
                session: Session::new(config, head, self.now),
                number: self.sessions,
                peer: None,
                jobs: VecDeque::new(),
                reading: None,
                inbox: VecDeque::new(),
                held: None,
                tap: Tap::default(),
                ended: None,
                phases: Vec::new(),
                synced: Vec::new(),
                asked: BTreeMap::new(),
                refused: Vec::new(),
                entries_read: 0,
                documents_read: 0,
                summaries: 0,
                writable: true,
            }
        });
        self.links[link].connection = Some(sides);
    }

    pub(crate) fn side(&mut self, link: usize, end: usize) -> &mut Side {
        &mut self.links[link].connection.as_mut().expect("a connection")[end]
    }

    pub(crate) fn disconnect(&mut self, link: usize) {
        let link = &mut self.links[link];
        if let Some(sides) = link.connection.take() {
            link.endings.push(sides.map(|side| side.ended));
        }
    }

    /// Asks a side to say when both hold the same.
    pub(crate) fn ask(&mut self, link: usize, end: usize, id: u64) {
        let [a, b] = self.links[link].ends;
        let held = [self.stores[a].versions(), self.stores[b].versions()];
        let store = self.links[link].ends[end];
        let (head, now) = (self.stores[store].head(), self.now);
        let side = self.side(link, end);
        side.session.synced(id, head, now);
        side.asked.insert(id, held);
    }

    /// Takes a store's uncommitted work and its connections away.
    pub(crate) fn crash(&mut self, store: usize, restore: bool) {
        for link in 0..self.links.len() {
            if self.links[link].ends.contains(&store) {
                self.disconnect(link);
            }
        }
        let epoch = self.new_epoch();
        if restore {
            self.stores[store].restore(epoch);
        } else {
            self.stores[store].reopen(epoch);
        }
    }

    /// Lets a side say what it wants done.
    pub(crate) fn poll(&mut self, link: usize, end: usize) -> bool {
        let (fault, now, intact) = (self.fault, self.now, self.intact());
        let Some(sides) = self.links[link].connection.as_mut() else { return false };
        let writable = sides[end].writable;
        let effects = sides[end].session.poll(writable, now);
        let some = !effects.is_empty();
        let again = sides[end].session.poll(writable, now);
        assert!(again.is_empty(), "a poll left something to do: {again:?}");
        for effect in effects {
            let [first, second] = &mut *sides;
            let (side, other) = if end == 0 { (first, second) } else { (second, first) };
            assert!(side.ended.is_none(), "an effect after the end: {effect:?}");
            match effect {
                Effect::Send(frame) => {
                    let acked = side.tap.read(&frame).filter(|_| intact);
                    if let Some(acked) = acked {
                        check_ack(&self.stores[side.store], other, side, acked);
                    }
                    let index = side.tap.frames - 1;
                    let fault = fault.filter(|(at, n, _)| (*at, *n) == (end, index));
                    match fault.map(|(.., fault)| fault) {
                        Some(Fault::Lose) => {}
                        Some(Fault::Duplicate) => {
                            other.inbox.push_back(frame.clone());
                            other.inbox.push_back(frame);
                        }
                        Some(Fault::Flip(at, by)) => {
                            let mut damaged = frame.to_vec();
                            damaged[at] ^= by;
                            other.inbox.push_back(damaged.into());
                        }
                        Some(Fault::Cut(len)) => other.inbox.push_back(frame.slice(..len)),
                        // Comes after the next one, if there is one.
                        Some(Fault::Swap) => side.held = Some(frame),
                        None => {
                            if self.duplicates.as_mut().is_some_and(|rng| rng.chance(20)) {
                                other.inbox.push_back(frame.clone());
                            }
                            other.inbox.push_back(frame);
                            other.inbox.extend(side.held.take());
                        }
                    }
                }
                Effect::Identify { peer, claim, .. } => {
                    side.jobs.push_back(Job::Identify { peer, claim });
                }
                Effect::ReadFeed { after, max_bytes } => {
                    side.jobs.push_back(Job::ReadFeed { after, max_bytes });
                }
                Effect::Summarize => side.jobs.push_back(Job::Summarize),
                Effect::ReadDocument { document, after, max_bytes } => {
                    side.jobs.push_back(Job::ReadDocument { document, after, max_bytes });
                }
                Effect::Commit { arrivals, cursor } => {
                    side.jobs.push_back(Job::Commit { arrivals, cursor });
                }
                Effect::SaveCursor(cursor) => side.jobs.push_back(Job::SaveCursor(cursor)),
                Effect::Phase(phase) => side.phases.push(phase),
                Effect::Refused { by_peer, changes } => {
                    side.refused.extend(changes.into_iter().map(|change| (by_peer, change)));
                }
                Effect::Synced(id) => {
                    side.synced.push(id);
                    if side.refused.is_empty() && intact {
                        let held = &side.asked[&id];
                        let (ours, theirs) = (&held[end], &held[1 - end]);
                        assert!(self.stores[side.store].covers(theirs), "synced, but not here");
                        assert!(self.stores[other.store].covers(ours), "synced, but not there");
                    }
                }
                Effect::End(how) => side.ended = Some(how),
                other => panic!("an effect the simulator does not know: {other:?}"),
            }
        }
        some
    }

    /// Delivers the next frame to a side.
    pub(crate) fn deliver(&mut self, link: usize, end: usize) -> bool {
        let now = self.now;
        let Some(sides) = self.links[link].connection.as_mut() else { return false };
        let side = &mut sides[end];
        let identifying = matches!(side.jobs.front(), Some(Job::Identify { .. }));
        if identifying || side.inbox.is_empty() {
            return false;
        }
        let frame = side.inbox.pop_front().unwrap();
        let head = match side.peer {
            Some(_) => self.stores[side.store].head(),
            None => Position::default(),
        };
        side.session.receive(&frame, head, now);
        self.poll(link, end);
        true
    }

    /// Does the next thing a side wants of its store.
    pub(crate) fn work(&mut self, link: usize, end: usize) -> bool {
        let now = self.now;
        let failing = self.failing_commits;
        let Link { ends: [a, b], connection, known, .. } = &mut self.links[link];
        let (a, b) = (*a, *b);
        let Some(sides) = connection.as_mut() else { return false };
        let side = &mut sides[end];
        let Some(job) = side.jobs.pop_front() else { return false };
        let (session, number) = (&mut side.session, side.number);
        let store = &mut self.stores[side.store];
        let cursor_before = side.peer.and_then(|p| store.durable.cursors.get(&p).copied());
        let mut grown = None;
        match job {
            Job::Identify { peer, claim } => {
                side.peer = Some(peer);
                if end == 0 {
                    *known = Some(peer);
                }
                session.identified(Identified {
                    head: store.head(),
                    cursor: store.durable.cursors.get(&peer).copied(),
                    claim_valid: claim.is_some_and(|claim| store.is_place(claim)),
                });
            }
            Job::ReadFeed { after, max_bytes } => {
                let peer = side.peer.unwrap();
                let (changes, through) = store.read_feed(after, max_bytes, peer, number);
                side.entries_read += changes.len();
                session.feed(&changes, through, now);
            }
            Job::Summarize => {
                side.summaries += 1;
                session.summarized(store.summary(), store.head());
            }
            Job::ReadDocument { document, after, max_bytes } => {
                side.documents_read += 1;
                let (held, start) = match after {
                    Some(held) => (held, 0),
                    None => side.reading.take().expect("a document under way"),
                };
                let (changes, next, done) = store.read_document(&document, &held, start, max_bytes);
                side.reading = Some((held, next));
                session.document_changes(&changes, done, now);
            }
            Job::Commit { .. } if failing > 0 => {
                self.failing_commits -= 1;
                session.committed(Err("no room".into()));
            }
            Job::Commit { arrivals, cursor } => {
                let peer = side.peer.unwrap();
                let before = store.durable.cursors.get(&peer).copied();
                let verdicts = store.commit(&arrivals, cursor, peer, number);
                let all = verdicts.iter().all(|verdict| *verdict == Verdict::Taken);
                session.committed(Ok(verdicts));
                grown = Some(side.store);
                let after = store.durable.cursors.get(&peer).copied();
                assert!(all || after == before, "the cursor passed a refused change");
            }
            Job::SaveCursor(cursor) => {
                store.durable.cursors.insert(side.peer.unwrap(), cursor);
            }
        }
        let (store, peer) = if end == 0 { (a, b) } else { (b, a) };
        self.poll(link, end);
        if let Some(store) = grown {
            self.grew(store);
            self.poll_all();
        }
        let cursor = self.stores[store].durable.cursors.get(&self.stores[peer].replica);
        if cursor != cursor_before.as_ref() && self.intact() {
            self.check_cursor(store, peer);
        }
        true
    }

    /// A cursor never passes a change that is absent.
    fn check_cursor(&self, store: usize, peer: usize) {
        let (store, peer) = (&self.stores[store], &self.stores[peer]);
        let Some(cursor) = store.durable.cursors.get(&peer.replica) else { return };
        if cursor.number > 0 && peer.epoch_of(cursor.number) == Some(cursor.epoch) {
            for entry in &peer.durable.feed[..usize::try_from(cursor.number).unwrap()] {
                let held = store.version(&entry.document.name).contains(entry.change.dot);
                assert!(held, "the cursor passed an absent change");
            }
        }
    }

    /// Drops connections a side of which has ended.
    pub(crate) fn hang_up(&mut self) -> bool {
        let mut some = false;
        for link in 0..self.links.len() {
            let Some(sides) = self.links[link].connection.as_ref() else { continue };
            // What was sent before the end still arrives.
            let over = |side: &Side| side.ended.is_some();
            let arrived = |end: usize| over(&sides[end]) || sides[end].inbox.is_empty();
            let ended = sides.iter().any(over);
            if ended && arrived(0) && arrived(1) && sides.iter().all(|side| side.jobs.is_empty()) {
                self.disconnect(link);
                some = true;
            }
        }
        some
    }

    /// Runs one thing after the other until nothing is left to do. Sessions are
    /// polled when something happened to them, and not otherwise.
    pub(crate) fn settle(&mut self) {
        self.poll_all();
        while self.turn() {}
    }

    pub(crate) fn poll_all(&mut self) {
        for link in 0..self.links.len() {
            for end in [0, 1] {
                self.poll(link, end);
            }
        }
    }

    /// Lets every side take one frame and do one job. `false` when all rest.
    pub(crate) fn turn(&mut self) -> bool {
        let mut some = false;
        for link in 0..self.links.len() {
            for end in [0, 1] {
                some |= self.deliver(link, end);
                some |= self.work(link, end);
            }
        }
        some | self.hang_up()
    }

    /// Moves time on to the next deadline. `false` when nobody waits.
    pub(crate) fn wait(&mut self) -> bool {
        let sides = self.links.iter().filter_map(|link| link.connection.as_ref()).flatten();
        let Some(next) = sides.filter_map(|side| side.session.deadline()).min() else {
            return false;
        };
        self.now = self.now.max(next);
        true
    }

    /// Reconnects what is not connected, asks every side for agreement, and runs
    /// until all have said so. No faults happen from here on.
    pub(crate) fn agree(&mut self) {
        self.fault = None;
        for round in 0..60 {
            for link in 0..self.links.len() {
                if self.links[link].connection.is_none() {
                    self.connect(link);
                }
                for end in [0, 1] {
                    self.ask(link, end, 1_000_000 + round);
                }
            }
            loop {
                self.settle();
                let up = self.links.iter().all(|link| link.connection.is_some());
                if !up || !self.wait() {
                    break;
                }
            }
            let all = self.links.iter().filter_map(|link| link.connection.as_ref()).flatten();
            let told = all.filter(|side| side.synced.contains(&(1_000_000 + round))).count();
            let contents = self.stores[0].contents();
            let same = self.stores.iter().all(|store| store.contents() == contents);
            if told == 2 * self.links.len() {
                if self.links.len() == 1 {
                    assert!(same, "synced, but the stores differ");
                }
                if same {
                    return;
                }
            }
        }
        panic!("no agreement after 60 rounds without faults");
    }
}

/// What is acknowledged is durable, or was refused.
fn check_ack(store: &Store, sender: &mut Side, side: &Side, acked: u64) {
    let count = sender.tap.changes.partition_point(|(frame, _)| *frame <= acked);
    for (_, dots) in sender.tap.changes.drain(..count) {
        for (document, dot) in dots {
            let held = store.version(&document).contains(dot);
            let refused = || side.refused.iter().any(|(_, r)| r.dot == dot);
            assert!(held || refused(), "acknowledged, but not durable: {document} {dot:?}");
        }
    }
}
