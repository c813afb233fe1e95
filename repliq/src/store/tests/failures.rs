use super::*;
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

use Fate::{FailsApplied, FailsNotApplied, Succeeds};

/// A batch of everything: new space, documents, replicas, held and released.
fn mixed(pens: &mut [Pen; 3], round: u64) -> Vec<Submission> {
    let [ours, theirs, ahead] = pens;
    let position = Position { epoch: Epoch(4), n: FeedNumber(round) };
    let cursor = Some(Cursor { peer: Bytes::from_static(b"p"), position });
    let far = Hlc::from_millis(Millis(WALL.0 + (3 + round) * DAY));
    let arrivals = vec![
        arrival("d", theirs.write(b"x")),
        arrival("held", ahead.full(far, 1, &[], b"x")),
        arrival(&format!("new{round}"), Pen::new(100 + round.to_le_bytes()[0]).write(b"x")),
    ];
    let (space, from, skew) = ("s".into(), peer(), Skew::Hold);
    let snapshot = Snapshot {
        version: [(theirs.replica, theirs.next)].into_iter().collect(),
        unsaid: Version::new(),
        bytes: vec![1; 70_000].into(),
    };
    vec![
        local("mine", ours.write(b"x")),
        Submission::Remote(Remote { space, from, arrivals, cursor, skew }),
        Submission::Snapshot { space: "s".into(), document: "d".into(), snapshot },
        Submission::Release { space: "s".into() },
    ]
}

fn pens() -> [Pen; 3] {
    [Pen::new(0xaa), Pen::new(1), Pen::new(2)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_failed_commit_leaves_memory_and_disk_in_agreement(
        fates in prop::collection::vec(
            prop_oneof![Just(Succeeds), Just(FailsNotApplied), Just(FailsApplied)], 0..24
        )
    ) {
        let (clean, faulty) = (Probe::of(Map::new()), Probe::of(Map::new()));
        let (mut expected, mut store) = (open(&clean), open(&faulty));
        faulty.plan(&fates);
        let mut pens = pens();
        for round in 0..8 {
            let wall = Millis(WALL.0 + round * DAY);
            let batch = mixed(&mut pens, round);
            let outcomes = expected.commit(&batch, wall).unwrap();
            let mut attempts = 0;
            loop {
                match store.commit(&batch, wall) {
                    Ok(got) if attempts == 0 => {
                        prop_assert_eq!(&got, &outcomes);
                        break;
                    }
                    Ok(_) => break,
                    Err(StoreError::Storage(_)) => {}
                    Err(StoreError::Broken) => {
                        let broken = store.commit(&[], WALL);
                        prop_assert!(matches!(broken, Err(StoreError::Broken)));
                        // As after a restart: the batch may be there or not. What
                        // is there is known for a duplicate, what is not is taken.
                        store = open(&faulty);
                        attempts += 1;
                    }
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                }
            }
            prop_assert_eq!(store.last(), expected.last());
            prop_assert_eq!(all_feed(&store), all_feed(&expected));
            if attempts > 0 {
                // From here on an epoch more, and perhaps a generation of a snapshot.
                return Ok(());
            }
        }
        prop_assert_eq!(faulty.map(), clean.map());
    }
}

#[test]
fn a_commit_that_did_not_happen_can_be_done_again() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let before = backend.map();
    let batch = mixed(&mut pens(), 0);
    backend.plan(&[FailsNotApplied]);
    assert!(matches!(store.commit(&batch, WALL), Err(StoreError::Storage(_))));
    assert_eq!(backend.map(), before);
    assert_eq!(store.last(), Hlc(0));
    assert_eq!(store.reader().space("s"), None);
    let clean = Probe::of(Map::new());
    let outcomes = open(&clean).commit(&batch, WALL).unwrap();
    assert_eq!(store.commit(&batch, WALL).unwrap(), outcomes);
    assert_eq!(backend.map(), clean.map());
}

