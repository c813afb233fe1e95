//! The total orders of design section 5, what is kept of removals, and what bad
//! bytes get: case by case, with hand-made stamps.

use proptest::prelude::*;
use repliq_core::{Crdt, Cut, Dot, Effects, Hlc, ReplicaId, Stamp, Version, decode, encode};
use repliq_crdts::{LwwMap, LwwSet, MapEvent, MapOp, SetEvent, SetOp};

type Map = LwwMap<u8, u16>;

fn stamp(hlc: u64, replica: u8, seq: u64) -> Stamp {
    Stamp { hlc: Hlc(hlc), dot: Dot { replica: ReplicaId::from_bytes([replica; 16]), seq } }
}

fn map_of(writes: &[(Stamp, Option<u16>)]) -> Map {
    let mut map = Map::default();
    for (at, value) in writes {
        write(&mut map, 1, *at, *value);
    }
    map
}

fn write(map: &mut Map, key: u8, at: Stamp, value: Option<u16>) {
    let op = value.map_or(MapOp::Remove(key), |value| MapOp::Set(key, value));
    assert_eq!(map.apply(op, at, &mut Effects::silent()), Ok(()));
}

fn set_of(edits: &[(Stamp, bool)]) -> LwwSet<u8> {
    let mut set = LwwSet::default();
    for (at, is_in) in edits {
        let op = if *is_in { SetOp::Add(1) } else { SetOp::Remove(1) };
        assert_eq!(set.apply(op, *at, &mut Effects::silent()), Ok(()));
    }
    set
}

fn version(entries: &[(u8, u64)]) -> Version {
    entries.iter().map(|(id, count)| (ReplicaId::from_bytes([*id; 16]), *count)).collect()
}

fn stamps() -> impl Strategy<Value = Stamp> {
    let hlc = prop_oneof![Just(0), 0_u64..4, Just(u64::MAX)];
    let seq = prop_oneof![0_u64..3, Just(u64::from(u32::MAX)), Just(1 << 32), Just(u64::MAX)];
    (hlc, 0_u8..3, seq).prop_map(|(hlc, replica, seq)| stamp(hlc, replica, seq))
}

proptest! {
    #[test]
    fn of_two_writes_the_larger_by_time_replica_seq_and_value_stays(
        a in (stamps(), proptest::option::of(0_u16..3)),
        b in (stamps(), proptest::option::of(0_u16..3)),
    ) {
        let larger = a.max(b);
        for map in [map_of(&[a, b]), map_of(&[b, a])] {
            prop_assert_eq!(map.get(&1).copied(), larger.1);
            prop_assert_eq!(&map, &map_of(&[larger]));
            prop_assert_eq!(encode(&map), encode(&map_of(&[larger])));
        }
    }

    #[test]
    fn of_two_edits_of_an_element_the_larger_by_time_addition_replica_and_seq_stays(
        a in (stamps(), any::<bool>()),
        b in (stamps(), any::<bool>()),
    ) {
        let order = |(at, is_in): (Stamp, bool)| (at.hlc, is_in, at.dot);
        let larger = if order(a) >= order(b) { a } else { b };
        for set in [set_of(&[a, b]), set_of(&[b, a])] {
            prop_assert_eq!(set.contains(&1), larger.1);
            prop_assert_eq!(&set, &set_of(&[larger]));
            prop_assert_eq!(encode(&set), encode(&set_of(&[larger])));
        }
    }

    #[test]
    fn a_map_with_any_stamps_is_read_back_as_it_was(
        writes in prop::collection::vec((any::<u8>(), stamps(), any::<Option<u16>>()), 0..40)
    ) {
        let mut map = Map::default();
        for (key, at, value) in writes {
            write(&mut map, key, at, value);
        }
        let bytes = encode(&map);
        let read: Map = decode(&bytes).unwrap();
        prop_assert_eq!(&read, &map);
        prop_assert_eq!(read.len(), map.len());
        prop_assert_eq!(encode(&read), bytes);
    }
}

/// The hlc decides before the replica, and a replica before the seq: the
/// property above could be right by a wrong `max`.
#[test]
fn a_later_write_beats_a_larger_replica_and_a_larger_replica_a_larger_seq() {
    let map = map_of(&[(stamp(2, 1, 0), Some(20)), (stamp(1, 9, 9), Some(10))]);
    assert_eq!(map.get(&1), Some(&20));
    let map = map_of(&[(stamp(2, 2, 0), Some(20)), (stamp(2, 1, 9), Some(10))]);
    assert_eq!(map.get(&1), Some(&20));
    let map = map_of(&[(stamp(2, 2, 1 << 40), Some(20)), (stamp(2, 2, 7), Some(10))]);
    assert_eq!(map.get(&1), Some(&20));
    let map = map_of(&[(stamp(2, 2, 7), Some(0)), (stamp(2, 2, 7), None)]);
    assert_eq!(map.get(&1), Some(&0), "a removal is the smallest value");
    let set = set_of(&[(stamp(2, 1, 0), true), (stamp(2, 9, 0), false)]);
    assert!(set.contains(&1), "the addition wins before the replica decides");
}

#[test]
fn a_removal_of_what_is_not_there_beats_an_earlier_write_that_comes_later() {
    let map = map_of(&[(stamp(5, 1, 0), None), (stamp(4, 2, 0), Some(7))]);
    assert!(map.is_empty());
}

