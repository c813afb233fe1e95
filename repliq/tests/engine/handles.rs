//! Handles: what they share, how long they keep things, and what they say once
//! the replica is closed.

use crate::support::*;
use repliq::prelude::*;
use repliq::{
    CommitError, CrdtError, Effects, Error, ReadError, Refusal, Stamp, SyncError, UpdateError,
    Version,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::pin::pin;
use std::sync::atomic::{AtomicIsize, Ordering};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_close_every_handle_says_so() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let device = on(&Faulty::new(), &network).await;
    let one = notes(&device, "one").await;
    let space = device.space("team");
    let link = device.sync(&url).await.unwrap();
    let mut events = one.subscribe();
    set(&one, "a", "1").await;
    within(device.close()).await;

    assert!(matches!(one.read(|_| ()), Err(ReadError::Closed)));
    assert!(matches!(one.version(), Err(ReadError::Closed)));
    let update = within(one.update(|m| m.set("b".into(), "2".into()))).await;
    assert!(matches!(update, Err(UpdateError::Commit(CommitError::Closed))), "{update:?}");
    let tried = within(one.try_update(|_| Ok::<_, ()>(()))).await;
    assert!(matches!(tried, Err(UpdateError::Commit(CommitError::Closed))), "{tried:?}");
    assert!(matches!(device.document::<Notes>("one").await, Err(Error::Closed)));
    assert!(matches!(device.document::<Notes>("new").await, Err(Error::Closed)));
    assert!(matches!(space.document::<Notes>("one").await, Err(Error::Closed)));
    assert!(matches!(device.sync(&url).await, Err(Error::Closed)));
    assert!(matches!(within(link.synced()).await, Err(SyncError::Closed)));
    assert!(matches!(link.status(), LinkStatus::Closed));
    // What was durable is told, then the stream ends; a new one ends at once.
    assert!(within(events.next()).await.is_some());
    assert!(within(events.next()).await.is_none());
    assert!(!events.lagged());
    assert!(within(one.subscribe().next()).await.is_none());
    within(device.close()).await;
    within(link.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_under_way_at_close_are_durable_or_fail() {
    for round in 0..10 {
        let backend = Faulty::new();
        let device = alone(&backend).await;
        let one = notes(&device, "one").await;
        if round % 2 == 0 {
            backend.hold();
        }
        let mut tasks = Vec::new();
        for number in 0..200_u32 {
            let one = one.clone();
            tasks.push(tokio::spawn(async move {
                one.update(move |m| m.set(number.to_string(), "x".into())).await.map(|()| number)
            }));
        }
        let closing = {
            let device = device.clone();
            tokio::spawn(async move { device.close().await })
        };
        tokio::task::yield_now().await;
        backend.release();
        within(closing).await.unwrap();
        let mut expected = View::new();
        for task in tasks {
            match within(task).await.unwrap() {
                Ok(number) => drop(expected.insert(number.to_string(), "x".into())),
                Err(UpdateError::Commit(CommitError::Closed)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(durable(&backend, "one").await, expected);
    }
}

#[tokio::test]
async fn a_store_is_free_once_it_is_closed_or_its_last_handle_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let device = Replica::open(directory.path()).await.unwrap();
        let one: Document<Notes> = device.document("one").await.unwrap();
        assert_eq!(view(&one).len(), round);
        set(&one, &round.to_string(), "x").await;
        assert!(Replica::open(directory.path()).await.is_err(), "it is in use");
        if round % 2 == 0 {
            let kept = one.clone();
            within(device.close()).await;
            assert!(kept.read(|_| ()).is_err());
        } else {
            drop(device);
            assert_eq!(view(&one).len(), round + 1, "a document keeps its store open");
            set(&one, &round.to_string(), "y").await;
            drop(one);
        }
    }
}

#[tokio::test]
async fn a_store_dropped_with_a_failing_update_is_free_when_the_update_returns() {
    for _ in 0..20 {
        let backend = Faulty::new();
        let device = alone(&backend).await;
        let one = notes(&device, "one").await;
        backend.hold();
        let mut update = Box::pin(one.update(|m| m.set("a".into(), "1".into())));
        assert!(poll_once(update.as_mut()).is_pending());
        backend.await_held();
        drop((device, one));
        backend.next([Fate::Refused(repliq::StorageErrorKind::Io)]);
        backend.release();
        assert!(within(update).await.is_err());
        let device = alone(&backend).await;
        set(&notes(&device, "one").await, "b", "2").await;
    }
}

/// How many values of [`Counted`] are in memory.
static LOADED: AtomicIsize = AtomicIsize::new(0);

#[derive(Serialize)]
struct Counted(u64);

impl Default for Counted {
    fn default() -> Self {
        LOADED.fetch_add(1, Ordering::SeqCst);
        Self(0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LOADED.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sum = u64::deserialize(deserializer)?;
        LOADED.fetch_add(1, Ordering::SeqCst);
        Ok(Self(sum))
    }
}

impl Crdt for Counted {
    const KIND: &'static str = "counted/1";
    type Op = u64;
    type Event = u64;
    type Undo = u64;

    fn apply(&mut self, op: u64, _: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        fx.undo(|| op);
        fx.event(|| op);
        self.0 += op;
        Ok(())
    }

    fn join(&mut self, _: &Version, _: Self, _: &Version, _: &mut Effects<Self>) {}

    fn rollback(&mut self, undo: u64) {
        self.0 -= undo;
    }
}

#[tokio::test]
async fn a_document_is_loaded_while_a_handle_or_subscription_lives_and_no_longer() {
    let device = alone(&Faulty::new()).await;
    let loaded = || LOADED.load(Ordering::SeqCst);
    let first: Document<Counted> = device.document("sum").await.unwrap();
    let second: Document<Counted> = device.document("sum").await.unwrap();
    assert_eq!(loaded(), 1, "two handles share one state");
    first.update(|sum| sum.push(2)).await.unwrap().unwrap();
    second.update(|sum| sum.push(3)).await.unwrap().unwrap();
    assert_eq!(first.read(|sum| sum.0).unwrap(), 5);
    let mut events = second.subscribe();
    drop((first, second));
    assert_eq!(loaded(), 1, "a subscription keeps it loaded");
    let again: Document<Counted> = device.document("sum").await.unwrap();
    assert_eq!(loaded(), 1);
    again.update(|sum| sum.push(4)).await.unwrap().unwrap();
    assert_eq!(within(events.next()).await, Some(4));
    drop((again, events));
    assert_eq!(loaded(), 0, "unused documents are unloaded");
    let again: Document<Counted> = device.document("sum").await.unwrap();
    assert_eq!(again.read(|sum| sum.0).unwrap(), 9);
    assert_eq!(loaded(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_that_is_given_up_leaves_nothing_half_open() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    set(&notes(&device, "one").await, "a", "1").await;
    for _ in 0..200 {
        {
            let mut opening = pin!(device.document::<Notes>("one"));
            let _ = poll_once(opening.as_mut());
        }
        let one = within(device.document::<Notes>("one")).await.unwrap();
        assert_eq!(view(&one), pairs(&[("a", "1")]));
        {
            let mut opening = pin!(device.document::<Tags>("one"));
            let _ = poll_once(opening.as_mut());
        }
    }
    for _ in 0..200 {
        {
            let mut opening = pin!(device.document::<Tags>("one"));
            let _ = poll_once(opening.as_mut());
        }
        let one = within(device.document::<Notes>("one")).await.unwrap();
        set(&one, "a", "1").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_opened_by_many_at_once_is_loaded_once() {
    let device = alone(&Faulty::new()).await;
    let opened: Vec<_> = (0..50)
        .map(|n| {
            let device = device.clone();
            tokio::spawn(async move {
                let one = device.document::<Notes>("one").await.unwrap();
                set(&one, &n.to_string(), "x").await;
                one
            })
        })
        .collect();
    let mut documents = Vec::new();
    for task in opened {
        documents.push(within(task).await.unwrap());
    }
    for document in &documents {
        assert_eq!(view(document).len(), 50);
    }
}

#[tokio::test]
async fn a_document_opened_as_another_type_is_a_typed_error() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let one = notes(&device, "one").await;
    let wrong = |error: Error| match error {
        Error::WrongKind { name, found, expected } => {
            assert_eq!(
                (name.as_str(), found.as_str(), expected),
                ("one", "lww-map/1", "lww-set/1")
            );
        }
        other => panic!("{other:?}"),
    };
    wrong(device.document::<Tags>("one").await.unwrap_err());
    set(&one, "a", "1").await;
    drop(one);
    wrong(device.document::<Tags>("one").await.unwrap_err());
    assert_eq!(view(&notes(&device, "one").await), pairs(&[("a", "1")]));
    device.close().await;
    wrong(alone(&backend).await.document::<Tags>("one").await.unwrap_err());
    let long = "x".repeat(256);
    let device = alone(&backend).await;
    assert!(matches!(device.document::<Notes>(&long).await, Err(Error::Name(_))));
    assert!(matches!(device.space(&long).document::<Notes>("a").await, Err(Error::Name(_))));
    assert!(matches!(device.space("").document::<Notes>("a").await, Err(Error::Name(_))));
    let longest = notes(&device, &long[1..]).await;
    set(&longest, "a", "1").await;
}

#[tokio::test]
async fn a_document_that_is_open_with_other_parameters_is_an_error_that_names_both() {
    let device = alone(&Faulty::new()).await;
    let _one = notes(&device, "one").await;
    let error = device.document::<LwwMap<String, u32>>("one").await.unwrap_err();
    assert!(matches!(error, Error::OtherParameters { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("String, alloc::string::String>") && text.contains("u32>"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_two_devices_gave_to_two_types_is_told_to_both() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let (here, there) = (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
    let map = notes(&here, "name").await;
    let tags: Document<Tags> = there.document("name").await.unwrap();
    set(&map, "a", "1").await;
    tags.update(|t| t.add("tag".into())).await.unwrap();
    let (map_too, other) = (notes(&here, "fine").await, notes(&there, "fine").await);

    let link = here.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    let link_there = there.sync(&url).await.unwrap();
    for _ in 0..2 {
        match within(link_there.synced()).await {
            Err(SyncError::Refused { first, .. }) => {
                assert_eq!(first.document, "name");
                assert!(matches!(&first.why, Refusal::WrongKind { .. }), "{first:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Each keeps its own, and all other documents sync.
    assert_eq!(view(&map), pairs(&[("a", "1")]));
    assert!(tags.read(|t| t.contains("tag")).unwrap());
    set(&map_too, "b", "2").await;
    within(link.synced()).await.unwrap();
    assert!(within(link_there.synced()).await.is_err(), "the refusal stands");
    assert_eq!(view(&other), pairs(&[("b", "2")]));
    set(&other, "c", "3").await;
    assert!(within(link_there.synced()).await.is_err());
    within(link.synced()).await.unwrap();
    assert_eq!(view(&map_too), view(&other));
    set(&map, "a", "2").await;
    tags.update(|t| t.add("more".into())).await.unwrap();
}

/// Opened here, never written, and a peer makes it as another type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_a_peer_made_first_as_another_type_is_unusable_and_says_why() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let (here, there) = (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
    let map = notes(&here, "name").await;
    let mut events = map.subscribe();
    let tags: Document<Tags> = there.document("name").await.unwrap();
    tags.update(|t| t.add("tag".into())).await.unwrap();
    let link_there = there.sync(&url).await.unwrap();
    within(link_there.synced()).await.unwrap();
    let link = here.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    match map.read(|_| ()) {
        Err(ReadError::Unusable(why)) => assert!(why.to_string().contains("lww-set/1"), "{why}"),
        other => panic!("{other:?}"),
    }
    let update = within(map.update(|m| m.set("a".into(), "1".into()))).await;
    assert!(matches!(update, Err(UpdateError::Unusable(_))), "{update:?}");
    assert!(within(events.next()).await.is_none());
    assert!(within(map.subscribe().next()).await.is_none());
    drop((map, events));
    let tags_here: Document<Tags> = here.document("name").await.unwrap();
    assert!(tags_here.read(|t| t.contains("tag")).unwrap());
}

#[tokio::test]
async fn a_subscriber_that_falls_behind_is_told_so_and_others_go_on() {
    let device = alone(&Faulty::new()).await;
    let one = notes(&device, "one").await;
    let mut slow = one.subscribe();
    one.update(|m| {
        for number in 0..65_536 {
            m.set(number.to_string(), String::new());
        }
    })
    .await
    .unwrap();
    let mut quick = one.subscribe();
    set(&one, "a", "1").await;
    assert!(within(quick.next()).await.is_some());
    let mut told = 0;
    while within(slow.next()).await.is_some() {
        told += 1;
    }
    assert_eq!(told, 65_536);
    assert!(slow.lagged() && !quick.lagged());
}
