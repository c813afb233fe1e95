//! What the cells sync: for each data type an edit, a view, and a naive model.
//!
//! An edit writes down what it did and, where that matters, what its author saw;
//! the model says from these notes alone what everybody has to see in the end. It
//! never looks at versions, stamps or the state of the type.

mod derived;
mod sequences;

pub use derived::SyncedStruct;
pub use sequences::{SyncedList, SyncedText};

use custom_crdt::{Leaderboard, LeaderboardEvent, LeaderboardMut, Standing};
use repliq::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// A data type with an edit that can be told apart, a view to compare, and a judge.
pub trait Type: 'static {
    /// The type.
    type Crdt: Crdt;
    /// What an edit did, and what its author saw, as far as the judge needs it.
    type Done: Debug + Send + Sync + 'static;
    /// The `n`-th edit of the device called `who`. Edits of different devices
    /// touch the same places; no two are the same.
    fn edit(tx: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> Self::Done;
    /// What a reader sees, in a fixed order.
    fn view(value: &Self::Crdt) -> Vec<String>;
    /// Changes a view as this event says.
    ///
    /// # Errors
    /// It says what cannot be: that something comes which is there, or goes which
    /// is not.
    fn patch(view: &mut Vec<String>, event: <Self::Crdt as Crdt>::Event) -> Result<(), String>;
    /// Whether `view` is what these edits come to. They are in the order in which
    /// they were made, each later than the one before by every clock.
    ///
    /// # Errors
    /// What was expected, and what is seen.
    fn judge(edits: &[&Self::Done], view: &[String]) -> Result<(), String>;
}

/// Judges a view that the model knows in full.
fn exactly(expected: impl IntoIterator<Item = String>, view: &[String]) -> Result<(), String> {
    let expected: Vec<String> = expected.into_iter().collect();
    if expected == view {
        Ok(())
    } else {
        Err(format!("it shows {view:?}\nbut the edits come to {expected:?}"))
    }
}

/// Adds to a sorted view.
fn comes(view: &mut Vec<String>, line: String) -> Result<(), String> {
    match view.binary_search(&line) {
        Ok(_) => Err(format!("an event says that {line:?} comes, which is there: {view:?}")),
        Err(place) => {
            view.insert(place, line);
            Ok(())
        }
    }
}

/// Takes everything out of a view that starts like this.
fn goes(view: &mut Vec<String>, start: &str) -> Result<(), String> {
    let before = view.len();
    view.retain(|line| !line.starts_with(start));
    if view.len() < before {
        Ok(())
    } else {
        Err(format!("an event says that {start:?} goes, which is not there: {view:?}"))
    }
}

/// What an edit did to a map or set: the key and what it holds then, or nothing.
type Writes = Vec<(String, Option<String>)>;

/// The last write wins: what is left when all writes are made in order.
fn last_of(edits: &[&Writes]) -> BTreeMap<String, String> {
    let mut last = BTreeMap::new();
    for (key, value) in edits.iter().copied().flatten() {
        match value {
            Some(value) => drop(last.insert(key.clone(), value.clone())),
            None => drop(last.remove(key)),
        }
    }
    last
}

/// [`LwwMap`].
#[derive(Debug)]
pub struct SyncedMap;

impl Type for SyncedMap {
    type Crdt = LwwMap<String, String>;
    type Done = Writes;

    fn edit(map: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> Writes {
        let own = (format!("own {who} {n}"), Some(format!("{n}")));
        let shared = (format!("shared {}", n % 3), Some(format!("{who} {n}")));
        let gone = (n % 4 == 3).then(|| (format!("shared {}", n % 2), None));
        let writes: Writes = [own, shared].into_iter().chain(gone).collect();
        for (key, value) in writes.clone() {
            match value {
                Some(value) => map.set(key, value),
                None => map.remove(key),
            }
        }
        writes
    }

    fn view(map: &Self::Crdt) -> Vec<String> {
        let mut view: Vec<String> = map.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        view.sort();
        view
    }

    fn patch(view: &mut Vec<String>, event: MapEvent<String, String>) -> Result<(), String> {
        match event {
            MapEvent::Set { key, value } => {
                let _ = goes(view, &format!("{key} = "));
                comes(view, format!("{key} = {value}"))
            }
            MapEvent::Removed { key } => goes(view, &format!("{key} = ")),
        }
    }

    fn judge(edits: &[&Writes], view: &[String]) -> Result<(), String> {
        let mut expected: Vec<_> =
            last_of(edits).into_iter().map(|(k, v)| format!("{k} = {v}")).collect();
        expected.sort();
        exactly(expected, view)
    }
}

/// [`LwwSet`].
#[derive(Debug)]
pub struct SyncedSet;

impl Type for SyncedSet {
    type Crdt = LwwSet<String>;
    type Done = Writes;

