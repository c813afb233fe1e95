//! Commits that fail: what is not durable is undone, newest first, and nothing
//! else; memory, disk, events and peers agree afterwards.

use crate::support::*;
use repliq::prelude::*;
use repliq::{CommitError, StorageErrorKind, UpdateError};
use std::collections::BTreeMap;

const IO: Fate = Fate::Refused(StorageErrorKind::Io);
const FULL: Fate = Fate::Refused(StorageErrorKind::Full);

type Update = Begun<Result<(), UpdateError>>;

/// An update that is under way.
fn begun(document: &Document<Notes>, key: &str, value: &str) -> Update {
    let (key, value) = (key.to_owned(), value.to_owned());
    begin(document.update(move |m| m.set(key, value)))
}

fn removing(document: &Document<Notes>, key: &str) -> Update {
    let key = key.to_owned();
    begin(document.update(move |m| m.remove(key)))
}

#[tokio::test]
async fn a_failed_commit_undoes_all_that_is_not_durable_and_nothing_else() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let (one, two) = (notes(&device, "one").await, notes(&device, "two").await);
    set(&one, "a", "durable").await;
    set(&two, "a", "durable").await;
    let (mut events, mut events_two) = (one.subscribe(), two.subscribe());

    backend.hold();
    let mut doomed = vec![begun(&one, "a", "first")];
    backend.await_held();
    for round in 0..50 {
        doomed.push(begun(&one, "a", &format!("later {round}")));
        doomed.push(begun(&two, &round.to_string(), "later"));
        doomed.push(removing(&two, "a"));
    }
    assert_eq!(view(&one)["a"], "later 49", "visible at once");
    backend.next([FULL]);
    backend.release();
    for update in doomed {
        match within(update).await {
            Err(UpdateError::Commit(CommitError::Store(why))) => {
                assert!(why.to_string().contains("disk is full"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(view(&one), pairs(&[("a", "durable")]));
    assert_eq!(view(&two), pairs(&[("a", "durable")]));
    assert!(events.try_next().is_none() && events_two.try_next().is_none());

    set(&one, "b", "after").await;
    set(&two, "b", "after").await;
    assert!(within(events.next()).await.is_some() && within(events_two.next()).await.is_some());
    for (name, document) in [("one", &one), ("two", &two)] {
        assert_eq!(view(document), pairs(&[("a", "durable"), ("b", "after")]));
        assert_eq!(durable(&backend, name).await, view(document));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_numbers_and_chain_go_on_so_peers_take_what_follows() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let backend = Faulty::new();
    let (here, there) = (on(&backend, &network).await, on(&Faulty::new(), &network).await);
    let (one, other) = (notes(&here, "one").await, notes(&there, "one").await);
    let (link, link_there) = (here.sync(&url).await.unwrap(), there.sync(&url).await.unwrap());
    for round in 0..10 {
        set(&one, "a", &format!("durable {round}")).await;
        backend.next([IO]);
        assert!(within(one.update(|m| m.set("a".into(), "lost".into()))).await.is_err());
        // A commit of the link may have taken the failure in our place.
        while one.update(|m| m.set("b".into(), round.to_string())).await.is_err() {}
    }
    within(async {
        link.synced().await.unwrap();
        link_there.synced().await.unwrap();
    })
    .await;
    assert_eq!(view(&other), view(&one));
    assert_eq!(view(&one)["a"], "durable 9");
    assert_eq!(other.version().unwrap(), one.version().unwrap());
    assert!(link.refused().is_empty());
}

/// The change of a peer became durable while an own update lay beneath it; then
/// the own one fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peers_change_on_top_of_one_that_fails_stays() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let backend = Faulty::new();
    let (here, there) = (on(&backend, &network).await, on(&Faulty::new(), &network).await);
    let (one, other) = (notes(&here, "one").await, notes(&there, "one").await);
    let link_there = there.sync(&url).await.unwrap();
    set(&other, "both", "theirs, earlier").await;
    set(&other, "theirs", "1").await;
    within(link_there.synced()).await.unwrap();

    let mut events = one.subscribe();
    backend.hold();
    let link = here.sync(&url).await.unwrap();
    let held = {
        let backend = backend.clone();
        tokio::task::spawn_blocking(move || backend.await_held())
    };
    within(held).await.unwrap();
    // The peer's changes are being committed; ours comes on top in memory.
    let doomed = begun(&one, "both", "ours, later");
    let doomed_too = begun(&one, "ours", "1");
    assert_eq!(view(&one), pairs(&[("both", "ours, later"), ("ours", "1")]));
    backend.next([Fate::Done, IO]);
    backend.release();
    assert!(within(doomed).await.is_err() && within(doomed_too).await.is_err());
    within(link.synced()).await.unwrap();
    let expected = pairs(&[("both", "theirs, earlier"), ("theirs", "1")]);
    assert_eq!(view(&one), expected);
    let mut shadow = View::new();
    while shadow != expected {
        patch(&mut shadow, within(events.next()).await.unwrap());
        assert!(!shadow.contains_key("ours"), "what never happened is not told");
    }
    set(&one, "ours", "2").await;
    within(link.synced()).await.unwrap();
    within(link_there.synced()).await.unwrap();
    assert_eq!(view(&other), view(&one));
    assert_eq!(durable(&backend, "one").await, view(&one));
}

#[tokio::test]
async fn a_commit_that_was_applied_in_spite_of_its_error_counts() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let one = notes(&device, "one").await;
    backend.next([Fate::AppliedButRefused]);
    set(&one, "a", "1").await;
    set(&one, "b", "2").await;
    assert_eq!(durable(&backend, "one").await, pairs(&[("a", "1"), ("b", "2")]));
}

#[tokio::test]
async fn when_nobody_knows_what_is_durable_updates_say_so_and_all_goes_on_once_it_is_known() {
    for (fates, is_there) in
        [(vec![Fate::AppliedButRefused, IO], true), (vec![Fate::Panics], false)]
    {
        let backend = Faulty::new();
        let device = alone(&backend).await;
        let (one, two) = (notes(&device, "one").await, notes(&device, "two").await);
        set(&one, "a", "1").await;
        let mut events = one.subscribe();
        backend.hold();
        let unsure = begun(&one, "b", "2");
        backend.await_held();
        let later = begun(&two, "c", "3");
        backend.next(fates.clone());
        backend.release();
        let error = within(unsure).await.unwrap_err();
        assert!(
            matches!(error, UpdateError::Commit(CommitError::Unknown(_))),
            "{fates:?}: {error:?}"
        );
        let error = within(later).await.unwrap_err();
        assert!(
            matches!(error, UpdateError::Commit(CommitError::Store(_))),
            "{fates:?}: {error:?}"
        );
        assert_eq!(view(&one), pairs(&[("a", "1")]), "it can be read");
        // The next update makes the store find out.
        let next = within(one.update(|m| m.set("d".into(), "4".into()))).await;
        let mut expected = pairs(&[("a", "1")]);
        if is_there {
            assert!(matches!(next, Err(UpdateError::Commit(CommitError::Earlier))), "{next:?}");
            expected.insert("b".into(), "2".into());
        } else {
            next.unwrap();
            expected.insert("d".into(), "4".into());
        }
        assert_eq!(view(&one), expected, "{fates:?}");
        set(&one, "e", "5").await;
        set(&two, "e", "5").await;
        expected.insert("e".into(), "5".into());
        assert_eq!(view(&one), expected);
        assert_eq!(durable(&backend, "one").await, expected);
        assert_eq!(durable(&backend, "two").await, view(&two));
        let mut shadow = pairs(&[("a", "1")]);
        while let Some(event) = events.try_next() {
            patch(&mut shadow, event);
        }
        assert_eq!(shadow, expected, "{fates:?}");
    }
}

/// What came back is passed on like everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_turns_out_to_be_durable_reaches_the_peers() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let backend = Faulty::new();
    let (here, there) = (on(&backend, &network).await, on(&Faulty::new(), &network).await);
    let (one, other) = (notes(&here, "one").await, notes(&there, "one").await);
    set(&one, "a", "1").await;
    backend.next([Fate::AppliedButRefused, IO]);
    assert!(within(one.update(|m| m.set("b".into(), "2".into()))).await.is_err());
    assert!(within(one.update(|m| m.set("c".into(), "3".into()))).await.is_err());
    set(&one, "d", "4").await;
    let (link, link_there) = (here.sync(&url).await.unwrap(), there.sync(&url).await.unwrap());
    within(link.synced()).await.unwrap();
    within(link_there.synced()).await.unwrap();
    assert_eq!(view(&other), pairs(&[("a", "1"), ("b", "2"), ("d", "4")]));
    assert_eq!(view(&one), view(&other));
    assert!(link.refused().is_empty() && link_there.refused().is_empty());
}

#[tokio::test]
async fn a_store_that_takes_no_more_can_still_be_read() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let one = notes(&device, "one").await;
    // A log this long makes the next opening write a snapshot.
    set(&one, "large", &"x".repeat(400 << 10)).await;
    device.close().await;
    let device = alone(&backend).await;
    backend.always(Some(FULL));
    let one = notes(&device, "one").await;
    assert_eq!(view(&one)["large"].len(), 400 << 10);
    let error = within(one.update(|m| m.set("a".into(), "1".into()))).await.unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    backend.always(None);
    set(&one, "a", "1").await;
    assert_eq!(durable(&backend, "one").await, view(&one));
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_a_typed_error_and_nothing_is_made_up() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    let one = notes(&device, "one").await;
    set(&one, "a", "1").await;
    drop(one);
    backend.unreadable(true);
    let error = device.document::<Notes>("one").await.unwrap_err();
    assert!(matches!(error, repliq::Error::Store(_)), "{error:?}");
    backend.unreadable(false);
    let one = notes(&device, "one").await;
    assert_eq!(view(&one), pairs(&[("a", "1")]));
}

/// A document as the naive model has it: what is durable, in order.
#[derive(Default)]
struct Model {
    durable: View,
    under_way: Vec<(String, Option<String>, Update)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_updates_failures_and_arrivals_agree_with_the_disk_and_the_peer() {
    let mut random =
        Random::new("random_updates_failures_and_arrivals_agree_with_the_disk_and_the_peer");
    for _ in 0..6 {
        random_run(&mut random).await;
    }
}

async fn random_run(random: &mut Random) {
    const NAMES: [&str; 3] = ["one", "two", "three"];
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let backend = Faulty::new();
    let (mut here, there) = (on(&backend, &network).await, on(&Faulty::new(), &network).await);
    let link_there = there.sync(&url).await.unwrap();
    let mut theirs = Vec::new();
    for name in NAMES {
        theirs.push(notes(&there, name).await);
    }
    for _ in 0..3 {
        let mut link = here.sync(&url).await.unwrap();
        let mut ours = Vec::new();
        let mut events = Vec::new();
        let mut shadows: Vec<View> = Vec::new();
        let mut models: BTreeMap<usize, Model> = BTreeMap::new();
        for (n, name) in NAMES.iter().enumerate() {
            let document = notes(&here, name).await;
            events.push(document.subscribe());
            shadows.push(view(&document));
            let own = view(&document).into_iter().filter(|(key, _)| key.starts_with("own"));
            models.insert(n, Model { durable: own.collect(), under_way: Vec::new() });
            ours.push(document);
        }
        for step in 0..120 {
            let n = random.below(3) as usize;
            match random.below(12) {
                0..=5 => {
                    // Own keys are ours alone, so that the model is naive; the
                    // shared key is settled by timestamps.
                    let own = random.below(5) > 0;
                    let key =
                        if own { format!("own {}", random.below(6)) } else { "shared".into() };
                    let value = (random.below(4) > 0).then(|| format!("{step}"));
                    let update = match &value {
                        Some(value) => begun(&ours[n], &key, value),
                        None => removing(&ours[n], &key),
                    };
                    if let Some(model) = models.get_mut(&n) {
                        model.under_way.push((key, value, update));
                    }
                }
                6..=7 => {
                    let key = if random.below(2) == 0 {
                        "shared".into()
                    } else {
                        format!("their {step}")
                    };
                    set(&theirs[n], &key, &format!("theirs {step}")).await;
                }
                8 => backend.next([IO]),
                9 => backend.next([Fate::Done, Fate::Done, FULL]),
                10 => tokio::task::yield_now().await,
                _ => {
                    if random.below(4) == 0 {
                        drop(link);
                        link = here.sync(&url).await.unwrap();
                    }
                    settle(&mut models, &ours).await;
                }
            }
        }
        settle(&mut models, &ours).await;
        // Failures that are left over are used up.
        within(async {
            loop {
                let flushed = ours[0].update(|m| m.set("flush".into(), "1".into())).await;
                if let Err(UpdateError::Commit(CommitError::Store(why))) = &flushed {
                    assert!(!matches!(**why, repliq::StoreError::Broken), "{why}");
                }
                if flushed.is_ok() && backend.is_calm() {
                    break;
                }
            }
        })
        .await;
        within(async {
            link.synced().await.unwrap();
            link_there.synced().await.unwrap();
            link.synced().await.unwrap();
        })
        .await;
        for (n, name) in NAMES.iter().enumerate() {
            let now = view(&ours[n]);
            assert_eq!(now, view(&theirs[n]), "the peer");
            assert_eq!(now, durable(&backend, name).await, "the disk");
            while let Some(event) = events[n].try_next() {
                patch(&mut shadows[n], event);
            }
            assert_eq!(now, shadows[n], "the subscriber");
            let own: View = now.into_iter().filter(|(key, _)| key.starts_with("own")).collect();
            assert_eq!(own, models[&n].durable, "the model");
        }
        within(link.close()).await;
        drop((ours, events));
        within(here.close()).await;
        here = on(&backend, &network).await;
    }
}

async fn settle(models: &mut BTreeMap<usize, Model>, ours: &[Document<Notes>]) {
    for (n, model) in models.iter_mut() {
        for (key, value, update) in model.under_way.drain(..) {
            if within(update).await.is_err() || !key.starts_with("own") {
                continue;
            }
            match value {
                Some(value) => drop(model.durable.insert(key, value)),
                None => drop(model.durable.remove(&key)),
            }
        }
        let now = view(&ours[*n]).into_iter().filter(|(key, _)| key.starts_with("own"));
        assert_eq!(now.collect::<View>(), model.durable, "nothing is under way");
    }
}
