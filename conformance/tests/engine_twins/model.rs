//! A small engine in memory: stores with a log each, sessions over numbered
//! frames, and a switch for every bug that the suite has to find.
//!
//! It has no threads and no time: whatever waits for something moves the frames
//! itself, and gives up after a number of rounds. Its data type is the list of all
//! edits that were applied, so an edit that is missing, misplaced or applied twice
//! always shows.

use crate::bugs::Bug;
use repliq_conformance::Failure;
use repliq_conformance::engine::{Direction, Disk, Fate, Network, Party, Place};
use std::collections::{BTreeMap, VecDeque};

/// One edit.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) at: Place,
    author: Party,
    seq: u64,
    pub(crate) edit: usize,
    /// Made while nothing was linked.
    offline: bool,
}

/// What a store keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) log: Vec<Change>,
    /// How far it holds the feeds of others.
    got: BTreeMap<(Party, &'static str), usize>,
    /// How many changes were made here.
    seq: u64,
}

#[derive(Debug, Default)]
struct Store {
    durable: Kept,
    /// What is in memory while it is open.
    open: Option<Kept>,
    /// The edits that subscribers were told of.
    told: BTreeMap<Place, Vec<usize>>,
}

/// A link: a device and a space.
pub(crate) type Line = (Party, &'static str);

#[derive(Clone, Debug)]
enum Message {
    /// How far the sender holds the receiver's feed.
    Hello(usize),
    /// Changes of the sender's feed, from this place on, and where it ends.
    Changes(usize, Vec<Change>, usize),
    /// How far the sender holds the receiver's feed now.
    Ack(usize),
}

/// One end of a session.
#[derive(Debug, Default)]
struct End {
    is_greeted: bool,
    sent: usize,
    acked: usize,
    frames: u64,
    heard: u64,
    /// What arrived and was not looked at yet.
    inbox: VecDeque<(u64, Message)>,
    /// What it sends is lost.
    is_dead: bool,
}

/// The device's end, then the relay's.
type Session = [End; 2];
const DEVICE: usize = 0;

/// All stores and sessions of one case.
#[derive(Debug)]
pub(crate) struct World {
    bug: Option<Bug>,
    stores: BTreeMap<Party, Store>,
    sessions: BTreeMap<Line, Option<Session>>,
    networks: BTreeMap<Party, Network>,
    disks: BTreeMap<Party, Disk>,
    reached_by: Vec<Party>,
    edits: usize,
    /// The frame that is being looked at was here before.
    is_repeat: bool,
    /// How far each end believes to have delivered, if it believes.
    trusted: BTreeMap<(Line, usize), usize>,
}

impl World {
    pub(crate) fn new(
        bug: Option<Bug>,
        networks: BTreeMap<Party, Network>,
        disks: BTreeMap<Party, Disk>,
    ) -> Self {
        let stores = Party::ALL.map(|who| (who, Store::default())).into();
        let (sessions, reached_by) = (BTreeMap::new(), Vec::new());
        let (edits, is_repeat, trusted) = (0, false, BTreeMap::new());
        Self { bug, stores, sessions, networks, disks, reached_by, edits, is_repeat, trusted }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn serve(&mut self, reached_by: &[Party]) {
        self.open(Party::Relay);
        self.reached_by = reached_by.to_vec();
    }

    pub(crate) fn open(&mut self, who: Party) {
        let of_relay = self.stores[&Party::Relay].durable.log.clone();
        let arrived = |change: &Change| of_relay.iter().any(|other| other.edit == change.edit);
        let (forgets, counts_anew) =
            (self.has(Bug::ForgetsTheUnsentAtRestart), self.has(Bug::CountsAnewAfterRestart));
        let store = self.stores.get_mut(&who).unwrap();
        if forgets {
            store.durable.log.retain(|change| change.author != who || arrived(change));
        }
        if counts_anew {
            store.durable.seq = 0;
        }
        store.open = Some(store.durable.clone());
    }

    pub(crate) fn close(&mut self, who: Party) {
        self.stores.get_mut(&who).unwrap().open = None;
        match who {
            Party::Relay => self.sessions.values_mut().for_each(|session| *session = None),
            device => self.sessions.retain(|line, _| line.0 != device),
        }
    }

    pub(crate) fn link(&mut self, line: Line) {
        self.sessions.insert(line, None);
    }

    pub(crate) fn unlink(&mut self, line: Line) {
        self.sessions.remove(&line);
    }

    pub(crate) fn is_live(&self, line: Line) -> bool {
        matches!(self.sessions.get(&line), Some(Some(_)))
    }

    pub(crate) fn told(&self, who: Party, at: Place) -> &[usize] {
        self.stores[&who].told.get(&at).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn kept(&self, who: Party) -> Result<&Kept, Failure> {
        self.stores[&who].open.as_ref().ok_or_else(|| format!("{who} is closed").into())
    }

    pub(crate) fn edit(&mut self, who: Party, at: Place) -> Result<usize, Failure> {
        let offline = !self.sessions.contains_key(&(who, at.space));
        let change =
            Change { at, author: who, seq: self.kept(who)?.seq, edit: self.edits, offline };
        let committed = self.commit(who, |kept| {
            kept.log.push(change.clone());
            kept.seq += 1;
        });
        let keeps = self.has(Bug::KeepsAFailedUpdate);
        let store = self.stores.get_mut(&who).unwrap();
        if let (Err(_), true, Some(open)) = (&committed, keeps, &mut store.open) {
            open.log.push(change);
        }
        committed?;
        store.told.entry(at).or_default().push(self.edits);
        self.edits += 1;
        self.flow();
        Ok(self.edits - 1)
    }

    /// Changes a store, durably, or not at all.
    fn commit(&mut self, who: Party, change: impl Fn(&mut Kept)) -> Result<(), Failure> {
        let committed = self.disks[&who].commit();
        let store = self.stores.get_mut(&who).unwrap();
        let Some(open) = &mut store.open else { return Err("closed".into()) };
        match committed {
            Ok(()) => {
                change(open);
                change(&mut store.durable);
                Ok(())
            }
            Err(_) if self.bug == Some(Bug::IgnoresFailedCommits) => {
                change(open);
                Ok(())
            }
            Err(why) => Err(why),
        }
    }

    /// Whether, as far as both ends know, each holds what the other holds.
    pub(crate) fn is_synced(&self, line: Line) -> bool {
        let Some(Some(session)) = self.sessions.get(&line) else { return false };
        let is_done = |end| self.is_acked(line, session, end) && session[end].is_greeted;
        is_done(DEVICE) && is_done(1 - DEVICE)
    }

    fn is_acked(&self, line: Line, session: &Session, end: usize) -> bool {
        let own = &session[end];
        let all = if self.has(Bug::SendsOnlyWhenItConnects) { own.sent } else { usize::MAX };
        own.acked >= all.min(self.feed(line, end).len())
    }

    /// What this end has to send over a line.
    fn feed(&self, (device, space): Line, end: usize) -> Vec<Change> {
        let owner = if end == DEVICE { device } else { Party::Relay };
        let Some(kept) = &self.stores[&owner].open else { return Vec::new() };
        let other_transport = |change: &Change| (change.author == Party::C) != (device == Party::C);
        let mut feed = kept.log.clone();
        feed.retain(|change| {
            let held_back = (self.has(Bug::DoesNotQueueOfflineEdits) && change.offline)
                || (self.has(Bug::PassesOnWithinATransportOnly) && other_transport(change));
            (change.at.space == space || self.has(Bug::MixesUpSpaces)) && !held_back
        });
        feed
    }

    /// Lets everything happen that can; then time passes, and what was lost is
    /// missed.
    pub(crate) fn pump(&mut self) {
        self.flow();
        let lines: Vec<Line> = self.sessions.keys().copied().collect();
        for line in lines {
            self.notice(line);
        }
    }

    /// Lets everything happen that can at once. A line connects at most once.
    fn flow(&mut self) {
        let lines: Vec<Line> = self.sessions.keys().copied().collect();
        for line in &lines {
            self.connect(*line);
        }
        let mut steps = 0;
        while lines.iter().any(|line| (0..2).any(|end| self.step(*line, end))) {
            steps += 1;
            assert!(steps < 10_000, "the model does not come to rest");
        }
    }

    fn connect(&mut self, line: Line) {
        let (device, space) = line;
        let is_reached = self.kept(Party::Relay).is_ok() && self.reached_by.contains(&device);
        if self.is_live(line) || !is_reached || self.kept(device).is_err() {
            return;
        }
        self.sessions.insert(line, Some(Session::default()));
        for (end, own, peer) in [(0, device, Party::Relay), (1, Party::Relay, device)] {
            let got = &self.stores[&own].open.as_ref().unwrap().got;
            let held = got.get(&(peer, space)).copied().unwrap_or(0);
            self.send(line, end, Message::Hello(held));
        }
    }

    fn send(&mut self, line: Line, from: usize, message: Message) {
        let way = if from == DEVICE { Direction::Sending } else { Direction::Receiving };
        let Some(Some(session)) = self.sessions.get_mut(&line) else { return };
        session[from].frames += 1;
        let frame = (session[from].frames, message);
        if session[from].is_dead {
            return;
        }
        let to = &mut session[1 - from].inbox;
        match self.networks[&line.0].fate(way) {
            Fate::Arrives => to.push_back(frame),
            Fate::ArrivesTwice => to.extend([frame.clone(), frame]),
            Fate::Lost { rest } => session[from].is_dead = rest,
        }
    }

    /// Takes in a frame or sends changes. False when there is nothing to do.
    fn step(&mut self, line: Line, end: usize) -> bool {
        let takes_repeats = self.has(Bug::TakesRepeatsForNew);
        let overlooks = self.has(Bug::OverlooksAGap);
        let Some(Some(session)) = self.sessions.get_mut(&line) else { return false };
        let own = &mut session[end];
        if let Some((number, message)) = own.inbox.pop_front() {
            let expected = own.heard + 1;
            if number > expected && !overlooks {
                self.sessions.insert(line, None);
            } else if number >= expected || takes_repeats {
                own.heard = number;
                self.is_repeat = number < expected;
                self.receive(line, end, message);
            }
            return true;
        }
        let (is_greeted, sent, is_first) = (own.is_greeted, own.sent, own.frames == 1);
        let feed = self.feed(line, end);
        let holds_back = self.has(Bug::SendsOnlyWhenItConnects) && !is_first;
        if !is_greeted || feed.len() <= sent || holds_back {
            return false;
        }
        let mut changes = feed[sent..].to_vec();
        if self.has(Bug::DropsTheLastOfABatch) && changes.len() > 1 {
            changes.pop();
        }
        if self.has(Bug::MixesUpDocuments) {
            let first = changes[0].at;
            changes.iter_mut().for_each(|change| change.at = first);
        }
        let trusts = self.has(Bug::TrustsWhatWasSent);
        let Some(Some(session)) = self.sessions.get_mut(&line) else { return false };
        session[end].sent = feed.len();
        if trusts {
            session[end].acked = feed.len();
            self.trusted.insert((line, end), feed.len());
        }
        self.send(line, end, Message::Changes(sent, changes, feed.len()));
        true
    }

    fn receive(&mut self, line: Line, end: usize, message: Message) {
        let too_far = usize::from(self.has(Bug::ResumesOneTooFar));
        let trusted = self.trusted.get(&(line, end)).copied();
        let feed = self.feed(line, end).len();
        let Some(Some(session)) = self.sessions.get_mut(&line) else { return };
        let own = &mut session[end];
        match message {
            Message::Hello(held) => {
                let held = trusted.unwrap_or(held);
                own.is_greeted = true;
                own.acked = own.acked.max(held);
                own.sent = own.sent.max(if held > 0 { feed.min(held + too_far) } else { 0 });
            }
            Message::Ack(held) => own.acked = own.acked.max(held),
            Message::Changes(from, changes, end_of_feed) => {
                let taken = self.take(line, end, from, changes, end_of_feed);
                match taken {
                    Ok(()) => self.send(line, end, Message::Ack(end_of_feed)),
                    Err(_) if trusted.is_some() => {}
                    Err(_) => drop(self.sessions.insert(line, None)),
                }
            }
        }
    }

    /// Commits the changes that are new, and tells of them.
    fn take(
        &mut self,
        (device, space): Line,
        end: usize,
        from: usize,
        changes: Vec<Change>,
        end_of_feed: usize,
    ) -> Result<(), Failure> {
        let (own, peer) =
            if end == DEVICE { (device, Party::Relay) } else { (Party::Relay, device) };
        let kept = self.kept(own)?;
        let got = kept.got.get(&(peer, space)).copied().unwrap_or(0);
        let overlooks = self.has(Bug::ResumesOneTooFar) || self.has(Bug::OverlooksAGap);
        if from > got && !overlooks {
            return Err("a gap in the feed".into());
        }
        let is_held = |change: &Change| {
            let is_echo = change.author == own && self.has(Bug::AppliesItsOwnEcho);
            let is_same = |held: &Change| {
                (held.author, held.seq, held.at.space)
                    == (change.author, change.seq, change.at.space)
            };
            kept.log.iter().any(is_same) && !is_echo && !self.is_repeat
        };
        let fresh: Vec<Change> = changes.into_iter().filter(|change| !is_held(change)).collect();
        let tells = own != Party::Relay && !self.has(Bug::TellsNobodyOfRemoteChanges);
        if tells && self.has(Bug::TellsBeforeItIsDurable) {
            self.tell(own, &fresh);
        }
        if self.has(Bug::SavesTheCursorBeforeTheChanges) {
            let store = self.stores.get_mut(&own).unwrap();
            store.durable.got.insert((peer, space), end_of_feed);
        }
        self.commit(own, |kept| {
            kept.log.extend(fresh.iter().cloned());
            kept.got.insert((peer, space), end_of_feed);
        })?;
        if tells && !self.has(Bug::TellsBeforeItIsDurable) {
            self.tell(own, &fresh);
        }
        Ok(())
    }

    fn tell(&mut self, who: Party, changes: &[Change]) {
        let told = &mut self.stores.get_mut(&who).unwrap().told;
        for change in changes {
            told.entry(change.at).or_default().push(change.edit);
        }
    }

    /// Nothing moves any more: a session in which something is still owed has
    /// lost it, and ends.
    fn notice(&mut self, line: Line) {
        let blind = self.has(Bug::SendsOnlyWhenItConnects);
        if self.is_live(line) && !self.is_synced(line) && !blind {
            self.sessions.insert(line, None);
        }
    }
}
