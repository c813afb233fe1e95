use super::*;
use parking_lot::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::Duration;

fn snapshot(version: &[(ReplicaId, u64)], bytes: Vec<u8>) -> Submission {
    let version: Version = version.iter().copied().collect();
    let snapshot = Snapshot { unsaid: version.clone(), version, bytes: bytes.into() };
    Submission::Snapshot { space: "s".into(), document: "d".into(), snapshot }
}

#[test]
fn a_snapshot_comes_back_whole_and_replaces_the_one_before() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    store.commit(&[local("d", Pen::new(0xaa).write(b"x"))], WALL).unwrap();
    let (num, doc) = (space(&store), document(&store, "d"));
    assert_eq!(store.reader().snapshot(num, doc).unwrap(), None);
    let log = all_changes(&store, "d", &Version::new(), 100);
    for size in [0, 1, 65_536, 65_537, 300_000, 3] {
        let bytes: Vec<u8> = (0..size).map(|i: u32| i.to_le_bytes()[0]).collect();
        let outcomes = store.commit(&[snapshot(&[(own(), 1)], bytes.clone())], WALL).unwrap();
        assert_eq!(outcomes, [Outcome::Recorded(Ok(()))]);
        let read = open_as(&backend, 2).reader().snapshot(num, doc).unwrap().unwrap();
        assert_eq!(read.bytes, bytes);
        assert_eq!(read.version.get(own()), 1);
        let chunks = backend.map().keys().filter(|key| key[0] == 0x0a).count();
        assert_eq!(chunks, bytes.len().div_ceil(65_536), "old chunks are gone");
    }
    assert_eq!(all_changes(&store, "d", &Version::new(), 100), log);
}

#[test]
fn a_snapshot_never_covers_what_is_not_logged() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let early = store.commit(&[snapshot(&[], vec![1])], WALL).unwrap();
    assert_eq!(early, [Outcome::Recorded(Err(Refusal::UnknownSpace))]);
    store.commit(&[local("other", Pen::new(0xaa).write(b"x"))], WALL).unwrap();
    let early = store.commit(&[snapshot(&[], vec![1])], WALL).unwrap();
    assert_eq!(early, [Outcome::Recorded(Err(Refusal::UnknownDocument))]);
    store.commit(&[local("d", Pen::new(0xaa).write(b"x"))], WALL).unwrap();
    for ahead in [(own(), 2), (id(1), 1)] {
        let outcomes = store.commit(&[snapshot(&[ahead], vec![1])], WALL).unwrap();
        assert_eq!(outcomes, [Outcome::Recorded(Err(Refusal::SnapshotAhead))]);
    }
}

#[test]
fn a_reader_waits_for_a_snapshot_of_changes_that_are_not_durable_yet() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(0xaa);
    store.commit(&[local("d", pen.write(b"x"))], WALL).unwrap();
    store.commit(&[snapshot(&[(own(), 1)], vec![1; 70_000])], WALL).unwrap();
    let (num, doc, reader) = (space(&store), document(&store, "d"), store.reader());
    let (tell, told) = mpsc::channel();
    let told = Arc::new(Mutex::new(told));
    let (watched, early) = (backend.clone(), told.clone());
    *backend.under_way.lock() = Some(Box::new(move || {
        let (reader, tell) = (reader.clone(), tell.clone());
        watched.touched();
        std::thread::spawn(move || tell.send(reader.snapshot(num, doc).unwrap()));
        while watched.gets.load(Relaxed) == 0 {
            std::thread::yield_now();
        }
        let answer = early.lock().recv_timeout(Duration::from_millis(30));
        assert!(answer.is_err(), "the reader did not wait: {answer:?}");
    }));
    let batch = [local("d", pen.write(b"y")), snapshot(&[(own(), 2)], vec![2; 70_000])];
    store.commit(&batch, WALL).unwrap();
    let seen = told.lock().recv().unwrap().unwrap();
    assert_eq!((seen.version.get(own()), &seen.bytes[..]), (2, &[2; 70_000][..]));
}
