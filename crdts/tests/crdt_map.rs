//! The laws of the map of CRDTs, over children with and without tombstones and
//! over maps, and case by case what becomes of removed and re-created children.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use repliq_conformance::Rng;
use repliq_conformance::crdt::{Edits, History, Oracle, Said};
use repliq_core::{
    Crdt, CrdtError, Cursor, Cut, Dot, Effects, Hlc, LoadError, Loaded, ReplicaId, Saved, Stamp,
    Standalone, Stored, Tx, decode, encode,
};
use repliq_crdts::{
    CrdtMap, CrdtMapEvent, CrdtMapMut, CrdtMapOp, LwwMap, LwwMapMut, LwwRegister, MapEvent, MapOp,
    OrSet, OrSetMut, OrSetOp, PnCounter, PnCounterEvent, PnCounterMut, PnCounterOp,
};
use std::collections::BTreeMap;
use std::marker::PhantomData;

type MapOf<C> = CrdtMap<u8, C>;
type OpOn<C> = CrdtMapOp<u8, <C as Crdt>::Op>;

/// The model of a map to children whose model is `O`.
struct Model<O>(PhantomData<O>);

impl<C: Crdt, O: Oracle<C>> Oracle<MapOf<C>> for Model<O> {
    type View = BTreeMap<u8, O::View>;

    fn view(state: &MapOf<C>) -> Self::View {
        let view: BTreeMap<_, _> = state.iter().map(|(k, c)| (*k, O::view(c))).collect();
        assert_eq!((state.len(), state.is_empty()), (view.len(), view.is_empty()));
        assert!(state.keys().all(|k| state.get(k).map(O::view).as_ref() == view.get(k)));
        view
    }

    fn patch(view: &mut Self::View, event: CrdtMapEvent<u8, C>) {
        match event {
            CrdtMapEvent::Shown { key, child } => drop(view.insert(key, O::view(&child))),
            CrdtMapEvent::Changed { key, event } => O::patch(view.get_mut(&key).unwrap(), event),
            CrdtMapEvent::Removed { key } => assert!(view.remove(&key).is_some(), "not there"),
        }
    }

    fn expected(history: &History<OpOn<C>>) -> Self::View {
        let mut keys: BTreeMap<u8, Vec<Known<'_, C>>> = BTreeMap::new();
        for said in history {
            let (key, removes) = match &said.op {
                CrdtMapOp::Edit { key, .. } => (*key, false),
                CrdtMapOp::Remove { key, .. } => (*key, true),
            };
            let known = keys.entry(key).or_default();
            let generation = generation(known, said, removes);
            known.push(Known { said, generation, removes });
        }
        keys.into_iter().filter_map(|(key, known)| Some((key, child::<C, O>(&known)?))).collect()
    }

    fn refused(rng: &mut Rng, state: &MapOf<C>) -> Option<OpOn<C>> {
        let dot = |id: u8, seq| Dot { replica: ReplicaId::from_bytes([id; 16]), seq };
        let remove = |seen| Some(CrdtMapOp::Remove { key: 0, generation: 0, seen });
        match rng.below(3) {
            0 => remove(vec![dot(2, 0), dot(1, 0)]),
            1 => remove(vec![dot(0xff, 3)]), // the author of refused ops is at 0
            _ => record(state, |tx| {
                let mut child = tx.entry(0);
                if let Some(op) = O::refused(rng, &child) {
                    child.push(op).unwrap();
                }
            })
            .or_else(|| remove(vec![dot(1, 0), dot(1, 0)])),
        }
    }
}

/// An op on one key and the child that it concerns.
struct Known<'a, C: Crdt> {
    said: &'a Said<OpOn<C>>,
    generation: u32,
    removes: bool,
}

