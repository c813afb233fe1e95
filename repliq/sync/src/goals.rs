//! Who waits for agreement, and what is still missing for it.
//!
//! It promises that a waiter is told only after the peer has answered a question
//! that was sent after the waiter asked, and that at most one such question is
//! open, however many wait. It never sends anything itself.

use std::time::Duration;

/// What a waiter still needs of the peer's feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// Whatever the peer's hello will say.
    Hello,
    /// The next probe.
    NextProbe,
    /// The reply to the open probe.
    Reply,
    /// A number in the peer's feed.
    Number(u64),
    /// The last frame with changes before the reply.
    Frame(u64),
}

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// The caller of [`Session::synced`](crate::Session::synced) with this id.
    Caller(u64),
    /// The session, before it trusts the peer's feed.
    Trust,
}

struct Waiter {
    who: Who,
    /// How much of our own feed the peer must hold.
    own: u64,
    goal: Goal,
}

struct Probe {
    token: u64,
    asked: Duration,
}

/// The waiters of one session.
#[derive(Default)]
pub(crate) struct Goals {
    waiters: Vec<Waiter>,
    probes: u64,
    open: Option<Probe>,
}

impl Goals {
    pub(crate) fn add(&mut self, who: Who, own: u64, goal: Goal) {
        self.waiters.push(Waiter { who, own, goal });
    }

    /// Takes in where the peer's feed ended when it said hello.
    pub(crate) fn greeted(&mut self, number: u64) {
        self.turn(Goal::Hello, Goal::Number(number));
    }

    /// The token of a probe to send now.
    pub(crate) fn probe(&mut self, now: Duration) -> Option<u64> {
        if self.open.is_some() || !self.waiters.iter().any(|w| w.goal == Goal::NextProbe) {
            return None;
        }
        self.turn(Goal::NextProbe, Goal::Reply);
        self.probes += 1;
        self.open = Some(Probe { token: self.probes, asked: now });
        Some(self.probes)
    }

    /// Takes in a reply; `frame` is the last frame with changes before it.
    pub(crate) fn replied(&mut self, token: u64, frame: u64) {
        if self.open.take_if(|probe| probe.token == token).is_some() {
            self.turn(Goal::Reply, Goal::Frame(frame));
        }
    }

    /// Since when a reply is waited for.
    pub(crate) fn asked(&self) -> Option<Duration> {
        self.open.as_ref().map(|probe| probe.asked)
    }

    /// Removes and gives the waiters whose goals are reached, when the peer has
    /// acknowledged our feed up to `acked`, and its own feed is durable here up
    /// to `number` and `frame`.
    pub(crate) fn reached(&mut self, acked: u64, number: Option<u64>, frame: u64) -> Vec<Who> {
        let reached = |waiter: &mut Waiter| {
            let theirs = match waiter.goal {
                Goal::Number(goal) => number.is_some_and(|held| held >= goal),
                Goal::Frame(goal) => frame >= goal,
                Goal::Hello | Goal::NextProbe | Goal::Reply => false,
            };
            theirs && acked >= waiter.own
        };
        self.waiters.extract_if(.., reached).map(|waiter| waiter.who).collect()
    }

    fn turn(&mut self, from: Goal, to: Goal) {
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.goal == from) {
            waiter.goal = to;
        }
    }
}