    fn edit(set: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> Writes {
        let added = [format!("own {who} {n}"), format!("shared {}", n % 3)];
        let gone = (n % 4 == 3).then(|| (format!("shared {}", n % 2), None));
        let added = added.into_iter().map(|element| (element, Some(String::new())));
        let writes: Writes = added.chain(gone).collect();
        for (element, stays) in writes.clone() {
            if stays.is_some() { set.add(element) } else { set.remove(element) }
        }
        writes
    }

    fn view(set: &Self::Crdt) -> Vec<String> {
        let mut view: Vec<String> = set.elements().into_iter().cloned().collect();
        view.sort();
        view
    }

    fn patch(view: &mut Vec<String>, event: SetEvent<String>) -> Result<(), String> {
        match event {
            SetEvent::Added { element } => comes(view, element),
            SetEvent::Removed { element } => goes(view, &element),
        }
    }

    fn judge(edits: &[&Writes], view: &[String]) -> Result<(), String> {
        exactly(last_of(edits).into_keys(), view)
    }
}

/// [`LwwRegister`].
#[derive(Debug)]
pub struct SyncedRegister;

impl Type for SyncedRegister {
    type Crdt = LwwRegister<String>;
    type Done = String;

    fn edit(register: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> String {
        let value = format!("{who} {n}");
        register.set(value.clone());
        value
    }

    fn view(register: &Self::Crdt) -> Vec<String> {
        register.get().cloned().into_iter().collect()
    }

    fn patch(view: &mut Vec<String>, event: RegisterEvent<String>) -> Result<(), String> {
        let RegisterEvent::Set { value } = event;
        *view = vec![value];
        Ok(())
    }

    fn judge(edits: &[&String], view: &[String]) -> Result<(), String> {
        exactly(edits.last().map(|last| (*last).clone()), view)
    }
}

/// A value that was set, and those that its author saw then.
#[derive(Debug)]
pub struct SetOver {
    value: String,
    seen: Vec<String>,
}

/// [`MvRegister`].
#[derive(Debug)]
pub struct SyncedMvRegister;

impl Type for SyncedMvRegister {
    type Crdt = MvRegister<String>;
    type Done = SetOver;

    fn edit(register: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> SetOver {
        let (value, seen) = (format!("{who} {n}"), Self::view(register));
        register.set(value.clone());
        SetOver { value, seen }
    }

    fn view(register: &Self::Crdt) -> Vec<String> {
        let mut view: Vec<String> = register.values().cloned().collect();
        view.sort();
        view
    }

    fn patch(view: &mut Vec<String>, event: MvRegisterEvent<String>) -> Result<(), String> {
        let MvRegisterEvent::Changed { mut values } = event;
        values.sort();
        *view = values;
        Ok(())
    }

    /// A value stays until somebody sets another who has seen it.
    fn judge(edits: &[&SetOver], view: &[String]) -> Result<(), String> {
        let gone: BTreeSet<&String> = edits.iter().flat_map(|edit| &edit.seen).collect();
        let mut values: Vec<String> = edits.iter().map(|edit| edit.value.clone()).collect();
        values.retain(|value| !gone.contains(value));
        values.sort();
        exactly(values, view)
    }
}

/// [`GCounter`].
#[derive(Debug)]
pub struct SyncedGCounter;

impl Type for SyncedGCounter {
    type Crdt = GCounter;
    type Done = u64;

    fn edit(counter: &mut Tx<'_, Self::Crdt>, _who: &'static str, n: usize) -> u64 {
        let by = 1 + n as u64;
        counter.add(by);
        by
    }

    fn view(counter: &Self::Crdt) -> Vec<String> {
        vec![counter.value().to_string()]
    }

    fn patch(view: &mut Vec<String>, event: GCounterEvent) -> Result<(), String> {
        let GCounterEvent::Changed { value } = event;
        *view = vec![value.to_string()];
        Ok(())
    }

    fn judge(edits: &[&u64], view: &[String]) -> Result<(), String> {
        exactly([edits.iter().copied().sum::<u64>().to_string()], view)
    }
}

/// [`PnCounter`].
#[derive(Debug)]
pub struct SyncedPnCounter;

impl Type for SyncedPnCounter {
    type Crdt = PnCounter;
    type Done = i64;

    fn edit(counter: &mut Tx<'_, Self::Crdt>, _who: &'static str, n: usize) -> i64 {
        let by = if n.is_multiple_of(2) { 7 } else { -3 };
        counter.add(by);
        by
    }

