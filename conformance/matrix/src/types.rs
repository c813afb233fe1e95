//! What the cells sync: for each data type an edit and a view.

use repliq::prelude::*;

/// A data type with an edit that can be told apart and a view to compare.
pub trait Type {
    /// The type.
    type Crdt: Crdt;
    /// The `n`-th edit of the device called `who`. Edits of different devices
    /// touch the same places.
    fn edit(tx: &mut Tx<'_, Self::Crdt>, who: &str, n: usize);
    /// What a reader sees, in a fixed order.
    fn view(value: &Self::Crdt) -> Vec<String>;
}

/// [`LwwMap`].
pub struct SyncedMap;

impl Type for SyncedMap {
    type Crdt = LwwMap<String, String>;

    fn edit(map: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        map.set(format!("own {who} {n}"), format!("{n}"));
        map.set(format!("shared {}", n % 3), format!("{who} {n}"));
        if n % 4 == 3 {
            map.remove(format!("shared {}", n % 2));
        }
    }

    fn view(map: &Self::Crdt) -> Vec<String> {
        let mut view: Vec<String> = map.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        view.sort();
        view
    }
}

/// [`LwwSet`].
pub struct SyncedSet;

impl Type for SyncedSet {
    type Crdt = LwwSet<String>;

    fn edit(set: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        set.add(format!("own {who} {n}"));
        set.add(format!("shared {}", n % 3));
        if n % 4 == 3 {
            set.remove(format!("shared {}", n % 2));
        }
    }

    fn view(set: &Self::Crdt) -> Vec<String> {
        let mut view: Vec<String> = set.elements().into_iter().cloned().collect();
        view.sort();
        view
    }
}

/// [`LwwRegister`].
pub struct SyncedRegister;

impl Type for SyncedRegister {
    type Crdt = LwwRegister<String>;

    fn edit(register: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        register.set(format!("{who} {n}"));
    }

    fn view(register: &Self::Crdt) -> Vec<String> {
        register.get().cloned().into_iter().collect()
    }
}

/// [`MvRegister`].
pub struct SyncedMvRegister;

impl Type for SyncedMvRegister {
    type Crdt = MvRegister<String>;

    fn edit(register: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        register.set(format!("{who} {n}"));
    }

    fn view(register: &Self::Crdt) -> Vec<String> {
        register.values().cloned().collect()
    }
}

/// [`GCounter`].
pub struct SyncedGCounter;

impl Type for SyncedGCounter {
    type Crdt = GCounter;

    fn edit(counter: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        counter.add(who.len() as u64 + n as u64);
    }

    fn view(counter: &Self::Crdt) -> Vec<String> {
        vec![counter.value().to_string()]
    }
}

/// [`PnCounter`].
pub struct SyncedPnCounter;

impl Type for SyncedPnCounter {
    type Crdt = PnCounter;

    fn edit(counter: &mut Tx<'_, Self::Crdt>, _who: &str, n: usize) {
        counter.add(if n.is_multiple_of(2) { 7 } else { -3 });
    }

    fn view(counter: &Self::Crdt) -> Vec<String> {
        vec![counter.value().to_string()]
    }
}

/// [`OrSet`].
pub struct SyncedOrSet;

impl Type for SyncedOrSet {
    type Crdt = OrSet<String>;

    fn edit(set: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        set.add(format!("own {who} {n}"));
        set.add(format!("shared {}", n % 3));
        if n % 4 == 3 {
            set.remove(format!("shared {}", n % 2));
        }
    }

    fn view(set: &Self::Crdt) -> Vec<String> {
        set.elements().into_iter().cloned().collect()
    }
}

/// [`CrdtMap`], with sets as children.
pub struct SyncedCrdtMap;

impl Type for SyncedCrdtMap {
    type Crdt = CrdtMap<String, OrSet<String>>;

    fn edit(map: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        map.entry(format!("shared {}", n % 3)).add(format!("{who} {n}"));
        if n % 4 == 3 {
            map.remove(format!("shared {}", n % 2));
        }
    }

    fn view(map: &Self::Crdt) -> Vec<String> {
        let mut view: Vec<String> =
            map.iter().map(|(key, set)| format!("{key} = {:?}", set.elements())).collect();
        view.sort();
        view
    }
}

/// [`Text`].
pub struct SyncedText;

impl Type for SyncedText {
    type Crdt = Text;

    fn edit(text: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        // The middle of the text is inside of it, so neither edit can fail.
        let middle = text.len() / 2;
        let _ = text.insert(middle, &format!("{who}{n} "));
        if n % 4 == 3 {
            let _ = text.delete(middle..middle + 1);
        }
    }

    fn view(text: &Self::Crdt) -> Vec<String> {
        vec![text.to_string()]
    }
}

/// [`List`].
pub struct SyncedList;

impl Type for SyncedList {
    type Crdt = List<String>;

    fn edit(list: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        // The middle of the list is inside of it, so no edit can fail.
        let middle = list.len() / 2;
        let _ = list.insert(middle, format!("{who} {n}"));
        let _ = match n % 4 {
            1 => list.move_to(0, middle),
            2 => list.set(middle, format!("set {who} {n}")),
            3 => list.delete(middle..=middle),
            _ => Ok(()),
        };
    }

    fn view(list: &Self::Crdt) -> Vec<String> {
        list.iter().cloned().collect()
    }
}
