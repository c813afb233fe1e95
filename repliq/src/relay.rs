//! A relay: a store without types that devices meet at.
//!
//! It keeps every change it is sent, numbers it, and passes it on to whoever
//! lacks it, now or later. It reads headers and never payloads, so it knows no
//! data type and needs no key; and it deletes nothing because a peer says so.

mod places;

use crate::engine::{Engine, StoreStatus};
use crate::error::Error;
use crate::link::driver::{Command, Notice, Origin, drive};
use crate::store::Skew;
use places::{Eviction, Place, Places};
use repliq_core::erased::{DynConnection, DynListener, DynTransport};
use repliq_core::{Endpoint, Millis, StorageBackend, Transport};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How many connections a relay serves at once. A further one takes the place of the
/// oldest that has said nothing yet, or waits when there is none.
const MAX_CONNECTIONS: usize = 4096;
/// The pause after an accept that failed, so that a lasting failure, such as
/// too many open files, does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long sessions may take to say goodbye when the relay closes.
const FAREWELL: Duration = Duration::from_secs(5);

struct Inner {
    engine: Arc<Engine>,
    places: Arc<Places>,
    closing: watch::Sender<bool>,
    /// Lives as long as something runs.
    running: watch::Sender<()>,
}

/// A running relay. Cheap to clone; it serves until it is closed or the last
/// clone is dropped.
///
/// ```
/// use repliq::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let relay = Relay::open(SledBackend::open(directory.path())?).await?;
/// let at = relay.listen(WebSocket::default(), "ws://127.0.0.1:0").await?;
/// println!("listening at {at}");
/// relay.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Relay {
    inner: Arc<Inner>,
}

impl Relay {
    /// Opens the relay's store.
    ///
    /// # Errors
    /// [`Error::Store`]: it is in use, damaged, holds something else, or was
    /// written by a newer version.
    pub async fn open(storage: impl StorageBackend) -> Result<Self, Error> {
        Self::open_at(storage, Millis::now).await
    }

    /// As [`Relay::open`], with the wall time read from `wall`.
    ///
    /// # Errors
    /// As [`Relay::open`].
    pub async fn open_at(
        storage: impl StorageBackend,
        wall: fn() -> Millis,
    ) -> Result<Self, Error> {
        let open = move || Engine::open(storage, wall, Skew::Refuse);
        let engine = tokio::task::spawn_blocking(open).await.map_err(|_| Error::Closed)??;
        let inner = Inner {
            engine,
            places: Places::new(MAX_CONNECTIONS),
            closing: watch::Sender::new(false),
            running: watch::Sender::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Listens at a URL. A relay may listen at several, over several
    /// transports. Returns where it listens, with the real port for port 0.
    ///
    /// # Errors
    /// [`Error::Transport`]: the URL is malformed, or the address in use.
    pub async fn listen(&self, transport: impl Transport, url: &str) -> Result<Endpoint, Error> {
        let endpoint: Endpoint = url.parse()?;
        let listener = DynTransport::listen(&transport, &endpoint).await?;
        let local = listener.local_endpoint();
        let accepting = Accepting {
            engine: Arc::clone(&self.inner.engine),
            places: Arc::clone(&self.inner.places),
            closing: self.inner.closing.subscribe(),
            _running: self.inner.running.subscribe(),
        };
        tokio::spawn(accepting.run(listener));
        Ok(local)
    }

    /// Follows how the store is doing. While it takes no changes, devices are told
    /// so and come back later; when it has failed for good, open it again.
    pub fn watch_store(&self) -> watch::Receiver<StoreStatus> {
        self.inner.engine.status()
    }

    /// Waits until the store has failed for good, which gives [`Error::Failed`], or
    /// the relay is closed, which gives [`Error::Closed`].
    pub async fn failed(&self) -> Error {
        let mut status = self.watch_store();
        match status.wait_for(|status| matches!(status, StoreStatus::Failed(_))).await.as_deref() {
            Ok(StoreStatus::Failed(why)) => Error::Failed(Arc::clone(why)),
            _ => Error::Closed,
        }
    }

    /// Stops listening, ends all connections in order, makes durable what is
    /// under way, and lets go of the store.
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        self.inner.running.closed().await;
        let engine = Arc::clone(&self.inner.engine);
        let _ = tokio::task::spawn_blocking(move || engine.close()).await;
    }
}

impl Clone for Relay {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("id", &self.inner.engine.replica).finish_non_exhaustive()
    }
}

struct Accepting {
    engine: Arc<Engine>,
    places: Arc<Places>,
    closing: watch::Receiver<bool>,
    _running: watch::Receiver<()>,
}

impl Accepting {
    async fn run(mut self, mut listener: Box<dyn DynListener>) {
        let mut sessions = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = closed(&mut self.closing) => break,
            };
            match accepted {
                Ok(connection) => {
                    let Some((place, eviction)) = self.place().await else { break };
                    let engine = Arc::clone(&self.engine);
                    let closing = self.closing.clone();
                    sessions.spawn(serve(engine, connection, closing, place, eviction));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
            while sessions.try_join_next().is_some() {}
        }
        let _ = listener.close().await;
        let farewell = async { while sessions.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        sessions.shutdown().await;
    }

    async fn place(&mut self) -> Option<(Place, Eviction)> {
        tokio::select! {
            place = self.places.take() => place,
            () = closed(&mut self.closing) => None,
        }
    }
}

/// Runs a session until it ends, or has to give way before it has begun.
async fn serve(
    engine: Arc<Engine>,
    connection: DynConnection,
    mut closing: watch::Receiver<bool>,
    place: Place,
    eviction: Eviction,
) {
    let (commands, received) = mpsc::channel(1);
    let close = async {
        closed(&mut closing).await;
        let _ = commands.send(Command::Close).await;
        std::future::pending().await
    };
    // Nothing is noticed before the peer has said who it is.
    let tell = |_: Notice, _| place.keep();
    // A session that fails concerns its peer, which was told why.
    tokio::select! {
        _ = drive(&engine, connection, Origin::Listener, received, tell) => {}
        () = eviction.wait() => {}
        never = close => never,
    }
}

/// Waits until the relay is closed or all its handles are gone.
async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
