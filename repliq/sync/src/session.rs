//! One session: two feeds, one in each direction, over one connection.
//!
//! The driver passes in frames, time and the answers of its store, then takes
//! the effects from [`Session::poll`] and carries them out in order. A session
//! trusts nothing a peer says: every claim is checked here or by the store, and
//! whatever goes wrong ends in one [`Effect::End`].

use crate::error::{Farewell, SessionError};
use crate::incoming::{Gathered, Incoming};
use crate::message::{Hello, Message, Position, Refusal, RefusedChange};
use crate::outgoing::{FILL_BYTES, Mode, Outgoing, OutgoingChange};
use crate::reconcile::{Fingerprint, Prefix, Summary};
use crate::wire::{decode_frame, decode_hello, decode_message, encode_frame, encode_hello};
use bytes::Bytes;
use repliq_core::{Change, ReplicaId, Version};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The largest frame we send and take: 256 KiB.
const MAX_FRAME: u32 = 256 << 10;
/// The smallest limit a peer may set for frames.
const MIN_FRAME: u32 = 1 << 10;
/// Questions of one kind that may be open at once.
const OPEN: usize = 64;
/// What a fragment needs besides its bytes.
const FRAGMENT_OVERHEAD: usize = 32;

/// Which side opened the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// We did. We say hello first.
    Initiator {
        /// How far we hold the feed of whoever was at that address last time.
        cursor: Option<Position>,
    },
    /// The peer did.
    Acceptor,
}

/// What a session needs to know from the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The replica id of our store.
    pub replica: ReplicaId,
    /// The space to sync: what we ask for as initiator. An acceptor takes the
    /// space of the peer's hello, see [`Effect::Identify`].
    pub space: String,
    /// Which side opened the connection.
    pub role: Role,
    /// Our store is volatile; acks say so.
    pub volatile: bool,
    /// How long the peer may take to answer before the session ends.
    pub patience: Duration,
}

/// A document's name and the kind of its type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DocumentName {
    /// The name, unique in its space.
    pub name: Arc<str>,
    /// [`repliq_core::Crdt::KIND`] of its type.
    pub kind: Arc<str>,
}

/// A change that came from the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Which document it belongs to.
    pub document: DocumentName,
    /// The change.
    pub change: Change,
}

/// What our store knows about a peer: the answer to [`Effect::Identify`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identified {
    /// Where our feed of this space ends.
    pub head: Position,
    /// How far we hold the peer's feed. Only an acceptor need say.
    pub cursor: Option<Position>,
    /// The peer's claim names a place in our feed.
    pub claim_valid: bool,
}

/// What our store made of an arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is durable here; it may have been before, or wait for its time.
    Taken,
    /// It was not taken.
    Refused(Refusal),
}

/// How far a session has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The peers exchange what they have.
    Syncing,
    /// Both hold the same; new changes pass as they are made.
    Live,
}

/// What the driver has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Send a frame, in order.
    Send(Bytes),
    /// Look the peer up; answer with [`Session::identified`] before passing in
    /// another frame.
    Identify {
        /// The replica id of the peer's store.
        peer: ReplicaId,
        /// The space the peer names.
        space: String,
        /// How far the peer says it holds our feed.
        claim: Option<Position>,
    },
    /// Read our feed after this number; answer with [`Session::feed`].
    ReadFeed {
        /// The number of the last entry that is not wanted.
        after: u64,
        /// About how many bytes to read.
        max_bytes: usize,
    },
    /// Sum up what we hold; answer with [`Session::summarized`].
    Summarize,
    /// Read what a version lacks of a document, in causal order; answer with
    /// [`Session::document_changes`].
    ReadDocument {
        /// The name of the document.
        document: Arc<str>,
        /// What is held by the peer: `Some` starts, `None` goes on.
        after: Option<Version>,
        /// About how many bytes to read.
        max_bytes: usize,
    },
    /// Make the arrivals durable, and the cursor with them unless one is
    /// refused; answer with [`Session::committed`].
    Commit {
        /// The changes, in order.
        arrivals: Vec<Arrival>,
        /// How far this brings us in the peer's feed.
        cursor: Option<Position>,
    },
    /// Keep the cursor; there is no hurry and no answer.
    SaveCursor(Position),
    /// The session has come this far.
    Phase(Phase),
    /// Changes were not taken.
    Refused {
        /// The peer did not take ours, or we did not take the peer's.
        by_peer: bool,
        /// Which, and why.
        changes: Vec<RefusedChange>,
    },
    /// What [`Session::synced`] asked for with this id has come to be.
    Synced(u64),
    /// The session is over: nothing follows.
    End(Result<(), SessionError>),
}

