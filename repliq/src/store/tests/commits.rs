use super::*;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn any_number_of_submissions_is_one_batch() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let before = backend.commits.load(Relaxed);
    let mut submissions: Vec<Submission> =
        (0..50).map(|i| local(&format!("d{i}"), Pen::new(0xaa).write(b"x"))).collect();
    let theirs = (1..20).map(|i| arrival("d", Pen::new(i).write(b"y"))).collect();
    submissions.push(remote(Skew::Hold, theirs));
    assert_eq!(store.commit(&submissions, WALL).unwrap().len(), 51);
    assert_eq!(backend.commits.load(Relaxed) - before, 1);
    assert_eq!(store.reader().head(space(&store)).n, FeedNumber(69));
}

#[test]
fn a_change_costs_two_keys_and_a_batch_one_meta_key() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(0xaa);
    store.commit(&[local("d", pen.write(b"x"))], WALL).unwrap();
    for changes in [1, 1, 20, 1, 30] {
        let before = backend.writes.load(Relaxed);
        let batch: Vec<_> = (0..changes).map(|_| local("d", pen.write(b"x"))).collect();
        store.commit(&batch, WALL).unwrap();
        assert_eq!(backend.writes.load(Relaxed) - before, 2 * changes + 1);
    }
    let before = backend.writes.load(Relaxed);
    let batch: Vec<_> = (0..500).map(|_| local("d", pen.write(b"x"))).collect();
    store.commit(&batch, WALL).unwrap();
    assert_eq!(backend.writes.load(Relaxed) - before, 2 * 500 + 2, "heads once, space once");
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let change = Pen::new(1).write(b"x");
    bring(&mut store, Skew::Hold, std::slice::from_ref(&change));
    let commits = backend.commits.load(Relaxed);
    assert_eq!(bring(&mut store, Skew::Hold, &[change]), [Verdict::Duplicate]);
    assert_eq!(release(&mut store, WALL), (Vec::new(), false));
    assert_eq!(backend.commits.load(Relaxed), commits);
}

#[test]
fn a_cursor_is_written_unless_something_is_refused() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(1);
    let first = pen.write(b"x");
    let lost = pen.write(b"x");
    let third = pen.write(b"x");
    let position = |n| Position { epoch: Epoch(9), n: FeedNumber(n) };
    let mut submit = |changes: &[&Change], n| {
        let cursor = Cursor { peer: Bytes::from_static(b"relay"), position: position(n) };
        let arrivals = changes.iter().map(|change| arrival("d", (*change).clone())).collect();
        let cursor = Some(cursor);
        let (space, from, skew) = ("s".into(), peer(), Skew::Hold);
        let submission = Submission::Remote(Remote { space, from, arrivals, cursor, skew });
        let outcome = store.commit(&[submission], WALL).unwrap().remove(0);
        let stored = store.reader().cursor(space_of(&store), b"relay").unwrap();
        let Outcome::Remote { advanced, .. } = outcome else { panic!("{outcome:?}") };
        (advanced, stored)
    };
    fn space_of(store: &Store) -> SpaceNum {
        space(store)
    }
    assert_eq!(submit(&[&first], 1), (true, Some(position(1))));
    assert_eq!(submit(&[&third], 3), (false, Some(position(1))));
    assert_eq!(submit(&[&lost, &third], 3), (true, Some(position(3))));
    assert_eq!(submit(&[], 7), (true, Some(position(7))));
}

#[test]
fn small_records_come_back_and_need_a_space() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let position = Position { epoch: Epoch(u64::MAX), n: FeedNumber(12) };
    let lease = LeaseRecord { seen: WALL, acked: position };
    let cursor = Cursor { peer: Bytes::from_static(b"p"), position };
    let records = [
        Submission::Cursor { space: "s".into(), cursor: cursor.clone() },
        Submission::Lease { space: "s".into(), replica: id(7), lease },
    ];
    for outcome in store.commit(&records, WALL).unwrap() {
        assert_eq!(outcome, Outcome::Recorded(Err(Refusal::UnknownSpace)));
    }
    store.commit(&[local("d", Pen::new(0xaa).write(b"x"))], WALL).unwrap();
    for outcome in store.commit(&records, WALL).unwrap() {
        assert_eq!(outcome, Outcome::Recorded(Ok(())));
    }
    let unnamed = Cursor { peer: Bytes::new(), position };
    let unnamed = Submission::Cursor { space: "s".into(), cursor: unnamed };
    let refusal = Refusal::Name { what: "peer", bytes: 0 };
    assert_eq!(store.commit(&[unnamed], WALL).unwrap(), [Outcome::Recorded(Err(refusal))]);

    let store = open_as(&backend, 2);
    let num = space(&store);
    assert_eq!(store.reader().cursor(num, b"p").unwrap(), Some(position));
    assert_eq!(store.reader().cursor(num, b"q").unwrap(), None);
    assert_eq!(store.reader().lease(num, id(7)).unwrap(), Some(lease));
    assert_eq!(store.reader().lease(num, id(8)).unwrap(), None);
}

