//! A register whose latest write wins, and a counter: each right with
//! [`Flaw::None`](crate::Flaw), else wrong in one place.

use crate::Flaw;
use crate::Flaw::{self as F};
use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle};
use repliq_core::{Crdt, CrdtError, Cut, Effects, ReplicaId, Stamp, Tx, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};

/// The latest value. The number names its flaw.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(crate) struct Note<const N: u8> {
    value: Option<u64>,
    at: Option<Stamp>,
    edits: u64,
    #[serde(skip)]
    pending: bool,
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
        fx.undo(|| Back { value: before.0, at: before.1, edits: self.edits, pending: false });
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
    pending: bool,
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
        if Self::FLAW == F::OnlyWhenUndoIsKept && fx.wants_undo() {
            self.pending = !self.pending;
        }
        if self.newer(Some(at)) {
            self.set(Some(op.value), Some(at), fx);
        } else {
            if Self::FLAW == F::EventOfALoser {
                fx.event(|| op.value);
            }
            if Self::FLAW != F::NoUndoForALoser {
                let (value, at, edits) = (self.value, self.at, self.edits);
                fx.undo(|| Back { value, at, edits, pending: false });
            }
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
        self.pending = undo.pending;
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
            F::ReauthorTwice => tx.push(op.clone()).and_then(|()| tx.push(op)),
            F::ReauthorOnlyIfUnchanged if tx.at != before.at => Ok(()),
            F::ReauthorPanics => {
                let known = before.at.filter(|before| *before >= at).map(|_| op);
                tx.push(known.expect("the op is there already"))
            }
            _ => tx.push(op),
        }
    }
}

pub(crate) struct Notes;

pub(crate) fn write<const N: u8>(rng: &mut Rng, _: &Note<N>) -> Option<Write> {
    Some(Write { value: rng.bits() >> 8, urgent: rng.below(2) == 0 })
}

impl<const N: u8> Oracle<Note<N>> for Notes {
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

/// A sum of what each replica added.
#[derive(Default, Clone)]
pub(crate) struct Tally<const N: u8> {
    shares: BTreeMap<ReplicaId, (u64, i64)>,
    sum: i64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    shares: Vec<(ReplicaId, (u64, i64))>,
}

impl<const N: u8> Serialize for Tally<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shares: Vec<_> = match Self::FLAW {
            F::WrittenInHashOrder => {
                self.shares.clone().into_iter().collect::<HashMap<_, _>>().into_iter().collect()
            }
            F::ZerosAreNotWritten => {
                self.shares.clone().into_iter().filter(|(_, (_, share))| *share != 0).collect()
            }
            _ => self.shares.clone().into_iter().collect(),
        };
        Stored { shares }.serialize(serializer)
    }
}

impl<'de, const N: u8> Deserialize<'de> for Tally<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shares: BTreeMap<_, _> =
            Stored::deserialize(deserializer)?.shares.into_iter().collect();
        let sum = match Self::FLAW {
            F::SumIsNotReadBack => 0,
            _ => total(&shares),
        };
        Ok(Self { shares, sum })
    }
}

impl<const N: u8> Tally<N> {
    const FLAW: Flaw = Flaw::of(N);
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Add {
    amount: i32,
    #[serde(default)]
    kept: Kept,
}

/// What an op says in memory, and what becomes of it on the way.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Kept(#[serde(skip)] i32);

impl<const N: u8> Crdt for Tally<N> {
    const KIND: &'static str = "blind-tally/1";
    type Op = Add;
    type Event = i64;
    type Undo = (ReplicaId, Option<(u64, i64)>, i64);

    fn apply(&mut self, op: Add, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        let amount = match Self::FLAW {
            F::OpLosesAField => i64::from(op.amount) + i64::from(op.kept.0),
            _ => i64::from(op.amount),
        };
        if amount == 0 && op.kept.0 == 0 {
            return Err(CrdtError::Invalid("nothing is added"));
        }
        if Self::FLAW == F::RefusesWhatIsNotThere && self.sum.wrapping_add(amount) < 0 {
            return Err(CrdtError::Invalid("the sum would be negative"));
        }
        let replica = at.dot.replica;
        let before = self.shares.get(&replica).copied();
        let (_, share) = before.unwrap_or_default();
        self.shares.insert(replica, (at.dot.seq + 1, share.wrapping_add(amount)));
        let sum = self.sum;
        self.sum = self.sum.wrapping_add(amount);
        if Self::FLAW == F::NeverBelowZero {
            self.sum = self.sum.max(0);
        }
        let change = self.sum.wrapping_sub(sum);
        fx.event(|| change);
        let before = match Self::FLAW {
            F::RollbackLeavesAZero => Some(before.unwrap_or_default()),
            _ => before,
        };
        fx.undo(|| (replica, before, sum));
        Ok(())
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        let sum = self.sum;
        for (replica, (seen, share)) in other.shares {
            let before = self.shares.get(&replica).copied();
            let own = before.unwrap_or_default();
            let joined = match Self::FLAW {
                F::JoinAdds => (own.0.max(seen), own.1.wrapping_add(share)),
                F::JoinTakesTheLarger => (own.0.max(seen), own.1.max(share)),
                F::JoinTakesTheNewerReplica if theirs.len() <= mine.len() => own,
                _ if seen > own.0 => (seen, share),
                _ => own,
            };
            if joined != own {
                self.shares.insert(replica, joined);
                fx.undo(|| (replica, before, sum));
            }
        }
        self.sum = total(&self.shares);
        let change = match Self::FLAW {
            F::JoinTellsTheWholeSum => self.sum,
            _ => self.sum.wrapping_sub(sum),
        };
        if change != 0 {
            fx.event(|| change);
        }
    }

    fn rollback(&mut self, (replica, before, sum): Self::Undo) {
        match before {
            Some(before) => drop(self.shares.insert(replica, before)),
            None => drop(self.shares.remove(&replica)),
        }
        self.sum = sum;
    }
}

/// Bytes may say anything, so nothing overflows.
fn total(shares: &BTreeMap<ReplicaId, (u64, i64)>) -> i64 {
    shares.values().fold(0, |sum, (_, share)| sum.wrapping_add(*share))
}

pub(crate) struct Tallies;

pub(crate) fn add<const N: u8>(rng: &mut Rng, _: &Tally<N>) -> Option<Add> {
    let amount = rng.below(9) as i32 - 4;
    Some(Add {
        amount: if amount == 0 { 1 } else { amount },
        kept: Kept(if N == F::OpLosesAField as u8 { 5 } else { 0 }),
    })
}

impl<const N: u8> Oracle<Tally<N>> for Tallies {
    type View = i64;

    fn view(state: &Tally<N>) -> i64 {
        state.sum
    }

    fn patch(view: &mut i64, event: i64) {
        *view = view.wrapping_add(event);
    }

    fn expected(history: &History<Add>) -> i64 {
        history.iter().map(|said| i64::from(said.op.amount) + i64::from(said.op.kept.0)).sum()
    }

    fn refused(_: &mut Rng, _: &Tally<N>) -> Option<Add> {
        Some(Add { amount: 0, kept: Kept(0) })
    }
}