enum Stage {
    /// Waiting for the peer's hello.
    Greeting,
    /// The store looks the peer up.
    Identifying(Hello),
    /// Both have said hello; this was the peer's.
    Open(Hello),
    Over,
}

enum Goal {
    /// Whatever the peer's hello will say.
    Hello,
    /// A number in the peer's feed.
    Number(u64),
    /// The reply to this probe.
    Probe { token: u64, asked: Duration },
    /// The last frame before the reply.
    Frame(u64),
}

struct Waiter {
    id: u64,
    own: u64,
    goal: Goal,
}

/// Effects and frames on their way out.
struct Output {
    effects: Vec<Effect>,
    next_frame: u64,
    max_frame: usize,
}

impl Output {
    /// Sends a message, in fragments if it is larger than a frame. Returns the
    /// number of the last frame.
    fn send(&mut self, message: &Message<'_>) -> u64 {
        let frame = encode_frame(self.next_frame, message);
        if frame.len() <= self.max_frame {
            return self.send_frame(frame);
        }
        let whole = repliq_core::encode(message);
        let mut parts = whole.chunks(self.max_frame - FRAGMENT_OVERHEAD).peekable();
        let mut number = self.next_frame;
        while let Some(bytes) = parts.next() {
            let message = Message::Fragment { last: parts.peek().is_none(), bytes };
            number = self.send_frame(encode_frame(self.next_frame, &message));
        }
        number
    }

    fn send_frame(&mut self, frame: Bytes) -> u64 {
        self.effects.push(Effect::Send(frame));
        self.next_frame += 1;
        self.next_frame - 1
    }
}

/// One session. See the module's documentation for how it is driven.
pub struct Session {
    config: Config,
    stage: Stage,
    started: Duration,
    /// Where our feed ended when we said hello.
    greeted: Position,
    outgoing: Outgoing,
    incoming: Incoming,
    output: Output,
    waiters: VecDeque<Waiter>,
    next_probe: u64,
    /// When a reply to a comparison was last waited for.
    compare_sent: Option<Duration>,
    /// A summary for the peer's questions, and the questions that wait for it.
    answers: Option<Summary>,
    questions: VecDeque<Vec<(Prefix, Fingerprint)>>,
    summarizing: bool,
    phase: Option<Phase>,
    peer_volatile: bool,
}

impl Session {
    /// A session whose own feed ends at `head`. `now` is any monotonic time.
    #[must_use]
    pub fn new(config: Config, head: Position, now: Duration) -> Self {
        let mut session = Self {
            stage: Stage::Greeting,
            started: now,
            greeted: head,
            outgoing: Outgoing::new(head),
            incoming: Incoming::new(),
            output: Output { effects: Vec::new(), next_frame: 1, max_frame: MAX_FRAME as usize },
            waiters: VecDeque::new(),
            next_probe: 0,
            compare_sent: None,
            answers: None,
            questions: VecDeque::new(),
            summarizing: false,
            phase: None,
            peer_volatile: false,
            config,
        };
        if let Role::Initiator { cursor } = session.config.role {
            session.say_hello(cursor);
        }
        session
    }

    /// Takes in a frame. `head` is where our feed ends now.
    pub fn receive(&mut self, frame: &Bytes, head: Position, now: Duration) {
        self.outgoing.advance_head(head);
        let result = match &self.stage {
            Stage::Over => Ok(()),
            Stage::Greeting => self.receive_hello(frame),
            _ => decode_frame(frame).and_then(|decoded| {
                if self.incoming.count(decoded.number)? {
                    self.handle(decoded.number, &decoded.message, frame, now)
                } else {
                    Ok(())
                }
            }),
        };
        if let Err(error) = result {
            self.fail(error);
        }
    }

