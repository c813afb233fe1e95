//! What the cells are made of: for each backend, transport and type, how a test
//! makes one and what it does with it.

use repliq::prelude::*;
use repliq::{StorageError, WebSocket};
use tempfile::TempDir;

/// A place for the data of one device or relay.
pub trait Store: Sized {
    /// The backend that keeps it.
    type Backend: StorageBackend;
    /// A new, empty place.
    fn fresh() -> Self;
    /// Opens the backend, or opens it again after it was closed.
    ///
    /// # Errors
    /// What the backend reports.
    fn open(&self) -> Result<Self::Backend, StorageError>;
}

/// A network of one test.
pub trait Net: Sized {
    /// The transport that reaches it.
    type Transport: Transport;
    /// A new network.
    fn fresh() -> Self;
    /// The transport of one participant.
    fn transport(&self) -> Self::Transport;
    /// Where a relay may listen, at any free address.
    const ANY: &'static str;
}

/// A data type with an edit that can be told apart and a view to compare.
pub trait Type {
    /// The type.
    type Crdt: Crdt;
    /// The `n`-th edit of the device called `who`. Edits of different devices
    /// touch the same places.
    fn edit(tx: &mut Tx<'_, Self::Crdt>, who: &str, n: usize);
    /// What a reader sees, in a fixed order.
    fn view(value: &Self::Crdt) -> Vec<String>;
}

/// The memory backend.
pub struct MemoryStore(MemoryBackend);

impl Store for MemoryStore {
    type Backend = MemoryBackend;

    fn fresh() -> Self {
        Self(MemoryBackend::new())
    }

    fn open(&self) -> Result<MemoryBackend, StorageError> {
        Ok(self.0.clone())
    }
}

/// The sled backend, in a temporary directory.
pub struct SledStore(TempDir);

impl Store for SledStore {
    type Backend = SledBackend;

    #[allow(clippy::expect_used, reason = "a test without a temporary directory cannot go on")]
    fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn open(&self) -> Result<SledBackend, StorageError> {
        SledBackend::open(self.0.path().join("store"))
    }
}

/// The redb backend, in a temporary directory.
pub struct RedbStore(TempDir);

impl Store for RedbStore {
    type Backend = RedbBackend;

    #[allow(clippy::expect_used, reason = "a test without a temporary directory cannot go on")]
    fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn open(&self) -> Result<RedbBackend, StorageError> {
        RedbBackend::open(self.0.path().join("store.redb"))
    }
}

/// The memory transport.
pub struct MemoryNet(MemoryTransport);

impl Net for MemoryNet {
    type Transport = MemoryTransport;
    const ANY: &'static str = "memory://:0";

    fn fresh() -> Self {
        Self(MemoryTransport::new())
    }

    fn transport(&self) -> MemoryTransport {
        self.0.clone()
    }
}

/// WebSocket on loopback.
pub struct WebSocketNet;

impl Net for WebSocketNet {
    type Transport = WebSocket;
    const ANY: &'static str = "ws://127.0.0.1:0";

    fn fresh() -> Self {
        Self
    }

    fn transport(&self) -> WebSocket {
        WebSocket::default()
    }
}

/// QUIC on loopback, with a certificate made for the test.
pub struct QuicNet(TlsConfig);

impl Net for QuicNet {
    type Transport = Quic;
    const ANY: &'static str = "quic://127.0.0.1:0";

    fn fresh() -> Self {
        Self(TlsConfig::new())
    }

    fn transport(&self) -> Quic {
        Quic::new(self.0.clone())
    }
}

/// [`LwwMap`].
pub struct SyncedMap;

impl Type for SyncedMap {
    type Crdt = LwwMap<String, String>;

    fn edit(map: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        map.set(format!("own {who} {n}"), format!("{n}"));
        map.set(format!("shared {}", n % 3), format!("{who} {n}"));
        if n % 4 == 3 {
            map.remove(format!("shared {}", n % 2));
        }
    }

    fn view(map: &Self::Crdt) -> Vec<String> {
        let mut view: Vec<String> = map.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        view.sort();
        view
    }
}

/// [`LwwSet`].
pub struct SyncedSet;

impl Type for SyncedSet {
    type Crdt = LwwSet<String>;

    fn edit(set: &mut Tx<'_, Self::Crdt>, who: &str, n: usize) {
        set.add(format!("own {who} {n}"));
        set.add(format!("shared {}", n % 3));
        if n % 4 == 3 {
            set.remove(format!("shared {}", n % 2));
        }
    }

    fn view(set: &Self::Crdt) -> Vec<String> {
        let mut view: Vec<String> = set.elements().into_iter().cloned().collect();
        view.sort();
        view
    }
}
