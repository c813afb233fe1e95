//! Links: they come up when they can, say how they are doing, never spin, and
//! lose nothing to relays that stop, restart, or come back older.

use crate::support::*;
use repliq::prelude::*;
use repliq::{
    Ending, Endpoint, Error, FrameReceiver, FrameSender, Listener, Refusal, SessionError,
    SyncError, TransportErrorKind,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn offline(link: &Link) -> Ending {
    let mut status = link.watch_status();
    within(async {
        loop {
            if let LinkStatus::Offline(why) = &*status.borrow_and_update() {
                return why.clone();
            }
            status.changed().await.unwrap();
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_a_relay_that_is_down_comes_up_with_it() {
    let network = MemoryTransport::new();
    let device = on(&Faulty::new(), &network).await;
    let one = notes(&device, "one").await;
    set(&one, "a", "1").await;
    let link = device.sync("memory://relay").await.unwrap();
    let mut status = link.watch_status();
    let why = offline(&link).await;
    assert!(
        matches!(&why, Ending::Transport(e) if e.kind == TransportErrorKind::Unreachable),
        "{why}"
    );
    let waiting = tokio::spawn(async move {
        link.synced().await.unwrap();
        link
    });
    let data = MemoryBackend::new();
    let (_relay, _) = relay_over(data.clone(), &network, "memory://relay").await;
    let link = within(waiting).await.unwrap();
    let live = |status: &LinkStatus| matches!(status, LinkStatus::Live);
    within(status.wait_for(live)).await.unwrap();
    assert_eq!(durable_in(copy(&data), "default", "one").await, view(&one));
    assert!(link.peer_is_volatile(), "the relay's store is in memory");
    within(link.close()).await;
    assert!(matches!(*status.borrow(), LinkStatus::Closed));
}

#[tokio::test]
async fn the_statuses_of_a_link_come_in_their_order() {
    let network = MemoryTransport::new();
    let (relay, url) = relay(&network).await;
    let device = on(&Faulty::new(), &network).await;
    set(&notes(&device, "one").await, "a", "1").await;
    let link = device.sync(&url).await.unwrap();
    assert!(matches!(link.status(), LinkStatus::Connecting));
    within(link.synced()).await.unwrap();
    let live = |status: &LinkStatus| matches!(status, LinkStatus::Live);
    within(link.watch_status().wait_for(live)).await.unwrap();
    assert_eq!(link.status().to_string(), "live");
    within(relay.close()).await;
    assert!(matches!(offline(&link).await, Ending::Closed | Ending::Transport(_)));
    drop(device);
    within(link.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_stops_and_starts_in_the_middle_of_a_sync_loses_nothing() {
    let network = MemoryTransport::new();
    let data = MemoryBackend::new();
    let (mut relay, url) = relay_over(data.clone(), &network, "memory://relay").await;
    let (here, there) = (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
    let (one, other) = (notes(&here, "one").await, notes(&there, "one").await);
    let (link, link_there) = (here.sync(&url).await.unwrap(), there.sync(&url).await.unwrap());
    for round in 0..6 {
        let mut writing = Vec::new();
        for n in 0..100 {
            for document in [&one, &other] {
                let document = document.clone();
                writing.push(tokio::spawn(async move {
                    let key = format!("{round} {n}");
                    document.update(move |m| m.set(key, "x".repeat(500))).await
                }));
            }
        }
        if round % 2 == 0 {
            within(relay.close()).await;
        } else {
            drop(relay);
        }
        for task in writing {
            within(task).await.unwrap().unwrap();
        }
        relay = Relay::open(data.clone()).await.unwrap();
        // A relay that was dropped lets go of its name a moment later.
        within(async {
            while relay.listen(network.clone(), &url).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    within(async {
        link.synced().await.unwrap();
        link_there.synced().await.unwrap();
        link.synced().await.unwrap();
    })
    .await;
    assert_eq!(view(&one), view(&other));
    assert_eq!(view(&one).len(), 600);
    within(relay.close()).await;
    assert_eq!(durable_in(data, "default", "one").await, view(&one));
}

/// Counts how often a listener is connected to, and treats each connection so.
async fn pretending<F, R>(network: &MemoryTransport, each: F) -> (String, Arc<AtomicUsize>)
where
    F: Fn(repliq::Connection<repliq_sender::Sender, repliq_sender::Receiver>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let mut listener = network.listen(&"memory://:0".parse().unwrap()).await.unwrap();
    let url = listener.local_endpoint().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok(connection) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(each(connection));
        }
    });
    (url, count)
}

mod repliq_sender {
    use repliq::{MemoryTransport, Transport};
    pub(crate) type Sender = <MemoryTransport as Transport>::Sender;
    pub(crate) type Receiver = <MemoryTransport as Transport>::Receiver;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_version_is_a_typed_error_for_whoever_waits() {
    let network = MemoryTransport::new();
    let (url, connections) = pretending(&network, |mut connection| async move {
        let _ = connection.receiver.recv().await;
        let hello = [b"RPLQ".as_slice(), &[0, 9, 0, 8], b"what ever comes next"].concat();
        let _ = connection.sender.send(hello.into()).await;
        let _ = connection.sender.close().await;
    })
    .await;
    let device = on(&Faulty::new(), &network).await;
    let link = device.sync(&url).await.unwrap();
    for _ in 0..3 {
        let error = within(link.synced()).await.unwrap_err();
        let expected = SessionError::Version { their_oldest: 8, their_newest: 9 };
        assert!(matches!(&error, SyncError::Session(e) if *e == expected), "{error:?}");
        assert!(error.to_string().contains("update the older side"));
        assert!(matches!(offline(&link).await, Ending::Session(e) if e == expected));
    }
    // Three rounds of waiting doubled the pause: no spin.
    assert!(connections.load(Ordering::SeqCst) <= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_no_repliq_is_a_typed_error_for_whoever_waits() {
    let network = MemoryTransport::new();
    let (url, _) = pretending(&network, |mut connection| async move {
        let _ = connection.sender.send("220 mail.example ESMTP".into()).await;
        let _ = connection.receiver.recv().await;
    })
    .await;
    let device = on(&Faulty::new(), &network).await;
    let link = device.sync(&url).await.unwrap();
    let error = within(link.synced()).await.unwrap_err();
    assert!(matches!(error, SyncError::Session(SessionError::NotRepliq)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_ends_every_session_is_not_called_without_pause() {
    let network = MemoryTransport::new();
    let (url, connections) =
        pretending(&network, |connection| async move { drop(connection) }).await;
    let device = on(&Faulty::new(), &network).await;
    let link = device.sync(&url).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = connections.load(Ordering::SeqCst);
    assert!((2..=8).contains(&calls), "{calls} calls in two seconds");
    assert!(!matches!(link.status(), LinkStatus::Live));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_echo_server_and_an_http_server_are_typed_ends() {
    let device = Replica::builder().storage(MemoryBackend::new()).build().await.unwrap();
    let echo = WebSocket::default();
    let mut listener = echo.listen(&"ws://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = listener.local_endpoint().to_string();
    tokio::spawn(async move {
        while let Ok(mut connection) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(Some(frame)) = connection.receiver.recv().await {
                    let _ = connection.sender.send(frame).await;
                }
            });
        }
    });
    let link = device.sync(&url).await.unwrap();
    let error = within(link.synced()).await.unwrap_err();
    assert!(matches!(error, SyncError::Session(_)), "{error:?}");

    let http = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", http.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = http.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        }
    });
    let link = device.sync(&url).await.unwrap();
    let why = offline(&link).await;
    assert!(
        matches!(&why, Ending::Transport(e) if e.kind == TransportErrorKind::Handshake),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_can_never_work_is_a_typed_error() {
    let device = Replica::builder().storage(MemoryBackend::new()).build().await.unwrap();
    for url in [
        "",
        "127.0.0.1:80",
        "http://127.0.0.1:1",
        "memory://relay",
        "ws://a b",
        "ws://127.0.0.1:99999",
    ] {
        let error = device.sync(url).await.unwrap_err();
        assert!(
            matches!(&error, Error::Transport(e) if e.kind == TransportErrorKind::Endpoint),
            "{url}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_a_typed_error() {
    let relay = Relay::open(MemoryBackend::new()).await.unwrap();
    let at = relay.listen(WebSocket::default(), "ws://127.0.0.1:0").await.unwrap();
    let second = Relay::open(MemoryBackend::new()).await.unwrap();
    let error = second.listen(WebSocket::default(), at.as_str()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Transport(e) if e.kind == TransportErrorKind::InUse),
        "{error:?}"
    );
    assert!(error.to_string().contains("choose another port"), "{error}");
    within(relay.close()).await;
    second.listen(WebSocket::default(), at.as_str()).await.unwrap();
    let server = Server::new(at.authority().to_owned()).storage(MemoryBackend::new());
    let error = server.start().await.unwrap_err();
    assert!(
        matches!(&error, Error::Transport(e) if e.kind == TransportErrorKind::InUse),
        "{error:?}"
    );
}

/// A relay over a copy of a device's own store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_meets_itself_is_a_typed_error() {
    let network = MemoryTransport::new();
    let backend = Faulty::new();
    let device = on(&backend, &network).await;
    set(&notes(&device, "one").await, "a", "1").await;
    let (_relay, url) = relay_over(backend.copy(), &network, "memory://:0").await;
    let link = device.sync(&url).await.unwrap();
    for _ in 0..2 {
        let error = within(link.synced()).await.unwrap_err();
        assert!(matches!(error, SyncError::Session(SessionError::SameReplica)), "{error:?}");
    }
}

/// Two devices run on copies of one directory: the second to speak learns it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_of_one_store_do_not_diverge_silently() {
    for speaks in [true, false] {
        let network = MemoryTransport::new();
        let (_relay, url) = relay(&network).await;
        let backend = Faulty::new();
        let device = on(&backend, &network).await;
        set(&notes(&device, "one").await, "a", "common").await;
        let link = device.sync(&url).await.unwrap();
        within(link.synced()).await.unwrap();
        within(link.close()).await;
        let copied = Faulty::over(backend.copy());
        let clone = on(&copied, &network).await;
        let (one, one_clone) = (notes(&device, "one").await, notes(&clone, "one").await);
        set(&one, "a", "first").await;
        let link = device.sync(&url).await.unwrap();
        within(link.synced()).await.unwrap();
        if speaks {
            set(&one_clone, "b", "second").await;
        }
        let link_clone = clone.sync(&url).await.unwrap();
        for _ in 0..2 {
            match within(link_clone.synced()).await {
                Err(SyncError::Refused { first, .. }) => assert_eq!(first.why, Refusal::Fork),
                other => panic!("the clone speaks: {speaks}, {other:?}"),
            }
        }
        assert_eq!(view(&one), pairs(&[("a", "first")]));
        if speaks {
            assert_eq!(view(&one_clone)["b"], "second", "what was written stays");
        }
    }
}

/// A device goes back to a backup, and does or does not write before it syncs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_restored_from_a_backup_is_told_and_nothing_is_lost() {
    for writes in [false, true] {
        let network = MemoryTransport::new();
        let (_relay, url) = relay(&network).await;
        let backend = Faulty::new();
        let device = on(&backend, &network).await;
        let one = notes(&device, "one").await;
        let link = device.sync(&url).await.unwrap();
        set(&one, "a", "before the backup").await;
        within(link.synced()).await.unwrap();
        let backup = backend.copy();
        set(&one, "b", "after the backup").await;
        within(link.synced()).await.unwrap();
        within(device.close()).await;

        let device = on(&Faulty::over(backup), &network).await;
        let one = notes(&device, "one").await;
        if writes {
            set(&one, "c", "after restoring").await;
        }
        let link = device.sync(&url).await.unwrap();
        match within(link.synced()).await {
            Err(SyncError::Refused { first, .. }) => assert_eq!(first.why, Refusal::Fork),
            other => panic!("it writes: {writes}, {other:?}"),
        }
        // The relay still has all that it acknowledged.
        let third = on(&Faulty::new(), &network).await;
        let link = third.sync(&url).await.unwrap();
        within(link.synced()).await.unwrap();
        let expected = pairs(&[("a", "before the backup"), ("b", "after the backup")]);
        assert_eq!(view(&notes(&third, "one").await), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_restored_from_a_backup_gets_back_what_it_lost() {
    for more in [0, 30] {
        let network = MemoryTransport::new();
        let data = MemoryBackend::new();
        let (relay, url) = relay_over(data.clone(), &network, "memory://relay").await;
        let (here, there) =
            (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
        let (one, other) = (notes(&here, "one").await, notes(&there, "one").await);
        let (link, link_there) = (here.sync(&url).await.unwrap(), there.sync(&url).await.unwrap());
        set(&one, "a", "1").await;
        set(&other, "b", "2").await;
        within(async {
            link.synced().await.unwrap();
            link_there.synced().await.unwrap();
            link.synced().await.unwrap();
        })
        .await;
        let backup = copy(&data);
        for n in 0..20 {
            set(&other, &format!("later {n}"), "2").await;
        }
        set(&notes(&there, "new").await, "n", "2").await;
        within(async {
            link_there.synced().await.unwrap();
            link.synced().await.unwrap();
        })
        .await;
        let expected = view(&one);
        assert_eq!(expected.len(), 22);
        // The device that made the changes never comes back.
        within(there.close()).await;
        within(relay.close()).await;
        let (_relay, _) = relay_over(backup, &network, "memory://relay").await;
        let fourth = on(&Faulty::new(), &network).await;
        let link_fourth = fourth.sync(&url).await.unwrap();
        for n in 0..more {
            // The relay's feed grows past the place that the first device knows.
            set(&notes(&fourth, "else").await, &n.to_string(), "4").await;
        }
        within(link_fourth.synced()).await.unwrap();
        within(link.synced()).await.unwrap();
        within(link_fourth.synced()).await.unwrap();
        assert_eq!(view(&notes(&fourth, "one").await), expected, "{more}");
        assert_eq!(view(&notes(&fourth, "new").await), pairs(&[("n", "2")]), "{more}");
        assert_eq!(view(&notes(&here, "else").await).len(), more);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_on_two_relays_at_once_is_a_bridge_between_them() {
    let network = MemoryTransport::new();
    let (_one, url_one) = relay(&network).await;
    let (_two, url_two) = relay(&network).await;
    let bridge = on(&Faulty::new(), &network).await;
    let (here, there) = (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
    let to_one = bridge.sync(&url_one).await.unwrap();
    let to_two = bridge.sync(&url_two).await.unwrap();
    let (link, link_there) =
        (here.sync(&url_one).await.unwrap(), there.sync(&url_two).await.unwrap());
    let (left, right, middle) =
        (notes(&here, "one").await, notes(&there, "one").await, notes(&bridge, "one").await);
    for n in 0..20 {
        set(&left, &format!("left {n}"), "x").await;
        set(&right, &format!("right {n}"), "x").await;
        set(&middle, &format!("middle {n}"), "x").await;
    }
    within(async {
        for _ in 0..2 {
            for link in [&link, &link_there, &to_one, &to_two, &link, &link_there] {
                link.synced().await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(view(&left).len(), 60);
    assert_eq!(view(&left), view(&right));
    assert_eq!(view(&left), view(&middle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_changes_relays_agrees_with_the_second() {
    let network = MemoryTransport::new();
    let (_one, url_one) = relay(&network).await;
    let (_two, url_two) = relay(&network).await;
    let (here, there) = (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
    // Both relays know some of the same, and each something of its own.
    for n in 0..200 {
        set(&notes(&here, &format!("document {n}")).await, "a", "1").await;
    }
    let link = here.sync(&url_one).await.unwrap();
    within(link.synced()).await.unwrap();
    let both = there.sync(&url_one).await.unwrap();
    within(both.synced()).await.unwrap();
    within(both.close()).await;
    let second = there.sync(&url_two).await.unwrap();
    within(second.synced()).await.unwrap();
    set(&notes(&there, "document 7").await, "b", "2").await;
    set(&notes(&there, "only there").await, "b", "2").await;
    within(second.synced()).await.unwrap();
    set(&notes(&here, "document 8").await, "c", "3").await;
    set(&notes(&here, "only here").await, "c", "3").await;
    within(link.synced()).await.unwrap();
    within(link.close()).await;

    for round in 0..3 {
        let link = here.sync(&url_two).await.unwrap();
        within(link.synced()).await.unwrap();
        within(second.synced()).await.unwrap();
        let names = (0..200).map(|n| format!("document {n}"));
        for name in names.chain(["only here".into(), "only there".into()]) {
            let (ours, theirs) = (notes(&here, &name).await, notes(&there, &name).await);
            assert_eq!(view(&ours), view(&theirs), "round {round}, {name}");
            assert!(!view(&ours).is_empty());
        }
        within(link.close()).await;
        set(&notes(&there, "only here").await, "d", &round.to_string()).await;
        within(second.synced()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_link_ends_its_connection() {
    let network = MemoryTransport::new();
    let (gone, mut is_gone) = tokio::sync::mpsc::channel(4);
    let (url, connections) = pretending(&network, move |mut connection| {
        let gone = gone.clone();
        async move {
            while let Ok(Some(_)) = connection.receiver.recv().await {}
            let _ = gone.send(()).await;
        }
    })
    .await;
    let device = on(&Faulty::new(), &network).await;
    let link = device.sync(&url).await.unwrap();
    within(async {
        while connections.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(link);
    within(is_gone.recv()).await.unwrap();
    // Closing the replica ends the others.
    let _kept = device.sync(&url).await.unwrap();
    within(async {
        while connections.load(Ordering::SeqCst) == 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within(device.close()).await;
    within(is_gone.recv()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_goes_on_when_the_handles_of_its_replica_are_dropped() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let device = on(&Faulty::new(), &network).await;
    let one = notes(&device, "one").await;
    set(&one, "a", "1").await;
    let link = device.sync(&url).await.unwrap();
    drop((device, one));
    within(link.synced()).await.unwrap();
    let there = on(&Faulty::new(), &network).await;
    let link_there = there.sync(&url).await.unwrap();
    within(link_there.synced()).await.unwrap();
    assert_eq!(view(&notes(&there, "one").await), pairs(&[("a", "1")]));
    within(link.close()).await;
}

/// The runtime that a link runs on goes away before its replica.
#[test]
fn a_link_whose_runtime_is_gone_is_closed_and_holds_up_nobody() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let device = second.block_on(alone(&Faulty::new()));
    let link = first.block_on(device.sync("memory://nobody")).unwrap();
    first.shutdown_timeout(Duration::from_secs(5));
    let error = second.block_on(within(link.synced())).unwrap_err();
    assert!(matches!(error, SyncError::Closed), "{error:?}");
    second.block_on(within(device.close()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_who_waits_for_a_sync_is_answered() {
    let network = MemoryTransport::new();
    let device = on(&Faulty::new(), &network).await;
    let link = Arc::new(device.sync("memory://relay").await.unwrap());
    let waiting: Vec<_> = (0..300)
        .map(|_| {
            let link = Arc::clone(&link);
            tokio::spawn(async move { link.synced().await })
        })
        .collect();
    tokio::task::yield_now().await;
    let (_relay, _) = relay_over(MemoryBackend::new(), &network, "memory://relay").await;
    for waiter in waiting {
        within(waiter).await.unwrap().unwrap();
    }
    let endpoint: Endpoint = "memory://relay".parse().unwrap();
    assert_eq!(endpoint.space().unwrap(), "default");
}