    /// The answer to [`Effect::Identify`].
    pub fn identified(&mut self, identified: Identified) {
        let Stage::Identifying(hello) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        self.outgoing.advance_head(identified.head);
        let cursor = match self.config.role {
            Role::Initiator { cursor } => cursor,
            Role::Acceptor => {
                self.say_hello(identified.cursor);
                identified.cursor
            }
        };
        self.output.max_frame = hello.max_frame.min(MAX_FRAME) as usize;
        if let Some(place) = cursor.filter(|cursor| obviously_valid(*cursor, hello.head)) {
            self.incoming.position = Some(place);
            self.incoming.durable = Some(place);
        }
        match hello.cursor {
            Some(claim) if obviously_valid(claim, self.greeted) => {
                self.outgoing.feed_from(claim);
            }
            Some(claim) if identified.claim_valid => self.start(claim),
            _ if self.outgoing.head.number == 0 || hello.head.number == 0 => {
                self.start(Position::default());
            }
            _ => {
                self.outgoing.mode =
                    Mode::Comparing { summary: None, asked: vec![], ask: vec![Prefix::default()] };
            }
        }
        for waiter in &mut self.waiters {
            if matches!(waiter.goal, Goal::Hello) {
                waiter.goal = Goal::Number(hello.head.number);
            }
        }
        self.stage = Stage::Open(hello);
        self.set_phase(Phase::Syncing);
    }

    /// The answer to [`Effect::ReadFeed`]: the entries after the number asked
    /// for, without gaps and of one epoch, and the place of the last of them.
    pub fn feed(&mut self, changes: &[OutgoingChange], through: Position, now: Duration) {
        self.outgoing.reading = false;
        if !matches!((&self.stage, &self.outgoing.mode), (Stage::Open(_), Mode::Feeding))
            || changes.is_empty()
        {
            return;
        }
        if through.epoch != self.outgoing.sent.epoch {
            self.tell_untold();
            let number = self.outgoing.sent.number;
            self.start(Position { epoch: through.epoch, number });
        }
        self.send_changes(changes, true, now);
    }

    /// The answer to [`Effect::Summarize`]. `head` is where our feed ended
    /// before the summary was begun.
    pub fn summarized(&mut self, summary: Summary, head: Position) {
        self.summarizing = false;
        if self.is_over() {
            return;
        }
        if let Mode::Comparing { summary: own @ None, .. } = &mut self.outgoing.mode {
            *own = Some(summary);
            self.outgoing.resume = head;
        } else {
            self.answers = Some(summary);
        }
    }

    /// The answer to [`Effect::ReadDocument`]; `done` when nothing is left.
    pub fn document_changes(&mut self, changes: &[OutgoingChange], done: bool, now: Duration) {
        self.outgoing.reading = false;
        if self.is_over() || !matches!(self.outgoing.mode, Mode::Filling { .. }) {
            return;
        }
        self.send_changes(changes, false, now);
        if done {
            self.outgoing.mode = Mode::Filling { current: None };
        }
    }

