//! Repliq is a local-first data sync engine: apps keep their data on the
//! device, work offline, sync in the background, and merge without conflicts.
//!
//! Three layers are yours to choose, each by one line: the data type (any
//! [`Crdt`]), the storage (any [`StorageBackend`]), the network (any
//! [`Transport`]). Start with [`Replica::open`], which stands on sled and
//! WebSocket.
//!
//! ```no_run
//! use repliq::prelude::*;
//! # use serde::{Deserialize, Serialize};
//!
//! # #[derive(Clone, Serialize, Deserialize)]
//! # struct Note { title: String }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let note = Note { title: "Groceries".to_string() };
//! let replica = Replica::open("./data").await?; // sled + WebSocket
//! let notes: Document<LwwMap<String, Note>> = replica.document("notes").await?;
//! notes.update(|m| m.set("id-1".to_string(), note)).await?; // durable when it returns
//! let title = notes.read(|m| m.get(&"id-1".to_string()).map(|n| n.title.clone()))?;
//! let mut events = notes.subscribe(); // a Stream of typed events
//! let link = replica.sync("ws://127.0.0.1:8080").await?; // background, reconnects
//! link.synced().await?; // both sides hold the same, durably
//! # let _ = (title, events.next().await);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(
    all(feature = "redb", feature = "quic"),
    doc = r#"
Or on what you choose:
```no_run
# use repliq::prelude::*;
# async fn choose(config: TlsConfig) -> Result<(), Box<dyn std::error::Error>> {
let replica: Replica<RedbBackend, Quic> = Replica::builder()
    .storage(RedbBackend::open("data.redb")?)
    .transport(Quic::new(config))
    .build().await?;
# Ok(()) }
```
"#
)]

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

mod client;
mod document;
mod engine;
mod error;
mod link;
mod relay;
mod replica;
#[cfg(all(feature = "sled", feature = "websocket"))]
mod server;
mod storage;
mod store;

pub use client::{Client, Message, SyncMessage};
pub use document::{Document, Events, RefusedOps};
pub use engine::StoreStatus;
pub use error::{CommitError, Error, ReadError, SyncError, Unusable, UpdateError};
pub use link::{Ending, Link, LinkStatus};
pub use relay::Relay;
pub use replica::{Builder, DefaultBackend, DefaultTransport, Replica, Space, Unset};
#[cfg(all(feature = "sled", feature = "websocket"))]
pub use server::Server;
pub use storage::Storage;
pub use store::StoreError;

#[cfg(feature = "memory")]
pub use repliq_backend_memory::MemoryBackend;
#[cfg(feature = "redb")]
pub use repliq_backend_redb::RedbBackend;
#[cfg(feature = "sled")]
pub use repliq_backend_sled::SledBackend;
pub use repliq_core::*;
pub use repliq_crdts as crdts;
pub use repliq_derive::Crdt;
pub use repliq_sync::{Refusal, RefusedChange, SessionError};
#[cfg(feature = "memory")]
pub use repliq_transport_memory::MemoryTransport;
#[cfg(feature = "quic")]
pub use repliq_transport_quic::Quic;
#[cfg(any(feature = "quic", feature = "wss"))]
pub use repliq_transport_tls::{Fingerprint, Refusal as CertificateRefusal, TlsConfig, TlsError};
#[cfg(feature = "websocket")]
pub use repliq_transport_websocket::WebSocket;

/// What most programs need: `use repliq::prelude::*`.
pub mod prelude {
    #[cfg(feature = "quic")]
    pub use crate::Quic;
    #[cfg(feature = "redb")]
    pub use crate::RedbBackend;
    #[cfg(all(feature = "sled", feature = "websocket"))]
    pub use crate::Server;
    #[cfg(any(feature = "quic", feature = "wss"))]
    pub use crate::TlsConfig;
    #[cfg(feature = "websocket")]
    pub use crate::WebSocket;
    pub use crate::{
        AsTx, Client, Crdt, Document, Events, Link, LinkStatus, Message, Relay, Replica, ReplicaId,
        Saved, Standalone, Storage, StorageBackend, StorageError, Transport, Tx, UnknownFields,
    };
    #[cfg(feature = "memory")]
    pub use crate::{MemoryBackend, MemoryTransport};
    #[cfg(feature = "sled")]
    pub use crate::{SledBackend, SledBackend as SledStorage};
    pub use repliq_crdts::*;
}
