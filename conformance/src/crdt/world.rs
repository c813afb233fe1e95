//! A simulated network of replicas: they edit concurrently, by clocks made for
//! trouble, and are told of each other's changes exactly once, after what those
//! changes build on, in any order that allows.

use super::harness::{CrdtHarness, Said};
use crate::case::{CaseResult, Failure, Rng};
use repliq_core::{
    Crdt, CrdtError, Cursor, Cut, Dot, Effects, Hlc, ReplicaId, Stamp, Transaction, TransactionLog,
    Version, encode,
};

/// The op of the type under test.
pub(super) type OpOf<H> = <<H as CrdtHarness>::Crdt as Crdt>::Op;

/// How the clocks of a world are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// All walls stand still at one moment: concurrent edits get equal times.
    Equal,
    /// Every wall is somewhere else, years apart.
    Apart,
    /// Every wall jumps back and forth at random.
    Jumping,
    /// The first edits get time 0.
    Early,
    /// Time runs out: the last edits get the largest time there is.
    Late,
}

impl Time {
    /// Any but the end of time, where later edits do not get later times.
    pub(super) fn ordinary(rng: &mut Rng) -> Self {
        [Self::Equal, Self::Equal, Self::Apart, Self::Jumping, Self::Early][rng.below(5)]
    }

    fn wall(self, rng: &mut Rng) -> Hlc {
        match self {
            Self::Equal => Hlc(1 << 40),
            Self::Apart | Self::Jumping => Hlc(rng.bits() >> 7),
            Self::Early => Hlc(0),
            Self::Late => Hlc(u64::MAX - rng.below(40) as u64),
        }
    }
}

/// One replica.
pub(super) struct Peer<C> {
    pub(super) id: ReplicaId,
    pub(super) state: C,
    pub(super) version: Version,
    /// The changes it holds, in the order they came.
    pub(super) held: Vec<usize>,
    last: Option<Hlc>,
    wall: Hlc,
}

/// One committed transaction.
pub(super) struct Commit<Op> {
    pub(super) dot: Dot,
    pub(super) end: u64,
    pub(super) first: Hlc,
    /// What the author had seen before.
    pub(super) past: Version,
    pub(super) ops: Vec<(Op, Stamp)>,
}

/// Replicas, and everything that any of them has said.
pub(super) struct World<'h, H: CrdtHarness> {
    pub(super) harness: &'h H,
    pub(super) peers: Vec<Peer<H::Crdt>>,
    pub(super) commits: Vec<Commit<OpOf<H>>>,
    time: Time,
}

struct Recorder<Op> {
    first: Hlc,
    ops: Vec<Op>,
    /// Whether ops are made one where the type can do that.
    grows: bool,
}

impl<C: Crdt> TransactionLog<C> for Recorder<C::Op> {
    fn begin(&mut self) -> Hlc {
        self.first
    }

    fn grow(&mut self, op: &mut C::Op) -> Option<u64> {
        let last = self.ops.last_mut().filter(|last| self.grows && C::may_grow(last))?;
        C::grow(last, op).then(|| C::slots(last))
    }

    fn record(&mut self, op: &C::Op) -> Result<(), CrdtError> {
        self.ops.push(op.clone());
        Ok(())
    }
}

impl<'h, H: CrdtHarness> World<'h, H> {
    /// A world of two to four replicas that hold nothing yet.
    pub(super) fn new(harness: &'h H, rng: &mut Rng, time: Time) -> Self {
        let peers = 2 + rng.below(3);
        let peers = (0..peers).map(|number| Peer::new(number, rng, time)).collect();
        Self { harness, peers, commits: Vec::new(), time }
    }

    /// A world in which `steps` edits and deliveries have happened, in disorder.
    pub(super) fn lived(
        harness: &'h H,
        rng: &mut Rng,
        time: Time,
        steps: usize,
    ) -> Result<Self, Failure> {
        let mut world = Self::new(harness, rng, time);
        world.live(rng, steps)?;
        Ok(world)
    }

    /// `steps` edits and deliveries.
    pub(super) fn live(&mut self, rng: &mut Rng, steps: usize) -> CaseResult {
        for _ in 0..steps {
            let peer = rng.below(self.peers.len());
            let waiting = self.deliverable(peer);
            if rng.below(5) < 3 || waiting.is_empty() {
                let ops = 1 + rng.below(3);
                self.edit(rng, peer, ops)?;
            } else {
                self.deliver(peer, waiting[rng.below(waiting.len())])?;
            }
        }
        Ok(())
    }

    /// Makes up to `ops` edits on one replica, as one transaction.
    pub(super) fn edit(&mut self, rng: &mut Rng, peer: usize, ops: usize) -> CaseResult {
        self.edit_reporting(rng, peer, ops, &mut Effects::silent())
    }

