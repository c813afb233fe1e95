//! `update`, `try_update` and `read`: what they promise whoever calls them.

use crate::support::*;
use repliq::prelude::*;
use repliq::{CrdtError, UpdateError};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn an_update_returns_only_once_it_is_durable() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    backend.hold();
    let mut update = pin!(document.update(|m| m.set("a".into(), "1".into())));
    assert!(poll_once(update.as_mut()).is_pending());
    backend.await_held();
    assert!(poll_once(update.as_mut()).is_pending());
    assert_eq!(view(&document), pairs(&[("a", "1")]), "it is visible at once");
    assert_eq!(durable(&backend, "notes").await, pairs(&[]));
    backend.release();
    within(update).await.unwrap();
    assert_eq!(durable(&backend, "notes").await, pairs(&[("a", "1")]));
}

#[tokio::test]
async fn an_event_is_told_after_durability_not_before() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    let mut events = document.subscribe();
    backend.hold();
    let mut update = pin!(document.update(|m| m.set("a".into(), "1".into())));
    assert!(poll_once(update.as_mut()).is_pending());
    backend.await_held();
    view(&document);
    assert!(events.try_next().is_none());
    backend.release();
    within(update).await.unwrap();
    let told = within(events.next()).await;
    assert_eq!(told, Some(MapEvent::Set { key: "a".into(), value: "1".into() }));
    assert!(events.try_next().is_none());
}

#[tokio::test]
async fn an_update_that_gives_up_leaves_no_trace() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    set(&document, "a", "1").await;
    let mut events = document.subscribe();
    let (commits, version) = (backend.commits(), document.version().unwrap());

    let result = document.try_update(|m| {
        m.set("a".into(), "2".into());
        m.remove("a".into());
        m.set("b".into(), "3".into());
        assert_eq!(m.get("b").map(String::as_str), Some("3"));
        Err::<(), _>("enough")
    });
    assert!(matches!(within(result).await, Err(UpdateError::Aborted("enough"))));

    let panicking = tokio::spawn(document.update(|m| {
        m.set("a".into(), "4".into());
        panic!("as this test wants it");
    }));
    assert!(within(panicking).await.unwrap_err().is_panic());

    assert_eq!(view(&document), pairs(&[("a", "1")]));
    assert_eq!(document.version().unwrap(), version);
    assert_eq!(backend.commits(), commits);
    assert!(events.try_next().is_none());
    set(&document, "c", "5").await;
    assert_eq!(
        within(events.next()).await,
        Some(MapEvent::Set { key: "c".into(), value: "5".into() })
    );
    assert_eq!(durable(&backend, "notes").await, pairs(&[("a", "1"), ("c", "5")]));
}

#[tokio::test]
async fn what_was_posted_while_a_closure_panicked_is_told_all_the_same() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    let mut events = document.subscribe();
    backend.hold();
    let mut first = pin!(document.update(|m| m.set("a".into(), "1".into())));
    assert!(poll_once(first.as_mut()).is_pending());
    backend.await_held();
    let panicking = {
        let (document, backend) = (document.clone(), backend.clone());
        std::thread::spawn(move || {
            let _ = block_on(document.update(|_| {
                let commits = backend.commits();
                backend.release();
                while backend.commits() == commits {
                    std::thread::yield_now();
                }
                // The storage thread now tells the document, which is held here.
                std::thread::sleep(std::time::Duration::from_millis(100));
                panic!("as this test wants it");
            }));
        })
    };
    assert!(panicking.join().is_err());
    within(first).await.unwrap();
    assert!(within(events.next()).await.is_some());
}

#[tokio::test]
async fn a_refused_op_poisons_its_transaction() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document: Document<Picky> = device.document("numbers").await.unwrap();
    document.update(|n| n.push(1)).await.unwrap().unwrap();
    let commits = backend.commits();
    let refused = document.update(|n| {
        n.push(2).unwrap();
        assert_eq!(n.push(13), Err(CrdtError::Invalid("thirteen")));
        assert_eq!(n.push(3), Err(CrdtError::Invalid("thirteen")), "poisoned");
    });
    assert!(matches!(within(refused).await, Err(UpdateError::Refused(_))));
    assert_eq!(document.read(|n| n.0.clone()).unwrap(), [1]);
    let panicking = document.update(|n| n.push(666));
    assert!(tokio::spawn(panicking).await.unwrap_err().is_panic());
    assert_eq!(document.read(|n| n.0.clone()).unwrap(), [1]);
    assert_eq!(backend.commits(), commits);
    document.update(|n| n.push(4)).await.unwrap().unwrap();
    assert_eq!(document.read(|n| n.0.clone()).unwrap(), [1, 4]);
}