#[test]
fn a_commit_that_happened_in_spite_of_an_error_is_made_durable() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let commits = backend.commits.load(Relaxed);
    backend.plan(&[FailsApplied, Succeeds]);
    store.commit(&mixed(&mut pens(), 0), WALL).unwrap();
    assert_eq!(backend.commits.load(Relaxed) - commits, 2);
    let clean = Probe::of(Map::new());
    open(&clean).commit(&mixed(&mut pens(), 0), WALL).unwrap();
    assert_eq!(backend.map(), clean.map());
}

#[test]
fn a_store_that_does_not_know_what_is_durable_refuses_everything() {
    for fates in [[FailsApplied, FailsApplied], [FailsApplied, FailsNotApplied]] {
        let backend = Probe::of(Map::new());
        let mut store = open(&backend);
        let mut pen = Pen::new(0xaa);
        store.commit(&[local("d", pen.write(b"x"))], WALL).unwrap();
        let (reader, num, doc) = (store.reader(), space(&store), document(&store, "d"));
        let mut changes = reader.changes(num, doc, &Version::new()).unwrap();
        backend.plan(&fates);
        let second = local("d", pen.write(b"x"));
        let error = store.commit(std::slice::from_ref(&second), WALL).unwrap_err();
        assert!(matches!(error, StoreError::Broken) && error.to_string().contains("open it again"));
        assert!(matches!(
            store.commit(std::slice::from_ref(&second), WALL),
            Err(StoreError::Broken)
        ));
        assert!(matches!(reader.heads(num, doc), Err(StoreError::Broken)));
        assert!(matches!(reader.snapshot(num, doc), Err(StoreError::Broken)));
        assert!(matches!(reader.feed(num, FeedNumber(0), 9, 9), Err(StoreError::Broken)));
        assert!(matches!(changes.next_chunk(9), Err(StoreError::Broken)));

        // It goes on by itself once the backend does, or after a restart.
        let mut restarted = open_as(&Probe::of(backend.map()), 2);
        let duplicate = [Outcome::Local(Verdict::Duplicate)];
        assert_eq!(restarted.commit(std::slice::from_ref(&second), WALL).unwrap(), duplicate);
        assert_eq!(store.settle().ok(), Some(true), "the commit is durable after all");
        assert_eq!(store.commit(&[second], WALL).unwrap(), duplicate);
        assert_eq!(all_feed(&store).len(), 2);
        assert_eq!(reader.heads(num, doc).unwrap().version().get(own()), 2);
        store.commit(&[local("d", pen.write(b"x"))], WALL).unwrap();
        assert_eq!(all_feed(&store), all_feed(&open_as(&backend, 3)));
    }
}

/// Whatever a batch holds: what turned out to be durable is as if it had been
/// reported so at once, and what did not is as if it had never been tried.
#[test]
fn a_store_that_found_out_agrees_with_the_disk() {
    for (fates, is_there) in [([FailsApplied, FailsApplied], true), ([FailsNotApplied; 2], false)] {
        let (backend, clean) = (Probe::of(Map::new()), Probe::of(Map::new()));
        let (mut store, mut expected) = (open(&backend), open(&clean));
        let mut pens = pens();
        let first = mixed(&mut pens, 0);
        store.commit(&first, WALL).unwrap();
        expected.commit(&first, WALL).unwrap();
        backend.plan(&fates);
        let watched = backend.clone();
        // Nothing can be read until the store is asked again.
        *backend.under_way.lock() = Some(Box::new(move || watched.reads_fail.store(true, Relaxed)));
        let batch = mixed(&mut pens, 1);
        assert!(matches!(store.commit(&batch, WALL), Err(StoreError::Broken)));
        assert!(store.settle().is_err() && store.is_unsettled());
        assert!(matches!(store.commit(&batch, WALL), Err(StoreError::Broken)));
        backend.reads_fail.store(false, Relaxed);
        backend.plan(&[]);
        assert_eq!(store.settle().ok(), Some(is_there));
        assert!(!store.is_unsettled());
        let outcomes = expected.commit(&batch, WALL).unwrap();
        if !is_there {
            assert_eq!(store.commit(&batch, WALL).unwrap(), outcomes);
        }
        assert_eq!(backend.map(), clean.map());
        let next = mixed(&mut pens, 2);
        assert_eq!(store.commit(&next, WALL).unwrap(), expected.commit(&next, WALL).unwrap());
        assert_eq!(backend.map(), clean.map());
    }
}