    /// As [`World::edit`], and reports what happens.
    pub(super) fn edit_reporting(
        &mut self,
        rng: &mut Rng,
        peer: usize,
        ops: usize,
        effects: &mut Effects<H::Crdt>,
    ) -> CaseResult {
        self.edit_recording(rng, peer, ops, false, effects)
    }

    /// As [`World::edit`], with as few ops as the type makes of it.
    pub(super) fn edit_as_one(&mut self, rng: &mut Rng, peer: usize, ops: usize) -> CaseResult {
        self.edit_recording(rng, peer, ops, true, &mut Effects::silent())
    }

    fn edit_recording(
        &mut self,
        rng: &mut Rng,
        peer: usize,
        ops: usize,
        grows: bool,
        effects: &mut Effects<H::Crdt>,
    ) -> CaseResult {
        let (harness, time) = (self.harness, self.time);
        let author = &mut self.peers[peer];
        let Some(first) = author.next(rng, time, ops) else { return Ok(()) };
        let past = author.version.clone();
        let dot = Dot { replica: author.id, seq: past.get(author.id) };
        let recorder = Recorder { first, ops: Vec::new(), grows };
        let mut transaction = Transaction::new(&mut author.state, dot, effects, recorder);
        for _ in 0..ops {
            if let Some(op) = harness.edit(rng, transaction.state()) {
                transaction.push(op)?;
            }
        }
        let (extent, recorder) = transaction.finish()?;
        if extent.ops == 0 {
            return Ok(());
        }
        let mut seq = dot.seq;
        let mut ops = Vec::new();
        for (op, later) in recorder.ops.into_iter().zip(0..) {
            let slots = H::Crdt::slots(&op);
            ops.push((op, Stamp { hlc: first.plus(later), dot: Dot { seq, ..dot } }));
            seq += slots;
        }
        author.last = Some(first.plus(extent.ops - 1));
        author.version.advance(author.id, seq);
        author.held.push(self.commits.len());
        self.commits.push(Commit { dot, end: seq, first, past, ops });
        Ok(())
    }

    /// Tells a replica of a change.
    pub(super) fn deliver(&mut self, peer: usize, commit: usize) -> CaseResult {
        self.deliver_reporting(peer, commit, &mut Effects::silent())
    }

    /// As [`World::deliver`], and reports what happens.
    pub(super) fn deliver_reporting(
        &mut self,
        peer: usize,
        commit: usize,
        effects: &mut Effects<H::Crdt>,
    ) -> CaseResult {
        let peer = &mut self.peers[peer];
        let said = &self.commits[commit];
        for (op, at) in &said.ops {
            peer.state.apply(op.clone(), *at, effects)?;
            peer.last = peer.last.max(Some(at.hlc));
        }
        peer.version.advance(said.dot.replica, said.end);
        peer.held.push(commit);
        Ok(())
    }

    /// The changes that a replica may be told of next.
    pub(super) fn deliverable(&self, peer: usize) -> Vec<usize> {
        next_of(&self.commits, &self.peers[peer].version)
    }

    /// Tells every replica of everything, in disorder.
    pub(super) fn settle(&mut self, rng: &mut Rng) -> CaseResult {
        loop {
            let behind: Vec<_> =
                (0..self.peers.len()).filter(|&peer| !self.deliverable(peer).is_empty()).collect();
            if behind.is_empty() {
                return Ok(());
            }
            let peer = behind[rng.below(behind.len())];
            let waiting = self.deliverable(peer);
            self.deliver(peer, waiting[rng.below(waiting.len())])?;
        }
    }

    /// The changes of `set` in a random order that respects causality. The set
    /// must hold the past of each of its members.
    pub(super) fn shuffled(&self, rng: &mut Rng, set: &[usize]) -> Vec<usize> {
        let mut version = Version::new();
        let mut order = Vec::new();
        while order.len() < set.len() {
            let next = next_of(&self.commits, &version);
            let next: Vec<_> = next.into_iter().filter(|commit| set.contains(commit)).collect();
            let commit = next[rng.below(next.len())];
            version.advance(self.commits[commit].dot.replica, self.commits[commit].end);
            order.push(commit);
        }
        order
    }

    /// The state after these changes in this order.
    pub(super) fn replay(&self, order: &[usize]) -> Result<H::Crdt, Failure> {
        let mut state = H::Crdt::default();
        for &commit in order {
            for (op, at) in &self.commits[commit].ops {
                state.apply(op.clone(), *at, &mut Effects::silent())?;
            }
        }
        Ok(state)
    }

    /// The version of who holds these changes.
    pub(super) fn version(&self, set: &[usize]) -> Version {
        set.iter().map(|&c| (self.commits[c].dot.replica, self.commits[c].end)).collect()
    }

    /// A replica's state made anew, by its changes in another order.
    pub(super) fn copy(&self, rng: &mut Rng, peer: usize) -> Result<H::Crdt, Failure> {
        self.replay(&self.shuffled(rng, &self.peers[peer].held))
    }

