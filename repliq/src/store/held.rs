//! Changes kept aside: stamped too far ahead, or depending on such. They are
//! durable but neither logged, numbered nor seen by anyone, and they never move
//! the clock. For each author and document they follow the log without a gap, so
//! an index of ends says all, and is read only where something is held.

use super::causal::Ready;
use super::error::damaged;
use super::heads::{Appetite, follow};
use super::key::{self, Family};
use super::record::Head;
use super::record::{DocumentNum, HeldTotals, ReplicaNum, SpaceNum, held_value, read_held};
use super::refusal::Refusal;
use super::shared::Shared;
use super::stage::{Origin, Place, Stage, Stop};
use super::submission::{FeedEntry, Outcome};
use bytes::Bytes;
use repliq_core::{Change, ChangeHeader, Dot, ReplicaId, StorageError};
use std::collections::BTreeMap;

/// How many changes a space holds aside at most.
pub(super) const MAX_HELD_CHANGES: u64 = 10_000;

/// How many bytes a space holds aside at most.
pub(super) const MAX_HELD_BYTES: u64 = 64 << 20;

/// How many changes one submission releases at most.
const RELEASE_CHANGES: usize = 1_024;

/// After how many bytes of released changes a submission ends.
const RELEASE_BYTES: usize = 4 << 20;

/// What is held in a space.
#[derive(Default)]
pub(super) struct HeldIndex(BTreeMap<(DocumentNum, ReplicaNum), Run>);

/// Held changes of one author in one document, each right after the other.
#[derive(Clone, Copy)]
struct Run {
    /// The sequence number of the first.
    first: u64,
    /// After the last.
    end: Head,
}

impl HeldIndex {
    fn read(shared: &Shared, space: SpaceNum) -> Result<Self, StorageError> {
        let prefix = key::held_in(space);
        let mut index = Self::default();
        let mut after: Option<Vec<u8>> = None;
        let mut appetite = Appetite::SMALL;
        loop {
            let pairs = shared.backend.scan(&prefix, after.as_deref(), appetite.limit())?;
            let at_end = pairs.len() < appetite.limit();
            appetite = appetite.after(pairs.iter().map(|(_, value)| value.len()).sum());
            for (key, value) in pairs {
                index.read_one(shared, &key, value)?;
                after = Some(key);
            }
            if at_end {
                return Ok(index);
            }
        }
    }

    fn read_one(
        &mut self,
        shared: &Shared,
        key: &[u8],
        value: Vec<u8>,
    ) -> Result<(), StorageError> {
        let [_, document, replica, seq] = key::numbers(Family::Held, key)?;
        let num = ReplicaNum(key::narrow(Family::Held, replica)?);
        let replica = shared.published.read().replicas.named_in(Family::Held, num)?;
        let (_, body) = read_held(value)?;
        let change = Change { dot: Dot { replica, seq }, body };
        let (header, _) =
            change.open().map_err(|error| damaged(Family::Held, &error.to_string()))?;
        if self.add((DocumentNum(document), num), &change, &header) {
            Ok(())
        } else {
            Err(damaged(Family::Held, "a change does not follow the one before it"))
        }
    }

    /// Adds a change at the end of its run; `false` if it does not follow.
    fn add(
        &mut self,
        line: (DocumentNum, ReplicaNum),
        change: &Change,
        header: &ChangeHeader,
    ) -> bool {
        let seq = change.dot.seq;
        let start = Run { first: seq, end: Head { next: seq, chain: header.chain } };
        let run = self.0.entry(line).or_insert(start);
        let follows = run.end.next == seq && run.end.chain == header.chain;
        if follows {
            let next = seq.saturating_add(header.slots);
            run.end = Head { next, chain: change.chain_after() };
        }
        follows
    }

    /// Takes the first change of a run away; it goes up to `next`.
    fn remove_first(&mut self, line: (DocumentNum, ReplicaNum), next: u64) {
        if let Some(run) = self.0.get_mut(&line) {
            run.first = next;
            if run.first >= run.end.next {
                self.0.remove(&line);
            }
        }
    }
}

