//! How a list is written and read: the order, the values of the living in the
//! order a reader sees them, the moves, and the stamps of values that were
//! changed. Elements and places are numbered in the order of the sequence, dead
//! ones included, so equal lists give equal bytes.

use super::homes::{Home, Homes};
use super::values::Values;
use super::{List, NONE};
use crate::bounds::Value;
use crate::seq::{Elements, Handles, Seq};
use repliq_core::{Hlc, ReplicaId, Stamp};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
struct Saved<V> {
    replicas: Vec<ReplicaId>,
    #[serde(with = "serde_bytes")]
    pieces: Vec<u8>,
    /// Of the living elements, in the order of their places.
    values: Vec<V>,
    moves: Vec<Move>,
    written: Vec<(u32, Stamp)>,
}

/// A place that an element was moved to.
#[derive(Serialize, Deserialize)]
struct Move {
    place: u32,
    element: u32,
    /// When, if the element is there now.
    hlc: Option<Hlc>,
}

impl<T: Value> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.seq.columns();
        let number = self.numbers();
        let moves = self.homes.guests().map(|(place, element)| {
            let home = self.homes.home(element).filter(|home| home.place == place);
            Move {
                place: number(place),
                element: number(element),
                hlc: home.map(|home| home.at.hlc),
            }
        });
        let mut moves: Vec<_> = moves.collect();
        moves.sort_unstable_by_key(|moved| moved.place);
        let written = self.written.iter().map(|(element, at)| (number(*element), *at));
        let mut written: Vec<_> = written.collect();
        written.sort_unstable_by_key(|(element, _)| *element);
        Saved {
            replicas: columns.replicas,
            pieces: columns.pieces,
            values: self.iter().collect(),
            moves,
            written,
        }
        .serialize(serializer)
    }
}

impl<'de, T: Value> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Saved::deserialize(deserializer)?.into_list().map_err(D::Error::custom)
    }
}

impl<T: Value> List<T> {
    /// The number of a handle in the order of the sequence, of every handle.
    fn numbers(&self) -> impl Fn(u32) -> u32 {
        let mut runs = Vec::new();
        // Only moved elements and changed values are numbered.
        if self.homes.guests().next().is_some() || !self.written.is_empty() {
            let mut number = 0;
            for run in self.seq.runs() {
                runs.push((run.first(), number));
                number += run.len();
            }
            runs.sort_unstable();
        }
        move |handle| {
            let run = runs.partition_point(|(first, _)| *first <= handle);
            let run = run.checked_sub(1).and_then(|run| runs.get(run));
            run.map_or(NONE, |(first, number)| number + (handle - first))
        }
    }
}

impl<T: Value> Saved<T> {
    /// The list, if this is what some history leaves. The handles are the numbers.
    fn into_list(self) -> Result<List<T>, &'static str> {
        let seq = Seq::from_columns(&self.replicas, &self.pieces, Handles::InOrder);
        let seq = seq.map_err(|damage| damage.0)?;
        let homes = homes(&seq, &self.moves)?;
        if self.values.len() != seq.visible() as usize {
            return Err("there are not as many values as elements");
        }
        let mut values = Values::default();
        for run in seq.runs() {
            let elements = Elements { first: run.first(), len: run.len() };
            // Of a living run these are the guests, of a dead one those with a value.
            let living = !run.is_dead();
            let apart = if living { homes.guests_in(elements) } else { homes.moved_in(elements) };
            let mut from = run.first();
            for place in apart.into_iter().chain([run.end()]) {
                if living {
                    (from..place).for_each(|_| values.push(None));
                } else {
                    values.skip(place - from);
                }
                if place < run.end() {
                    values.push(None);
                }
                from = place + 1;
            }
        }
        let living = seq.runs().filter(|run| !run.is_dead());
        let living = living.flat_map(|run| run.first()..run.end());
        for (place, value) in living.zip(self.values) {
            let element = homes.element(place);
            if homes.place(element) != place {
                return Err("an element stands at two places");
            }
            *values.get_mut(element).ok_or("a moved element is missing")? = Some(value);
        }
        let mut list = List { seq, values, homes, ..List::default() };
        if !self.written.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("changed values are out of order");
        }
        for (element, at) in self.written {
            if list.value(element).is_none() {
                return Err("a value was changed that is not there");
            }
            list.written.insert(element, at);
        }
        Ok(list)
    }
}

/// Where moved elements stand.
fn homes(seq: &Seq, moves: &[Move]) -> Result<Homes, &'static str> {
    if !moves.is_sorted_by(|a, b| a.place < b.place) {
        return Err("moves are out of order");
    }
    let mut homes = Homes::default();
    for moved in moves {
        if moved.place >= seq.elements() || moved.element >= seq.elements() {
            return Err("a move is out of range");
        }
        homes.add_guest(moved.place, moved.element);
    }
    for moved in moves {
        if homes.is_guest(moved.element) {
            return Err("a place was moved");
        }
        if seq.is_living(moved.place) != moved.hlc.is_some() {
            return Err("a move does not say when it was");
        }
        if let Some(hlc) = moved.hlc {
            let home = Home { place: moved.place, at: Stamp { hlc, dot: seq.dot(moved.place) } };
            if homes.set_home(moved.element, Some(home)).is_some() {
                return Err("an element stands at two places");
            }
        }
    }
    Ok(homes)
}
