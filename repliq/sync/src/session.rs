//! One session: two feeds, one in each direction, over one connection.
//!
//! The driver passes in frames, time and the answers of its store, then takes
//! the effects from [`Session::poll`] and carries them out in order. A session
//! trusts nothing a peer says: every claim is checked here or by the store, and
//! whatever goes wrong ends in one [`Effect::End`].

mod handle;

use crate::contract::{Config, Effect, Identified, Phase, Role, Verdict};
use crate::error::{Farewell, SessionError};
use crate::goals::{Goal, Goals, Who};
use crate::incoming::{Doubt, Gathered, Incoming};
use crate::message::{Hello, MAX_REFUSED, Message, Position, RefusedChange};
use crate::outgoing::{FILL_BYTES, Mode, Outgoing, OutgoingChange};
use crate::output::{MAX_FRAME, Output};
use crate::reconcile::{Fingerprint, Prefix, Summary};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

enum Stage {
    /// Waiting for the peer's hello.
    Greeting,
    /// The store looks the peer up.
    Identifying(Hello),
    /// Both have said hello; this was the peer's.
    Open(Hello),
    Over,
}

/// One session. See the module's documentation for how it is driven.
pub struct Session {
    config: Config,
    stage: Stage,
    started: Duration,
    /// When the peer last showed progress, or we last owed it some.
    heard: Duration,
    /// The store has answered since the last poll.
    worked: bool,
    /// Our hello has left, so the peer's need not be an answer to it.
    polled: bool,
    /// Where our feed ended when we said hello.
    greeted: Position,
    /// How far we said to hold the peer's feed.
    claimed: Option<Position>,
    outgoing: Outgoing,
    incoming: Incoming,
    output: Output,
    goals: Goals,
    /// When a question of a comparison was sent that has no reply yet.
    compare_sent: Option<Duration>,
    /// A summary for the peer's questions, and the one that waits for it.
    answers: Option<Summary>,
    question: Option<Vec<(Prefix, Fingerprint)>>,
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
            heard: now,
            worked: false,
            polled: false,
            greeted: head,
            claimed: None,
            outgoing: Outgoing::new(head),
            incoming: Incoming::new(),
            output: Output::new(),
            goals: Goals::default(),
            compare_sent: None,
            answers: None,
            question: None,
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
        if let Err(error) = self.take_frame(frame, now) {
            self.fail(error);
        }
    }

    /// The answer to [`Effect::Identify`].
    pub fn identified(&mut self, identified: Identified) {
        if !matches!(self.stage, Stage::Identifying(_)) {
            return;
        }
        let Stage::Identifying(hello) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        self.worked = true;
        self.outgoing.advance_head(identified.head);
        if self.config.role == Role::Acceptor {
            self.say_hello(identified.cursor);
        }
        self.output.max_frame = hello.max_frame.min(MAX_FRAME) as usize;
        // Until the peer confirms our cursor it may have been restored from a
        // backup, without what it gave us.
        self.outgoing.skip_after = self.greeted.number;
        if let Some(place) = self.confirmed(hello.head) {
            self.incoming.position = Some(place);
            self.incoming.durable = Some(place);
            if place.number > 0 {
                self.outgoing.skip_after = 0;
            }
        } else if self.claimed.is_some() {
            self.incoming.doubt = Some(Doubt::Acked(self.greeted.number));
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
        self.goals.greeted(hello.head.number);
        self.stage = Stage::Open(hello);
        self.set_phase(Phase::Syncing);
    }

    /// Turns the peer away, in place of [`Session::identified`]: the peer's
    /// session ends with [`SessionError::Farewell`] of `why`.
    pub fn refuse(&mut self, why: Farewell) {
        if matches!(self.stage, Stage::Identifying(_)) {
            if self.config.role == Role::Acceptor {
                self.outgoing.head = Position::default();
                self.say_hello(None);
            }
            self.output.send(&Message::Goodbye(why));
            self.end(Ok(()));
        }
    }

    /// Our store cannot answer an effect. The peer is told so, with
    /// [`Farewell::Store`], and both sessions end.
    pub fn store_failed(&mut self, why: String) {
        if matches!(self.stage, Stage::Identifying(_)) {
            if self.config.role == Role::Acceptor {
                self.outgoing.head = Position::default();
                self.say_hello(None);
            }
            self.output.send(&Message::Goodbye(Farewell::Store));
            self.end(Err(SessionError::Store(why)));
        } else {
            self.fail(SessionError::Store(why));
        }
    }

    /// The answer to [`Effect::ReadFeed`]: the entries after the number asked
    /// for, without gaps and of one epoch, and the place of the last of them.
    pub fn feed(&mut self, changes: &[OutgoingChange], through: Position, now: Duration) {
        self.outgoing.reading = false;
        if !matches!((&self.stage, &self.outgoing.mode), (Stage::Open(_), Mode::Feeding)) {
            return;
        }
        let sent = self.outgoing.sent;
        let count = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        if count == 0 || sent.number.checked_add(count) != Some(through.number) {
            // Going on would let the peer's cursor pass what it was never given.
            let why = "the feed is not what its head and its numbers say";
            return self.fail(SessionError::Store(why.into()));
        }
        if through.epoch != sent.epoch {
            self.start(Position { epoch: through.epoch, number: sent.number });
        }
        self.send_changes(changes, true, now);
    }

    /// The answer to [`Effect::Summarize`]. `head` is where our feed ended
    /// before the summary was begun.
    pub fn summarized(&mut self, summary: Summary, head: Position) {
        self.summarizing = false;
        self.worked = true;
        if self.is_over() {
            return;
        }
        if let Mode::Comparing { summary: own @ None, .. } = &mut self.outgoing.mode {
            *own = Some(summary);
            self.outgoing.resume = head;
        } else if self.question.is_some() {
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
        if self.is_over() {
            return;
        }
        self.worked = true;
        let verdicts = match verdicts {
            Ok(verdicts) if verdicts.len() == done.arrivals.len() => verdicts,
            Ok(_) => return self.fail(SessionError::Store("a verdict is missing".into())),
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
            for part in refused.chunks(MAX_REFUSED) {
                self.output.send(&Message::Refuse(part.to_vec()));
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
        // A hello that answers ours says what the peer holds now; one that may
        // be on its way already does not.
        let answered = matches!(self.config.role, Role::Initiator { .. }) && !self.polled;
        let goal = if answered { Goal::Hello } else { Goal::NextProbe };
        self.goals.add(Who::Caller(id), head.number, goal);
        if matches!(self.stage, Stage::Open(_)) {
            self.ask(now);
        }
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
        let Stage::Open(hello) = &self.stage else {
            return Some(self.started.saturating_add(self.config.patience));
        };
        // What the peer owes us takes as long as the changes before it, so its
        // time counts from the last of them. What we owe the peer comes first.
        let behind = self.incoming.position.is_none_or(|at| at.number < hello.head.number);
        let owed = [self.goals.asked(), self.compare_sent, behind.then_some(self.heard)];
        let owed = owed.into_iter().flatten().map(|since| since.max(self.heard));
        let owed = owed.filter(|_| !self.owing()).min();
        [owed, self.outgoing.oldest_sent()]
            .into_iter()
            .flatten()
            .min()
            .map(|since| since.saturating_add(self.config.patience))
    }

    /// What to do next, in order. With `writable` false no changes are put under
    /// way, only what answers the peer. Call it after every other call, and when
    /// `writable` becomes true.
    pub fn poll(&mut self, writable: bool, now: Duration) -> Vec<Effect> {
        self.polled = true;
        if std::mem::take(&mut self.worked) || self.owing() {
            self.heard = now;
        }
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
            self.answer_question();
            self.ask(now);
            if writable {
                self.pump(now);
            }
            self.check_goals(now);
        }
        std::mem::take(&mut self.output.effects)
    }

    /// Asks for a reply if somebody waits for one and none is due.
    fn ask(&mut self, now: Duration) {
        if let Some(token) = self.goals.probe(now) {
            self.output.send(&Message::Probe(token));
        }
    }

    /// Whether the peer may be waiting for us.
    fn owing(&self) -> bool {
        self.incoming.committing.is_some() || self.question.is_some()
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
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
        let cursor = cursor.filter(|_| !self.incoming.stuck && self.incoming.doubt.is_none());
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

    /// Saves how far we are when the peer leaves.
    fn save_cursor(&mut self) {
        if self.incoming.gathered.arrivals.is_empty() {
            self.commit_gathered();
        }
    }

    fn answer_question(&mut self) {
        match (&self.answers, self.question.take()) {
            (Some(summary), Some(ranges)) => {
                self.output.send(&Message::Compared(summary.answer(&ranges)));
            }
            (None, Some(ranges)) => {
                self.question = Some(ranges);
                self.summarize();
            }
            (_, None) => {}
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
            let next = match current {
                Some(document) => Some((Arc::clone(document), None)),
                None => self.outgoing.lacking.pop().map(|(document, theirs)| {
                    *current = Some(Arc::clone(&document));
                    (document, Some(theirs))
                }),
            };
            match next {
                Some((document, after)) => {
                    self.outgoing.reading = true;
                    let max_bytes = FILL_BYTES;
                    self.output.effects.push(Effect::ReadDocument { document, after, max_bytes });
                }
                None => self.start(self.outgoing.resume),
            }
        }
        if let Mode::Feeding = self.outgoing.mode {
            self.pump_feed();
        }
    }

    fn pump_feed(&mut self) {
        if self.outgoing.sent.number < self.outgoing.head.number {
            self.outgoing.reading = true;
            let after = self.outgoing.sent.number;
            self.output.effects.push(Effect::ReadFeed { after, max_bytes: FILL_BYTES });
        }
        let mut advance = self.outgoing.untold();
        let sent = self.outgoing.sent.number;
        while let Some((token, _)) =
            self.outgoing.probes.pop_front_if(|(_, number)| *number <= sent)
        {
            if let Some(advance) = advance.take().or_else(|| self.outgoing.last_untold()) {
                self.send_advance(advance);
            }
            self.output.send(&Message::Reply(token));
        }
        if let Some(advance) = advance {
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
            let sent = output.send(message);
            if matches!(message, Message::Changes { .. }) {
                outgoing.sent_changes(sent, before, bytes, now);
            }
        });
    }

    fn check_goals(&mut self, now: Duration) {
        if !matches!(self.outgoing.mode, Mode::Feeding) {
            return;
        }
        let acked = self.outgoing.acked();
        let durable = self.incoming.durable.map(|place| place.number);
        for who in self.goals.reached(acked, durable, self.incoming.durable_frame) {
            match who {
                Who::Caller(id) => self.output.effects.push(Effect::Synced(id)),
                Who::Trust => {
                    self.incoming.doubt = None;
                    self.incoming.gathered.cursor = self.incoming.position;
                    self.commit_gathered();
                }
            }
        }
        if matches!(self.incoming.doubt, Some(Doubt::Acked(number)) if acked >= number) {
            self.incoming.doubt = Some(Doubt::Replied);
            self.goals.add(Who::Trust, 0, Goal::NextProbe);
            self.ask(now);
        }
        if let Stage::Open(hello) = &self.stage {
            let current = durable.is_some_and(|held| held >= hello.head.number);
            if current && acked >= self.outgoing.head.number {
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