impl Stage<'_> {
    fn held_index(&mut self, space: SpaceNum) -> Result<&mut HeldIndex, Stop> {
        if !self.memory.held.contains_key(&space) {
            let index = match self.space(space)?.space.record.held.changes {
                0 => HeldIndex::default(),
                _ => HeldIndex::read(self.shared, space)?,
            };
            self.memory.held.insert(space, index);
        }
        Ok(self.memory.held.entry(space).or_default())
    }

    /// The end of what is held of a replica in a document, if something is.
    pub(super) fn held_end(
        &mut self,
        place: Place,
        replica: ReplicaId,
    ) -> Result<Option<Head>, Stop> {
        let (space, document) = place;
        if self.space(space)?.space.record.held.changes == 0 {
            return Ok(None);
        }
        let Some(num) = self.replica_num(replica) else { return Ok(None) };
        let run = self.held_index(space)?.0.get(&(document, num)).copied();
        Ok(run.map(|run| run.end))
    }

    /// Whether the very same change is held under this dot.
    pub(super) fn is_held(&mut self, place: Option<Place>, change: &Change) -> Result<bool, Stop> {
        let Some(place) = place else { return Ok(false) };
        let Some(num) = self.replica_num(change.replica()) else { return Ok(false) };
        Ok(self.read_held(place, num, change.dot.seq)?.is_some_and(|(_, body)| body == change.body))
    }

    fn read_held(
        &mut self,
        (space, document): Place,
        replica: ReplicaNum,
        seq: u64,
    ) -> Result<Option<(u64, Bytes)>, Stop> {
        let key = key::held(space, document, replica, seq);
        let value = match self.staged_value(&key) {
            Some(value) => Some(value.to_vec()),
            None => self.shared.backend.get(&key)?,
        };
        Ok(value.map(read_held).transpose()?)
    }

    /// Refuses a change that the bounds on held changes leave no room for.
    pub(super) fn room_to_hold(&mut self, space: &str, change: &Change) -> Result<(), Stop> {
        let totals = match self.space_num(space) {
            Some(num) => {
                self.held_index(num)?;
                self.space(num)?.space.record.held
            }
            None => HeldTotals::default(),
        };
        let bytes = totals.bytes.saturating_add(change.body.len() as u64);
        if totals.changes >= MAX_HELD_CHANGES || bytes > MAX_HELD_BYTES {
            return Err(Refusal::HeldFull.into());
        }
        Ok(())
    }

    /// Keeps a change aside that was found right but for its time.
    pub(super) fn hold(
        &mut self,
        place: Place,
        change: &Change,
        header: &ChangeHeader,
        origin: Origin,
    ) -> Result<(), Stop> {
        let (space, document) = place;
        let replica = self.intern(change.replica())?;
        if !self.held_index(space)?.add((document, replica), change, header) {
            return Err(Refusal::Fork { replica: change.replica() }.into());
        }
        let key = key::held(space, document, replica, change.dot.seq);
        let value = held_value(origin.num, &change.body);
        self.staged.batch.put(key, value);
        let staged = self.space(space)?;
        staged.space.record.held.changes += 1;
        staged.space.record.held.bytes += change.body.len() as u64;
        staged.dirty = true;
        Ok(())
    }

    /// Logs the held changes of a space whose time has come.
    pub(super) fn release(&mut self, space: &str) -> Result<Outcome, StorageError> {
        let mut changes = Vec::new();
        let more = match self.release_into(space, &mut changes) {
            Ok(more) => more,
            // Damage stays where it is; what came before it is released.
            Err(stop) => stop.refusal().map(|_| false)?,
        };
        Ok(Outcome::Released { changes, more })
    }

    fn release_into(&mut self, space: &str, out: &mut Vec<FeedEntry>) -> Result<bool, Stop> {
        let Some(space) = self.space_num(space) else { return Ok(false) };
        if self.space(space)?.space.record.held.changes == 0 {
            return Ok(false);
        }
        let mut lines: BTreeMap<DocumentNum, Vec<ReplicaNum>> = BTreeMap::new();
        for (document, replica) in self.held_index(space)?.0.keys() {
            lines.entry(*document).or_default().push(*replica);
        }
        let mut bytes = 0;
        for (document, replicas) in lines {
            let mut ready = Ready::new(replicas);
            while let Some(replica) = ready.next() {
                if out.len() >= RELEASE_CHANGES || bytes >= RELEASE_BYTES {
                    return Ok(true);
                }
                let step = self.release_first((space, document), replica, &mut ready);
                match step.or_else(|stop| stop.refusal().map(|_| None))? {
                    Some(entry) => {
                        bytes += entry.change.body.len();
                        out.push(entry);
                    }
                    None => continue,
                }
            }
        }
        Ok(false)
    }

    /// Logs the first held change of a line, if its time has come and all it
    /// depends on is there.
    fn release_first(
        &mut self,
        place: Place,
        num: ReplicaNum,
        ready: &mut Ready<ReplicaNum>,
    ) -> Result<Option<FeedEntry>, Stop> {
        let (space, document) = place;
        let Some(run) = self.held_index(space)?.0.get(&(document, num)).copied() else {
            return Ok(None);
        };
        let replica = self.shared.published.read().replicas.named_in(Family::Held, num)?;
        let (origin, body) = self
            .read_held(place, num, run.first)?
            .ok_or_else(|| damaged(Family::Held, "a change is missing"))?;
        let change = Change { dot: Dot { replica, seq: run.first }, body };
        let head = self.head(place, replica)?;
        let header = follow(&change, head)?;
        if self.is_ahead(&header) {
            return Ok(None);
        }
        for (on, count) in header.deps.iter().filter(|(on, _)| *on != replica) {
            if count > self.head(place, on)?.next {
                if let Some(on) = self.replica_num(on) {
                    ready.wait(num, on, count);
                }
                return Ok(None);
            }
        }
        let origin = self.origin_again(origin)?;
        let entry = self.apply(place, &change, &header, change.chain_after(), origin)?;
        self.forget_held(place, num, &change, &header)?;
        ready.advanced(num, run.first.saturating_add(header.slots));
        ready.again(num);
        Ok(Some(entry))
    }

    fn forget_held(
        &mut self,
        (space, document): Place,
        num: ReplicaNum,
        change: &Change,
        header: &ChangeHeader,
    ) -> Result<(), Stop> {
        let seq = change.dot.seq;
        self.staged.batch.delete(key::held(space, document, num, seq));
        let next = seq.saturating_add(header.slots);
        self.held_index(space)?.remove_first((document, num), next);
        let staged = self.space(space)?;
        let held = &mut staged.space.record.held;
        held.changes = held.changes.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(change.body.len() as u64);
        staged.dirty = true;
        Ok(())
    }
}
