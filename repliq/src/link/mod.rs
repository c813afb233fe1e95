//! Links: a replica's standing connection to a peer, kept up in the background.

pub(crate) mod driver;

pub use driver::Ending;

use crate::engine::{Engine, Space};
use crate::error::{Error, SyncError};
use crate::store::MAX_NAME_BYTES;
use driver::{Command, Notice, Origin, drive};
use parking_lot::Mutex;
use repliq_core::erased::DynTransport;
use repliq_core::{Endpoint, MAX_CLOCK_SKEW, TransportErrorKind};
use repliq_sync::{Farewell, Phase, Refusal, RefusedChange, SessionError};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// The first pause before connecting again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before connecting again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A session that lasted this long came to something, even if not to its end.
const WORTH_IT: Duration = Duration::from_secs(10);
/// How many refused changes a link remembers.
const REFUSED: usize = 64;

/// How a link is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LinkStatus {
    /// It connects.
    Connecting,
    /// The two sides exchange what they have.
    Syncing,
    /// Both sides hold the same; new changes pass as they are made.
    Live,
    /// There is no connection, for this reason; it is tried again.
    Offline(Ending),
    /// The link was closed.
    Closed,
}

impl fmt::Display for LinkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Syncing => f.write_str("syncing"),
            Self::Live => f.write_str("live"),
            Self::Offline(why) => write!(f, "offline: {why}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

#[derive(Default)]
struct Waiters {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<(), SyncError>>>,
    session: Option<mpsc::Sender<Command>>,
}

pub(crate) struct Shared {
    status: watch::Sender<LinkStatus>,
    closing: watch::Sender<bool>,
    waiters: Mutex<Waiters>,
    refused: Mutex<(usize, Vec<RefusedChange>)>,
    peer_volatile: std::sync::atomic::AtomicBool,
    engine: std::sync::Weak<Engine>,
}

/// A standing connection to a peer: it syncs in the background and connects
/// again when the connection is lost, after a growing pause. Dropping it ends
/// the connection.
#[must_use = "a link ends when it is dropped"]
pub struct Link {
    shared: Arc<Shared>,
}

impl Link {
    pub(crate) fn start(
        engine: Arc<Engine>,
        space: Arc<Space>,
        transport: Arc<dyn DynTransport>,
        endpoint: Endpoint,
    ) -> Result<Self, Error> {
        transport.check(&endpoint)?;
        let peer_space = endpoint.space()?;
        if peer_space.len() > MAX_NAME_BYTES {
            return Err(Error::Name(peer_space));
        }
        let shared = Arc::new(Shared {
            status: watch::Sender::new(LinkStatus::Connecting),
            closing: watch::Sender::new(false),
            waiters: Mutex::default(),
            refused: Mutex::default(),
            peer_volatile: false.into(),
            engine: Arc::downgrade(&engine),
        });
        let supervisor = Supervisor {
            engine,
            space,
            transport,
            endpoint,
            peer_space,
            shared: Ended(Arc::clone(&shared)),
        };
        tokio::spawn(supervisor.run());
        Ok(Self { shared })
    }

    /// Waits until both sides hold the same, durably: all that was on either
    /// side when this was called. While there is no connection it waits for one;
    /// watch [`Link::status`] to give up earlier.
    ///
    /// # Errors
    /// [`SyncError`]: changes were refused, the peers cannot sync with each
    /// other at all, or the link was closed.
    pub async fn synced(&self) -> Result<(), SyncError> {
        let (done, result) = oneshot::channel();
        let (id, session) = {
            let mut waiters = self.shared.waiters.lock();
            if matches!(*self.shared.status.borrow(), LinkStatus::Closed) {
                return Err(SyncError::Closed);
            }
            let id = waiters.next;
            waiters.next += 1;
            waiters.waiting.insert(id, done);
            (id, waiters.session.clone())
        };
        if let Some(session) = session {
            // A session that is just ending does not answer; the next one will.
            let _ = session.send(Command::Synced(id)).await;
        }
        let forget = Forget { shared: &self.shared, id };
        let result = result.await.unwrap_or(Err(SyncError::Closed));
        drop(forget);
        result
    }

    /// How the link is doing now.
    #[must_use]
    pub fn status(&self) -> LinkStatus {
        self.shared.status.borrow().clone()
    }

    /// Waits for the next status. `None` once the link is closed.
    pub fn watch_status(&self) -> watch::Receiver<LinkStatus> {
        self.shared.status.subscribe()
    }

    /// The changes that were refused in the current or last session, by either
    /// side, at most 64 of them.
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedChange> {
        self.shared.refused.lock().1.clone()
    }

    /// Whether the peer said that its store is volatile: what it acknowledges
    /// is lost when it stops.
    #[must_use]
    pub fn peer_is_volatile(&self) -> bool {
        self.shared.peer_volatile.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Ends the connection in order.
    pub async fn close(self) {
        self.shared.close().await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.closing.send_replace(true);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Forgets a waiter whose future was dropped.
struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.waiters.lock().waiting.remove(&self.id);
    }
}

impl Shared {
    pub(crate) fn link(self: &Arc<Self>) -> std::sync::Weak<Self> {
        Arc::downgrade(self)
    }

    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        let mut status = self.status.subscribe();
        let _ = status.wait_for(|status| matches!(status, LinkStatus::Closed)).await;
    }

    fn notice(&self, notice: Notice, volatile: bool) {
        self.peer_volatile.store(volatile, std::sync::atomic::Ordering::Relaxed);
        match notice {
            Notice::Phase(Phase::Syncing) => drop(self.status.send_replace(LinkStatus::Syncing)),
            Notice::Phase(Phase::Live) => drop(self.status.send_replace(LinkStatus::Live)),
            Notice::Synced(id) => {
                let waiter = self.waiters.lock().waiting.remove(&id);
                if let Some(waiter) = waiter {
                    let _ = waiter.send(self.outcome());
                }
            }
            Notice::Refused(changes) => {
                let mut refused = self.refused.lock();
                refused.0 += changes.len();
                let room = REFUSED.saturating_sub(refused.1.len());
                refused.1.extend(changes.into_iter().take(room));
            }
        }
    }

    fn outcome(&self) -> Result<(), SyncError> {
        let refused = self.refused.lock();
        let Some(first) = refused.1.first() else { return Ok(()) };
        let (count, first) = (refused.0, Box::new(first.clone()));
        Err(match self.stamped_ahead(&first) {
            Some(by) => SyncError::StampedAhead { by, first },
            None => SyncError::Refused { count, first },
        })
    }

    /// How far our timestamps are ahead, if that is why the peer refused a change
    /// and our clock agrees with the peer's.
    fn stamped_ahead(&self, refused: &RefusedChange) -> Option<Duration> {
        let engine = self.engine.upgrade()?;
        let Refusal::FutureStamp { now } = refused.why else { return None };
        let clock_is_right = (engine.wall)() <= now.saturating_add(MAX_CLOCK_SKEW);
        let is_ours = refused.dot.replica == engine.replica;
        engine.stamped_ahead().filter(|_| is_ours && clock_is_right)
    }

    /// Fails everyone who waits, when waiting on makes no sense.
    fn fail_waiters(&self, error: &SyncError) {
        for (_, waiter) in self.waiters.lock().waiting.drain() {
            let _ = waiter.send(Err(error.clone()));
        }
    }
}

struct Supervisor {
    engine: Arc<Engine>,
    space: Arc<Space>,
    transport: Arc<dyn DynTransport>,
    endpoint: Endpoint,
    /// The space at the other end.
    peer_space: String,
    /// The last to be dropped: the store must be free before anybody hears that
    /// the link is closed.
    shared: Ended,
}

/// However the supervisor ends, also with the runtime it runs on, everyone who
/// waits hears of it.
struct Ended(Arc<Shared>);

impl std::ops::Deref for Ended {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let waiters = self.0.waiters.lock();
        self.0.status.send_replace(LinkStatus::Closed);
        drop(waiters);
        self.0.fail_waiters(&SyncError::Closed);
    }
}

