//! Which edits of one thing still count: at most one a replica, the latest.
//!
//! Removals name the edits they saw instead of leaving a mark behind. An author
//! has always seen its own earlier edits, so an op means those whether it names
//! them or not: said again under another replica id, it still means them.

use repliq_core::{CrdtError, Dot, ReplicaId, Version};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

/// A dot of every replica whose edit counts.
///
/// Invariants of `Many`: two or more, in ascending order, no replica twice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Dots {
    #[default]
    None,
    One(Dot),
    Many(Vec<Dot>),
}

/// Refuses an op that names dots in any but ascending order, or a dot that its
/// author cannot have seen because it comes no earlier than the op, at `own`.
pub(crate) fn check_named(named: &[Dot], own: Dot) -> Result<(), CrdtError> {
    if !named.is_sorted_by(|a, b| a < b) {
        return Err(CrdtError::Invalid("the edits it names are out of order"));
    }
    if named.iter().any(|dot| dot.replica == own.replica && dot.seq >= own.seq) {
        return Err(CrdtError::Invalid("it names an edit of its own future"));
    }
    Ok(())
}

/// Whether an op at `own` that names these dots means the edit `held`: by name, by
/// a later one of the same replica, or because its author made it.
pub(crate) fn is_named(held: Dot, named: &[Dot], own: Dot) -> bool {
    let not_before = named.get(named.partition_point(|dot| *dot < held));
    own.replica == held.replica || not_before.is_some_and(|dot| dot.replica == held.replica)
}

impl Dots {
    pub(crate) fn as_slice(&self) -> &[Dot] {
        match self {
            Self::None => &[],
            Self::One(dot) => std::slice::from_ref(dot),
            Self::Many(dots) => dots,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// These dots with one more, in place of the earlier one of its replica. O(n).
    pub(crate) fn with(&self, new: Dot) -> Self {
        match self {
            Self::None => Self::One(new),
            Self::One(held) if held.replica == new.replica => Self::One(new),
            _ => {
                let kept = self.as_slice().iter().filter(|held| held.replica != new.replica);
                kept.copied().chain([new]).collect()
            }
        }
    }

    /// These dots without those that do not pass `test`. O(n).
    pub(crate) fn filtered(&self, mut test: impl FnMut(Dot) -> bool) -> Self {
        self.as_slice().iter().copied().filter(|dot| test(*dot)).collect()
    }

    /// What counts for who has seen both: the dots of both, and of one those that
    /// the other has not seen. O(n log n + m log m).
    pub(crate) fn join(&self, mine: &Version, other: &Self, theirs: &Version) -> Self {
        let (here, there) = (self.as_slice(), other.as_slice());
        let stays = |dot: &&Dot| !theirs.contains(**dot) || there.binary_search(dot).is_ok();
        let comes = |dot: &&Dot| !mine.contains(**dot);
        here.iter().filter(stays).chain(there.iter().filter(comes)).copied().collect()
    }
}

/// Of two dots of one replica the later one is kept.
impl FromIterator<Dot> for Dots {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut dots = dots.into_iter();
        let (Some(first), second) = (dots.next(), dots.next()) else { return Self::None };
        let Some(second) = second else { return Self::One(first) };
        let mut many: Vec<_> = [first, second].into_iter().chain(dots).collect();
        many.sort_unstable_by(|a, b| b.cmp(a));
        many.dedup_by_key(|dot| dot.replica);
        many.reverse();
        match many[..] {
            [one] => Self::One(one),
            _ => Self::Many(many),
        }
    }
}

/// The replicas of many dots, each once, so that a saved dot is an index and a
/// sequence number.
pub(crate) struct Replicas {
    ids: Vec<ReplicaId>,
}

impl Replicas {
    /// The replicas that occur, in ascending order.
    pub(crate) fn of<'a>(dots: impl Iterator<Item = &'a Dots>) -> Self {
        let mut ids: Vec<ReplicaId> = Vec::new();
        for dot in dots.flat_map(Dots::as_slice) {
            // Edits come in runs of one author: most need no sorting at the end.
            if ids.last() != Some(&dot.replica) {
                ids.push(dot.replica);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Self { ids }
    }

    pub(crate) fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }

    /// These dots as they are saved.
    pub(crate) const fn shorten<'a>(&'a self, dots: &'a Dots) -> SavedDots<'a> {
        SavedDots { replicas: self, dots }
    }
}

/// Dots beside the [`Replicas`] that they refer to.
pub(crate) struct SavedDots<'a> {
    replicas: &'a Replicas,
    dots: &'a Dots,
}

impl Serialize for SavedDots<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dots = self.dots.as_slice();
        let mut out = serializer.serialize_seq(Some(dots.len()))?;
        for dot in dots {
            let index = self.replicas.ids.binary_search(&dot.replica);
            let index = index.ok().and_then(|index| u32::try_from(index).ok());
            let index = index.ok_or_else(|| serde::ser::Error::custom("too many replicas"))?;
            out.serialize_element(&(index, dot.seq))?;
        }
        out.end()
    }
}

/// Dots as they are read: an index and a sequence number each.
pub(crate) type ReadDots = Vec<(u32, u64)>;

/// Reads saved dots, and sees to it that there is one way to write them.
pub(crate) struct ReplicasReader {
    ids: Vec<ReplicaId>,
    used: Vec<bool>,
}

impl ReplicasReader {
    pub(crate) fn new(ids: Vec<ReplicaId>) -> Result<Self, &'static str> {
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err("replica ids are out of order");
        }
        let used = vec![false; ids.len()];
        Ok(Self { ids, used })
    }

    pub(crate) fn expand(&mut self, read: &ReadDots) -> Result<Dots, &'static str> {
        if !read.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("the edits of an entry are out of order");
        }
        for (index, _) in read {
            *self.used.get_mut(*index as usize).ok_or("a replica id is missing")? = true;
        }
        let replica = |index: u32| self.ids.get(index as usize).copied().unwrap_or_default();
        Ok(read.iter().map(|&(index, seq)| Dot { replica: replica(index), seq }).collect())
    }

    /// Fails unless every replica id was used.
    pub(crate) fn finish(self) -> Result<(), &'static str> {
        if self.used.contains(&false) { Err("a replica id is not in use") } else { Ok(()) }
    }
}