/// By what its author knew: the youngest child it knew of, or the next one if it
/// knew all the edits of that one to be removed.
fn generation<C: Crdt>(known: &[Known<'_, C>], said: &Said<OpOn<C>>, removes: bool) -> u32 {
    let past: Vec<_> = known.iter().filter(|earlier| said.knows(earlier.said)).collect();
    let Some(youngest) = past.iter().map(|known| known.generation).max() else { return 0 };
    let past = past.into_iter().filter(|known| known.generation == youngest);
    if removes || lives(past) { youngest } else { youngest + 1 }
}

/// Whether there is an edit that no removal knows of.
fn lives<'a, C: Crdt>(ops: impl Iterator<Item = &'a Known<'a, C>>) -> bool {
    let (removals, edits): (Vec<_>, Vec<_>) = ops.partition(|known| known.removes);
    edits.iter().any(|edit| !removals.iter().any(|removal| removal.said.knows(edit.said)))
}

/// What the youngest child shows by all of its edits, if it lives.
fn child<C: Crdt, O: Oracle<C>>(known: &[Known<'_, C>]) -> Option<O::View> {
    let youngest = known.iter().map(|known| known.generation).max()?;
    let of_it = || known.iter().filter(|known| known.generation == youngest);
    let op = |known: &Known<'_, C>| match known.said.op.clone() {
        CrdtMapOp::Edit { op, .. } => {
            Some(Said { op, at: known.said.at, past: known.said.past.clone() })
        }
        CrdtMapOp::Remove { .. } => None,
    };
    lives(of_it()).then(|| O::expected(&of_it().filter_map(op).collect::<Vec<_>>()))
}

/// Takes the op that a mutator makes, without applying it.
struct Recorder<'a, C: Crdt>(&'a C, &'a mut Option<C::Op>);

impl<C: Crdt> Cursor<C> for Recorder<'_, C> {
    fn state(&self) -> &C {
        self.0
    }

    fn push(&mut self, op: C::Op) -> Result<(), CrdtError> {
        *self.1 = Some(op);
        Ok(())
    }
}

