//! More connections than a relay has places for.

#![allow(clippy::unwrap_used, clippy::panic)]

use repliq::prelude::*;
use repliq::{Connection, FrameReceiver, FrameSender, TransportErrorKind};
use std::time::Duration;
use tokio::time::timeout;

type Texts = LwwMap<u32, String>;

/// As many as a relay serves at once.
const PLACES: usize = 4096;
/// Less than a relay waits for a silent peer, so that only giving way can help.
const PATIENCE: Duration = Duration::from_secs(20);

async fn device(network: &MemoryTransport, url: &str) -> (Document<Texts>, Link) {
    let replica = Replica::builder().storage(MemoryBackend::new()).transport(network.clone());
    let replica = replica.build().await.unwrap();
    let texts = replica.document("texts").await.unwrap();
    (texts, replica.sync(url).await.unwrap())
}

/// A connection that says nothing.
async fn silent(
    network: &MemoryTransport,
    url: &str,
) -> Connection<impl FrameSender, impl FrameReceiver> {
    loop {
        match network.connect(&url.parse().unwrap()).await {
            Ok(connection) => return connection,
            // More have connected than were accepted.
            Err(error) if error.kind == TransportErrorKind::Unreachable => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_starve_nobody_and_a_session_that_has_begun_stays() {
    let network = MemoryTransport::new();
    let relay = Relay::open(MemoryBackend::new()).await.unwrap();
    let url = relay.listen(network.clone(), "memory://relay").await.unwrap().to_string();
    let (early, early_link) = device(&network, &url).await;
    early.update(|texts| texts.set(1, "before".into())).await.unwrap();
    timeout(PATIENCE, early_link.synced()).await.unwrap().unwrap();
    let mut status = early_link.watch_status();
    timeout(PATIENCE, status.wait_for(|status| matches!(status, LinkStatus::Live)))
        .await
        .unwrap()
        .unwrap();

    let mut crowd = Vec::new();
    for _ in 0..PLACES + 10 {
        crowd.push(silent(&network, &url).await);
    }
    let (late, late_link) = device(&network, &url).await;
    timeout(PATIENCE, late_link.synced()).await.expect("a place").unwrap();
    assert_eq!(late.read(|texts| texts.len()).unwrap(), 1);

    // The oldest gave way, the youngest did not.
    let gone = timeout(PATIENCE, crowd[0].receiver.recv()).await.expect("giving way");
    assert!(matches!(gone, Ok(None) | Err(_)));
    let mut youngest = crowd.pop().unwrap();
    timeout(Duration::ZERO, youngest.receiver.recv()).await.unwrap_err();

    early.update(|texts| texts.set(2, "after".into())).await.unwrap();
    timeout(PATIENCE, early_link.synced()).await.unwrap().unwrap();
    assert!(!status.has_changed().unwrap(), "{}", early_link.status());
    relay.close().await;
}