    fn view(counter: &Self::Crdt) -> Vec<String> {
        vec![counter.value().to_string()]
    }

    fn patch(view: &mut Vec<String>, event: PnCounterEvent) -> Result<(), String> {
        let PnCounterEvent::Changed { value } = event;
        *view = vec![value.to_string()];
        Ok(())
    }

    fn judge(edits: &[&i64], view: &[String]) -> Result<(), String> {
        exactly([edits.iter().copied().sum::<i64>().to_string()], view)
    }
}

/// An edit of something whose removals take only what their author has seen. Each
/// edit also adds a mark that nobody removes, so whoever sees the mark has seen
/// the edit.
#[derive(Debug)]
pub struct Marked {
    mark: String,
    /// The marks that its author saw, its own included.
    seen: BTreeSet<String>,
    /// The place that it added something to.
    to: String,
    /// The place that it removed then.
    removed: Option<String>,
}

impl Marked {
    fn new(who: &str, n: usize, mut seen: BTreeSet<String>) -> Self {
        let (mark, to) = (format!("own {who} {n}"), format!("shared {}", n % 3));
        seen.insert(mark.clone());
        Self { mark, seen, to, removed: (n % 4 == 3).then(|| format!("shared {}", n % 2)) }
    }

    /// Whether one of these has removed what `self` added.
    fn is_undone_by<'a>(&self, mut edits: impl Iterator<Item = &'a &'a Self>) -> bool {
        edits.any(|edit| edit.removed.as_ref() == Some(&self.to) && edit.seen.contains(&self.mark))
    }
}

fn is_mark(text: &&String) -> bool {
    text.starts_with("own")
}

/// [`OrSet`].
#[derive(Debug)]
pub struct SyncedOrSet;

impl Type for SyncedOrSet {
    type Crdt = OrSet<String>;
    type Done = Marked;

    fn edit(set: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> Marked {
        let done = Marked::new(who, n, set.iter().filter(is_mark).cloned().collect());
        set.add(done.mark.clone());
        set.add(done.to.clone());
        if let Some(element) = done.removed.clone() {
            set.remove(element);
        }
        done
    }

    fn view(set: &Self::Crdt) -> Vec<String> {
        set.elements().into_iter().cloned().collect()
    }

    fn patch(view: &mut Vec<String>, event: OrSetEvent<String>) -> Result<(), String> {
        match event {
            OrSetEvent::Added { element } => comes(view, element),
            OrSetEvent::Removed { element } => goes(view, &element),
        }
    }

    /// An addition stays until somebody removes the element who has seen it.
    fn judge(edits: &[&Marked], view: &[String]) -> Result<(), String> {
        let there = edits.iter().filter(|edit| !edit.is_undone_by(edits.iter()));
        let there = there.map(|edit| edit.to.clone());
        let marks = edits.iter().map(|edit| edit.mark.clone());
        exactly(there.chain(marks).collect::<BTreeSet<_>>(), view)
    }
}

/// [`CrdtMap`], with sets as children.
#[derive(Debug)]
pub struct SyncedCrdtMap;

impl Type for SyncedCrdtMap {
    type Crdt = CrdtMap<String, OrSet<String>>;
    type Done = Marked;

