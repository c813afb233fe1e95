//! What a session makes of each message of its peer.
//!
//! Every message is checked against what the peer may say at that point; what it
//! may not say is a [`SessionError`]. Nothing here waits, and nothing a peer
//! sends is kept without a bound.

use super::{Session, Stage, obviously_valid};
use crate::contract::{Effect, Role};
use crate::error::{Farewell, SessionError};
use crate::message::{Hello, Message, Position};
use crate::output::{MAX_FRAME, MIN_FRAME};
use crate::wire::{decode_frame, decode_hello, decode_message, encode_hello, is_hello};
use bytes::Bytes;
use std::time::Duration;

/// Probes that may wait for a reply. We open one at a time.
const OPEN_PROBES: usize = 64;

impl Session {
    pub(super) fn take_frame(&mut self, frame: &Bytes, now: Duration) -> Result<(), SessionError> {
        if frame.len() > MAX_FRAME as usize {
            return Err(SessionError::Malformed("a frame over 256 KiB"));
        }
        match &self.stage {
            Stage::Over => return Ok(()),
            Stage::Greeting => return self.receive_hello(frame),
            Stage::Identifying(_) | Stage::Open(_) => {}
        }
        if is_hello(frame) {
            // The hello once more: connections that repeat frames are harmless.
            return Ok(());
        }
        if matches!(self.stage, Stage::Identifying(_)) {
            let why = "a frame was passed in before the peer was identified";
            return Err(SessionError::Store(why.into()));
        }
        let decoded = decode_frame(frame)?;
        if self.incoming.count(decoded.number)? {
            self.handle(decoded.number, &decoded.message, frame, now)?;
        }
        Ok(())
    }

    fn receive_hello(&mut self, frame: &Bytes) -> Result<(), SessionError> {
        let mut hello = decode_hello(frame).map_err(|error| match error {
            // A peer whose hello was lost on the way: calling again helps.
            SessionError::NotRepliq if decode_frame(frame).is_ok() => {
                SessionError::Malformed("a frame came before the hello")
            }
            // The versions in our hello tell the peer what we speak.
            SessionError::Version { .. } => {
                self.answer_hello();
                error
            }
            error => error,
        })?;
        if hello.replica == self.config.replica {
            self.answer_hello();
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
        hello.extensions.clear();
        let (peer, space, claim) = (hello.replica, hello.space.clone(), hello.cursor);
        self.output.effects.push(Effect::Identify { peer, space, claim });
        self.stage = Stage::Identifying(hello);
        Ok(())
    }

    /// Says hello to a peer that is refused, so that it learns why.
    fn answer_hello(&mut self) {
        if self.config.role == Role::Acceptor {
            self.say_hello(None);
        }
    }

    pub(super) fn say_hello(&mut self, cursor: Option<Position>) {
        self.greeted = self.outgoing.head;
        self.claimed = cursor;
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

    fn handle(
        &mut self,
        frame: u64,
        message: &Message<'_>,
        bytes: &Bytes,
        now: Duration,
    ) -> Result<(), SessionError> {
        if !matches!(message, Message::Fragment { .. }) && self.incoming.in_fragments() {
            return Err(SessionError::Malformed("a message between fragments"));
        }
        if !matches!(message, Message::Ack { .. } | Message::Probe(_)) {
            self.heard = now;
        }
        match message {
            Message::Changes { documents, replicas, advance, entries } => {
                self.incoming.name(documents, replicas)?;
                self.incoming.gather(frame, bytes, entries, *advance)?;
            }
            Message::Ack { frame, .. } if *frame > self.output.last_frame() => {
                return Err(SessionError::Malformed("an ack for a frame never sent"));
            }
            Message::Ack { frame, volatile } => {
                self.peer_volatile = *volatile;
                self.outgoing.ack(*frame, now);
            }
            Message::Start(place) => self.started(*place)?,
            Message::Forget => self.incoming.forget(),
            Message::Refuse(changes) => {
                let changes = changes.clone();
                self.output.effects.push(Effect::Refused { by_peer: true, changes });
            }
            Message::Probe(token) if self.outgoing.probes.len() < OPEN_PROBES => {
                self.outgoing.probes.push_back((*token, self.outgoing.head.number));
            }
            Message::Probe(_) => return Err(SessionError::Malformed("too many open probes")),
            Message::Reply(token) => self.goals.replied(*token, self.incoming.last_frame),
            Message::Compare(ranges) if self.incoming.position.is_none() => {
                if self.question.replace(ranges.clone()).is_some() {
                    return Err(SessionError::Malformed("a question before the last was answered"));
                }
            }
            Message::Compare(_) => {
                return Err(SessionError::Malformed("a question after the feed started"));
            }
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
            Message::Goodbye(Farewell::Done) => {
                self.save_cursor();
                self.end(Ok(()));
            }
            Message::Goodbye(why) => self.end(Err(SessionError::Farewell(*why))),
        }
        Ok(())
    }

    /// The peer's feed starts, or goes on in another epoch.
    fn started(&mut self, place: Position) -> Result<(), SessionError> {
        match self.incoming.position {
            None => {
                // The peer found our cursor in its feed: it still has all that it gave us.
                if self.claimed == Some(place) && place.number > 0 {
                    self.outgoing.skip_after = 0;
                    self.incoming.doubt = None;
                }
            }
            Some(before) if place.number >= before.number => {}
            Some(_) => return Err(SessionError::Malformed("a feed that goes back")),
        }
        // The peer asks no more questions.
        self.answers = None;
        self.incoming.position = Some(place);
        if self.incoming.gathered.arrivals.is_empty() && self.incoming.committing.is_none() {
            self.incoming.durable = Some(place);
        }
        self.incoming.gathered.cursor = Some(place);
        Ok(())
    }

    /// Whether the peer confirmed in its hello that our cursor is in its feed.
    pub(super) fn confirmed(&self, head: Position) -> Option<Position> {
        self.claimed.filter(|cursor| obviously_valid(*cursor, head))
    }
}
