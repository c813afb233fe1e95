//! With every trait of the crate in scope, each edit means one thing, in a
//! transaction and alone.

use repliq_core::{ReplicaId, Standalone};
use repliq_crdts::*;

fn id() -> ReplicaId {
    ReplicaId::from_bytes([1; 16])
}

#[test]
fn edits_of_the_same_name_are_told_apart_by_the_type_they_edit() {
    let mut lww_map = LwwMap::new(id());
    lww_map.set(1, "one".to_string());
    lww_map.remove(2);
    lww_map.edit(|tx| tx.set(2, "two".to_string())).unwrap();
    assert_eq!(lww_map.len(), 2);

    let mut lww_set = LwwSet::new(id());
    lww_set.add(1);
    lww_set.edit(|tx| tx.remove(1)).unwrap();
    assert!(lww_set.is_empty());

    let mut or_set = OrSet::new(id());
    or_set.add(1);
    or_set.edit(|tx| tx.add(2)).unwrap();
    or_set.edit(|tx| tx.remove(1)).unwrap();
    or_set.remove(3);
    assert_eq!(or_set.elements(), [&2]);

    let mut lww_register = LwwRegister::new(id());
    lww_register.set(1);
    lww_register.edit(|tx| tx.set(2)).unwrap();
    assert_eq!(lww_register.get(), Some(&2));

    let mut mv_register = MvRegister::new(id());
    mv_register.set(1);
    mv_register.edit(|tx| tx.set(2)).unwrap();
    assert!(mv_register.values().eq(&[2]));

    let mut g_counter = GCounter::new(id());
    g_counter.add(2);
    g_counter.increment();
    g_counter.edit(|tx| tx.add(3)).unwrap();
    g_counter.edit(|tx| tx.increment()).unwrap();
    assert_eq!(g_counter.value(), 7);

    let mut pn_counter = PnCounter::new(id());
    pn_counter.add(-2);
    pn_counter.increment();
    pn_counter.edit(|tx| tx.add(3)).unwrap();
    pn_counter.edit(|tx| tx.decrement()).unwrap();
    assert_eq!(pn_counter.value(), 1);
}

#[test]
fn several_edits_are_made_as_one_or_not_at_all() {
    fn undone<C: repliq_core::Crdt + Clone + PartialEq>(
        mut value: Standalone<C>,
        edit: impl FnOnce(&mut repliq_core::Tx<'_, C>),
    ) -> bool {
        let before = (*value).clone();
        let failed = value.try_edit(|tx| {
            edit(tx);
            Err::<(), _>(repliq_core::CrdtError::Invalid("on purpose"))
        });
        failed.is_err() && *value == before
    }
    let mut set = OrSet::new(id());
    (0..5).for_each(|element| set.add(element));
    assert!(undone(set, |tx| {
        tx.remove(0);
        tx.add(9);
        tx.add(0);
        tx.remove(3);
    }));
    let mut counter = PnCounter::new(id());
    counter.add(3);
    assert!(undone(counter, |tx| {
        tx.add(-3);
        tx.add(7);
    }));
    let mut register = MvRegister::new(id());
    register.set(1);
    assert!(undone(register, |tx| {
        tx.set(2);
        tx.set(3);
    }));
}

#[test]
fn a_map_of_children_is_edited_like_any_other_beside_the_children_themselves() {
    let mut map = CrdtMap::<u8, LwwMap<u8, u8>>::new(id());
    map.entry(1).set(2, 3);
    map.edit(|tx| tx.entry(1).remove(2)).unwrap();
    map.edit(|tx| tx.remove(1)).unwrap();
    map.remove(1);
    assert!(map.is_empty());
    let mut map = CrdtMap::<u8, GCounter>::new(id());
    map.entry(1).add(2);
    map.entry(1).increment();
    assert_eq!(map.get(&1).map(GCounter::value), Some(3));
    let mut map = CrdtMap::<u8, MvRegister<u8>>::new(id());
    map.edit(|tx| tx.entry(1).set(2)).unwrap();
    assert!(map.get(&1).unwrap().values().eq(&[2]));
}
