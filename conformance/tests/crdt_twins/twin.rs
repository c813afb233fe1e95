//! A small last-writer-wins map that is right, and can be broken in one way at a
//! time: each bug is one line of it.

use repliq_conformance::Rng;
use repliq_conformance::crdt::{History, Oracle, Suite};
use repliq_core::{Crdt, CrdtError, Cut, Effects, Hlc, Stamp, Tx, Version};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u8)]
        enum Number { $($name,)* }
        $($(#[$doc])* pub(crate) const $name: u8 = Number::$name as u8;)*
    };
}

bugs! {
    /// Right as it is.
    NONE,
    TIES_GO_BY_ARRIVAL,
    BYTES_GO_BY_ARRIVAL,
    READS_A_CLOCK,
    REFUSES_THE_OVERTAKEN,
    THE_FIRST_WRITER_WINS,
    TIES_GO_BY_VALUE,
    TIME_ZERO_IS_NO_TIME,
    FULL_AFTER_250_SLOTS,
    JOIN_KEEPS_OURS,
    JOIN_TAKES_THE_MEAN,
    JOIN_ADDS_UP,
    JOIN_IGNORES_REMOVALS,
    JOIN_TAKES_THEIRS,
    JOIN_DROPS_WHAT_IS_ABSENT_THERE,
    JOIN_INTO_NOTHING_IS_NOTHING,
    JOIN_LOSES_STAMPS,
    BYTES_LOSE_VALUES,
    BYTES_LOSE_REMOVALS,
    BYTES_ARE_TRUSTED,
    OPS_LOSE_VALUES,
    SLOTS_ALTERNATE,
    GROWS_OVER_OTHER_KEYS,
    ROLLBACK_REMOVES,
    ROLLBACK_LEAVES_A_TOMBSTONE,
    JOIN_HAS_NO_UNDO,
    REFUSES_TOO_LATE,
    ACCEPTS_EVERYTHING,
    NOTHING_IS_SAID_AGAIN,
    PRUNE_TAKES_THE_LIVING,
    PRUNE_IGNORES_THE_CUT,
    JOIN_BRINGS_BACK,
    REMOVALS_HAVE_NO_EVENT,
    OVERTAKEN_WRITES_HAVE_EVENTS,
    JOIN_HAS_NO_EVENTS,
    EVENTS_NEED_AN_UNDO,
    SLOTS_ARE_ALL_MINE,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    value: Option<u64>,
    received: u64,
}

#[derive(Default, Debug)]
pub(crate) struct Twin<const BUG: u8> {
    entries: BTreeMap<u8, Entry>,
    arrived: Vec<u8>,
    applied: u64,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Op<const BUG: u8> {
    key: u8,
    value: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Changed {
    key: u8,
    value: Option<u64>,
}

pub(crate) struct Undo {
    key: u8,
    old: Option<Entry>,
    arrived: usize,
    applied: u64,
}

/// Keys from here on are refused.
const REFUSED: u8 = 200;

fn tick() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1, Ordering::Relaxed)
}

impl<const BUG: u8> Twin<BUG> {
    fn wins(new: &Entry, held: &Entry) -> bool {
        match BUG {
            TIES_GO_BY_ARRIVAL => new.stamp.hlc >= held.stamp.hlc,
            THE_FIRST_WRITER_WINS => (new.stamp, new.value) < (held.stamp, held.value),
            TIES_GO_BY_VALUE => {
                (new.stamp.hlc, new.value, new.stamp) > (held.stamp.hlc, held.value, held.stamp)
            }
            _ => (new.stamp, new.value) > (held.stamp, held.value),
        }
    }

    fn put(&mut self, key: u8, new: Option<Entry>, joins: bool, fx: &mut Effects<Self>) {
        let value = new.as_ref().and_then(|entry| entry.value);
        let old = match new {
            Some(new) => self.entries.insert(key, new),
            None => self.entries.remove(&key),
        };
        let was_live = old.as_ref().is_some_and(|old| old.value.is_some());
        let hidden = (BUG == REMOVALS_HAVE_NO_EVENT && value.is_none())
            || (BUG == EVENTS_NEED_AN_UNDO && !fx.wants_undo())
            || (BUG == JOIN_HAS_NO_EVENTS && joins);
        if (was_live || value.is_some()) && !hidden {
            fx.event(|| Changed { key, value });
        }
        if !(BUG == JOIN_HAS_NO_UNDO && joins) {
            let (arrived, applied) = (self.arrived.len(), self.applied);
            fx.undo(|| Undo { key, old, arrived, applied });
        }
        if BUG == BYTES_GO_BY_ARRIVAL && !self.arrived.contains(&key) {
            self.arrived.push(key);
        }
    }
}

