//! Repliq is a local-first data sync engine: apps keep their data on the
//! device, work offline, sync in the background, and merge without conflicts.
//!
//! Three layers are yours to choose, each by one line: the data type (any
//! [`Crdt`]), the storage (any [`StorageBackend`]), the network (any
//! [`Transport`]). Start with [`Replica::open`], which stands on sled and
//! WebSocket.
#![cfg_attr(
    all(feature = "redb", feature = "quic"),
    doc = r#"
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
pub use document::{Document, Events};
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
        Saved, Standalone, Storage, StorageBackend, Transport, Tx,
    };
    #[cfg(feature = "memory")]
    pub use crate::{MemoryBackend, MemoryTransport};
    #[cfg(feature = "sled")]
    pub use crate::{SledBackend, SledBackend as SledStorage};
    pub use repliq_crdts::*;
}