#[tokio::test]
async fn nothing_happens_before_the_future_is_polled() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    let commits = backend.commits();
    static RAN: AtomicBool = AtomicBool::new(false);
    let update = document.update(|m| {
        RAN.store(true, Ordering::SeqCst);
        m.set("a".into(), "1".into());
    });
    drop(update);
    assert!(!RAN.load(Ordering::SeqCst));
    set(&document, "b", "2").await;
    assert_eq!(view(&document), pairs(&[("b", "2")]));
    assert_eq!(backend.commits(), commits + 1);
}

#[tokio::test]
async fn dropping_a_future_that_was_polled_undoes_nothing() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    backend.hold();
    {
        let mut update = pin!(document.update(|m| m.set("a".into(), "1".into())));
        assert!(poll_once(update.as_mut()).is_pending());
    }
    assert_eq!(view(&document), pairs(&[("a", "1")]));
    backend.release();
    set(&document, "b", "2").await;
    assert_eq!(durable(&backend, "notes").await, pairs(&[("a", "1"), ("b", "2")]));
}

#[tokio::test]
async fn updates_happen_in_the_order_they_were_polled() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document: Document<Picky> = device.document("numbers").await.unwrap();
    let mut tasks = Vec::new();
    for number in 1000..2000 {
        tasks.push(begin(document.update(move |n| n.push(number))));
    }
    for task in tasks.into_iter().rev() {
        within(task).await.unwrap().unwrap();
    }
    let expected: Vec<u64> = (1000..2000).collect();
    assert_eq!(document.read(|n| n.0.clone()).unwrap(), expected);
    let copy = Faulty::over(backend.copy());
    let reopened: Document<Picky> = alone(&copy).await.document("numbers").await.unwrap();
    assert_eq!(reopened.read(|n| n.0.clone()).unwrap(), expected);
}

#[tokio::test]
async fn an_update_that_only_reads_commits_nothing() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    set(&document, "a", "1").await;
    let commits = backend.commits();
    backend.always(Some(Fate::Refused(repliq::StorageErrorKind::Full)));
    let read = document.update(|m| m.get("a").cloned());
    assert_eq!(within(read).await.unwrap().as_deref(), Some("1"));
    assert_eq!(backend.commits(), commits);
}

#[tokio::test]
async fn too_large_an_update_is_refused_and_leaves_no_trace() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    let commits = backend.commits();
    for parts in [1, 2, 40] {
        let text = "x".repeat((17 << 20) / parts);
        let result = document.update(|m| {
            for part in 0..parts {
                m.set(part.to_string(), text.clone());
            }
        });
        let error = within(result).await.unwrap_err();
        let UpdateError::TooLarge { bytes } = error else { panic!("{error:?}") };
        assert!(bytes > 16 << 20, "{bytes}");
        assert!(error.to_string().contains("16 MiB"), "{error}");
    }
    assert_eq!(view(&document), pairs(&[]));
    assert_eq!(backend.commits(), commits);
    let large = "x".repeat(15 << 20);
    set(&document, "a", &large).await;
    assert_eq!(durable(&backend, "notes").await["a"].len(), 15 << 20);
}

#[tokio::test]
async fn a_value_nested_a_million_deep_is_a_typed_error() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document: Document<LwwMap<String, Deep>> = device.document("deep").await.unwrap();
    let _events = document.subscribe();
    let commits = backend.commits();
    for depth in [65, 1000, 1_000_000] {
        let deep = Deep::of(depth);
        let error = within(document.update(|m| m.set("a".into(), deep))).await.unwrap_err();
        assert!(matches!(error, UpdateError::Refused(_)), "{depth}: {error:?}");
        assert!(error.to_string().contains("deep"), "{error}");
    }
    assert_eq!(document.read(|m| m.len()).unwrap(), 0);
    assert_eq!(backend.commits(), commits);
    within(document.update(|m| m.set("a".into(), Deep::of(20)))).await.unwrap();
}