impl<const BUG: u8> Crdt for Twin<BUG> {
    const KIND: &'static str = "twin/1";
    type Op = Op<BUG>;
    type Event = Changed;
    type Undo = Undo;

    fn slots(_op: &Self::Op) -> u64 {
        match BUG {
            SLOTS_ALTERNATE => 1 + tick() % 2,
            _ => 1,
        }
    }

    fn may_grow(_op: &Self::Op) -> bool {
        BUG != SLOTS_ARE_ALL_MINE
    }

    /// The same write once more is no other op.
    fn grow(last: &mut Self::Op, next: &mut Self::Op) -> bool {
        if BUG == GROWS_OVER_OTHER_KEYS {
            last.value = next.value;
        }
        last == next || BUG == GROWS_OVER_OTHER_KEYS
    }

    fn apply(&mut self, op: Self::Op, at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        let Op { key, value } = op;
        let refused = key >= REFUSED && BUG != ACCEPTS_EVERYTHING;
        if refused && BUG != REFUSES_TOO_LATE {
            return Err(CrdtError::Invalid("the key is out of range"));
        }
        if (BUG == TIME_ZERO_IS_NO_TIME && at.hlc == Hlc(0))
            || (BUG == FULL_AFTER_250_SLOTS && at.dot.seq >= 250)
            || (BUG == SLOTS_ARE_ALL_MINE && at.dot.seq > self.applied)
        {
            return Ok(());
        }
        let received = if BUG == READS_A_CLOCK { tick() } else { 0 };
        let new = Entry { stamp: at, value, received };
        if self.entries.get(&key).is_none_or(|held| Self::wins(&new, held)) {
            self.put(key, Some(new), false, fx);
        } else if BUG == REFUSES_THE_OVERTAKEN {
            return Err(CrdtError::Invalid("a later write is known"));
        } else if BUG == OVERTAKEN_WRITES_HAVE_EVENTS {
            fx.event(|| Changed { key, value });
        } else if BUG == SLOTS_ARE_ALL_MINE {
            let old = self.entries.get(&key).cloned();
            let applied = self.applied;
            fx.undo(|| Undo { key, old, arrived: 0, applied });
        }
        if BUG == SLOTS_ARE_ALL_MINE {
            self.applied += 1;
        }
        if refused { Err(CrdtError::Invalid("the key is out of range")) } else { Ok(()) }
    }

    fn join(&mut self, mine: &Version, other: Self, theirs: &Version, fx: &mut Effects<Self>) {
        if BUG == JOIN_INTO_NOTHING_IS_NOTHING && mine.is_empty() {
            return;
        }
        let absent = |(key, held): (&u8, &Entry)| {
            let there = other.entries.contains_key(key);
            let seen = theirs.contains(held.stamp.dot) || BUG == JOIN_DROPS_WHAT_IS_ABSENT_THERE;
            (!there && seen && BUG != JOIN_BRINGS_BACK).then_some(*key)
        };
        for key in self.entries.iter().filter_map(absent).collect::<Vec<_>>() {
            self.put(key, None, true, fx);
        }
        for (key, mut new) in other.entries {
            if BUG == JOIN_IGNORES_REMOVALS && new.value.is_none() {
                continue;
            }
            if BUG == JOIN_LOSES_STAMPS {
                new.stamp.hlc = Hlc(0);
            }
            let Some(held) = self.entries.get(&key) else {
                if !mine.contains(new.stamp.dot) || BUG == JOIN_BRINGS_BACK {
                    self.put(key, Some(new), true, fx);
                }
                continue;
            };
            let mean = |a: Option<u64>, b: Option<u64>| Some(a? / 2 + b? / 2);
            let wins = match BUG {
                JOIN_KEEPS_OURS => false,
                JOIN_TAKES_THEIRS => true,
                JOIN_TAKES_THE_MEAN | JOIN_ADDS_UP => {
                    let (one, other) = (new.value, held.value);
                    new.stamp = new.stamp.max(held.stamp);
                    new.value = match BUG {
                        JOIN_ADDS_UP => Some(one.unwrap_or(0).wrapping_add(other.unwrap_or(0))),
                        _ if one == other => one,
                        _ => mean(one, other),
                    };
                    true
                }
                _ => Self::wins(&new, held),
            };
            if wins {
                self.put(key, Some(new), true, fx);
            }
        }
        if BUG == SLOTS_ARE_ALL_MINE {
            let mut both = mine.clone();
            both.join(theirs);
            let key = REFUSED;
            let applied = self.applied;
            fx.undo(|| Undo { key, old: None, arrived: 0, applied });
            self.applied = both.iter().map(|(_, count)| count).sum();
        }
    }