impl Supervisor {
    async fn run(self) {
        let mut closing = self.shared.closing.subscribe();
        let mut pause = FIRST_PAUSE;
        while !*closing.borrow() {
            self.shared.status.send_replace(LinkStatus::Connecting);
            let connected = tokio::select! {
                connected = self.transport.connect(&self.endpoint) => connected,
                _ = closing.wait_for(|closing| *closing) => break,
            };
            let ending = match connected {
                Ok(connection) => {
                    let since = Instant::now();
                    let ending = self.session(connection, &mut closing).await;
                    let live = matches!(*self.shared.status.borrow(), LinkStatus::Live);
                    if live || since.elapsed() > WORTH_IT {
                        pause = FIRST_PAUSE;
                    }
                    ending
                }
                Err(error) => error.into(),
            };
            if *closing.borrow() {
                break;
            }
            if let Some(error) = hopeless(&ending) {
                self.shared.fail_waiters(&error);
            }
            self.shared.status.send_replace(LinkStatus::Offline(ending));
            tokio::select! {
                () = tokio::time::sleep(with_jitter(pause)) => {}
                _ = closing.wait_for(|closing| *closing) => break,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn session(
        &self,
        connection: repliq_core::erased::DynConnection,
        closing: &mut watch::Receiver<bool>,
    ) -> Ending {
        let (commands, received) = mpsc::channel(64);
        *self.shared.refused.lock() = Default::default();
        let synced: Vec<u64> = {
            let mut waiters = self.shared.waiters.lock();
            waiters.session = Some(commands.clone());
            waiters.waiting.keys().copied().collect()
        };
        let url = self.endpoint.as_str().to_owned();
        let (space, peer_space) = (Arc::clone(&self.space), self.peer_space.clone());
        let origin = Origin::Link { space, peer_space, url, synced };
        let tell = |notice, volatile| self.shared.notice(notice, volatile);
        let asked = async {
            let _ = closing.wait_for(|closing| *closing).await;
            let _ = commands.send(Command::Close).await;
            std::future::pending().await
        };
        let ending = tokio::select! {
            ending = drive(&self.engine, connection, origin, received, tell) => ending,
            never = asked => never,
        };
        self.shared.waiters.lock().session = None;
        ending
    }
}

/// What to tell those who wait when trying again cannot help until somebody
/// changes something.
fn hopeless(ending: &Ending) -> Option<SyncError> {
    match ending {
        Ending::Session(
            error @ (SessionError::SameReplica
            | SessionError::NotRepliq
            | SessionError::Version { .. }
            | SessionError::Farewell(Farewell::SameReplica | Farewell::Space)),
        ) => Some(SyncError::Session(error.clone())),
        Ending::Transport(error)
            if matches!(
                error.kind,
                TransportErrorKind::Endpoint | TransportErrorKind::Untrusted
            ) =>
        {
            Some(SyncError::Transport(Arc::clone(error)))
        }
        _ => None,
    }
}

/// Half to one and a half times the pause, so that devices that lost the same
/// relay do not all come back at once.
fn with_jitter(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX))
}

/// The links of a replica, for closing them with it.
#[derive(Default)]
pub(crate) struct Links(Mutex<Vec<std::sync::Weak<Shared>>>);

impl Links {
    pub(crate) fn add(&self, link: &Link) {
        let mut links = self.0.lock();
        links.retain(|link| link.strong_count() > 0);
        links.push(link.shared.link());
    }

    pub(crate) async fn close(&self) {
        let links = std::mem::take(&mut *self.0.lock());
        for link in links.into_iter().filter_map(|link| link.upgrade()) {
            link.close().await;
        }
    }
}