    /// The answer to [`Effect::Commit`]: a verdict for each arrival, or why
    /// nothing was committed.
    pub fn committed(&mut self, verdicts: Result<Vec<Verdict>, String>) {
        let Some(done) = self.incoming.committing.take() else { return };
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            Err(why) => return self.fail(SessionError::Store(why)),
        };
        let refused: Vec<RefusedChange> = done
            .arrivals
            .iter()
            .zip(verdicts)
            .filter_map(|(arrival, verdict)| match verdict {
                Verdict::Taken => None,
                Verdict::Refused(why) => Some(RefusedChange {
                    document: arrival.document.name.to_string(),
                    dot: arrival.change.dot,
                    why,
                }),
            })
            .collect();
        if !refused.is_empty() {
            self.incoming.stuck = true;
            if !self.is_over() {
                self.output.send(&Message::Refuse(refused.clone()));
            }
            self.output.effects.push(Effect::Refused { by_peer: false, changes: refused });
        }
        self.incoming.durable = done.cursor.or(self.incoming.durable);
        if done.frame > 0 {
            self.incoming.durable_frame = done.frame;
            self.incoming.ack = Some(done.frame);
        }
    }

    /// Takes note that our feed grew.
    pub fn feed_grew(&mut self, head: Position) {
        self.outgoing.advance_head(head);
    }

    /// Asks to be told with [`Effect::Synced`] once the peer holds durably what
    /// we hold now (`head`), and we hold durably what the peer holds now.
    pub fn synced(&mut self, id: u64, head: Position, now: Duration) {
        self.outgoing.advance_head(head);
        let goal = if matches!(self.stage, Stage::Open(_)) {
            self.next_probe += 1;
            self.output.send(&Message::Probe(self.next_probe));
            Goal::Probe { token: self.next_probe, asked: now }
        } else {
            Goal::Hello
        };
        self.waiters.push_back(Waiter { id, own: head.number, goal });
    }

    /// Whether the peer's store is volatile, as far as its acks have said.
    #[must_use]
    pub const fn peer_is_volatile(&self) -> bool {
        self.peer_volatile
    }

    /// Whether an [`Effect::Identify`] waits for its answer: pass in no frame.
    #[must_use]
    pub const fn is_identifying(&self) -> bool {
        matches!(self.stage, Stage::Identifying(_))
    }

    /// How far into our feed the peer has made everything durable.
    #[must_use]
    pub fn acked(&self) -> Position {
        Position { epoch: self.outgoing.sent.epoch, number: self.outgoing.acked() }
    }

    /// Ends the session in order.
    pub fn close(&mut self) {
        if self.is_over() {
            return;
        }
        if matches!(self.stage, Stage::Open(_)) {
            if let Some(advance) = self.outgoing.last_untold() {
                self.send_advance(advance);
            }
            self.output.send(&Message::Goodbye(Farewell::Done));
        }
        self.end(Ok(()));
    }

    /// When [`Session::poll`] must be called next even if nothing happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.is_over() {
            return None;
        }
        let greeting = (!matches!(self.stage, Stage::Open(_))).then_some(self.started);
        let probe = self.waiters.iter().find_map(|waiter| match waiter.goal {
            Goal::Probe { asked, .. } => Some(asked),
            _ => None,
        });
        [greeting, probe, self.outgoing.oldest_sent(), self.compare_sent]
            .into_iter()
            .flatten()
            .min()
            .map(|since| since + self.config.patience)
    }

    /// What to do next, in order. With `writable` false no changes are put under
    /// way, only what answers the peer.
    pub fn poll(&mut self, writable: bool, now: Duration) -> Vec<Effect> {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            let what = match self.stage {
                Stage::Open(_) => "no ack or reply came",
                _ => "no hello came",
            };
            self.fail(SessionError::Stalled(what));
        }
        if matches!(self.stage, Stage::Open(_)) {
            self.commit_gathered();
            if let Some(frame) = self.incoming.ack.take() {
                self.output.send(&Message::Ack { frame, volatile: self.config.volatile });
            }
            self.answer_questions();
            if writable {
                self.pump(now);
            }
            self.check_goals();
        }
        std::mem::take(&mut self.output.effects)
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn say_hello(&mut self, cursor: Option<Position>) {
        self.greeted = self.outgoing.head;
        let hello = Hello {
            replica: self.config.replica,
            space: self.config.space.clone(),
            head: self.outgoing.head,
            cursor,
            max_frame: MAX_FRAME,
            extensions: Vec::new(),
        };
        self.output.effects.push(Effect::Send(encode_hello(&hello)));
    }

    fn receive_hello(&mut self, frame: &Bytes) -> Result<(), SessionError> {
        let hello = decode_hello(frame).inspect_err(|error| {
            // The versions in our hello tell the peer what we speak.
            if matches!(error, SessionError::Version { .. }) && self.config.role == Role::Acceptor {
                self.say_hello(None);
            }
        })?;
        if hello.replica == self.config.replica {
            return Err(SessionError::SameReplica);
        }
        if hello.max_frame < MIN_FRAME {
            return Err(SessionError::Malformed("a frame limit below 1 KiB"));
        }
        if self.config.role == Role::Acceptor {
            self.config.space.clone_from(&hello.space);
        } else if self.config.space != hello.space {
            return Err(SessionError::Malformed("a hello for another space"));
        }
        let (peer, space, claim) = (hello.replica, hello.space.clone(), hello.cursor);
        self.output.effects.push(Effect::Identify { peer, space, claim });
        self.stage = Stage::Identifying(hello);
        Ok(())
    }

    fn handle(
        &mut self,
        frame: u64,
        message: &Message<'_>,
        bytes: &Bytes,
        now: Duration,
    ) -> Result<(), SessionError> {
        match message {
            Message::Changes { documents, replicas, advance, entries } => {
                self.incoming.name(documents, replicas)?;
                self.incoming.gather(frame, bytes, entries, *advance)?;
            }
            Message::Ack { frame, volatile } => {
                self.peer_volatile = *volatile;
                self.outgoing.ack(*frame, now);
            }
            Message::Start(place) => {
                self.incoming.position = Some(*place);
                if self.incoming.gathered.arrivals.is_empty() && self.incoming.committing.is_none()
                {
                    self.incoming.durable = Some(*place);
                }
                self.incoming.gathered.cursor = Some(*place);
            }
            Message::Forget => self.incoming.forget(),
            Message::Refuse(changes) => {
                let changes = changes.clone();
                self.output.effects.push(Effect::Refused { by_peer: true, changes });
            }
            Message::Probe(token) if self.outgoing.probes.len() < OPEN => {
                self.outgoing.probes.push_back((*token, self.outgoing.head.number));
            }
            Message::Probe(_) => return Err(SessionError::Malformed("too many open probes")),
            Message::Reply(token) => self.replied(*token),
            Message::Compare(ranges) if self.questions.len() < OPEN => {
                self.questions.push_back(ranges.clone());
            }
            Message::Compare(_) => return Err(SessionError::Malformed("too many open questions")),
            Message::Compared(replies) => {
                let learned = self.outgoing.learn(replies.clone());
                learned.ok_or(SessionError::Malformed("replies to what was not asked"))?;
                self.compare_sent = None;
            }
            Message::Fragment { last, bytes } => {
                if let Some(whole) = self.incoming.fragment(*last, bytes)? {
                    match decode_message(&whole)? {
                        Message::Fragment { .. } => {
                            return Err(SessionError::Malformed("a fragment in fragments"));
                        }
                        message => self.handle(frame, &message, &whole, now)?,
                    }
                }
            }
            Message::Goodbye(Farewell::Done) => self.end(Ok(())),
            Message::Goodbye(why) => self.end(Err(SessionError::Farewell(*why))),
        }
        Ok(())
    }

    fn replied(&mut self, token: u64) {
        let last = self.incoming.last_frame;
        for waiter in &mut self.waiters {
            if matches!(waiter.goal, Goal::Probe { token: asked, .. } if asked == token) {
                waiter.goal = Goal::Frame(last);
            }
        }
    }

    /// Starts the feed at a place, and says so.
    fn start(&mut self, place: Position) {
        self.outgoing.feed_from(place);
        self.output.send(&Message::Start(place));
    }

    fn commit_gathered(&mut self) {
        let waiting = &self.incoming.gathered;
        if self.incoming.committing.is_some()
            || (waiting.arrivals.is_empty() && waiting.cursor.is_none())
        {
            return;
        }
        let Gathered { arrivals, cursor, frame, bytes } =
            std::mem::take(&mut self.incoming.gathered);
        let cursor = cursor.filter(|_| !self.incoming.stuck);
        if arrivals.is_empty() {
            self.incoming.durable = self.incoming.position;
            self.output.effects.extend(cursor.map(Effect::SaveCursor));
            return;
        }
        // The arrivals stay here, cheaply, to name those that are refused.
        let kept = arrivals.clone();
        let position = self.incoming.position;
        self.incoming.committing =
            Some(Gathered { arrivals: kept, cursor: position, frame, bytes });
        self.output.effects.push(Effect::Commit { arrivals, cursor });
    }

    fn answer_questions(&mut self) {
        if self.questions.is_empty() {
            return;
        }
        match &self.answers {
            Some(summary) => {
                for ranges in std::mem::take(&mut self.questions) {
                    self.output.send(&Message::Compared(summary.answer(&ranges)));
                }
            }
            None => self.summarize(),
        }
    }

    fn summarize(&mut self) {
        if !std::mem::replace(&mut self.summarizing, true) {
            self.output.effects.push(Effect::Summarize);
        }
    }

    /// Puts more of our changes under way.
    fn pump(&mut self, now: Duration) {
        if let Mode::Comparing { summary: None, .. } = self.outgoing.mode {
            self.summarize();
        }
        if let Some(questions) = self.outgoing.questions() {
            self.output.send(&Message::Compare(questions));
            self.compare_sent = Some(now);
        }
        if self.outgoing.reading || !self.outgoing.window_open() {
            return;
        }
        if let Mode::Filling { current } = &mut self.outgoing.mode {
            let (document, after) = match current {
                Some(document) => (Arc::clone(document), None),
                None => match self.outgoing.lacking.pop() {
                    Some((document, theirs)) => {
                        *current = Some(Arc::clone(&document));
                        (document, Some(theirs))
                    }
                    None => return self.start(self.outgoing.resume),
                },
            };
            self.outgoing.reading = true;
            let max_bytes = FILL_BYTES;
            self.output.effects.push(Effect::ReadDocument { document, after, max_bytes });
        } else if let Mode::Feeding = self.outgoing.mode {
            if self.outgoing.sent.number < self.outgoing.head.number {
                self.outgoing.reading = true;
                let after = self.outgoing.sent.number;
                self.output.effects.push(Effect::ReadFeed { after, max_bytes: FILL_BYTES });
            }
            self.tell_untold();
            while let Some((token, number)) = self.outgoing.probes.front().copied() {
                if number > self.outgoing.sent.number {
                    break;
                }
                self.outgoing.probes.pop_front();
                self.output.send(&Message::Reply(token));
            }
        }
    }

    fn tell_untold(&mut self) {
        if let Some(advance) = self.outgoing.untold() {
            self.send_advance(advance);
        }
    }

    fn send_advance(&mut self, advance: u64) {
        let (documents, replicas, entries) = (vec![], vec![], vec![]);
        self.output.send(&Message::Changes { documents, replicas, advance, entries });
    }

    fn send_changes(&mut self, changes: &[OutgoingChange], feed: bool, now: Duration) {
        let output = &mut self.output;
        self.outgoing.pack(changes, feed, |outgoing, message, before, bytes| {
            let frame = output.send(message);
            if matches!(message, Message::Changes { .. }) {
                outgoing.sent_changes(frame, before, bytes, now);
            }
        });
    }

    fn check_goals(&mut self) {
        let acked = self.outgoing.acked();
        let feeding = matches!(self.outgoing.mode, Mode::Feeding);
        let durable = self.incoming.durable.map(|place| place.number);
        let durable_frame = self.incoming.durable_frame;
        let reached = |waiter: &Waiter| {
            let theirs = match waiter.goal {
                Goal::Number(number) => durable.is_some_and(|held| held >= number),
                Goal::Frame(frame) => durable_frame >= frame,
                Goal::Hello | Goal::Probe { .. } => false,
            };
            theirs && feeding && acked >= waiter.own
        };
        self.waiters.retain(|waiter| {
            let done = reached(waiter);
            if done {
                self.output.effects.push(Effect::Synced(waiter.id));
            }
            !done
        });
        if let Stage::Open(hello) = &self.stage {
            let current = durable.is_some_and(|held| held >= hello.head.number);
            if current && feeding && acked >= self.outgoing.head.number {
                self.set_phase(Phase::Live);
            }
        }
    }

    fn set_phase(&mut self, phase: Phase) {
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.output.effects.push(Effect::Phase(phase));
        }
    }

    fn fail(&mut self, error: SessionError) {
        if self.is_over() {
            return;
        }
        if matches!(self.stage, Stage::Open(_)) {
            self.output.send(&Message::Goodbye(error.farewell()));
        }
        self.end(Err(error));
    }

    fn end(&mut self, how: Result<(), SessionError>) {
        if !self.is_over() {
            self.stage = Stage::Over;
            self.output.effects.push(Effect::End(how));
        }
    }
}

/// Whether both sides can see from the hellos alone that `claim` is a place in
/// the feed that ends at `head`.
fn obviously_valid(claim: Position, head: Position) -> bool {
    claim.number == 0 || (claim.epoch == head.epoch && claim.number <= head.number)
}