    fn edit(map: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> Marked {
        let marks = map.get("marks").into_iter().flat_map(OrSet::iter);
        let done = Marked::new(who, n, marks.cloned().collect());
        map.entry("marks".to_owned()).add(done.mark.clone());
        map.entry(done.to.clone()).add(done.mark.clone());
        if let Some(key) = done.removed.clone() {
            map.remove(key);
        }
        done
    }

    fn view(map: &Self::Crdt) -> Vec<String> {
        let of_key = |(key, set): (&String, &OrSet<String>)| -> Vec<String> {
            set.iter().map(|element| format!("{key}: {element}")).collect()
        };
        let mut view: Vec<String> = map.iter().flat_map(of_key).collect();
        view.sort();
        view
    }

    fn patch(
        view: &mut Vec<String>,
        event: CrdtMapEvent<String, OrSet<String>>,
    ) -> Result<(), String> {
        match event {
            CrdtMapEvent::Shown { key, child } => {
                let _ = goes(view, &format!("{key}: "));
                child.iter().try_for_each(|element| comes(view, format!("{key}: {element}")))
            }
            CrdtMapEvent::Changed { key, event: OrSetEvent::Added { element } } => {
                comes(view, format!("{key}: {element}"))
            }
            CrdtMapEvent::Changed { key, event: OrSetEvent::Removed { element } } => {
                goes(view, &format!("{key}: {element}"))
            }
            CrdtMapEvent::Removed { key } => goes(view, &format!("{key}: ")),
        }
    }

    fn judge(edits: &[&Marked], view: &[String]) -> Result<(), String> {
        let marks = edits.iter().map(|edit| format!("marks: {}", edit.mark));
        let shown = shown_children(edits).into_iter();
        let shown = shown.map(|(key, element)| format!("{key}: {element}"));
        exactly(shown.chain(marks).collect::<BTreeSet<_>>(), view)
    }
}

/// What each key shows: the youngest child, with all its content, unless every
/// edit of it is undone. Who edits a key that shows nothing starts a new child.
fn shown_children<'a>(edits: &[&'a Marked]) -> Vec<(&'a str, &'a str)> {
    /// Which child of its key shows, and whether it shows at all.
    fn youngest(key: &str, edits: &[(&Marked, usize)]) -> (usize, bool) {
        let of_key = || edits.iter().filter(|(edit, _)| edit.to == key);
        let youngest = of_key().map(|(_, child)| *child).max().unwrap_or(0);
        let all: Vec<&Marked> = edits.iter().map(|(edit, _)| *edit).collect();
        let mut last = of_key().filter(|(_, child)| *child == youngest);
        (youngest, last.any(|(edit, _)| !edit.is_undone_by(all.iter())))
    }
    let mut children: Vec<(&Marked, usize)> = Vec::new();
    for edit in edits {
        let seen = children.iter().filter(|(other, _)| edit.seen.contains(&other.mark));
        let (child, shows) = youngest(&edit.to, &seen.copied().collect::<Vec<_>>());
        children.push((edit, if shows { child } else { child + 1 }));
    }
    let shown =
        children.iter().filter(|(edit, child)| youngest(&edit.to, &children) == (*child, true));
    shown.map(|(edit, _)| (edit.to.as_str(), edit.mark.as_str())).collect()
}

/// [`Leaderboard`], with three places.
#[derive(Debug)]
pub struct SyncedLeaderboard;

/// What was done in which season: a score of a player, or a player disqualified.
type Scores = Vec<(u64, String, Option<u64>)>;

impl Type for SyncedLeaderboard {
    type Crdt = Leaderboard<3>;
    type Done = Scores;

    fn edit(board: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> Scores {
        if n % 12 == 11 {
            board.begin_season();
        }
        let season = board.season();
        let shared = (season, format!("shared {}", n % 5), Some((n * 7 % 11) as u64));
        let own = (season, format!("{who} {}", n % 2), Some((n * 5 % 13) as u64));
        let gone = (n % 5 == 4).then(|| (season, format!("shared {}", n % 3), None));
        let done: Scores = [shared, own].into_iter().chain(gone).collect();
        for (_, player, score) in done.clone() {
            // Only longer names are refused.
            let _ = match score {
                Some(score) => board.submit(player, score),
                None => board.disqualify(player),
            };
        }
        done
    }

    fn view(board: &Self::Crdt) -> Vec<String> {
        board.standings().map(|line| format!("{} = {}", line.player, line.score)).collect()
    }

    fn patch(view: &mut Vec<String>, event: LeaderboardEvent) -> Result<(), String> {
        match event {
            LeaderboardEvent::Season { .. } => view.clear(),
            LeaderboardEvent::Left { player } => goes(view, &format!("{player} = "))?,
            LeaderboardEvent::Placed { place, standing } => {
                let Standing { player, score } = standing;
                let _ = goes(view, &format!("{player} = "));
                if place > view.len() {
                    return Err(format!("an event names place {place} of {view:?}"));
                }
                view.insert(place, format!("{player} = {score}"));
            }
        }
        Ok(())
    }

    fn judge(edits: &[&Scores], view: &[String]) -> Result<(), String> {
        let done: Vec<_> = edits.iter().copied().flatten().collect();
        let season = done.iter().map(|(season, ..)| *season).max().unwrap_or(0);
        let mut best: Vec<(&str, u64)> = Vec::new();
        for (_, player, score) in done.iter().filter(|(of, ..)| *of == season) {
            let Some(score) = *score else { continue };
            let known = best.iter().position(|(held, _)| held == player);
            let higher = known.and_then(|at| best.get(at)).is_none_or(|(_, held)| score > *held);
            if higher {
                best.retain(|(held, _)| held != player);
                best.push((player, score));
            }
        }
        // Stable: of equal scores the earlier stays in front.
        best.sort_by_key(|(_, score)| Reverse(*score));
        best.truncate(6);
        let gone = |player: &str| {
            done.iter().any(|(of, who, score)| *of == season && who == player && score.is_none())
        };
        let shown = best.into_iter().filter(|(player, _)| !gone(player)).take(3);
        exactly(shown.map(|(player, score)| format!("{player} = {score}")), view)
    }
}
