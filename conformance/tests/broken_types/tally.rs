//! A counter of shares, one for each replica, right with [`Flaw::None`] and wrong in
//! one place with each other flaw.

use super::Flaw;
use super::Flaw::{self as F};
use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle};
use repliq_core::{Crdt, CrdtError, Effects, ReplicaId, Stamp, Tx, Version};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};

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
struct Kept {
    #[serde(skip)]
    more: i32,
}

impl<const N: u8> Crdt for Tally<N> {
    const KIND: &'static str = "blind-tally/1";
    type Op = Add;
    type Event = i64;
    type Undo = (ReplicaId, Option<(u64, i64)>, i64);

    fn apply(&mut self, op: Add, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        let amount = match Self::FLAW {
            F::OpLosesAField => i64::from(op.amount) + i64::from(op.kept.more),
            _ => i64::from(op.amount),
        };
        if amount == 0 && op.kept.more == 0 {
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

    fn reauthor(op: Add, _: Stamp, _: &Self, tx: &mut Tx<'_, Self>) -> Result<(), CrdtError> {
        if Self::FLAW == F::SaidAgainTwice {
            tx.push(op.clone())?;
        }
        tx.push(op)
    }
}

/// Bytes may say anything, so nothing overflows.
fn total(shares: &BTreeMap<ReplicaId, (u64, i64)>) -> i64 {
    shares.values().fold(0, |sum, (_, share)| sum.wrapping_add(*share))
}

pub(crate) struct Model;

pub(crate) fn add<const N: u8>(rng: &mut Rng, _: &Tally<N>) -> Option<Add> {
    // Small, so that shares come to nothing now and then.
    Some(Add {
        amount: if rng.below(2) == 0 { 1 } else { -1 },
        kept: Kept { more: if N == F::OpLosesAField as u8 { 5 } else { 0 } },
    })
}

impl<const N: u8> Oracle<Tally<N>> for Model {
    type View = i64;

    fn view(state: &Tally<N>) -> i64 {
        state.sum
    }

    fn patch(view: &mut i64, event: i64) {
        *view = view.wrapping_add(event);
    }

    fn expected(history: &History<Add>) -> i64 {
        history.iter().map(|said| i64::from(said.op.amount) + i64::from(said.op.kept.more)).sum()
    }

    fn refused(_: &mut Rng, _: &Tally<N>) -> Option<Add> {
        Some(Add { amount: 0, kept: Kept::default() })
    }
}
