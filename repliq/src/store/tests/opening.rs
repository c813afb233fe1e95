use super::*;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn opening_reads_only_meta_however_many_documents_there_are() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    for hundred in 0..100 {
        let batch: Vec<_> = (0..100)
            .map(|i| local(&format!("d{hundred}-{i}"), Pen::new(0xaa).write(b"x")))
            .collect();
        store.commit(&batch, WALL).unwrap();
    }
    drop(store);
    backend.touched();
    let commits = backend.commits.load(Relaxed);
    let store = open_as(&backend, 2);
    assert!(backend.touched() < 10, "opening touched documents");
    assert_eq!(backend.commits.load(Relaxed), commits, "opening wrote");
    let documents = store.reader().documents(space(&store), DocumentNum(9_990), 100).unwrap();
    assert_eq!(documents.len(), 10);
    assert_eq!(&*documents[9].name, "d99-99");
    assert!(backend.touched() <= 10);
}

#[test]
fn a_new_store_writes_its_format_and_identity_and_keeps_it() {
    let backend = Probe::of(Map::new());
    open(&backend);
    assert_eq!(backend.map().len(), 2);
    let again = Store::open(backend.clone(), id(1), 2, Millis(0)).unwrap();
    assert_eq!(again.replica(), own());
    assert_eq!(backend.map().len(), 2);
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let backend = Probe::of(Map::new());
    open(&backend);
    backend.set(vec![0], b"repliq\x01\x02and what a later version adds".to_vec());
    let before = backend.map();
    let error = Store::open(backend.clone(), own(), 2, WALL).err().unwrap();
    assert!(matches!(error, StoreError::NewerFormat { found: 258, supported: 1 }), "{error}");
    assert_eq!(backend.map(), before);
}

#[test]
fn what_is_no_store_is_refused_untouched() {
    let foreign: [(&[u8], &[u8]); 6] = [
        (b"", b"empty key"),
        (&[0], b"their own format"),
        (&[1], b"x"),
        (&[0x10], b"x"),
        (b"name", b"Alice"),
        (&[0xff; 300], b""),
    ];
    for (key, value) in foreign {
        let backend = Probe::of([(key.to_vec(), value.to_vec())].into());
        let before = backend.map();
        let error = Store::open(backend.clone(), own(), 1, WALL).err().unwrap();
        assert!(matches!(error, StoreError::NotAStore), "{key:?}: {error}");
        assert_eq!(backend.map(), before);
    }
}

#[test]
fn a_store_of_named_states_becomes_a_replica_and_keeps_them() {
    let format = (vec![0], b"repliq\x00\x01".to_vec());
    let state = (b"\x10my_map".to_vec(), b"state".to_vec());
    let backend = Probe::of([format.clone(), state.clone()].into());
    let mut store = open(&backend);
    assert_eq!(store.replica(), own());
    store.commit(&[local("d", Pen::new(0xaa).write(b"x"))], WALL).unwrap();
    assert_eq!(backend.map().get(&state.0), Some(&state.1));

    let headless = Probe::of([format, (vec![9, 0, 1], vec![])].into());
    assert!(Store::open(headless, own(), 1, WALL).is_err(), "its identity is lost");
}

#[test]
fn the_clock_survives_reopening_and_takes_in_what_came_from_others() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    assert_eq!(store.last(), Hlc(0));
    let ours = Hlc::from_millis(Millis(WALL.0 + 5));
    store.commit(&[local("d", Pen::new(0xaa).full(ours, 10, &[], b"x"))], WALL).unwrap();
    assert_eq!(store.last(), ours.plus(9));
    let theirs = Hlc::from_millis(Millis(WALL.0 + 1_000));
    bring(&mut store, Skew::Refuse, &[Pen::new(1).full(theirs, 70_000, &[], b"x")]);
    assert_eq!(store.last(), theirs.plus(69_999));
    bring(&mut store, Skew::Refuse, &[Pen::new(2).write(b"earlier")]);
    assert_eq!(store.last(), theirs.plus(69_999));
    assert_eq!(open_as(&backend, 2).last(), theirs.plus(69_999));
}
