//! A replica: a device's store, its documents, and its links to peers.

use crate::document::Document;
use crate::engine::Engine;
use crate::error::Error;
use crate::link::{Link, Links};
use crate::store::{MAX_NAME_BYTES, Skew};
use repliq_core::erased::DynTransport;
use repliq_core::{Crdt, DEFAULT_SPACE, Endpoint, Millis, ReplicaId, StorageBackend, Transport};
use std::fmt;
use std::marker::PhantomData;
#[cfg(all(feature = "sled", feature = "websocket"))]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The backend of a replica that names none: sled, with the feature `sled`.
#[cfg(feature = "sled")]
pub type DefaultBackend = repliq_backend_sled::SledBackend;
/// The backend of a replica that names none: sled, with the feature `sled`.
#[cfg(not(feature = "sled"))]
pub type DefaultBackend = Unset;

/// The transport of a replica that names none: WebSocket, with the feature
/// `websocket`.
#[cfg(feature = "websocket")]
pub type DefaultTransport = repliq_transport_websocket::WebSocket;
/// The transport of a replica that names none: WebSocket, with the feature
/// `websocket`.
#[cfg(not(feature = "websocket"))]
pub type DefaultTransport = Unset;

/// What a builder holds before a backend or a transport was chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unset;

struct Inner {
    engine: Arc<Engine>,
    transport: Arc<dyn DynTransport>,
    links: Links,
}

/// A device's store with everything in it. Cheap to clone.
///
/// The type parameters say what it stands on; nothing else depends on them.
///
/// ```
/// use repliq::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let replica = Replica::open(path).await?;
/// let notes: Document<LwwMap<String, String>> = replica.document("notes").await?;
/// notes.update(|m| m.set("id-1".to_string(), "Groceries".to_string())).await?;
/// replica.close().await;
///
/// let replica = Replica::open(path).await?;
/// let notes: Document<LwwMap<String, String>> = replica.document("notes").await?;
/// assert_eq!(notes.read(|m| m.get("id-1").cloned())?.as_deref(), Some("Groceries"));
/// # Ok(())
/// # }
/// ```
pub struct Replica<B = DefaultBackend, T = DefaultTransport> {
    inner: Arc<Inner>,
    stands_on: PhantomData<fn() -> (B, T)>,
}

#[cfg(all(feature = "sled", feature = "websocket"))]
impl Replica {
    /// Opens the store in this directory with the default backend and
    /// transport, and creates it if there is none.
    ///
    /// # Errors
    /// [`Error::Store`]: the directory is in use, damaged, holds something
    /// else, or was written by a newer version.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let open = move || repliq_backend_sled::SledBackend::open(path);
        let backend = tokio::task::spawn_blocking(open).await.map_err(|_| Error::Closed)??;
        Self::builder().storage(backend).build().await
    }
}

impl Replica {
    /// Chooses backend and transport.
    ///
    /// ```
    /// use repliq::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path();
    /// let replica: Replica<SledBackend, WebSocket> = Replica::builder()
    ///     .storage(SledBackend::open(path)?)
    ///     .transport(WebSocket::default())
    ///     .build()
    ///     .await?;
    /// # drop(replica);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> Builder<Unset, DefaultTransport> {
        Builder { storage: Unset, transport: DefaultTransport::default(), wall: Millis::now }
    }
}

impl<B, T> Replica<B, T> {
    /// The identity of this replica.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.inner.engine.replica
    }

    /// How far the timestamps of this store are ahead of its clock, if that is more
    /// than 24 hours: its clock was wrong once, and since no timestamp is ever used
    /// twice, it goes on from there. Relays refuse what is made meanwhile, and its
    /// edits win over those of others. Export the data into a new store.
    ///
    /// `None` is how it should be. Look after opening; [`Link::synced`] reports
    /// [`SyncError::StampedAhead`](crate::SyncError::StampedAhead).
    #[must_use]
    pub fn stamped_ahead(&self) -> Option<Duration> {
        self.inner.engine.stamped_ahead()
    }

    /// A document of the space `default`. It is created with its first change.
    ///
    /// # Errors
    /// [`Error::WrongKind`] when it was written as another type; otherwise what
    /// the store reports.
    pub async fn document<C: Crdt>(&self, name: &str) -> Result<Document<C>, Error> {
        self.space(DEFAULT_SPACE).document(name).await
    }

    /// Syncs the space `default` with the peer at this URL, in the background,
    /// for as long as the link lives. The path of the URL names the space over
    /// there.
    ///
    /// ```
    /// use repliq::prelude::*;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let server = Server::new("127.0.0.1:0".to_string());
    /// # let server = server.storage(SledBackend::open(directory.path().join("relay"))?);
    /// # let (relay, url) = server.start().await?;
    /// # let url = url.as_str();
    /// # let replica = Replica::open(directory.path().join("data")).await?;
    /// let link = replica.sync(url).await?; // ws://127.0.0.1:8080
    /// link.synced().await?;
    /// # relay.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Transport`] when the URL is malformed or not of this replica's
    /// transport. That nobody answers is no error: the link tries again.
    pub async fn sync(&self, url: &str) -> Result<Link, Error> {
        self.space(DEFAULT_SPACE).sync(url).await
    }

    /// A space: its documents are synced and shared apart from all others.
    #[must_use]
    pub fn space(&self, name: &str) -> Space<B, T> {
        Space { replica: self.clone(), name: name.into() }
    }

    /// Ends all links, makes durable what is under way, and lets go of the
    /// store: it can be opened again when this returns. Handles that are still
    /// around answer that they are closed.
    pub async fn close(&self) {
        self.inner.links.close().await;
        let engine = Arc::clone(&self.inner.engine);
        let _ = tokio::task::spawn_blocking(move || engine.close()).await;
    }
}