/// The depth that is let in must be one that comes back: from the log, and from
/// a snapshot, which wraps the value in the levels of its document.
#[tokio::test]
async fn whatever_depth_is_accepted_can_be_loaded_again() {
    let mut deepest = 0;
    for depth in 1..70 {
        let backend = Faulty::new();
        let device = alone(&backend).await;
        let document: Document<LwwMap<String, Deep>> = device.document("deep").await.unwrap();
        let deep = Deep::of(depth);
        if within(document.update(|m| m.set("a".into(), deep))).await.is_err() {
            continue;
        }
        deepest = depth;
        let filler = Deep { text: "x".repeat(300 << 10), inner: None };
        within(document.update(|m| m.set("filler".into(), filler))).await.unwrap();
        device.close().await;
        // The first opening replays the log and writes a snapshot.
        for opening in ["log", "snapshot"] {
            let device = alone(&backend).await;
            let document = device.document::<LwwMap<String, Deep>>("deep").await;
            let document = document.unwrap_or_else(|error| panic!("{depth}, {opening}: {error}"));
            let found = document.read(|m| m.get("a").cloned()).unwrap();
            assert!(found == Some(Deep::of(depth)), "{depth}, {opening}");
            device.close().await;
        }
    }
    assert!((20..64).contains(&deepest), "{deepest}");
}

/// What is read together with subscribing is where the events go on, also when
/// part of it is not durable yet.
#[tokio::test]
async fn a_subscription_made_inside_a_read_goes_on_exactly_there() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document: Document<Picky> = device.document("numbers").await.unwrap();
    let mut first = document.subscribe();
    document.update(|n| n.push(1)).await.unwrap().unwrap();
    backend.hold();
    let mut pending = pin!(document.update(|n| n.push(2)));
    assert!(poll_once(pending.as_mut()).is_pending());
    backend.await_held();
    let (mut events, base) = document.read(|n| (document.subscribe(), n.0.clone())).unwrap();
    assert_eq!(base, [1, 2]);
    let mut later = pin!(document.update(|n| n.push(3)));
    assert!(poll_once(later.as_mut()).is_pending());
    backend.release();
    within(pending).await.unwrap().unwrap();
    within(later).await.unwrap().unwrap();
    assert_eq!(within(events.next()).await, Some(3));
    assert!(events.try_next().is_none());
    for expected in 1..=3 {
        assert_eq!(within(first.next()).await, Some(expected));
    }
}

#[tokio::test]
async fn a_subscriber_that_read_what_was_undone_is_told_to_read_again() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document: Document<Picky> = device.document("numbers").await.unwrap();
    let mut first = document.subscribe();
    backend.hold();
    let mut pending = pin!(document.update(|n| n.push(1)));
    assert!(poll_once(pending.as_mut()).is_pending());
    backend.await_held();
    let (mut events, base) = document.read(|n| (document.subscribe(), n.0.clone())).unwrap();
    assert_eq!(base, [1]);
    backend.next([Fate::Refused(repliq::StorageErrorKind::Io)]);
    backend.release();
    assert!(within(pending).await.is_err());
    document.update(|n| n.push(2)).await.unwrap().unwrap();
    assert_eq!(within(events.next()).await, None);
    assert!(events.lagged(), "subscribe again and read the whole value");
    assert_eq!(within(first.next()).await, Some(2), "who never saw it goes on");
    assert!(!first.lagged());
}

#[test]
fn a_value_alone_nested_a_million_deep_is_not_kept_and_a_typed_error() {
    let storage = Storage::new(Faulty::new());
    let mut map: Standalone<LwwMap<String, Deep>> = LwwMap::new(ReplicaId::new());
    map.set("a".into(), Deep::of(20));
    storage.put("map", &map).unwrap();
    map.set("b".into(), Deep::of(1_000_000));
    let error = storage.put("map", &map).unwrap_err();
    assert!(error.to_string().contains("deep"), "{error}");
    let kept: LwwMap<String, Deep> = storage.get("map").unwrap().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept.get("a"), Some(&Deep::of(20)));
}

#[tokio::test]
async fn an_update_gives_out_what_its_closure_returns_and_reads_its_own_edits() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let document = notes(&device, "notes").await;
    let before = document.update(|m| {
        let before = m.get("a").cloned();
        m.set("a".into(), "1".into());
        (before, m.get("a").cloned())
    });
    assert_eq!(within(before).await.unwrap(), (None, Some("1".into())));
    let taken = document.try_update(|m| {
        m.remove("a".into());
        Ok::<_, String>(m.len())
    });
    assert_eq!(within(taken).await.unwrap(), 0);
}
