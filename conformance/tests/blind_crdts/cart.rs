//! A set in which adding wins over a concurrent removal, and a list of lines in
//! the order they were said: each right with [`Flaw::None`](crate::Flaw), else
//! wrong in one place.

use crate::Flaw;
use crate::Flaw::{self as F};
use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle};
use repliq_core::{Crdt, CrdtError, Cut, Dot, Effects, Stamp, Version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Each item with the additions that nobody has removed. The number names its flaw.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(crate) struct Cart<const N: u8> {
    items: BTreeMap<u8, BTreeSet<Dot>>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Edit {
    Add(u8),
    Remove(u8, Vec<Dot>),
    AddAll(Vec<u8>),
}

#[derive(Clone)]
pub(crate) enum Change {
    Added(u8),
    Removed(u8),
}

pub(crate) struct Before(u8, Option<BTreeSet<Dot>>);

impl<const N: u8> Cart<N> {
    const FLAW: Flaw = Flaw::of(N);

    fn change(&mut self, item: u8, dots: BTreeSet<Dot>, fx: &mut Effects<Self>) {
        let before = self.items.get(&item).cloned();
        if before.as_ref() == Some(&dots) || before.is_none() && dots.is_empty() {
            return;
        }
        let here = !dots.is_empty();
        if here || Self::FLAW == F::EmptyEntryStays {
            self.items.insert(item, dots);
        } else {
            self.items.remove(&item);
        }
        let was_here = before.as_ref().is_some_and(|before| !before.is_empty());
        match (was_here, here) {
            (false, true) => fx.event(|| Change::Added(item)),
            (true, false) => fx.event(|| Change::Removed(item)),
            (true, true) if Self::FLAW == F::TellsARemovalThatIsNone => {
                fx.event(|| Change::Removed(item))
            }
            _ => {}
        }
        fx.undo(|| Before(item, before));
    }

    fn add(&mut self, item: u8, dot: Dot, fx: &mut Effects<Self>) {
        let mut dots = self.items.get(&item).cloned().unwrap_or_default();
        dots.insert(dot);
        self.change(item, dots, fx);
    }
}

impl<const N: u8> Crdt for Cart<N> {
    const KIND: &'static str = "blind-cart/1";
    type Op = Edit;
    type Event = Change;
    type Undo = Before;

    fn slots(op: &Edit) -> u64 {
        match op {
            Edit::AddAll(items) if Self::FLAW != F::OneSlotForMany => items.len().max(1) as u64,
            _ => 1,
        }
    }

    fn apply(&mut self, op: Edit, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        match op {
            Edit::Add(item) if item > 200 => return Err(CrdtError::Invalid("no such item")),
            Edit::Add(item) => self.add(item, at.dot, fx),
            Edit::AddAll(items) => {
                if Self::FLAW != F::RefusedHalfway && items.iter().any(|item| *item > 200) {
                    return Err(CrdtError::Invalid("no such item"));
                }
                let mut dot = at.dot;
                for item in items {
                    if item > 200 {
                        return Err(CrdtError::Invalid("no such item"));
                    }
                    self.add(item, dot, fx);
                    dot.seq += 1;
                }
            }
            Edit::Remove(item, gone) => {
                if Self::FLAW == F::PanicsOnWhatIsGone {
                    assert!(self.items.contains_key(&item), "what is removed is there");
                }
                if Self::FLAW == F::RefusesWhatIsGone && !self.items.contains_key(&item) {
                    return Err(CrdtError::Invalid("no such item"));
                }
                let mut dots = self.items.get(&item).cloned().unwrap_or_default();
                if Self::FLAW == F::RemovesConcurrentAdditions {
                    dots.clear();
                }
                dots.retain(|dot| !gone.contains(dot));
                self.change(item, dots, fx);
            }
        }
        Ok(())
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        match Self::FLAW {
            F::EmptyJoinsNothing if other.items.is_empty() => return,
            F::JoinCopiesWhatIsAhead if theirs.covers(mine) => {
                *self = other;
                return;
            }
            F::JoinSkipsTheLessSeen if theirs.len() < mine.len() => return,
            _ => {}
        }
        let none = BTreeSet::new();
        let items: BTreeSet<u8> = self.items.keys().chain(other.items.keys()).copied().collect();
        for item in items {
            if Self::FLAW == F::JoinOnlyLooksAtTheirs && !other.items.contains_key(&item) {
                continue;
            }
            let own = self.items.get(&item).unwrap_or(&none);
            let their = other.items.get(&item).unwrap_or(&none);
            let new = |dot: &Dot| match Self::FLAW {
                F::JoinResurrects => true,
                _ => own.contains(dot) || !mine.contains(*dot),
            };
            let kept = |dot: &Dot| match Self::FLAW {
                F::JoinResurrects => true,
                F::JoinForgetsNews => their.contains(dot),
                F::JoinMixesUpVersions => their.contains(dot) || !mine.contains(*dot),
                _ => their.contains(dot) || !theirs.contains(*dot),
            };
            let dots =
                own.iter().copied().filter(kept).chain(their.iter().copied().filter(new)).collect();
            self.change(item, dots, fx);
        }
    }

    fn rollback(&mut self, Before(item, before): Before) {
        match before {
            _ if Self::FLAW == F::RollbackTakesTheWholeItem => drop(self.items.remove(&item)),
            Some(before) => drop(self.items.insert(item, before)),
            None => drop(self.items.remove(&item)),
        }
    }

    fn prune(&mut self, cut: &Cut) {
        if Self::FLAW == F::PruneTakesOldItems {
            self.items.retain(|_, dots| dots.iter().any(|dot| !cut.version.contains(*dot)));
        }
        if Self::FLAW == F::PruneMergesDots {
            for dots in self.items.values_mut() {
                let newest =
                    dots.iter().copied().filter(|dot| cut.version.contains(*dot)).next_back();
                dots.retain(|dot| !cut.version.contains(*dot) || Some(*dot) == newest);
            }
        }
    }
}

pub(crate) struct Carts;

pub(crate) fn edit<const N: u8>(rng: &mut Rng, state: &Cart<N>) -> Option<Edit> {
    let item = rng.below(6) as u8;
    Some(match state.items.get(&item) {
        Some(dots) if rng.below(2) == 0 => Edit::Remove(item, dots.iter().copied().collect()),
        _ if rng.below(4) == 0 => Edit::AddAll(vec![item, (item + 1) % 6, (item + 2) % 6]),
        _ => Edit::Add(item),
    })
}

impl<const N: u8> Oracle<Cart<N>> for Carts {
    type View = BTreeSet<u8>;

    fn view(state: &Cart<N>) -> BTreeSet<u8> {
        state.items.iter().filter(|(_, dots)| !dots.is_empty()).map(|(item, _)| *item).collect()
    }

    fn patch(view: &mut BTreeSet<u8>, change: Change) {
        match change {
            Change::Added(item) => view.insert(item),
            Change::Removed(item) => view.remove(&item),
        };
    }

    fn expected(history: &History<Edit>) -> BTreeSet<u8> {
        let removed = |wanted: Dot, of: u8| {
            history.iter().any(|said| matches!(&said.op, Edit::Remove(item, gone) if *item == of && gone.contains(&wanted)))
        };
        let mut view = BTreeSet::new();
        for said in history {
            let items = match &said.op {
                Edit::Add(item) => std::slice::from_ref(item),
                Edit::AddAll(items) => items,
                Edit::Remove(..) => continue,
            };
            for (item, seq) in items.iter().zip(said.at.dot.seq..) {
                if !removed(Dot { seq, ..said.at.dot }, *item) {
                    view.insert(*item);
                }
            }
        }
        view
    }

    fn refused(rng: &mut Rng, _: &Cart<N>) -> Option<Edit> {
        Some(if rng.below(2) == 0 { Edit::Add(250) } else { Edit::AddAll(vec![1, 2, 250]) })
    }
}

/// Lines in the order they were said, each with a stamp of its own; a tombstone
/// for what was deleted.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(crate) struct Lines<const N: u8> {
    lines: BTreeMap<Stamp, Option<u64>>,
    arrived: Vec<Stamp>,
    #[serde(skip)]
    gone: BTreeSet<Stamp>,
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
            if Self::FLAW == F::TombstonesAreNotWritten {
                self.lines.remove(&at);
                self.gone.insert(at);
            }
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
            Say::Lines(lines) if Self::FLAW != F::OneSlotForManyLines => lines.len().max(1) as u64,
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
                drop(self.lines.insert(at, None))
            }
            Undone::Take(at) => drop(self.lines.remove(&at)),
            Undone::Gone(at) => drop(self.lines.insert(at, None)),
            Undone::Put(at, line) => drop(self.lines.insert(at, Some(line))),
        }
        if Self::FLAW == F::TombstonesAreNotWritten {
            self.gone.clear();
        }
    }

    fn prune(&mut self, cut: &Cut) {
        match Self::FLAW {
            F::PruneTakesAllTombstones => self.lines.retain(|_, line| line.is_some()),
            F::PruneTakesWhatIsOld => self.lines.retain(|at, _| at.hlc >= cut.floor),
            F::NeverPrunes => {}
            _ => self.lines.retain(|at, line| line.is_some() || !cut.version.contains(at.dot)),
        }
    }
}

pub(crate) struct AllLines;

pub(crate) fn say<const N: u8>(rng: &mut Rng, state: &Lines<N>) -> Option<Say> {
    let there: Vec<_> =
        state.lines.iter().filter(|(_, line)| line.is_some()).map(|(at, _)| *at).collect();
    if !there.is_empty() && rng.below(3) == 0 {
        return Some(Say::Delete(there[rng.below(there.len())]));
    }
    Some(Say::Lines((0..=rng.below(3)).map(|_| rng.bits()).collect()))
}

impl<const N: u8> Oracle<Lines<N>> for AllLines {
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