impl<B, T> Clone for Replica<B, T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), stands_on: PhantomData }
    }
}

impl<B, T> fmt::Debug for Replica<B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// A space of a replica: the unit of sync, permission and keys.
///
/// ```no_run
/// use repliq::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = Replica::open("./data").await?;
/// let team = replica.space("team");
/// let tasks: Document<LwwSet<String>> = team.document("tasks").await?;
/// let link = team.sync("ws://127.0.0.1:8080/team").await?;
/// # drop((tasks, link));
/// # Ok(())
/// # }
/// ```
pub struct Space<B = DefaultBackend, T = DefaultTransport> {
    replica: Replica<B, T>,
    name: Arc<str>,
}

impl<B, T> Space<B, T> {
    /// The name of the space.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As [`Replica::document`], in this space.
    ///
    /// # Errors
    /// As there, and [`Error::Name`].
    pub async fn document<C: Crdt>(&self, name: &str) -> Result<Document<C>, Error> {
        let engine = &self.replica.inner.engine;
        Document::open(engine, &engine.space(self.checked_name()?), name).await
    }

    /// As [`Replica::sync`], for this space.
    ///
    /// # Errors
    /// As there, and [`Error::Name`].
    pub async fn sync(&self, url: &str) -> Result<Link, Error> {
        let endpoint: Endpoint = url.parse()?;
        let inner = &self.replica.inner;
        let engine = Arc::clone(&inner.engine);
        let space = engine.space(self.checked_name()?);
        let link = Link::start(engine, space, Arc::clone(&inner.transport), endpoint)?;
        inner.links.add(&link);
        Ok(link)
    }

    fn checked_name(&self) -> Result<&str, Error> {
        if self.replica.inner.engine.is_closed() {
            Err(Error::Closed)
        } else if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES {
            Err(Error::Name(self.name.to_string()))
        } else {
            Ok(&self.name)
        }
    }
}

impl<B, T> fmt::Debug for Space<B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Puts a replica together. A backend has to be chosen; the transport is
/// WebSocket unless another is.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<B, T> {
    storage: B,
    transport: T,
    wall: fn() -> Millis,
}

impl<B, T> Builder<B, T> {
    /// Keeps the data in this backend.
    pub fn storage<B2: StorageBackend>(self, storage: B2) -> Builder<B2, T> {
        Builder { storage, transport: self.transport, wall: self.wall }
    }

    /// Reaches peers over this transport.
    pub fn transport<T2: Transport>(self, transport: T2) -> Builder<B, T2> {
        Builder { storage: self.storage, transport, wall: self.wall }
    }

    /// Reads the wall time from here instead of from the system clock.
    pub fn wall(self, wall: fn() -> Millis) -> Self {
        Self { wall, ..self }
    }
}

impl<B: StorageBackend, T: Transport> Builder<B, T> {
    /// Opens the store.
    ///
    /// # Errors
    /// [`Error::Store`] as [`Replica::open`].
    pub async fn build(self) -> Result<Replica<B, T>, Error> {
        let Self { storage, transport, wall } = self;
        let open = move || Engine::open(storage, wall, Skew::Hold);
        let engine = tokio::task::spawn_blocking(open).await.map_err(|_| Error::Closed)??;
        let inner = Inner { engine, transport: Arc::new(transport), links: Links::default() };
        Ok(Replica { inner: Arc::new(inner), stands_on: PhantomData })
    }
}
