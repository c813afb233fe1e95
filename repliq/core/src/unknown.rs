//! What a struct of CRDTs keeps of fields that this version of an app does not
//! know: their ops and states, as bytes.
//!
//! It promises that nothing of them is lost: they stay in the state, go wherever
//! the state goes, and are read once a version runs that knows the field. It takes
//! up what came in, some 100 bytes more an op and 900 a field, of which there are at
//! most [`MAX_TAG`](crate::derive::MAX_TAG); more it does not refuse, because no type may
//! refuse an op for a limit of this device. It never looks into the bytes.

use crate::derive::{Digest, read_frame};
use crate::{Stamp, Version, encode};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a struct keeps for versions of the app that know more fields than this
/// one: a field of this type, marked `#[crdt(unknown)]`, is part of every struct
/// with `#[derive(Crdt)]`.
///
/// Equal histories give equal values, but for one case: where three or more saved
/// states of newer versions, none of which had seen all of another, are merged by
/// this one, the order of merging may show in the bytes until a version that knows
/// the field has read them.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct UnknownFields(BTreeMap<u32, Kept>);

/// An op on a field that this version of the app does not know.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct UnknownOp {
    pub(crate) tag: u32,
    pub(crate) digest: Digest,
    pub(crate) slots: u64,
    #[serde(with = "serde_bytes")]
    pub(crate) bytes: Box<[u8]>,
}

/// What takes back a step of an [`UnknownFields`].
#[derive(Debug)]
pub struct UnknownUndo(Undo);

#[derive(Debug)]
enum Undo {
    Kept(u32, Stamp, Option<UnknownOp>),
    Joined(UnknownFields),
}

/// The state of a field, as it was written by a version that knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct UnknownState {
    pub(crate) digest: Digest,
    #[serde(with = "serde_bytes")]
    pub(crate) bytes: Box<[u8]>,
}

/// The state of a field, and the ops that came after it: all of them, if there is
/// no state.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) state: Option<UnknownState>,
    pub(crate) ops: BTreeMap<Stamp, UnknownOp>,
}

/// What is kept of one field.
///
/// Invariant: not empty. Where there is a branch there are at least two, no branch
/// has seen all of another, and `latest` has no state.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    /// All there is; where there are branches, only what came after them all.
    pub(crate) latest: Part,
    /// Parts that were merged and only a version that knows the field can join,
    /// each with what it had seen, in the order of their bytes.
    pub(crate) branches: Vec<(Version, Part)>,
}

impl UnknownOp {
    /// The tag of the field.
    #[must_use]
    pub const fn tag(&self) -> u32 {
        self.tag
    }

    /// How many slots it takes, as its author says.
    #[must_use]
    pub const fn slots(&self) -> u64 {
        self.slots
    }
}

impl Part {
    /// Whether all ops held there that this part has seen are held here: if one is
    /// not, it is within the state.
    fn holds_what_is_held(&self, seen: &Version, there: &Self) -> bool {
        there.ops.keys().all(|at| !seen.contains(at.dot) || self.ops.contains_key(at))
    }
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.latest == Part::default() && self.branches.is_empty()
    }
}

impl UnknownFields {
    /// Whether nothing is kept. If something is, another version of the app has more
    /// to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Kept)> {
        self.0.iter().map(|(tag, kept)| (*tag, kept))
    }

    pub(crate) fn take(&mut self, tag: u32) -> Option<Kept> {
        self.0.remove(&tag)
    }

    pub(crate) fn put(&mut self, tag: u32, kept: Kept) {
        if !kept.is_empty() {
            self.0.insert(tag, kept);
        }
    }

    /// Keeps an op.
    #[doc(hidden)]
    pub fn keep(&mut self, op: UnknownOp, at: Stamp) -> UnknownUndo {
        let tag = op.tag;
        let before = self.0.entry(tag).or_default().latest.ops.insert(at, op);
        UnknownUndo(Undo::Kept(tag, at, before))
    }

    /// Merges what another state keeps.
    #[doc(hidden)]
    pub fn join(&mut self, mine: &Version, other: Self, theirs: &Version) -> Option<UnknownUndo> {
        if other.is_empty() || *self == other {
            return None;
        }
        let before = self.clone();
        for (tag, there) in other.0 {
            let here = self.take(tag).unwrap_or_default();
            self.put(tag, join(here, mine, there, theirs));
        }
        (*self != before).then_some(UnknownUndo(Undo::Joined(before)))
    }

    /// Takes back the latest step that is not yet taken back.
    #[doc(hidden)]
    pub fn rollback(&mut self, undo: UnknownUndo) {
        match undo.0 {
            Undo::Joined(before) => *self = before,
            Undo::Kept(tag, at, before) => {
                let mut kept = self.take(tag).unwrap_or_default();
                match before {
                    Some(op) => kept.latest.ops.insert(at, op),
                    None => kept.latest.ops.remove(&at),
                };
                self.put(tag, kept);
            }
        }
    }
}

fn join(here: Kept, mine: &Version, there: Kept, theirs: &Version) -> Kept {
    if here.branches.is_empty() && there.branches.is_empty() {
        let (one, other) = (&here.latest, &there.latest);
        let has_one_base = one.state.is_none()
            || other.state.is_none()
            || (one.state == other.state
                && one.holds_what_is_held(mine, other)
                && other.holds_what_is_held(theirs, one));
        if has_one_base {
            let latest = join_parts(here.latest, mine, there.latest, theirs);
            return Kept { latest, branches: Vec::new() };
        }
    }
    let mut later = BTreeMap::new();
    let mut branches = Vec::new();
    for (kept, seen) in [(here, mine), (there, theirs)] {
        branches.extend(kept.branches);
        if kept.latest.state.is_none() {
            later.extend(kept.latest.ops);
        } else {
            branches.push((seen.clone(), kept.latest));
        }
    }
    let mut branches = widest(branches);
    later.retain(|at, _| !branches.iter().any(|(seen, _)| seen.contains(at.dot)));
    match branches.pop() {
        Some((_, mut only)) if branches.is_empty() => {
            only.ops.extend(later);
            Kept { latest: only, branches }
        }
        last => {
            branches.extend(last);
            Kept { latest: Part { state: None, ops: later }, branches }
        }
    }
}

/// Joins parts of which at most one has a state, or both the same. What the one
/// with a state has seen and does not hold as an op is in its state.
fn join_parts(here: Part, mine: &Version, there: Part, theirs: &Version) -> Part {
    let (mut state, mut ops) = (here.state, here.ops);
    let mut others = there.ops;
    match (&state, there.state) {
        (Some(_), None) => others.retain(|at, _| !mine.contains(at.dot)),
        (None, Some(base)) => {
            ops.retain(|at, _| !theirs.contains(at.dot));
            state = Some(base);
        }
        _ => {}
    }
    ops.extend(others);
    Part { state, ops }
}

/// Those that no other one has seen all of.
fn widest(mut branches: Vec<(Version, Part)>) -> Vec<(Version, Part)> {
    branches.sort_by_cached_key(|(seen, part)| (encode(seen), encode(part)));
    branches.dedup_by(|one, other| one.0 == other.0);
    let seen: Vec<Version> = branches.iter().map(|(seen, _)| seen.clone()).collect();
    branches.retain(|(own, _)| !seen.iter().any(|other| other != own && other.covers(own)));
    branches
}

/// As every op on a field is read.
impl<'de> Deserialize<'de> for UnknownOp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_frame(deserializer, |frame| Ok(frame.keep()))
    }
}

impl fmt::Debug for UnknownOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownOp").field("tag", &self.tag).finish_non_exhaustive()
    }
}
