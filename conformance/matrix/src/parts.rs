//! Where the cells run: for each backend and transport, how a test makes one.

use custom_backend::SqliteBackend;
use custom_transport::UnixSocket;
use repliq::prelude::*;
use repliq::{StorageError, WebSocket};
use tempfile::TempDir;

/// A place for the data of one device or relay.
pub trait Store: Sized + Send + Sync + 'static {
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
pub trait Net: Sized + Send + Sync + 'static {
    /// The transport that reaches it.
    type Transport: Transport;
    /// A new network.
    fn fresh() -> Self;
    /// The transport of one participant.
    fn transport(&self) -> Self::Transport;
    /// Where a relay may listen, at any free address.
    const ANY: &'static str;
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

/// The SQLite backend of the examples, in a temporary directory.
pub struct SqliteStore(TempDir);

impl Store for SqliteStore {
    type Backend = SqliteBackend;

    #[allow(clippy::expect_used, reason = "a test without a temporary directory cannot go on")]
    fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn open(&self) -> Result<SqliteBackend, StorageError> {
        SqliteBackend::open(self.0.path().join("store.sqlite"))
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

/// Unix domain sockets, the transport of the examples.
pub struct UnixNet;

impl Net for UnixNet {
    type Transport = UnixSocket;
    const ANY: &'static str = "unix:///tmp/";

    fn fresh() -> Self {
        Self
    }

    fn transport(&self) -> UnixSocket {
        UnixSocket
    }
}
