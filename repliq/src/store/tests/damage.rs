use super::*;
use crate::store::key::{push_ordered, take_ordered};
use proptest::prelude::*;
use repliq_core::StorageErrorKind;

/// A store with keys of every family.
fn full() -> Map {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut ours = Pen::new(0xaa);
    let batch: Vec<_> = (0..70).map(|_| local("d", ours.write(b"x"))).collect();
    store.commit(&batch, WALL).unwrap();
    store.commit(&[local("d", ours.write(b"x"))], WALL).unwrap();
    let mut ahead = Pen::new(3);
    let far = [ahead.at(WALL.0 + 3 * DAY), ahead.write(b"x"), Pen::new(2).write(b"x")];
    bring(&mut store, Skew::Hold, &far);
    let position = Position { epoch: Epoch(300), n: FeedNumber(300) };
    let version: Version = [(own(), 71)].into_iter().collect();
    let snapshot = Snapshot { unsaid: version.clone(), version, bytes: vec![5; 70_000].into() };
    let cursor = Cursor { peer: Bytes::from_static(b"p"), position };
    let lease = LeaseRecord { seen: WALL, acked: position };
    let records = [
        Submission::Snapshot { space: "s".into(), document: "d".into(), snapshot },
        Submission::Cursor { space: "s".into(), cursor },
        Submission::Lease { space: "s".into(), replica: id(7), lease },
    ];
    store.commit(&records, WALL).unwrap();
    backend.map()
}

/// Reads and writes everything, and returns the errors.
fn use_all(map: Map) -> Vec<StoreError> {
    let mut errors = Vec::new();
    let backend = Probe::of(map);
    let mut store = match Store::open(backend, own(), 2, WALL) {
        Ok(store) => store,
        Err(error) => return vec![error],
    };
    let reader = store.reader();
    let mut note = |result: Result<(), StoreError>| errors.extend(result.err());
    for (num, _) in reader.spaces() {
        note(reader.feed(num, FeedNumber(0), 1 << 20, 1000).map(drop));
        note(reader.documents(num, DocumentNum(0), 100).map(drop));
        note(reader.document(num, "d").map(drop));
        note(reader.cursor(num, b"p").map(drop));
        note(reader.lease(num, id(7)).map(drop));
        note(reader.snapshot(num, DocumentNum(1)).map(drop));
        note(reader.heads(num, DocumentNum(1)).map(drop));
        match reader.changes(num, DocumentNum(1), &Version::new()) {
            Ok(mut changes) => note(drain(&mut changes)),
            Err(error) => note(Err(error)),
        }
    }
    let snapshot = Snapshot {
        version: Version::new(),
        unsaid: Version::new(),
        bytes: Bytes::from_static(b"new"),
    };
    let batch = [
        remote(Skew::Hold, vec![arrival("d", Pen::new(4).write(b"x"))]),
        remote(Skew::Hold, vec![arrival("d", Pen::new(3).at(WALL.0 + 3 * DAY))]),
        remote(Skew::Hold, vec![arrival("d", Pen::new(2).write(b"x"))]),
        Submission::Release { space: "s".into() },
        Submission::Snapshot { space: "s".into(), document: "d".into(), snapshot },
    ];
    match store.commit(&batch, Millis(WALL.0 + 9 * DAY)) {
        Ok(outcomes) => errors.extend(outcomes.into_iter().filter_map(damage_in)),
        Err(error) => errors.push(error),
    }
    errors
}

fn drain(changes: &mut ChangeReader) -> Result<(), StoreError> {
    while !changes.next_chunk(1 << 20)?.is_empty() {}
    Ok(())
}

