//! A register whose latest write wins, right with [`Flaw::None`] and wrong in one
//! place with each other flaw.

use super::Flaw;
use super::Flaw::{self as F};
use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle};
use repliq_core::{Crdt, CrdtError, Cut, Effects, Stamp, Tx, Version};
use serde::{Deserialize, Serialize};

/// The latest value. The number is that of its [`Flaw`].
#[derive(Default, Clone, Serialize, Deserialize)]
pub(crate) struct Note<const N: u8> {
    value: Option<u64>,
    at: Option<Stamp>,
    edits: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Write {
    value: u64,
    urgent: bool,
}

impl<const N: u8> Note<N> {
    const FLAW: Flaw = Flaw::of(N);

    fn set(&mut self, value: Option<u64>, at: Option<Stamp>, fx: &mut Effects<Self>) {
        let before = (self.value, self.at);
        if Self::FLAW == F::ChangesInsideTheEvent {
            self.at = at;
            fx.event(|| {
                self.value = value;
                value.unwrap_or_default()
            });
        } else {
            self.value = value;
            self.at = at;
            fx.event(|| value.unwrap_or_default());
        }
        fx.undo(|| Back { value: before.0, at: before.1, edits: self.edits });
    }

    fn newer(&self, at: Option<Stamp>) -> bool {
        match Self::FLAW {
            F::TiesByArrival => at.map(|at| at.hlc) >= self.at.map(|at| at.hlc),
            F::TiesToTheFirst => at.map(|at| at.hlc) > self.at.map(|at| at.hlc),
            F::LatestArrivalWins => true,
            F::HlcIsCutToMillis => {
                at.map(|at| (at.hlc.millis(), at.dot)) > self.at.map(|at| (at.hlc.millis(), at.dot))
            }
            _ => at > self.at,
        }
    }
}

pub(crate) struct Back {
    value: Option<u64>,
    at: Option<Stamp>,
    edits: u64,
}

impl<const N: u8> Crdt for Note<N> {
    const KIND: &'static str = "blind-note/1";
    type Op = Write;
    type Event = u64;
    type Undo = Back;

    fn apply(&mut self, op: Write, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        if op.value > 1 << 60 {
            if Self::FLAW == F::RefusalLeavesATrace {
                self.edits += 1;
            }
            return Err(CrdtError::Invalid("the value is too large"));
        }
        if Self::FLAW == F::RefusesTheOlder && !self.newer(Some(at)) {
            return Err(CrdtError::Invalid("a newer value is there"));
        }
        if Self::FLAW == F::CountsItsEdits {
            self.edits += 1;
        }
        if self.newer(Some(at)) {
            self.set(Some(op.value), Some(at), fx);
        } else {
            if Self::FLAW == F::EventOfALoser {
                fx.event(|| op.value);
            }
            let (value, at, edits) = (self.value, self.at, self.edits);
            fx.undo(|| Back { value, at, edits });
        }
        Ok(())
    }

    fn join(&mut self, _mine: &Version, other: Self, _theirs: &Version, fx: &mut Effects<Self>) {
        if Self::FLAW == F::CountsItsEdits {
            self.edits = self.edits.max(other.edits);
        }
        match Self::FLAW {
            F::JoinTakesTheOther => self.set(other.value, other.at, fx),
            F::JoinTellsNothing if self.newer(other.at) => {
                (self.value, self.at) = (other.value, other.at)
            }
            F::JoinKeepsItsStamp if self.newer(other.at) => {
                let at = self.at.or(other.at);
                self.set(other.value, at, fx);
            }
            _ if self.newer(other.at) && other.at.is_some() => self.set(other.value, other.at, fx),
            _ => {}
        }
    }

    fn rollback(&mut self, undo: Back) {
        self.value = undo.value;
        if Self::FLAW != F::RollbackLeavesTheStamp {
            self.at = undo.at;
        }
        self.edits = undo.edits.saturating_sub(u64::from(Self::FLAW == F::CountsItsEdits));
    }

    fn prune(&mut self, cut: &Cut) {
        let below = self.at.is_some_and(|at| cut.version.contains(at.dot));
        if below && Self::FLAW == F::PruneForgetsTheStamp {
            self.at = None;
        }
    }

    fn reauthor(
        op: Write,
        at: Stamp,
        before: &Self,
        tx: &mut Tx<'_, Self>,
    ) -> Result<(), CrdtError> {
        match Self::FLAW {
            F::ReauthorDrops => Ok(()),
            F::ReauthorOnlyIfUnchanged if tx.at != before.at => Ok(()),
            F::ReauthorPanics => {
                let known = before.at.filter(|before| *before >= at).map(|_| op);
                tx.push(known.expect("the op is there already"))
            }
            _ => tx.push(op),
        }
    }
}

pub(crate) struct Model;

pub(crate) fn write<const N: u8>(rng: &mut Rng, _: &Note<N>) -> Option<Write> {
    Some(Write { value: rng.bits() >> 8, urgent: rng.below(2) == 0 })
}

impl<const N: u8> Oracle<Note<N>> for Model {
    type View = Option<u64>;

    fn view(state: &Note<N>) -> Option<u64> {
        state.value
    }

    fn patch(view: &mut Option<u64>, event: u64) {
        *view = Some(event);
    }

    fn expected(history: &History<Write>) -> Option<u64> {
        history.iter().max_by_key(|said| said.at).map(|said| said.op.value)
    }

    fn refused(_: &mut Rng, _: &Note<N>) -> Option<Write> {
        Some(Write { value: u64::MAX, urgent: false })
    }
}
