//! The other choice: redb and QUIC instead of sled and WebSocket.

#![cfg(all(feature = "redb", feature = "quic"))]
#![allow(clippy::unwrap_used)]

use repliq::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn replicas_on_redb_agree_over_quic_by_the_url_a_relay_shows() {
    let home = tempfile::tempdir().unwrap();
    let relay = Relay::open(RedbBackend::open(home.path().join("relay.redb")).unwrap());
    let relay = relay.await.unwrap();
    let transport = Quic::new(TlsConfig::new());
    let url = relay.listen(transport, "quic://127.0.0.1:0").await.unwrap().to_string();
    assert!(url.contains("?fingerprint="), "{url}");

    let mut titles = Vec::new();
    for name in ["one", "other"] {
        let config = TlsConfig::new();
        let replica: Replica<RedbBackend, Quic> = Replica::builder()
            .storage(RedbBackend::open(home.path().join(name)).unwrap())
            .transport(Quic::new(config))
            .build()
            .await
            .unwrap();
        let notes: Document<LwwMap<String, String>> = replica.document("notes").await.unwrap();
        let link = replica.sync(&url).await.unwrap();
        link.synced().await.unwrap();
        titles.push(notes.read(|m| m.get("title").cloned()).unwrap());
        notes.update(|m| m.set("title".to_string(), "Groceries".to_string())).await.unwrap();
        link.synced().await.unwrap();
        replica.close().await;
    }
    assert_eq!(titles, [None, Some("Groceries".to_string())]);
    relay.close().await;
}
