//! What both counters are made of: a sum a replica, and their total.
//!
//! A replica that has added nothing on balance has no entry, so equal sums mean
//! equal bytes. Sums of ops cannot overflow; those of a state that somebody made
//! up wrap around, alike everywhere, and never panic.

use repliq_core::{ReplicaId, Version};
use serde::{Deserialize, Serialize};

/// A number with which sums are made.
pub(super) trait Number: Copy + Default + PartialEq {
    fn wrapping_plus(self, other: Self) -> Self;
    fn wrapping_minus(self, other: Self) -> Self;
}

macro_rules! number {
    ($($number:ty)*) => {$(
        impl Number for $number {
            fn wrapping_plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn wrapping_minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
        }
    )*};
}

number!(u128 i128);

/// A sum a replica, and their total.
///
/// Invariants: in ascending order of the replicas, none twice; no sum is 0; `total` is
/// the sum of them all.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    into = "Rows<N>",
    try_from = "Rows<N>",
    bound(serialize = "N: Number + Serialize", deserialize = "N: Number + Deserialize<'de>")
)]
pub(super) struct Sums<N> {
    sums: Vec<(ReplicaId, N)>,
    total: N,
}

/// The sum that a replica had.
pub(super) struct Undo<N> {
    replica: ReplicaId,
    sum: N,
}

impl<N> Undo<N> {
    /// Whose sum it takes back, and so all later steps of that sum with it.
    pub(super) const fn replica(&self) -> ReplicaId {
        self.replica
    }
}

/// Where changes are told.
pub(super) trait Report<N> {
    /// The total is this from now on.
    fn changed(&mut self, total: N);

    /// This takes back what was just done.
    fn undo(&mut self, undo: Undo<N>);
}

impl<N: Copy> Sums<N> {
    pub(super) const fn total(&self) -> N {
        self.total
    }
}

impl<N: Number> Sums<N> {
    /// Adds to the sum of a replica. O(log n) in the number of replicas.
    pub(super) fn add(&mut self, replica: ReplicaId, amount: N, report: &mut impl Report<N>) {
        if amount == N::default() {
            return;
        }
        let old = match self.sums.first_mut() {
            // Mostly it is the only one, and its sum does not come to 0.
            Some((held, sum)) if *held == replica && sum.wrapping_plus(amount) != N::default() => {
                let old = *sum;
                *sum = old.wrapping_plus(amount);
                old
            }
            _ => self.add_anywhere(replica, amount),
        };
        self.total = self.total.wrapping_plus(amount);
        report.undo(Undo { replica, sum: old });
        report.changed(self.total);
    }

    /// Adds to the sum of a replica, not to the total, and returns what it was. Apart
    /// from what is done for every addition, which its code would slow down.
    #[inline(never)]
    fn add_anywhere(&mut self, replica: ReplicaId, amount: N) -> N {
        let at = match self.find(replica) {
            Ok(at) => at,
            Err(at) => {
                self.sums.insert(at, (replica, amount));
                return N::default();
            }
        };
        let Some((_, sum)) = self.sums.get_mut(at) else { return N::default() };
        let old = *sum;
        *sum = old.wrapping_plus(amount);
        if *sum == N::default() {
            self.sums.remove(at);
        }
        old
    }

    /// Where the sum of a replica is, or where it would be put.
    #[inline]
    fn find(&self, replica: ReplicaId) -> Result<usize, usize> {
        // Mostly it is the only one, and equal is found sooner than less.
        match self.sums.first() {
            Some((held, _)) if *held == replica => Ok(0),
            _ => self.sums.binary_search_by(|(held, _)| held.cmp(&replica)),
        }
    }

    fn get(&self, replica: ReplicaId) -> N {
        let held = self.find(replica).ok().and_then(|at| self.sums.get(at));
        held.map(|(_, sum)| *sum).unwrap_or_default()
    }

    /// Takes over the sums of the replicas of which `theirs` has seen more.
    ///
    /// A replica's ops are seen in order and without gaps, so who has seen more
    /// slots of it has seen all that the other has. O(n + m).
    pub(super) fn join(
        &mut self,
        mine: &Version,
        other: Self,
        theirs: &Version,
        report: &mut impl Report<N>,
    ) {
        let before = self.total;
        for (replica, seen) in theirs.iter() {
            if seen > mine.get(replica) {
                let sum = other.get(replica);
                let old = self.set(replica, sum);
                if old != sum {
                    report.undo(Undo { replica, sum: old });
                }
            }
        }
        if self.total != before {
            report.changed(self.total);
        }
    }

    /// Restores the sum that a replica had.
    pub(super) fn rollback(&mut self, undo: Undo<N>) {
        self.set(undo.replica, undo.sum);
    }

    /// Sets the sum of a replica and returns the one it had.
    fn set(&mut self, replica: ReplicaId, sum: N) -> N {
        let old = self.get(replica);
        match self.find(replica) {
            Ok(at) if sum == N::default() => drop(self.sums.remove(at)),
            Ok(at) => {
                if let Some((_, held)) = self.sums.get_mut(at) {
                    *held = sum;
                }
            }
            Err(_) if sum == N::default() => {}
            Err(at) => self.sums.insert(at, (replica, sum)),
        }
        self.total = self.total.wrapping_minus(old).wrapping_plus(sum);
        old
    }
}

impl<N> From<Sums<N>> for Rows<N> {
    fn from(sums: Sums<N>) -> Self {
        Self(sums.sums)
    }
}

/// Sums as they are written: in the order of their replicas.
#[derive(Serialize, Deserialize)]
struct Rows<N>(Vec<(ReplicaId, N)>);

impl<N: Number> TryFrom<Rows<N>> for Sums<N> {
    type Error = &'static str;

    fn try_from(Rows(rows): Rows<N>) -> Result<Self, Self::Error> {
        if !rows.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("replica ids are out of order");
        }
        if rows.iter().any(|(_, sum)| *sum == N::default()) {
            return Err("a sum is 0");
        }
        let total = rows.iter().fold(N::default(), |total, (_, sum)| total.wrapping_plus(*sum));
        Ok(Self { sums: rows, total })
    }
}
