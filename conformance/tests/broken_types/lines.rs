//! A list of lines in the order they were said, right with [`Flaw::None`] and wrong
//! in one place with each other flaw.

use super::Flaw;
use super::Flaw::{self as F};
use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle};
use repliq_core::{Crdt, CrdtError, Cut, Dot, Effects, Stamp, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lines in the order they were said, each with a stamp of its own; a tombstone
/// for what was deleted.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(crate) struct Lines<const N: u8> {
    lines: BTreeMap<Stamp, Option<u64>>,
    arrived: Vec<Stamp>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Say {
    Lines(Vec<u64>),
    Delete(Stamp),
}

#[derive(Clone)]
pub(crate) enum Told {
    Put(usize, u64),
    Gone(usize),
}

pub(crate) enum Undone {
    Take(Stamp),
    Gone(Stamp),
    Put(Stamp, u64),
}

impl<const N: u8> Lines<N> {
    const FLAW: Flaw = Flaw::of(N);

    fn index(&self, at: Stamp) -> usize {
        self.lines.range(..at).filter(|(_, line)| line.is_some()).count()
    }

    fn put(&mut self, at: Stamp, line: u64, fx: &mut Effects<Self>) {
        let index = self.index(at);
        self.lines.insert(at, Some(line));
        fx.event(|| Told::Put(index, line));
        fx.undo(|| Undone::Take(at));
    }

    fn delete(&mut self, at: Stamp, fx: &mut Effects<Self>) {
        let index = self.index(at);
        if let Some(line) = self.lines.get_mut(&at).and_then(Option::take) {
            fx.event(|| Told::Gone(index));
            fx.undo(|| Undone::Put(at, line));
        }
    }
}

impl<const N: u8> Crdt for Lines<N> {
    const KIND: &'static str = "blind-lines/1";
    type Op = Say;
    type Event = Told;
    type Undo = Undone;

    fn slots(op: &Say) -> u64 {
        match op {
            Say::Lines(lines) => lines.len().max(1) as u64,
            _ => 1,
        }
    }

    fn apply(&mut self, op: Say, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match op {
            Say::Lines(lines) if lines.is_empty() => return Err(CrdtError::Invalid("no lines")),
            Say::Lines(lines) => {
                let mut own = at;
                let count = lines.len();
                if Self::FLAW == F::TellsBackwards {
                    let mut silent = Effects::new(false, fx.wants_undo());
                    let index = self.index(at);
                    for line in &lines {
                        self.put(own, *line, &mut silent);
                        own.dot.seq += 1;
                    }
                    for (offset, line) in lines.iter().enumerate().rev() {
                        fx.event(|| Told::Put(index + offset, *line));
                    }
                    for undo in silent.take_undos() {
                        fx.undo(|| undo);
                    }
                    return Ok(());
                }
                for (i, line) in lines.into_iter().enumerate() {
                    if Self::FLAW == F::UndoesOneOfMany && i + 1 < count {
                        let mut told = Effects::new(true, false);
                        self.put(own, line, &mut told);
                        for event in told.take_events() {
                            fx.event(|| event);
                        }
                    } else {
                        self.put(own, line, fx);
                    }
                    if Self::FLAW != F::LinesShareAStamp {
                        own.dot.seq += 1;
                    }
                }
                if Self::FLAW == F::KeepsTheOrderOfArrival {
                    self.arrived.push(at);
                }
            }
            Say::Delete(at) => self.delete(at, fx),
        }
        Ok(())
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        let own: Vec<Stamp> = self.lines.keys().copied().collect();
        for at in own {
            match other.lines.get(&at) {
                Some(None) => self.delete(at, fx),
                None if theirs.contains(at.dot) => {
                    self.delete(at, fx);
                    self.lines.remove(&at);
                    fx.undo(|| Undone::Gone(at));
                }
                _ => {}
            }
        }
        let before = self.clone();
        for (at, line) in other.lines {
            if self.lines.contains_key(&at) || mine.contains(at.dot) {
                continue;
            }
            match line {
                Some(line) if Self::FLAW == F::TellsOldPositions => {
                    let index = before.index(at);
                    self.put(at, line, &mut Effects::silent());
                    fx.event(|| Told::Put(index, line));
                }
                Some(line) => self.put(at, line, fx),
                None if Self::FLAW == F::JoinLeavesOutTombstones => {}
                None => {
                    self.lines.insert(at, None);
                    fx.undo(|| Undone::Take(at));
                }
            }
        }
    }

    fn rollback(&mut self, undo: Undone) {
        match undo {
            Undone::Take(at) if Self::FLAW == F::RollbackLeavesATombstone => {
                self.lines.insert(at, None);
            }
            Undone::Take(at) => drop(self.lines.remove(&at)),
            Undone::Gone(at) => {
                self.lines.insert(at, None);
            }
            Undone::Put(at, line) => drop(self.lines.insert(at, Some(line))),
        }
    }

    fn prune(&mut self, cut: &Cut) {
        match Self::FLAW {
            F::PruneTakesWhatIsOld => self.lines.retain(|at, _| at.hlc >= cut.floor),
            _ => self.lines.retain(|at, line| line.is_some() || !cut.version.contains(at.dot)),
        }
    }
}

pub(crate) struct Model;

pub(crate) fn say<const N: u8>(rng: &mut Rng, state: &Lines<N>) -> Option<Say> {
    let there: Vec<_> =
        state.lines.iter().filter(|(_, line)| line.is_some()).map(|(at, _)| *at).collect();
    if !there.is_empty() && rng.below(3) == 0 {
        return Some(Say::Delete(there[rng.below(there.len())]));
    }
    Some(Say::Lines((0..=rng.below(3)).map(|_| rng.bits()).collect()))
}

impl<const N: u8> Oracle<Lines<N>> for Model {
    type View = Vec<u64>;

    fn view(state: &Lines<N>) -> Vec<u64> {
        state.lines.values().flatten().copied().collect()
    }

    fn patch(view: &mut Vec<u64>, event: Told) {
        match event {
            Told::Put(index, line) => view.insert(index.min(view.len()), line),
            Told::Gone(index) if index < view.len() => drop(view.remove(index)),
            Told::Gone(_) => {}
        }
    }

    fn expected(history: &History<Say>) -> Vec<u64> {
        let mut lines = BTreeMap::new();
        for said in history {
            if let Say::Lines(new) = &said.op {
                for (line, seq) in new.iter().zip(said.at.dot.seq..) {
                    lines.insert(Stamp { dot: Dot { seq, ..said.at.dot }, ..said.at }, *line);
                }
            }
        }
        for said in history {
            if let Say::Delete(at) = &said.op {
                lines.remove(at);
            }
        }
        lines.into_values().collect()
    }

    fn refused(_: &mut Rng, _: &Lines<N>) -> Option<Say> {
        Some(Say::Lines(Vec::new()))
    }
}
