//! Clocks that are wrong: set back, or far ahead.

use crate::support::*;
use repliq::prelude::*;
use repliq::{Client, Hlc, Message, Millis, Refusal, SyncError};
use std::sync::atomic::{AtomicU64, Ordering};

const NOW: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// Some time in the year 2100.
const FAR: u64 = 4_110_000_000_000;

macro_rules! clock {
    ($name:ident, $function:ident) => {
        static $name: AtomicU64 = AtomicU64::new(NOW);
        fn $function() -> Millis {
            Millis($name.load(Ordering::SeqCst))
        }
    };
}

async fn at(backend: &Faulty, network: &MemoryTransport, wall: fn() -> Millis) -> Device {
    let builder = Replica::builder().storage(backend.clone()).transport(network.clone());
    builder.wall(wall).build().await.unwrap()
}

/// The stamps of all changes that a relay holds, as a client is told them.
async fn stamps(
    network: &MemoryTransport,
    url: &str,
    changes: usize,
) -> Vec<(ReplicaId, u64, Hlc)> {
    let mut client = Client::with_transport(ReplicaId::new(), network.clone());
    client.connect(url).await.unwrap();
    let (told, mut stamps) = tokio::sync::mpsc::unbounded_channel();
    let running = tokio::spawn(async move {
        client
            .run(move |message| {
                if let Message::Sync(sync) = message {
                    let (header, _) = sync.change.open().unwrap();
                    let dot = sync.change.dot;
                    let _ = told.send((dot.replica, dot.seq, header.hlc));
                }
            })
            .await
    });
    let mut found = Vec::new();
    while found.len() < changes {
        found.push(within(stamps.recv()).await.unwrap());
    }
    running.abort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_back_an_hour_between_two_runs_reuses_no_stamp() {
    clock!(WALL, wall);
    let network = MemoryTransport::new();
    let relay = Relay::open_at(MemoryBackend::new(), || Millis(NOW)).await.unwrap();
    let url = relay.listen(network.clone(), "memory://:0").await.unwrap().to_string();
    let backend = Faulty::new();
    for run in 0..4_u64 {
        WALL.store(NOW - run * HOUR, Ordering::SeqCst);
        let device = at(&backend, &network, wall).await;
        let one = notes(&device, "one").await;
        for n in 0..5 {
            set(&one, "a", &format!("{run} {n}")).await;
        }
        // Failures use up stamps, too.
        backend.next([Fate::Refused(repliq::StorageErrorKind::Io)]);
        assert!(one.update(|m| m.set("a".into(), "lost".into())).await.is_err());
        set(&one, "a", &format!("{run}")).await;
        assert_eq!(view(&one), pairs(&[("a", &run.to_string())]));
        let link = device.sync(&url).await.unwrap();
        within(link.synced()).await.unwrap();
        device.close().await;
    }
    let stamps = stamps(&network, &url, 24).await;
    assert!(
        stamps.is_sorted_by(|(_, seq, hlc), (_, seq2, hlc2)| seq < seq2 && hlc < hlc2),
        "{stamps:?}"
    );
    assert!(stamps.iter().all(|(_, _, hlc)| hlc.millis().0 >= NOW));
    assert_eq!(durable(&backend, "one").await, pairs(&[("a", "3")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_of_the_year_2100_is_refused_by_a_relay_which_tells_its_time() {
    let network = MemoryTransport::new();
    let relay = Relay::open_at(MemoryBackend::new(), || Millis(NOW)).await.unwrap();
    let url = relay.listen(network.clone(), "memory://:0").await.unwrap().to_string();
    let device = at(&Faulty::new(), &network, || Millis(FAR)).await;
    let one = notes(&device, "one").await;
    set(&one, "a", "1").await;
    set(&one, "b", "2").await;
    let link = device.sync(&url).await.unwrap();
    for _ in 0..2 {
        match within(link.synced()).await {
            Err(SyncError::Refused { first, .. }) => {
                assert_eq!(first.why, Refusal::FutureStamp { now: Millis(NOW) });
                assert!(first.why.to_string().contains("set the clock"), "{}", first.why);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!link.refused().is_empty());
    // A device whose clock is a little ahead is taken.
    let ahead = at(&Faulty::new(), &network, || Millis(NOW + DAY - HOUR)).await;
    set(&notes(&ahead, "one").await, "c", "3").await;
    let link = ahead.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    // What was refused moved nobody's clock and reached nobody.
    let right = at(&Faulty::new(), &network, || Millis(NOW)).await;
    let link = right.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    let one = notes(&right, "one").await;
    assert_eq!(view(&one), pairs(&[("c", "3")]));
    set(&one, "d", "4").await;
    within(link.synced()).await.unwrap();
    let stamps = stamps(&network, &url, 2).await;
    assert!(stamps.iter().all(|(_, _, hlc)| hlc.millis().0 < NOW + DAY), "{stamps:?}");
}

/// The relay's own clock is as wrong as the first device's, so only the second
/// device stands between the stamp and its clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_keeps_changes_of_the_future_aside_until_their_time_comes() {
    clock!(RIGHT, right);
    clock!(WRONG, wrong);
    let network = MemoryTransport::new();
    let relay = Relay::open_at(MemoryBackend::new(), || Millis(FAR)).await.unwrap();
    let url = relay.listen(network.clone(), "memory://:0").await.unwrap().to_string();
    let third = at(&Faulty::new(), &network, || Millis(NOW)).await;
    set(&notes(&third, "one").await, "third", "1").await;
    let link_third = third.sync(&url).await.unwrap();
    within(link_third.synced()).await.unwrap();

    WRONG.store(FAR, Ordering::SeqCst);
    let far = at(&Faulty::new(), &network, wrong).await;
    let link_far = far.sync(&url).await.unwrap();
    within(link_far.synced()).await.unwrap();
    let one_far = notes(&far, "one").await;
    set(&one_far, "far", "1").await;
    // Its clock is right again, but its change builds on the one before.
    WRONG.store(NOW, Ordering::SeqCst);
    set(&one_far, "far", "2").await;
    within(link_far.synced()).await.unwrap();

    let backend = Faulty::new();
    let device = at(&backend, &network, right).await;
    let one = notes(&device, "one").await;
    let mut events = one.subscribe();
    let link = device.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    assert!(link.refused().is_empty(), "it is not refused");
    assert_eq!(view(&one), pairs(&[("third", "1")]), "others go on");
    assert!(within(events.next()).await.is_some() && events.try_next().is_none());
    set(&one, "own", "1").await;
    within(link.synced()).await.unwrap();
    within(link_third.synced()).await.unwrap();

    // The clock has not moved: a third device with a right clock takes our
    // change, and the far one does not hide it.
    let found = stamps(&network, &url, 4).await;
    let own = found.iter().find(|(replica, _, _)| *replica == device.id()).unwrap();
    assert!(own.2.millis().0 < NOW + HOUR, "{own:?}");

    // Still aside after a restart, and let go when the time has come.
    drop((one, events));
    within(device.close()).await;
    let device = at(&backend, &network, right).await;
    let one = notes(&device, "one").await;
    assert_eq!(view(&one), pairs(&[("third", "1"), ("own", "1")]));
    drop(one);
    within(device.close()).await;
    RIGHT.store(FAR, Ordering::SeqCst);
    let device = at(&backend, &network, right).await;
    let one = notes(&device, "one").await;
    let expected = pairs(&[("third", "1"), ("own", "1"), ("far", "2")]);
    within(async {
        while view(&one) != expected {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let link = device.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    within(link_far.synced()).await.unwrap();
    assert_eq!(view(&one_far), expected);
}

/// The clock was a year ahead once, and is right again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_clock_was_far_ahead_once_says_so_and_what_to_do() {
    clock!(WALL, wall);
    let network = MemoryTransport::new();
    let relay = Relay::open_at(MemoryBackend::new(), || Millis(NOW)).await.unwrap();
    let url = relay.listen(network.clone(), "memory://:0").await.unwrap().to_string();
    let backend = Faulty::new();
    let device = at(&backend, &network, wall).await;
    let one = notes(&device, "one").await;
    set(&one, "a", "1").await;
    assert_eq!(device.stamped_ahead(), None);
    WALL.store(NOW + 365 * DAY, Ordering::SeqCst);
    set(&one, "b", "2").await;
    assert_eq!(device.stamped_ahead(), None, "its clock is as wrong as its timestamps");
    let link = device.sync(&url).await.unwrap();
    let error = within(link.synced()).await.unwrap_err();
    assert!(matches!(error, SyncError::Refused { .. }), "the clock is wrong: {error:?}");
    within(link.close()).await;
    drop(one);
    within(device.close()).await;

    WALL.store(NOW, Ordering::SeqCst);
    let device = at(&backend, &network, wall).await;
    let by = device.stamped_ahead().unwrap().as_secs();
    assert_eq!(by / (DAY / 1000), 365, "at once after opening");
    let one = notes(&device, "one").await;
    set(&one, "c", "3").await;
    assert_eq!(view(&one).len(), 3, "it works on alone");
    let link = device.sync(&url).await.unwrap();
    let error = within(link.synced()).await.unwrap_err();
    let SyncError::StampedAhead { first, .. } = &error else { panic!("{error:?}") };
    assert_eq!(first.dot.replica, device.id());
    let text = error.to_string();
    assert!(text.contains("365 days") || text.contains("366 days"), "{text}");
    assert!(text.contains("new store"), "{text}");
    // A change of a peer that is far ahead is not ours to mend.
    let other = at(&Faulty::new(), &network, || Millis(NOW)).await;
    let link = other.sync(&url).await.unwrap();
    within(link.synced()).await.unwrap();
    assert_eq!(other.stamped_ahead(), None);
}