    fn rollback(&mut self, undo: Undo) {
        let Undo { key, old, arrived, applied } = undo;
        match old {
            Some(old) if BUG != ROLLBACK_REMOVES => drop(self.entries.insert(key, old)),
            None if BUG == ROLLBACK_LEAVES_A_TOMBSTONE => {
                self.entries.entry(key).and_modify(|entry| entry.value = None);
            }
            _ => drop(self.entries.remove(&key)),
        }
        self.arrived.truncate(arrived);
        self.applied = applied;
    }

    fn prune(&mut self, cut: &Cut) {
        self.entries.retain(|_, entry| {
            let below = BUG == PRUNE_IGNORES_THE_CUT
                || (cut.version.contains(entry.stamp.dot) && entry.stamp.hlc < cut.floor);
            !below || (entry.value.is_some() && BUG != PRUNE_TAKES_THE_LIVING)
        });
    }

    fn reauthor(
        op: Self::Op,
        _at: Stamp,
        _before: &Self,
        tx: &mut Tx<'_, Self>,
    ) -> Result<(), CrdtError> {
        if BUG == NOTHING_IS_SAID_AGAIN { Ok(()) } else { tx.push(op) }
    }
}

type Rows = Vec<(u8, Entry)>;

impl<const BUG: u8> Serialize for Twin<BUG> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows: Rows = self.entries.clone().into_iter().collect();
        match BUG {
            BYTES_GO_BY_ARRIVAL => {
                rows.sort_by_key(|(key, _)| self.arrived.iter().position(|other| other == key));
            }
            BYTES_LOSE_VALUES => rows.iter_mut().for_each(|(_, entry)| {
                entry.value = entry.value.map(|value| value & 0xff);
            }),
            BYTES_LOSE_REMOVALS => rows.retain(|(_, entry)| entry.value.is_some()),
            _ => {}
        }
        (rows, self.applied).serialize(serializer)
    }
}

impl<'de, const BUG: u8> Deserialize<'de> for Twin<BUG> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (rows, applied) = <(Rows, u64)>::deserialize(deserializer)?;
        let sorted = rows.is_sorted_by(|a, b| a.0 < b.0);
        if BUG == BYTES_ARE_TRUSTED {
            assert!(sorted, "rows are sorted when they are written");
        } else if BUG != BYTES_GO_BY_ARRIVAL && !sorted {
            return Err(D::Error::custom("rows are out of order"));
        }
        let arrived = match BUG {
            BYTES_GO_BY_ARRIVAL => rows.iter().map(|(key, _)| *key).collect(),
            _ => Vec::new(),
        };
        Ok(Self { entries: rows.into_iter().collect(), arrived, applied })
    }
}

impl<const BUG: u8> Serialize for Op<BUG> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.value.filter(|_| BUG != OPS_LOSE_VALUES);
        (self.key, value).serialize(serializer)
    }
}

impl<'de, const BUG: u8> Deserialize<'de> for Op<BUG> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <(u8, Option<u64>)>::deserialize(deserializer).map(|(key, value)| Self { key, value })
    }
}

pub(crate) struct Model;

impl<const BUG: u8> Oracle<Twin<BUG>> for Model {
    type View = BTreeMap<u8, u64>;

    fn view(state: &Twin<BUG>) -> Self::View {
        state.entries.iter().filter_map(|(key, entry)| Some((*key, entry.value?))).collect()
    }

    fn patch(view: &mut Self::View, event: Changed) {
        match event.value {
            Some(value) => view.insert(event.key, value),
            None => view.remove(&event.key),
        };
    }

    fn expected(history: &History<Op<BUG>>) -> Self::View {
        let mut winners = BTreeMap::new();
        for said in history {
            let write = (said.at, said.op.value);
            let winner = winners.entry(said.op.key).or_insert(write);
            *winner = write.max(*winner);
        }
        winners.into_iter().filter_map(|(key, (_, value))| Some((key, value?))).collect()
    }

    fn refused(rng: &mut Rng, _: &Twin<BUG>) -> Option<Op<BUG>> {
        Some(Op { key: REFUSED + rng.bits().to_le_bytes()[0] % 50, value: None })
    }
}

pub(crate) type Harness<const BUG: u8> = Suite<Twin<BUG>, Edit<BUG>, Model>;

type Edit<const BUG: u8> = fn(&mut Rng, &Twin<BUG>) -> Option<Op<BUG>>;

pub(crate) fn edit<const BUG: u8>(rng: &mut Rng, _: &Twin<BUG>) -> Option<Op<BUG>> {
    let key = rng.bits().to_le_bytes()[0] % 6;
    let value = if rng.below(3) == 0 { None } else { Some(rng.bits()) };
    Some(Op { key, value })
}

pub(crate) fn harness<const BUG: u8>() -> Harness<BUG> {
    Suite::new(edit::<BUG>)
}