    /// The changes that either replica holds, in a causal order.
    pub(super) fn union(&self, peers: &[usize]) -> Vec<usize> {
        let mut union: Vec<_> =
            peers.iter().flat_map(|&peer| self.peers[peer].held.iter().copied()).collect();
        union.sort_unstable();
        union.dedup();
        union
    }

    /// These changes as the oracle takes them.
    pub(super) fn history(&self, order: &[usize]) -> Vec<Said<OpOf<H>>> {
        let mut history = Vec::new();
        for &commit in order {
            let commit = &self.commits[commit];
            for (op, at) in &commit.ops {
                let mut past = commit.past.clone();
                past.advance(at.dot.replica, at.dot.seq);
                history.push(Said { op: op.clone(), at: *at, past });
            }
        }
        history
    }

    /// A stamp after all that was said, of a replica of which nobody knows yet.
    pub(super) fn later(&self) -> Stamp {
        let said = self.commits.iter().flat_map(|commit| &commit.ops).map(|(_, at)| at.hlc);
        let hlc = said.max().map_or(Hlc(1), |last| last.plus(1));
        Stamp { hlc, dot: Dot { replica: ReplicaId::from_bytes([0xff; 16]), seq: 0 } }
    }

    /// Fails unless this replica shows what the oracle says.
    pub(super) fn check(&self, peer: usize) -> CaseResult {
        let Peer { state, held, .. } = &self.peers[peer];
        self.check_view(state, held)
    }

    /// Fails unless this state, which holds these changes, shows what the oracle says.
    pub(super) fn check_view(&self, state: &H::Crdt, held: &[usize]) -> CaseResult {
        let (seen, expected) =
            (self.harness.view(state), self.harness.expected(&self.history(held)));
        if seen == expected {
            return Ok(());
        }
        Err(Failure::Broken(format!("a reader sees {seen:?}; by the oracle it is {expected:?}")))
    }

    /// Fails unless both states have the same bytes and show the same.
    pub(super) fn check_same(&self, what: &str, a: &H::Crdt, b: &H::Crdt) -> CaseResult {
        check_same(self.harness, what, a, b)
    }

    /// The largest cut that this replica may prune by.
    ///
    /// Everybody holds its version, and every change this replica does not hold
    /// builds on it: an author's acknowledgement comes after its earlier changes.
    /// Nothing that somebody does not hold is before its floor.
    pub(super) fn cut(&self, peer: usize) -> Cut {
        let mut version = self.peers[peer].version.clone();
        let mut floor = Hlc(u64::MAX);
        for other in &self.peers {
            version.meet(&other.version);
            floor = floor.min(other.last.map_or(Hlc(0), |last| last.plus(1)));
        }
        for commit in &self.commits {
            if !self.peers[peer].version.contains(commit.dot) {
                version.meet(&commit.past);
            }
            if !self.peers.iter().all(|other| other.version.contains(commit.dot)) {
                floor = floor.min(commit.first);
            }
        }
        Cut { version, floor }
    }
}

impl<C: Crdt> Peer<C> {
    fn new(number: usize, rng: &mut Rng, time: Time) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&rng.bytes(16));
        id[15] = number.to_le_bytes()[0];
        let id = ReplicaId::from_bytes(id);
        let (state, version, held) = (C::default(), Version::new(), Vec::new());
        Self { id, state, version, held, last: None, wall: time.wall(rng) }
    }

    /// The first of the next `ops` times, or `None` when there are no more.
    fn next(&mut self, rng: &mut Rng, time: Time, ops: usize) -> Option<Hlc> {
        if time == Time::Jumping {
            self.wall = time.wall(rng);
        }
        let after = match self.last {
            Some(last) => last.0.checked_add(1)?,
            None => 0,
        };
        let first = after.max(self.wall.0);
        first.checked_add(ops as u64 - 1).map(|_| Hlc(first))
    }
}

/// Fails unless both states have the same bytes and show the same.
pub(super) fn check_same<H: CrdtHarness>(
    harness: &H,
    what: &str,
    a: &H::Crdt,
    b: &H::Crdt,
) -> CaseResult {
    let (seen, other) = (harness.view(a), harness.view(b));
    if seen != other {
        return Err(Failure::Broken(format!("{what}: one shows {seen:?}, the other {other:?}")));
    }
    if encode(a) != encode(b) {
        let what = format!("{what}: both show {seen:?}, but their bytes differ");
        return Err(Failure::Broken(what));
    }
    Ok(())
}

fn next_of<Op>(commits: &[Commit<Op>], version: &Version) -> Vec<usize> {
    let next = |commit: &Commit<Op>| {
        version.get(commit.dot.replica) == commit.dot.seq && version.covers(&commit.past)
    };
    (0..commits.len()).filter(|&number| next(&commits[number])).collect()
}