fn damage_in(outcome: Outcome) -> Option<StoreError> {
    let refusals: Vec<Refusal> = match outcome {
        Outcome::Local(Verdict::Refused(refusal)) | Outcome::Recorded(Err(refusal)) => {
            vec![refusal]
        }
        Outcome::Remote { verdicts, .. } => verdicts
            .into_iter()
            .filter_map(|verdict| match verdict {
                Verdict::Refused(refusal) => Some(refusal),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    refusals.into_iter().find_map(|refusal| match refusal {
        Refusal::Damaged(text) => {
            Some(repliq_core::StorageError::new(StorageErrorKind::Corrupt, &*text).into())
        }
        _ => None,
    })
}

fn is_honest(error: &StoreError) -> bool {
    match error {
        StoreError::Storage(error) => error.kind == StorageErrorKind::Corrupt,
        StoreError::NotAStore | StoreError::NewerFormat { .. } => true,
        StoreError::Broken | StoreError::Stalled(_) => false,
    }
}

#[test]
fn an_undamaged_store_gives_no_error() {
    let errors = use_all(full());
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn damage_in_each_family_is_found_and_says_where_and_what_to_do() {
    let map = full();
    let families: std::collections::BTreeSet<u8> = map.keys().map(|key| key[0]).collect();
    assert_eq!(families, (0..=0x0d).filter(|family| *family != 0x03).collect());
    for (key, value) in &map {
        // The chunks of a snapshot and the payloads in a log are opaque here.
        let broken = match key[0] {
            0x0a => value[1..].to_vec(),
            _ => Vec::new(),
        };
        let mut damaged = map.clone();
        damaged.insert(key.clone(), broken);
        let errors = use_all(damaged);
        let found = errors.iter().find(|error| is_honest(error));
        let error = found.unwrap_or_else(|| panic!("{key:02x?}: {errors:?}"));
        assert!(errors.iter().all(is_honest), "{errors:?}");
        if let StoreError::Storage(error) = error {
            let text = error.to_string();
            assert!(text.contains("family 0") && text.contains("restore"), "{key:02x?}: {text}");
        }
    }
}

#[test]
fn a_lost_key_is_an_error_or_an_absence_never_a_panic() {
    let map = full();
    for key in map.keys() {
        let mut damaged = map.clone();
        damaged.remove(key);
        let errors = use_all(damaged);
        assert!(errors.iter().all(is_honest), "{key:02x?}: {errors:?}");
        if [0x00, 0x01, 0x02, 0x04, 0x05, 0x07, 0x09, 0x0a].contains(&key[0]) {
            assert!(!errors.is_empty(), "{key:02x?} was lost and nobody saw it");
        }
    }
}

#[test]
fn damage_in_one_document_leaves_the_others_usable() {
    let backend = Probe::of(full());
    let mut key = vec![0x07, 0];
    push_ordered(&mut key, 1);
    backend.set(key, vec![0xff]);
    let mut store = open_as(&backend, 2);
    let arrivals =
        vec![arrival("d", Pen::new(4).write(b"x")), arrival("sound", Pen::new(4).write(b"x"))];
    let outcomes = store.commit(&[remote(Skew::Refuse, arrivals)], WALL).unwrap();
    let Outcome::Remote { verdicts, .. } = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(matches!(refused(&verdicts[0]), Refusal::Damaged(_)));
    assert!(matches!(verdicts[1], Verdict::Applied(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn flipped_bytes_are_never_a_panic_and_never_a_dishonest_error(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
        in_key in prop::bool::weighted(0.2),
    ) {
        let mut map = FULL.with(Clone::clone);
        let keys: Vec<_> = map.keys().cloned().collect();
        let mut key = which.get(&keys).clone();
        let mut value = map.remove(&key).unwrap();
        let bytes = if in_key { &mut key } else { &mut value };
        if !bytes.is_empty() {
            let index = place.index(bytes.len());
            bytes[index] ^= flip;
        }
        map.insert(key, value);
        let errors = use_all(map);
        prop_assert!(errors.iter().all(is_honest), "{:?}", errors);
    }

    #[test]
    fn ordered_numbers_sort_as_numbers_and_come_back(
        a in any::<u64>(), b in any::<u64>(), shift in 0_u32..64, other in 0_u32..64
    ) {
        let (a, b) = (a >> shift, b >> other);
        let bytes = |value| {
            let mut key = Vec::new();
            push_ordered(&mut key, value);
            key
        };
        prop_assert_eq!(bytes(a).cmp(&bytes(b)), a.cmp(&b));
        prop_assert_eq!(a == b, bytes(a).starts_with(&bytes(b)));
        let mut key = bytes(a);
        key.push(7);
        prop_assert_eq!(take_ordered(&key), Some((a, &[7_u8][..])));
    }

    #[test]
    fn a_number_has_one_encoding(bytes in prop::collection::vec(any::<u8>(), 0..10)) {
        if let Some((value, rest)) = take_ordered(&bytes) {
            let mut again = Vec::new();
            push_ordered(&mut again, value);
            again.extend_from_slice(rest);
            prop_assert_eq!(again, bytes);
        }
    }
}

thread_local! {
    static FULL: Map = full();
}
