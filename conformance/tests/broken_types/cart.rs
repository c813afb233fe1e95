//! A set in which adding wins over a concurrent removal, right with [`Flaw::None`]
//! and wrong in one place with each other flaw.

use super::Flaw;
use super::Flaw::{self as F};
use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle};
use repliq_core::{Crdt, CrdtError, Cut, Dot, Effects, Stamp, Version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Each item with the additions that nobody has removed. The number is
/// that of its [`Flaw`].
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
                let newest = dots.iter().copied().rfind(|dot| cut.version.contains(*dot));
                dots.retain(|dot| !cut.version.contains(*dot) || Some(*dot) == newest);
            }
        }
    }
}

pub(crate) struct Model;

pub(crate) fn edit<const N: u8>(rng: &mut Rng, state: &Cart<N>) -> Option<Edit> {
    let item = rng.below(6) as u8;
    Some(match state.items.get(&item) {
        Some(dots) if rng.below(2) == 0 => Edit::Remove(item, dots.iter().copied().collect()),
        _ if rng.below(4) == 0 => Edit::AddAll(vec![item, (item + 1) % 6, (item + 2) % 6]),
        _ => Edit::Add(item),
    })
}

impl<const N: u8> Oracle<Cart<N>> for Model {
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