fn record<C: Crdt>(state: &C, edit: impl FnOnce(&mut Tx<'_, C>)) -> Option<C::Op> {
    let mut recorded = None;
    edit(&mut Tx::from_cursor(Recorder(state, &mut recorded)));
    recorded
}

/// Edits of a map by edits of its children.
struct Entries<E>(E);

impl<C: Crdt, E: Edits<C>> Edits<MapOf<C>> for Entries<E> {
    fn edit(&self, rng: &mut Rng, state: &MapOf<C>) -> Option<OpOn<C>> {
        let key = [0, 1, 1, 2][rng.below(4)];
        record(state, |tx| {
            if rng.below(3) == 0 {
                return tx.remove(key);
            }
            let mut child = tx.entry(key);
            if let Some(op) = self.0.edit(rng, &child) {
                child.push(op).unwrap();
            }
        })
    }
}

struct CountModel;

impl Oracle<PnCounter> for CountModel {
    type View = i128;

    fn view(state: &PnCounter) -> i128 {
        state.value()
    }

    fn patch(view: &mut i128, event: PnCounterEvent) {
        let PnCounterEvent::Changed { value } = event;
        *view = value;
    }

    fn expected(history: &History<PnCounterOp>) -> i128 {
        history.iter().map(|said| i128::from(said.op.0)).sum()
    }
}

fn count(rng: &mut Rng, state: &PnCounter) -> Option<PnCounterOp> {
    record(state, |tx| tx.add([-2, -1, 1, 2, 3][rng.below(5)]))
}

struct WriteModel;

impl Oracle<LwwMap<u8, u64>> for WriteModel {
    type View = BTreeMap<u8, u64>;

    fn view(state: &LwwMap<u8, u64>) -> Self::View {
        state.iter().map(|(key, value)| (*key, *value)).collect()
    }

    fn patch(view: &mut Self::View, event: MapEvent<u8, u64>) {
        match event {
            MapEvent::Set { key, value } => drop(view.insert(key, value)),
            MapEvent::Removed { key } => drop(view.remove(&key)),
        }
    }

    fn expected(history: &History<MapOp<u8, u64>>) -> Self::View {
        let mut last: BTreeMap<u8, (Stamp, Option<u64>)> = BTreeMap::new();
        for said in history {
            let (key, write) = match said.op {
                MapOp::Set(key, value) => (key, (said.at, Some(value))),
                MapOp::Remove(key) => (key, (said.at, None)),
            };
            let held = last.entry(key).or_insert(write);
            *held = write.max(*held);
        }
        last.into_iter().filter_map(|(key, (_, value))| Some((key, value?))).collect()
    }
}

fn write(rng: &mut Rng, state: &LwwMap<u8, u64>) -> Option<MapOp<u8, u64>> {
    let key = [0, 1, 2][rng.below(3)];
    record(state, |tx| match rng.below(3) {
        0 => tx.remove(key),
        _ => tx.set(key, rng.bits()),
    })
}

mod of_counters {
    use super::*;
    repliq_conformance::crdt_conformance!(
        MapOf<PnCounter>,
        ops = Entries(count),
        oracle = Model<CountModel>
    );
}

mod of_lww_maps {
    use super::*;
    repliq_conformance::crdt_conformance!(
        MapOf<LwwMap<u8, u64>>,
        ops = Entries(write),
        oracle = Model<WriteModel>
    );
}

mod of_maps_of_counters {
    use super::*;
    repliq_conformance::crdt_conformance!(
        MapOf<MapOf<PnCounter>>,
        ops = Entries(Entries(count)),
        oracle = Model<Model<CountModel>>
    );
}

type Tags = CrdtMap<u8, OrSet<u8>>;

fn id(id: u8) -> ReplicaId {
    ReplicaId::from_bytes([id; 16])
}

fn two() -> (Standalone<Tags>, Standalone<Tags>) {
    (Tags::new(id(1)), Tags::new(id(2)))
}

fn sync(a: &mut Standalone<Tags>, b: &mut Standalone<Tags>) {
    a.merge(b.clone()).unwrap();
    b.merge(a.clone()).unwrap();
    assert_eq!(**a, **b);
    assert_eq!(encode(&**a), encode(&**b));
}

fn tags(map: &Tags, key: u8) -> Option<Vec<u8>> {
    map.get(&key).map(|tags| tags.elements().into_iter().copied().collect())
}

#[test]
fn two_devices_that_create_the_same_child_offline_get_one_child() {
    let (mut a, mut b) = two();
    a.entry(1).add(10);
    b.entry(1).add(20);
    sync(&mut a, &mut b);
    assert_eq!(tags(&a, 1), Some(vec![10, 20]));
}

#[test]
fn two_devices_that_create_a_removed_child_anew_offline_get_one_child_too() {
    let (mut a, mut b) = two();
    a.entry(1).add(10);
    sync(&mut a, &mut b);
    a.remove(1);
    b.remove(1); // at the same time: one removal counts as two
    sync(&mut a, &mut b);
    a.entry(1).add(11);
    b.entry(1).add(21);
    sync(&mut a, &mut b);
    assert_eq!(tags(&a, 1), Some(vec![11, 21]));
}

#[test]
fn a_child_that_was_removed_everywhere_is_gone_and_nothing_of_it_comes_back() {
    let (mut a, mut b) = two();
    a.entry(1).add(10);
    sync(&mut a, &mut b);
    b.remove(1);
    sync(&mut a, &mut b);
    assert_eq!((tags(&a, 1), a.len(), a.contains_key(&1)), (None, 0, false));
    a.entry(1).add(11);
    sync(&mut a, &mut b);
    assert_eq!(tags(&b, 1), Some(vec![11]));
}

#[test]
fn an_edit_at_the_same_time_keeps_the_child_with_all_its_content() {
    let (mut a, mut b) = two();
    a.entry(1).add(10);
    sync(&mut a, &mut b);
    a.remove(1);
    b.entry(1).add(20);
    sync(&mut a, &mut b);
    assert_eq!(tags(&a, 1), Some(vec![10, 20]));
    a.remove(1); // now it knows
    sync(&mut a, &mut b);
    assert_eq!(tags(&b, 1), None);
}

/// The documented price of starting afresh.
#[test]
fn of_a_child_created_anew_and_an_edit_of_the_former_one_the_new_child_shows() {
    let (mut a, mut b) = two();
    a.entry(1).add(10);
    sync(&mut a, &mut b);
    a.remove(1);
    a.entry(1).add(11);
    b.entry(1).add(20);
    sync(&mut a, &mut b);
    assert_eq!(tags(&b, 1), Some(vec![11]));
}

#[test]
fn looking_at_an_entry_creates_nothing() {
    let (mut a, _) = two();
    assert!(a.entry(1).is_empty());
    a.edit(|tx| assert!(tx.entry(1).is_empty())).unwrap();
    a.remove(1);
    a.entry(1).remove(3);
    assert!(a.version().is_empty());
    assert_eq!(*a, Tags::default());
}

#[test]
fn an_entry_reads_what_it_has_just_written() {
    let (mut a, _) = two();
    a.entry(1).add(10);
    a.edit(|tx| {
        tx.remove(1);
        let mut entry = tx.entry(1);
        assert!(entry.is_empty());
        entry.add(11);
        entry.add(12);
        assert_eq!(entry.elements(), [&11, &12]);
    })
    .unwrap();
    assert_eq!(tags(&a, 1), Some(vec![11, 12]));
}

#[test]
fn children_of_children_are_edited_in_one_chain() {
    let mut map = CrdtMap::<String, CrdtMap<u8, PnCounter>>::new(id(1));
    map.entry("a".to_string()).entry(1).add(5);
    map.edit(|tx| tx.entry("a".to_string()).entry(1).decrement()).unwrap();
    assert_eq!(map.get("a").and_then(|inner| inner.get(&1)).map(PnCounter::value), Some(4));
    map.entry("a".to_string()).remove(1);
    assert_eq!(map.get("a").map(CrdtMap::len), Some(0));
}

#[test]
fn a_failed_transaction_leaves_the_children_as_they_were() {
    let (mut a, _) = two();
    a.entry(1).add(10);
    let before = encode(&*a);
    let failed: Result<(), CrdtError> = a.try_edit(|tx| {
        tx.remove(1);
        tx.entry(1).add(11);
        tx.entry(2).add(12);
        tx.remove(2);
        tx.entry(2).add(13);
        Err(CrdtError::Invalid("on purpose"))
    });
    assert!(failed.is_err());
    assert_eq!((encode(&*a), a.len()), (before, 1));
}

#[test]
fn maps_to_different_children_are_of_different_kinds() {
    assert_eq!(MapOf::<PnCounter>::KIND, "crdt-map/1<pn-counter/1>");
    assert_eq!(MapOf::<MapOf<OrSet<u8>>>::KIND, "crdt-map/1<crdt-map/1<or-set/1>>");
    let bytes = MapOf::<PnCounter>::new(id(1)).to_bytes().unwrap();
    let read = Saved::<MapOf<LwwRegister<u8>>>::from_bytes(&bytes);
    assert!(matches!(read, Err(LoadError::WrongKind { .. })));
}

#[test]
fn the_content_of_a_removed_child_goes_when_everybody_knows() {
    let (mut a, _) = two();
    a.entry(1).add(200);
    a.remove(1);
    let mut state = (*a).clone();
    let large = encode(&state).len();
    state.prune(&Cut { version: [(id(1), 1)].into_iter().collect(), floor: Hlc(u64::MAX) });
    assert_eq!(encode(&state).len(), large, "the removal is not known everywhere");
    state.prune(&Cut { version: a.version().clone(), floor: Hlc(0) });
    assert_eq!(encode(&state), [0, 1, 1, 0, 0, 0, 0], "the key and its generation");
}

#[test]
fn what_children_may_forget_they_forget_with_the_map() {
    let mut map = CrdtMap::<u8, LwwMap<u8, u8>>::new(id(1));
    map.entry(1).set(5, 7);
    map.entry(1).remove(5);
    let mut state = (*map).clone();
    let before = encode(&state).len();
    state.prune(&Cut { version: map.version().clone(), floor: Hlc(u64::MAX) });
    assert!(encode(&state).len() < before && state.contains_key(&1));
}

#[test]
fn the_last_generation_is_refused_before_the_count_overflows() {
    let mut map = Tags::default();
    let at = Stamp { hlc: Hlc(1), dot: Dot { replica: id(1), seq: 0 } };
    let edit = |generation| CrdtMapOp::Edit { key: 1, generation, op: OrSetOp::Add(1) };
    let refused = map.apply(edit(u32::MAX), at, &mut Effects::silent());
    assert!(matches!(refused, Err(CrdtError::Limit(_))));
    assert_eq!(map, Tags::default());
    assert_eq!(map.apply(edit(u32::MAX - 1), at, &mut Effects::silent()), Ok(()));
    let mut map = Standalone::resume(Saved { state: map, ..Saved::default() }, id(2));
    map.remove(1);
    assert!(map.edit(|tx| tx.entry(1).add(1)).is_err());
    assert!(map.is_empty());
}

/// Said again under a new identity, a removal still leaves what its author had not
/// seen, and an edit still finds its child.
#[test]
fn edits_and_removals_said_again_do_what_they_did() {
    let mut old = Tags::new(id(1));
    old.entry(1).add(10);
    old.entry(2).add(10);
    let mut moved_on = Tags::new(id(2));
    moved_on.merge(old.clone()).unwrap();
    let mut concurrent = Tags::new(id(3));
    concurrent.entry(2).add(30);
    moved_on.merge(concurrent).unwrap();

    let at = Stamp { hlc: Hlc(u64::MAX >> 1), dot: Dot { replica: id(1), seq: 2 } };
    let removal = |key| CrdtMapOp::Remove { key, generation: 0, seen: vec![] };
    let addition = CrdtMapOp::Edit { key: 1, generation: 0, op: OrSetOp::Add(11) };
    let before = (*old).clone();
    for op in [removal(1), removal(2), addition] {
        moved_on.edit(|tx| Tags::reauthor(op, at, &before, tx)).unwrap().unwrap();
    }
    assert_eq!(tags(&moved_on, 1), Some(vec![11]));
    assert_eq!(tags(&moved_on, 2), Some(vec![10, 30]));
}

type Row = (u8, u32, Vec<(u32, u64)>, Vec<(u32, u64)>, Option<OrSet<u8>>);

fn read(replicas: &[u8], rows: &[Row]) -> Option<Tags> {
    let replicas: Vec<_> = replicas.iter().map(|replica| id(*replica)).collect();
    decode(&encode(&(replicas, rows))).ok()
}

#[test]
fn only_the_one_form_of_a_state_is_read() {
    let some = || Some(OrSet::default());
    let rows: [Row; 3] = [
        (1, 0, vec![(0, 3), (1, 4)], vec![], some()),
        (2, 5, vec![], vec![(1, 7)], some()),
        (3, 9, vec![], vec![], None),
    ];
    let map = read(&[1, 2], &rows).unwrap();
    assert_eq!((map.len(), map.contains_key(&1), map.contains_key(&2)), (1, true, false));
    let row = |row: usize| rows[row].clone();
    assert!(read(&[1, 2], &[row(1), row(0)]).is_none(), "keys out of order");
    assert!(read(&[1, 2], &[row(0), row(0)]).is_none(), "a key twice");
    assert!(read(&[1, 2, 3], &rows).is_none(), "a replica that is not in use");
    assert!(read(&[1], &rows).is_none(), "a replica that is missing");
    assert!(read(&[1], &[(1, 0, vec![(0, 1)], vec![], None)]).is_none(), "no child");
    assert!(read(&[], &[(1, 0, vec![], vec![], some())]).is_none(), "a child of nobody");
}
