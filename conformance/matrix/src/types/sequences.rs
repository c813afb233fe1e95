//! Types whose elements have an order: the order that any author saw stays.

use super::{Type, exactly};
use repliq::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Whether no author saw any two elements the other way round than they are seen.
fn in_order<'a, T: Ord + Debug + 'a>(
    afters: impl Iterator<Item = &'a Vec<T>>,
    seen: &[T],
) -> Result<(), String> {
    let place: BTreeMap<&T, usize> = seen.iter().zip(0..).collect();
    for after in afters {
        let places: Vec<usize> = after.iter().filter_map(|one| place.get(one).copied()).collect();
        if !places.is_sorted() {
            return Err(format!("it shows {seen:?}\nin another order than {after:?}"));
        }
    }
    Ok(())
}

/// An edit of a text whose characters are all different.
#[derive(Debug)]
pub struct Typed {
    inserted: Vec<char>,
    deleted: Option<char>,
    /// What its author saw then.
    after: Vec<char>,
}

/// [`Text`].
#[derive(Debug)]
pub struct SyncedText;

impl SyncedText {
    /// Three characters that no other edit inserts.
    fn word(who: &str, n: usize) -> Vec<char> {
        let device = who.bytes().next().map_or(0, u32::from) - u32::from(b'a');
        let first = 0x4e00 + device * 3000 + 3 * u32::try_from(n).unwrap_or(u32::MAX / 8);
        (first..first + 3).filter_map(char::from_u32).collect()
    }
}

impl Type for SyncedText {
    type Crdt = Text;
    type Done = Typed;

    fn edit(text: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> Typed {
        let inserted = Self::word(who, n);
        // The middle of the text is inside of it, so neither edit can fail.
        let middle = text.len() / 2;
        let _ = text.insert(middle, &inserted.iter().collect::<String>());
        let deleted = (n % 4 == 3).then(|| text.to_string().chars().nth(middle)).flatten();
        if deleted.is_some() {
            let _ = text.delete(middle..middle + 1);
        }
        Typed { inserted, deleted, after: text.to_string().chars().collect() }
    }

    fn view(text: &Self::Crdt) -> Vec<String> {
        vec![text.to_string()]
    }

    fn patch(view: &mut Vec<String>, event: TextEvent) -> Result<(), String> {
        let mut seen: Vec<char> = view.concat().chars().collect();
        let (range, text) = match event {
            TextEvent::Inserted { index, text } => (index..index, text),
            TextEvent::Deleted { index, len } => (index..index + len, String::new()),
        };
        if range.end > seen.len() {
            return Err(format!("an event changes {range:?} of {view:?}"));
        }
        seen.splice(range, text.chars());
        *view = vec![seen.into_iter().collect()];
        Ok(())
    }

    /// Everything inserted and not deleted is there once, and no two characters
    /// ever change their order.
    fn judge(edits: &[&Typed], view: &[String]) -> Result<(), String> {
        let mut expected: BTreeSet<char> = edits.iter().flat_map(|e| e.inserted.clone()).collect();
        for edit in edits {
            expected.retain(|inserted| Some(*inserted) != edit.deleted);
        }
        let seen: Vec<char> = view.concat().chars().collect();
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        exactly([expected.iter().collect()], &[sorted.iter().collect()])?;
        in_order(edits.iter().map(|edit| &edit.after), &seen)
    }
}

/// An edit of a list. The value of an element is `name=value`; the name stays.
#[derive(Debug)]
pub struct Arranged {
    inserted: String,
    then: Then,
    /// The names that its author saw then.
    after: Vec<String>,
}

/// What an edit of a list does to an element, by its name, after an insertion.
#[derive(Debug)]
enum Then {
    Nothing,
    Moves(String),
    Sets(String, String),
    Deletes(String),
}

/// [`List`].
#[derive(Debug)]
pub struct SyncedList;

impl SyncedList {
    fn name(value: &str) -> String {
        value.split_once('=').map_or(value, |(name, _)| name).to_owned()
    }

    fn names(list: &List<String>) -> Vec<String> {
        list.iter().map(|value| Self::name(value)).collect()
    }
}

impl Type for SyncedList {
    type Crdt = List<String>;
    type Done = Arranged;

    fn edit(list: &mut Tx<'_, Self::Crdt>, who: &'static str, n: usize) -> Arranged {
        // The middle of the list is inside of it, so no edit can fail.
        let (inserted, middle) = (format!("{who} {n}"), list.len() / 2);
        let _ = list.insert(middle, format!("{inserted}=new"));
        let name = |at: usize| list.get(at).map(|value| Self::name(value)).unwrap_or_default();
        let (first, at_middle) = (name(0), name(middle));
        let then = match n % 4 {
            1 => {
                let _ = list.move_to(0, middle);
                Then::Moves(first)
            }
            2 => {
                let value = format!("{at_middle}=set {who} {n}");
                let _ = list.set(middle, value.clone());
                Then::Sets(at_middle, value)
            }
            3 => {
                let _ = list.delete(middle..=middle);
                Then::Deletes(at_middle)
            }
            _ => Then::Nothing,
        };
        Arranged { inserted, then, after: Self::names(list) }
    }

    fn view(list: &Self::Crdt) -> Vec<String> {
        list.iter().cloned().collect()
    }

    fn patch(view: &mut Vec<String>, event: ListEvent<String>) -> Result<(), String> {
        let len = view.len();
        let wrong = |what: String| format!("an event {what} of {len} elements");
        match event {
            ListEvent::Inserted { index, values } if index <= len => {
                view.splice(index..index, values);
            }
            ListEvent::Deleted { index, len: count } if index + count <= len => {
                view.drain(index..index + count);
            }
            ListEvent::Set { index, value } => {
                *view.get_mut(index).ok_or_else(|| wrong(format!("sets {index}")))? = value;
            }
            ListEvent::Moved { from, to } if from < len && to < len => {
                let value = view.remove(from);
                view.insert(to, value);
            }
            event => return Err(wrong(format!("{event:?}"))),
        }
        Ok(())
    }

    /// Everything inserted and not deleted is there once, with the value it was
    /// given last; what nobody moved keeps its order.
    fn judge(edits: &[&Arranged], view: &[String]) -> Result<(), String> {
        let mut values = BTreeMap::new();
        for edit in edits {
            values.insert(&edit.inserted, format!("{}=new", edit.inserted));
        }
        let (mut gone, mut moved) = (BTreeSet::new(), BTreeSet::new());
        for edit in edits {
            match &edit.then {
                Then::Nothing => {}
                Then::Moves(name) => drop(moved.insert(name)),
                Then::Sets(name, value) => drop(values.insert(name, value.clone())),
                Then::Deletes(name) => drop(gone.insert(name)),
            }
        }
        values.retain(|name, _| !gone.contains(name));
        let mut sorted = view.to_vec();
        sorted.sort();
        exactly(BTreeSet::from_iter(values.into_values()), &sorted)?;
        let mut seen: Vec<String> = view.iter().map(|value| Self::name(value)).collect();
        seen.retain(|name| !moved.contains(name));
        in_order(edits.iter().map(|edit| &edit.after), &seen)
    }
}