#[test]
fn only_what_a_reader_sees_is_told() {
    let mut map = Map::default();
    let mut told = Effects::new(true, false);
    for (op, at) in [
        (MapOp::Remove(1), stamp(1, 1, 0)),
        (MapOp::Set(1, 7), stamp(2, 1, 1)),
        (MapOp::Set(1, 8), stamp(1, 9, 0)),
        (MapOp::Remove(1), stamp(3, 1, 2)),
        (MapOp::Remove(1), stamp(4, 1, 3)),
    ] {
        map.apply(op, at, &mut told).unwrap();
    }
    let events = [MapEvent::Set { key: 1, value: 7 }, MapEvent::Removed { key: 1 }];
    assert_eq!(told.take_events(), events);

    let mut set = LwwSet::default();
    let mut told = Effects::new(true, false);
    for (op, hlc) in [(SetOp::Add(1), 1), (SetOp::Add(1), 2), (SetOp::Remove(1), 3)] {
        set.apply(op, stamp(hlc, 1, hlc), &mut told).unwrap();
    }
    let events = [SetEvent::Added { element: 1 }, SetEvent::Removed { element: 1 }];
    assert_eq!(told.take_events(), events);
}

#[test]
fn a_tombstone_goes_when_everybody_holds_it_and_nothing_earlier_can_come() {
    let removed = map_of(&[(stamp(5, 1, 0), None)]);
    let pruned = |version: &[(u8, u64)], floor| {
        let mut map = removed.clone();
        let version = version.iter().map(|(id, n)| (ReplicaId::from_bytes([*id; 16]), *n));
        map.prune(&Cut { version: version.collect(), floor: Hlc(floor) });
        map == Map::default()
    };
    assert!(pruned(&[(1, 1)], 6));
    assert!(!pruned(&[(1, 1)], 5), "a write of the same time might still come");
    assert!(!pruned(&[(2, 9)], 6), "somebody does not hold it");

    let mut living = map_of(&[(stamp(5, 1, 0), Some(7))]);
    living.prune(&Cut { version: version(&[(1, 1)]), floor: Hlc(6) });
    assert_eq!(living.get(&1), Some(&7));
}

#[test]
fn what_was_pruned_there_goes_here_too_and_is_told_and_taken_back() {
    let mut behind = map_of(&[(stamp(4, 1, 0), Some(7))]);
    let before = encode(&behind);
    let mut effects = Effects::new(true, true);
    // There, replica 2 removed the key at 5, and everybody else knows.
    let (mine, theirs) = (version(&[(1, 1)]), version(&[(1, 1), (2, 1)]));
    behind.join(&mine, Map::default(), &theirs, &mut effects);
    assert!(behind.is_empty());
    assert_eq!(behind, Map::default());
    assert_eq!(effects.take_events(), [MapEvent::Removed { key: 1 }]);
    for undo in effects.take_undos().into_iter().rev() {
        behind.rollback(undo);
    }
    assert_eq!((encode(&behind), behind.len()), (before, 1));
}

#[test]
fn what_has_not_been_seen_there_stays_also_past_four_billion_slots() {
    let (dot, seen) = ((1 << 32) + 5, (1 << 32) + 3);
    let mut map = map_of(&[(stamp(4, 1, dot), Some(7))]);
    let (mine, theirs) = (version(&[(1, dot + 1)]), version(&[(1, seen)]));
    map.join(&mine, Map::default(), &theirs, &mut Effects::silent());
    assert_eq!(map.get(&1), Some(&7));
    map.join(&mine, Map::default(), &mine, &mut Effects::silent());
    assert!(map.is_empty());
}

type Row = (u8, u32, u64, u64, Option<u16>);

fn read(replicas: &[u8], earliest: u64, rows: &[Row]) -> Option<Map> {
    let replicas: Vec<_> = replicas.iter().map(|id| ReplicaId::from_bytes([*id; 16])).collect();
    decode(&encode(&(replicas, earliest, rows))).ok()
}

#[test]
fn only_the_one_form_of_a_state_is_read() {
    let rows: [Row; 2] = [(1, 1, 3, 0, Some(9)), (2, 0, 1 << 33, 6, None)];
    let map = read(&[1, 2], 40, &rows).unwrap();
    assert_eq!((map.len(), map.get(&1), map.get(&2)), (1, Some(&9), None));
    let [one, two] = rows;

    assert!(read(&[1, 2], 40, &[two, one]).is_none(), "keys out of order");
    assert!(read(&[1, 2], 40, &[one, one, two]).is_none(), "a key twice");
    assert!(read(&[2, 1], 40, &rows).is_none(), "replicas out of order");
    assert!(read(&[1, 1], 40, &rows).is_none(), "a replica twice");
    assert!(read(&[1, 2, 3], 40, &rows).is_none(), "a replica that wrote nothing");
    assert!(read(&[1], 40, &rows).is_none(), "a replica that is missing");
    assert!(read(&[2], 40, &[(1, u32::MAX, 0, 0, None)]).is_none(), "an index far out");
    assert!(read(&[1, 2], u64::MAX - 5, &rows).is_none(), "a time past the end");
    assert!(read(&[1], 40, &[(1, 0, 0, 1, None)]).is_none(), "a time that is not the earliest");
    assert!(read(&[], 40, &[]).is_none(), "a time of nothing");
    assert!(read(&[], 0, &[]).is_some());
}

#[test]
fn a_state_that_claims_quintillions_of_rows_is_refused_at_once() {
    let mut bytes = encode(&(Vec::<ReplicaId>::new(), 0_u64));
    bytes.extend([0xff; 9]);
    bytes.push(0x01);
    assert!(decode::<Map>(&bytes).is_err());
    assert!(decode::<LwwSet<()>>(&bytes).is_err());
}
