//! The changes of one document that somebody lacks, in causal order. It merges
//! the logs of the replicas, each in its own order, holding a bounded piece of
//! each. It gives out nothing that was committed after it was made, and nothing
//! before what it depends on.

use super::causal::Ready;
use super::error::{StoreError, damaged};
use super::heads::Appetite;
use super::key::{self, Family};
use super::record::ReplicaNum;
use super::shared::Shared;
use super::stage::Place;
use bytes::Bytes;
use repliq_core::{Change, ChangeHeader, Dot, ReplicaId, StorageError, Version};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Changes in causal order, a chunk at a time.
pub(crate) struct ChangeReader {
    shared: Arc<Shared>,
    place: Place,
    /// What was given out, or was there before.
    given: Version,
    lines: BTreeMap<ReplicaId, Line>,
    ready: Ready<ReplicaId>,
}

/// The changes of one replica that are still to come.
struct Line {
    num: ReplicaNum,
    /// How far to read.
    target: u64,
    /// After which sequence number to look.
    after: Option<u64>,
    /// Read, but not given out.
    buffer: VecDeque<(Change, ChangeHeader)>,
    appetite: Appetite,
}

impl ChangeReader {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: Place,
        after: &Version,
        target: &Version,
    ) -> Self {
        let mut lines = BTreeMap::new();
        for (replica, target) in target.iter() {
            let held = after.get(replica);
            let num = shared.published.read().replicas.num(replica);
            if let Some(num) = num.filter(|_| target > held) {
                let after = held.checked_sub(1);
                let (buffer, appetite) = (VecDeque::new(), Appetite::SMALL);
                lines.insert(replica, Line { num, target, after, buffer, appetite });
            }
        }
        let ready = Ready::new(lines.keys().copied().collect::<Vec<_>>());
        Self { shared, place, given: after.clone(), lines, ready }
    }

    /// The next changes: at most `max_bytes` of bodies, but at least one change.
    /// Nothing at the end.
    ///
    /// # Errors
    /// [`StoreError`] when the backend fails or what it holds is damaged. After
    /// an error, make a new reader.
    pub(crate) fn next_chunk(&mut self, max_bytes: usize) -> Result<Vec<Change>, StoreError> {
        self.shared.published.read().usable()?;
        let mut chunk = Vec::new();
        let mut left = max_bytes;
        while let Some(replica) = self.ready.next() {
            let Some(line) = self.lines.get_mut(&replica) else { continue };
            if !line.fill(&self.shared, self.place, replica)? {
                continue;
            }
            let Some((change, header)) = line.buffer.front() else { continue };
            if let Some((on, count)) = unmet(header, replica, &self.given) {
                self.ready.wait(replica, on, count);
                continue;
            }
            if !chunk.is_empty() && change.body.len() > left {
                self.ready.again(replica);
                break;
            }
            left = left.saturating_sub(change.body.len());
            let next = change.dot.seq.saturating_add(header.slots);
            chunk.extend(line.buffer.pop_front().map(|(change, _)| change));
            self.given.advance(replica, next);
            self.ready.advanced(replica, next);
            self.ready.again(replica);
        }
        Ok(chunk)
    }
}

/// The first thing that a change depends on and that is not there yet.
fn unmet(header: &ChangeHeader, author: ReplicaId, given: &Version) -> Option<(ReplicaId, u64)> {
    let mut deps = header.deps.iter().filter(|(replica, _)| *replica != author);
    deps.find(|(replica, count)| given.get(*replica) < *count)
}

impl Line {
    /// Reads on if nothing is left; `false` at the end.
    fn fill(
        &mut self,
        shared: &Shared,
        place: Place,
        replica: ReplicaId,
    ) -> Result<bool, StorageError> {
        if !self.buffer.is_empty() {
            return Ok(true);
        }
        if self.after.is_some_and(|after| after.saturating_add(1) >= self.target) {
            return Ok(false);
        }
        let (space, document) = place;
        let prefix = key::log_by(space, document, self.num);
        let after = self.after.map(|seq| key::log(space, document, self.num, seq));
        let pairs = shared.backend.scan(&prefix, after.as_deref(), self.appetite.limit())?;
        self.appetite = self.appetite.after(pairs.iter().map(|(_, body)| body.len()).sum());
        for (key, body) in pairs {
            let [_, _, _, seq] = key::numbers(Family::Log, &key)?;
            if seq >= self.target {
                break;
            }
            let change = Change { dot: Dot { replica, seq }, body: Bytes::from(body) };
            let (header, _) =
                change.open().map_err(|error| damaged(Family::Log, &error.to_string()))?;
            self.after = Some(seq.saturating_add(header.slots) - 1);
            self.buffer.push_back((change, header));
        }
        Ok(!self.buffer.is_empty())
    }
}