/// A cursor that is written a second time looks as if it were there already; that
/// it cannot be written is no reason to refuse everything for ever.
#[test]
fn a_cursor_that_cannot_be_written_does_not_break_the_store() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    let mut pen = Pen::new(0xaa);
    let known = local("d", pen.write(b"x"));
    store.commit(std::slice::from_ref(&known), WALL).unwrap();
    let position = Position { epoch: Epoch(1), n: FeedNumber(1) };
    let cursor = Cursor { peer: Bytes::from_static(b"peer"), position };
    let cursor = Submission::Cursor { space: "s".into(), cursor };
    // Alone, or with a change that the store has already.
    for batch in [vec![cursor.clone()], vec![known, cursor]] {
        store.commit(&batch, WALL).unwrap();
        backend.plan(&[FailsNotApplied, FailsNotApplied]);
        let error = store.commit(&batch, WALL).unwrap_err();
        assert!(matches!(error, StoreError::Storage(_)), "{error}");
        backend.plan(&[]);
    }
    store.commit(&[local("d", pen.write(b"y"))], WALL).unwrap();
}

#[test]
fn a_store_that_cannot_read_back_after_an_error_refuses_everything() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    backend.plan(&[FailsNotApplied]);
    let watched = backend.clone();
    *backend.under_way.lock() = Some(Box::new(move || watched.reads_fail.store(true, Relaxed)));
    let batch = [local("d", Pen::new(0xaa).write(b"x"))];
    assert!(matches!(store.commit(&batch, WALL), Err(StoreError::Broken)));
    backend.reads_fail.store(false, Relaxed);
    assert!(matches!(store.commit(&batch, WALL), Err(StoreError::Broken)));
    assert_eq!(store.settle().ok(), Some(false), "until it is asked again");
    assert_eq!(store.commit(&batch, WALL).unwrap(), [Outcome::Local(applied(1))]);
}

#[test]
fn a_backend_that_panics_leaves_a_store_that_refuses() {
    let backend = Probe::of(Map::new());
    let mut store = open(&backend);
    *backend.under_way.lock() = Some(Box::new(|| std::panic::panic_any("backend bug")));
    let batch = [local("d", Pen::new(0xaa).write(b"x"))];
    let commit = std::panic::AssertUnwindSafe(|| store.commit(&batch, WALL).map(drop));
    assert!(std::panic::catch_unwind(commit).is_err());
    assert!(matches!(store.commit(&batch, WALL), Err(StoreError::Broken)));
    // The batch was applied before the panic.
    assert_eq!(store.settle().ok(), Some(true));
    assert_eq!(store.commit(&batch, WALL).unwrap(), [Outcome::Local(Verdict::Duplicate)]);
}

#[test]
fn a_read_that_fails_while_checking_fails_the_batch_and_nothing_else() {
    let backend = Probe::of(Map::new());
    let mut pens = pens();
    open(&backend).commit(&mixed(&mut pens, 0), WALL).unwrap();
    let mut store = open_as(&backend, 2);
    let before = backend.map();
    let batch = mixed(&mut pens, 1);
    backend.reads_fail.store(true, Relaxed);
    assert!(matches!(store.commit(&batch, WALL), Err(StoreError::Storage(_))));
    backend.reads_fail.store(false, Relaxed);
    assert_eq!(backend.map(), before);
    store.commit(&batch, WALL).unwrap();
    assert_eq!(all_feed(&store).len(), 6);
}