#[test]
fn spaces_do_not_see_each_other() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut batch = Vec::new();
    for (name, kind) in [("a", "k/1"), ("b", "k/2")] {
        let change = Pen::new(0xaa).write(name.as_bytes());
        batch.push(local_in(name, "d", kind, change));
    }
    let outcomes = store.commit(&batch, WALL).unwrap();
    assert_eq!(outcomes, [Outcome::Local(applied(1)), Outcome::Local(applied(1))]);
    let reader = open_as(&backend, 2).reader();
    assert_eq!(reader.spaces().len(), 2);
    for (num, name) in reader.spaces() {
        let feed = reader.feed(num, FeedNumber(0), 1000, 10).unwrap();
        assert_eq!(feed.len(), 1);
        assert!(feed[0].change.body.ends_with(name.as_bytes()));
        assert_eq!(feed[0].origin, None);
    }
}

#[test]
fn readers_see_nothing_of_a_commit_that_is_under_way() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(0xaa);
    store.commit(&[local("d", pen.write(b"x"))], WALL).unwrap();
    // A new run has no feed in memory: readers go to the backend.
    let mut store = open_as(&backend, 2);
    let (num, doc) = (space(&store), document(&store, "d"));
    let reader = store.reader();
    let view = move || {
        let heads = reader.heads(num, doc).unwrap();
        let mut changes = reader.changes(num, doc, &Version::new()).unwrap();
        let feed = reader.feed(num, FeedNumber(0), 1 << 20, 1000).unwrap();
        let documents = reader.documents(num, DocumentNum(0), 10).unwrap().len();
        (heads, changes.next_chunk(1 << 20).unwrap(), feed, documents, reader.head(num))
    };
    let before = view();
    let (tell, told) = std::sync::mpsc::channel();
    let during = view.clone();
    *backend.under_way.lock() = Some(Box::new(move || tell.send(during()).unwrap()));
    // Enough for a checkpoint that covers what is not durable yet.
    let mut batch: Vec<_> = (0..100).map(|_| local("d", pen.write(b"y"))).collect();
    batch.push(remote(Skew::Hold, vec![arrival("d", Pen::new(3).write(b"z"))]));
    batch.push(local("new", Pen::new(0xaa).write(b"x")));
    store.commit(&batch, WALL).unwrap();
    assert_eq!(told.recv().unwrap(), before);
    let (heads, changes, feed, documents, head) = view();
    assert_eq!((heads.version().get(own()), heads.version().get(id(3))), (101, 1));
    assert_eq!((changes.len(), feed.len(), documents, head.n.0), (102, 103, 2, 103));
}

#[test]
fn a_reader_that_asks_for_a_document_in_the_making_gets_it_once_it_is_durable() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    store.commit(&[local("d", Pen::new(0xaa).write(b"x"))], WALL).unwrap();
    let (num, reader, watched) = (space(&store), store.reader(), backend.clone());
    let (tell, told) = std::sync::mpsc::channel();
    *backend.under_way.lock() = Some(Box::new(move || {
        let (reader, tell) = (reader.clone(), tell.clone());
        watched.touched();
        std::thread::spawn(move || tell.send(reader.document(num, "new").unwrap()));
        while watched.gets.load(Relaxed) == 0 {
            std::thread::yield_now();
        }
    }));
    store.commit(&[local("new", Pen::new(0xaa).write(b"x"))], WALL).unwrap();
    assert_eq!(&*told.recv().unwrap().unwrap().name, "new");
}
