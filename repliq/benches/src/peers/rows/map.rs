//! Maps from strings to numbers.
//!
//! Keys are `key-0012345` in a random order. A merge is that a replica takes in
//! all entries of another one as an update, half of whose keys it has itself.

use crate::millis;
use crate::peers::contestants::PEERS;
use crate::peers::peer::{Map, Maps};
use crate::peers::random::Random;
use crate::peers::row::Measure::{Millis, NanosEach};
use crate::peers::row::{Contestants, Round, Row, Sample, Target, each, timed};
use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;

const SIZES: &[usize] = &[100_000, 1_000_000];
const GETS: usize = 1_000_000;
const DELTA: usize = 10;
/// A delta is made and applied so often in one round: one alone is too short.
const DELTAS: usize = 100;

type Entries = Vec<(String, i64)>;

pub(crate) fn rows() -> Vec<Row> {
    SIZES.iter().flat_map(|size| rows_of(*size)).collect()
}

fn rows_of(size: usize) -> Vec<Row> {
    let sessions: Vec<_> = PEERS
        .iter()
        .filter_map(|peer| Some((peer.name(), Rc::new(Session::new(peer.maps()?, size)))))
        .collect();
    let large = size == 1_000_000;
    let case = if large { "1,000,000" } else { "100,000" };
    let contestants = |round: fn(&Session) -> Sample| -> Contestants {
        let contestant = |(peer, session): &(&'static str, Rc<Session>)| {
            let session = Rc::clone(session);
            (*peer, Box::new(move || round(&session)) as Round)
        };
        sessions.iter().map(contestant).collect()
    };
    let row = |id: &str, what, note, measure, target, round| Row {
        name: format!("map-{id}/{size}"),
        what,
        case: Some(case),
        note,
        measure,
        target,
        contestants: contestants(round),
    };
    let set = row(
        "set",
        "map, set",
        "new keys in a random order, as one transaction; not encoded.",
        NanosEach,
        if large { Target::at_most(0.4) } else { None },
        Session::set,
    );
    let get = Row {
        case: Some("1,000,000 of 100,000"),
        ..row(
            "get",
            "map, get",
            "keys at random from a map that was set as above.",
            NanosEach,
            Target::at_most(0.6),
            Session::get,
        )
    };
    let merge = row(
        "merge",
        "map, merge",
        "all entries of another replica come as one update, which is decoded; half of its keys \
         are here already.",
        Millis,
        None,
        Session::merge,
    );
    let save = row("save", "map, save", "to bytes.", Millis, None, Session::save);
    let load = row(
        "load",
        "map, load",
        "from these bytes, ready to edit, and one value is read.",
        Millis,
        None,
        Session::load,
    );
    let delta = row(
        "delta",
        "map, make and apply a delta of 10",
        "ten entries are set and encoded here, decoded and taken in there, a hundred times; for \
         each delta.",
        NanosEach,
        Target::at_most(1.0),
        Session::delta,
    );
    let mut rows = vec![set, merge, save, load, delta];
    if !large {
        rows.insert(1, get);
    }
    rows
}

/// Entries in a random order.
pub(super) fn entries(keys: Range<usize>, seed: u64) -> Entries {
    let mut entries: Vec<_> = keys.map(|i| (format!("key-{i:07}"), value(i))).collect();
    Random::new(seed).shuffle(&mut entries);
    entries
}

fn value(key: usize) -> i64 {
    i64::try_from(key % 1000).unwrap_or(0)
}

fn total(entries: &[(String, i64)]) -> i64 {
    entries.iter().map(|(_, value)| value).sum()
}

struct Session {
    maps: &'static dyn Maps,
    entries: OnceCell<Entries>,
    /// Keys to ask for, in another random order than they were set in.
    asked: OnceCell<Vec<String>>,
    whole: OnceCell<Vec<u8>>,
    others: OnceCell<Vec<u8>>,
    saved: OnceCell<Vec<u8>>,
    size: usize,
}

impl Session {
    const fn new(maps: &'static dyn Maps, size: usize) -> Self {
        Self {
            maps,
            entries: OnceCell::new(),
            asked: OnceCell::new(),
            whole: OnceCell::new(),
            others: OnceCell::new(),
            saved: OnceCell::new(),
            size,
        }
    }

    fn entries(&self) -> &Entries {
        self.entries.get_or_init(|| entries(0..self.size, 20_261_129))
    }

    fn asked(&self) -> &[String] {
        self.asked.get_or_init(|| {
            let keys: Vec<_> = self.entries().iter().map(|(key, _)| key.clone()).collect();
            let mut random = Random::new(20_261_130);
            (0..GETS).map(|_| keys[random.below(keys.len())].clone()).collect()
        })
    }

    fn filled(&self) -> Box<dyn Map> {
        let mut map = self.maps.empty(1);
        map.set(self.entries());
        map
    }

    /// All entries as one update.
    fn whole(&self) -> &[u8] {
        self.whole.get_or_init(|| self.maps.empty(1).set_encoded(self.entries()))
    }

    /// A replica that took in all entries.
    fn replica(&self, author: u8) -> Box<dyn Map> {
        let mut map = self.maps.empty(author);
        map.apply(self.whole());
        map
    }

    fn set(&self) -> Sample {
        let entries = self.entries();
        let mut map = self.maps.empty(1);
        let ((), took) = timed(|| map.set(entries));
        assert_eq!(map.len(), self.size);
        each(took, self.size).into()
    }

    fn get(&self) -> Sample {
        let (map, asked) = (self.filled(), self.asked());
        let expected: i64 = asked.iter().map(|key| value(key[4..].parse().unwrap_or(0))).sum();
        let (sum, took) = timed(|| map.sum(asked));
        assert_eq!(sum, expected);
        each(took, asked.len()).into()
    }

    fn merge(&self) -> Sample {
        let others = self.others.get_or_init(|| {
            let half = self.size / 2;
            self.maps.empty(2).set_encoded(&entries(half..half + self.size, 20_261_131))
        });
        let mut map = self.replica(3);
        let ((), took) = timed(|| map.apply(others));
        assert_eq!(map.len(), self.size + self.size / 2);
        millis(took).into()
    }

    fn save(&self) -> Sample {
        let mut map = self.filled();
        let (saved, took) = timed(|| map.save());
        assert_eq!(self.maps.load(&saved, 2).len(), self.size);
        millis(took).into()
    }

    fn load(&self) -> Sample {
        let saved = self.saved.get_or_init(|| self.filled().save());
        let first = [self.entries()[0].0.clone()];
        let ((map, value), took) = timed(|| {
            let map = self.maps.load(saved, 2);
            let value = map.sum(&first);
            (map, value)
        });
        assert_eq!(value, self.entries()[0].1);
        assert_eq!(map.len(), self.size);
        millis(took).into()
    }

    fn delta(&self) -> Sample {
        let (mut here, mut there) = (self.replica(2), self.replica(3));
        let changed: Vec<Entries> = self
            .entries()
            .chunks(DELTA)
            .take(DELTAS)
            .map(|some| some.iter().map(|(key, value)| (key.clone(), value + 1)).collect())
            .collect();
        let ((), took) = timed(|| {
            for entries in &changed {
                there.apply(&here.set_encoded(entries));
            }
        });
        for entries in &changed {
            let keys: Vec<_> = entries.iter().map(|(key, _)| key.clone()).collect();
            assert_eq!(there.sum(&keys), total(entries));
        }
        each(took, DELTAS).into()
    }
}
