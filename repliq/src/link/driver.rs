//! Runs one session over one connection: frames in, frames out, and the store
//! in between.
//!
//! All protocol decisions are the session's; here is only plumbing. A task of
//! its own does the sending, so that a slow peer never keeps us from receiving.

use crate::engine::{Engine, Space};
use crate::error::CommitError;
use crate::store::{self, ChangeReader, Cursor, LeaseRecord, Remote};
use bytes::Bytes;
use repliq_core::erased::{DynConnection, DynReceiver, DynSender};
use repliq_core::{ReplicaId, TransportError, TransportErrorKind};
use repliq_sync::{
    Arrival, Config, DocumentName, Effect, Farewell, Identified, OutgoingChange, Phase, Position,
    RefusedChange, Role, Session, SessionError, Summary, Verdict,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Frames waiting to be sent; changes are put under way only while half of it
/// is free, so that acks and replies always find room.
const FRAMES: usize = 1024;
/// How many frames are taken in before their effects are carried out.
const AT_ONCE: usize = 128;

/// Why a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Ending {
    /// The transport failed or the peer is gone.
    #[error("{0}")]
    Transport(Arc<TransportError>),
    /// The session ended with an error.
    #[error(transparent)]
    Session(SessionError),
    /// It ended in order.
    #[error("the other side closed the connection")]
    Closed,
}

impl From<TransportError> for Ending {
    fn from(error: TransportError) -> Self {
        Self::Transport(Arc::new(error))
    }
}

/// What a driver tells whoever started it.
#[derive(Debug)]
pub(crate) enum Notice {
    Phase(Phase),
    Synced(u64),
    Refused(Vec<RefusedChange>),
}

/// What whoever started a driver can ask of it.
pub(crate) enum Command {
    Synced(u64),
    Close,
}

/// Who started it: a link to a URL, or a listener.
pub(crate) enum Origin {
    Link {
        space: Arc<Space>,
        /// The space at the other end.
        peer_space: String,
        url: String,
        /// The ids that wait already.
        synced: Vec<u64>,
    },
    Listener,
}

/// How long we listen to a peer that takes nothing any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a peer may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a session until it ends.
pub(crate) async fn drive(
    engine: &Arc<Engine>,
    connection: DynConnection,
    origin: Origin,
    commands: mpsc::Receiver<Command>,
    tell: impl FnMut(Notice, bool) + Send,
) -> Ending {
    let (frames, queued) = mpsc::channel(FRAMES);
    let writer = tokio::spawn(write(connection.sender, queued));
    let ending = match Driver::new(engine, frames, origin, commands, tell).await {
        Ok(mut driver) => {
            let ending = driver.run(connection.receiver).await;
            driver.leave_lease();
            ending
        }
        Err(ending) => ending,
    };
    // What was queued last says why we go; a peer that does not take it in time
    // is left alone.
    let mut writer = writer;
    if tokio::time::timeout(PATIENCE, &mut writer).await.is_err() {
        writer.abort();
    }
    ending
}

async fn write(mut sender: Box<dyn DynSender>, mut frames: mpsc::Receiver<Bytes>) {
    while let Some(frame) = frames.recv().await {
        if sender.send(frame).await.is_err() {
            // The receiving half sees the end of the connection by itself.
            frames.close();
            return;
        }
    }
    let _ = sender.close().await;
}

/// A read of our store that is under way.
type Read<'a> = Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

/// The reader to go on with, what it gave, and whether nothing is left.
type DocumentRead = (ChangeReader, Vec<OutgoingChange>, bool);

enum Done {
    Feed(Vec<store::FeedEntry>, Position),
    Document(ChangeReader, Vec<OutgoingChange>, bool),
    Summary(Summary, Position),
    Failed(String),
}

struct Driver<'a, F> {
    engine: &'a Arc<Engine>,
    session: Session,
    started: Instant,
    frames: mpsc::Sender<Bytes>,
    space: Option<(Arc<Space>, watch::Receiver<Position>)>,
    commands: mpsc::Receiver<Command>,
    /// What the cursor of this peer's feed is kept under.
    peer_key: Bytes,
    peer: Option<ReplicaId>,
    is_listener: bool,
    commit: Option<oneshot::Receiver<Result<Vec<store::Verdict>, CommitError>>>,
    reads: Vec<Read<'a>>,
    document: Option<(DocumentName, ChangeReader)>,
    /// How the connection ended, when that was seen too early to be acted on.
    ended: Option<Ending>,
    /// Nothing can be sent any more; until when the peer's last frames are heard.
    unsendable: Option<Instant>,
    tell: F,
}

impl<'a, F: FnMut(Notice, bool) + Send> Driver<'a, F> {
    async fn new(
        engine: &'a Arc<Engine>,
        frames: mpsc::Sender<Bytes>,
        origin: Origin,
        commands: mpsc::Receiver<Command>,
        tell: F,
    ) -> Result<Self, Ending> {
        let started = Instant::now();
        let (space, peer_space, peer_key, role, synced) = match origin {
            Origin::Link { space, peer_space, url, synced } => {
                let key = link_key(&url);
                let cursor = cursor(engine, &space, &key).await;
                let cursor = cursor.map_err(|why| Ending::Session(SessionError::Store(why)))?;
                let role = Role::Initiator { cursor };
                (Some(space), peer_space, key, role, synced)
            }
            Origin::Listener => (None, String::new(), Bytes::new(), Role::Acceptor, Vec::new()),
        };
        let config = Config {
            replica: engine.replica,
            space: peer_space,
            role,
            volatile: engine.volatile,
            patience: PATIENCE,
        };
        let is_listener = space.is_none();
        let head = space.as_ref().map_or(Position::default(), |space| space.head());
        let mut session = Session::new(config, head, started.elapsed());
        // Asked before the hello is sent, they need no question of their own.
        for id in synced {
            session.synced(id, head, started.elapsed());
        }
        let space = space.map(|space| {
            let follow = space.follow();
            (space, follow)
        });
        Ok(Self {
            engine,
            session,
            started,
            frames,
            space,
            commands,
            peer_key,
            peer: None,
            is_listener,
            commit: None,
            reads: Vec::new(),
            document: None,
            ended: None,
            unsendable: None,
            tell,
        })
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn head(&self) -> Position {
        self.space.as_ref().map_or(Position::default(), |(space, _)| space.head())
    }

    async fn run(&mut self, mut receiver: Box<dyn DynReceiver>) -> Ending {
        loop {
            let writable = self.unsendable.is_some() || self.frames.capacity() > FRAMES / 2;
            let effects = self.session.poll(writable, self.now());
            let idle = effects.is_empty();
            for effect in effects {
                if let Err(ending) = self.carry_out(effect).await {
                    return ending;
                }
            }
            if idle && let Err(ending) = self.wait(&mut *receiver, writable).await {
                return ending;
            }
        }
    }

    /// Waits for one thing to happen and passes it to the session.
    async fn wait(&mut self, receiver: &mut dyn DynReceiver, writable: bool) -> Result<(), Ending> {
        if let Some(ended) = self.ended.take() {
            return Err(ended);
        }
        let deadline = self.session.deadline().map(|deadline| self.started + deadline);
        let commit = async {
            match &mut self.commit {
                Some(commit) => commit.await.unwrap_or(Err(CommitError::Closed)),
                None => std::future::pending().await,
            }
        };
        let head = async {
            match &mut self.space {
                Some((_, head)) => head.changed().await,
                None => std::future::pending().await,
            }
        };
        let read = async {
            match self.reads.first_mut() {
                Some(read) => read.await,
                None => std::future::pending().await,
            }
        };
        let room = async {
            if writable {
                std::future::pending().await
            } else {
                self.frames.reserve_many(FRAMES / 2 + 1).await.map(drop)
            }
        };
        let unsendable = self.unsendable;
        let gone = async {
            match unsendable {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = commit => {
                self.commit = None;
                let verdicts = result.map(|verdicts| verdicts.into_iter().map(verdict).collect());
                self.session.committed(verdicts.map_err(|error| error.to_string()));
            }
            done = read => {
                drop(self.reads.remove(0));
                self.answer(done)?;
            }
            command = self.commands.recv() => match command {
                Some(Command::Synced(id)) => {
                    let (head, now) = (self.head(), self.now());
                    self.session.synced(id, head, now);
                }
                Some(Command::Close) | None => self.session.close(),
            },
            frame = receiver.recv() => return self.receive(frame, receiver).await,
            changed = head => {
                changed.map_err(|_| Ending::Closed)?;
                let head = self.head();
                self.session.feed_grew(head);
            }
            room = room => if room.is_err() {
                self.unsendable.get_or_insert_with(|| Instant::now() + LAST_WORDS);
            },
            () = gone => return Err(lost()),
            () = late => {}
        }
        Ok(())
    }

    /// Takes in a frame, and others that are there already. An end that comes
    /// after a frame waits, so that it does not hide what the frame led to.
    async fn receive(
        &mut self,
        first: Result<Option<Bytes>, TransportError>,
        receiver: &mut dyn DynReceiver,
    ) -> Result<(), Ending> {
        let mut frame = first?.ok_or(Ending::Closed)?;
        for taken in 1..=AT_ONCE {
            let (head, now) = (self.head(), self.now());
            self.session.receive(&frame, head, now);
            if taken == AT_ONCE || self.session.is_identifying() {
                break;
            }
            let next = tokio::select! {
                biased;
                next = receiver.recv() => next,
                () = std::future::ready(()) => break,
            };
            frame = match next {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.ended = Some(Ending::Closed);
                    break;
                }
                Err(error) => {
                    self.ended = Some(error.into());
                    break;
                }
            };
        }
        Ok(())
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), Ending> {
        match effect {
            Effect::Send(frame) => {
                let sent = tokio::time::timeout(PATIENCE, self.frames.send(frame)).await;
                match sent {
                    Ok(Ok(())) => {}
                    // The peer may have said why before it went: hear that first.
                    Ok(Err(_)) => {
                        self.unsendable.get_or_insert_with(|| Instant::now() + LAST_WORDS);
                    }
                    Err(_) => {
                        return Err(Ending::Session(SessionError::Stalled("it takes no frames")));
                    }
                }
            }
            Effect::Identify { peer, space, claim } => self.identify(peer, &space, claim).await?,
            Effect::ReadFeed { after, max_bytes } => self.read_feed(after, max_bytes)?,
            Effect::Summarize => self.summarize(),
            Effect::ReadDocument { document, after, max_bytes } => {
                self.read_document(&document, after, max_bytes);
            }
            Effect::Commit { arrivals, cursor } => self.submit(arrivals, cursor),
            Effect::SaveCursor(place) => {
                if let Some((space, _)) = &self.space {
                    let cursor = Cursor { peer: self.peer_key.clone(), position: place.into() };
                    self.engine.save_cursor(space, cursor);
                }
            }
            Effect::Phase(phase) => self.notify(Notice::Phase(phase)),
            Effect::Synced(id) => self.notify(Notice::Synced(id)),
            Effect::Refused { changes, .. } => self.notify(Notice::Refused(changes)),
            Effect::End(Ok(())) => return Err(Ending::Closed),
            Effect::End(Err(error)) => return Err(Ending::Session(error)),
            _ => {}
        }
        Ok(())
    }

    fn notify(&mut self, notice: Notice) {
        (self.tell)(notice, self.session.peer_is_volatile());
    }

    async fn identify(
        &mut self,
        peer: ReplicaId,
        name: &str,
        claim: Option<Position>,
    ) -> Result<(), Ending> {
        self.peer = Some(peer);
        if self.is_listener {
            if name.is_empty() || name.len() > store::MAX_NAME_BYTES {
                self.session.refuse(Farewell::Space);
                return Ok(());
            }
            let space = self.engine.space(name);
            let follow = space.follow();
            self.space = Some((space, follow));
            self.peer_key = peer_key(peer);
        }
        let Some((space, _)) = &self.space else { return Ok(()) };
        let cursor = match cursor(self.engine, space, &self.peer_key).await {
            Ok(cursor) => cursor,
            Err(why) => {
                self.session.store_failed(why);
                return Ok(());
            }
        };
        let reader = &self.engine.reader;
        let claim_valid = claim.is_some_and(|claim| reader.is_place(&space.name, claim));
        self.session.identified(Identified { head: self.head(), cursor, claim_valid });
        Ok(())
    }

    fn submit(&mut self, arrivals: Vec<Arrival>, cursor: Option<Position>) {
        let (Some((space, _)), Some(from)) = (&self.space, self.peer) else { return };
        let arrival = |arrival: Arrival| store::Arrival {
            document: arrival.document.name,
            kind: arrival.document.kind,
            change: arrival.change,
        };
        let cursor =
            cursor.map(|place| Cursor { peer: self.peer_key.clone(), position: place.into() });
        let remote = Remote {
            space: Arc::clone(&space.name),
            from,
            arrivals: arrivals.into_iter().map(arrival).collect(),
            cursor,
            skew: self.engine.skew,
        };
        self.commit = Some(self.engine.submit_remote(space, remote));
    }

    fn read_feed(&mut self, after: u64, max_bytes: usize) -> Result<(), Ending> {
        let Some((space, _)) = &self.space else { return Ok(()) };
        let (reader, name) = (self.engine.reader.clone(), Arc::clone(&space.name));
        if let Some((entries, through)) = reader.recent_feed(&name, after, max_bytes) {
            return self.answer(Done::Feed(entries, through));
        }
        let read = move || reader.feed(&name, after, max_bytes);
        self.read(read, |(entries, through)| Done::Feed(entries, through));
        Ok(())
    }

    fn summarize(&mut self) {
        let Some((space, _)) = &self.space else { return };
        let head = space.head();
        let (reader, name) = (self.engine.reader.clone(), Arc::clone(&space.name));
        self.read(move || reader.summary(&name), move |summary| Done::Summary(summary, head));
    }

    fn read_document(
        &mut self,
        document: &str,
        after: Option<repliq_core::Version>,
        max_bytes: usize,
    ) {
        let Some((space, _)) = &self.space else { return };
        let (reader, name) = (self.engine.reader.clone(), Arc::clone(&space.name));
        let (going_on, document) = (self.document.take(), document.to_owned());
        let read = move || -> Result<DocumentRead, String> {
            let fail = |error: store::StoreError| error.to_string();
            let (named, mut changes) = match (going_on, after) {
                (Some(going_on), None) => going_on,
                (_, after) => {
                    let stored = reader.document(&name, &document).map_err(fail)?;
                    let stored = stored.ok_or("a document is gone")?;
                    let info = &stored.info;
                    let named = DocumentName { name: info.name.clone(), kind: info.kind.clone() };
                    (named, stored.changes(&after.unwrap_or_default()).map_err(fail)?)
                }
            };
            let chunk = changes.next_chunk(max_bytes).map_err(|error| error.to_string())?;
            let done = chunk.is_empty();
            let outgoing = |change| OutgoingChange { document: named.clone(), change, skip: false };
            Ok((changes, chunk.into_iter().map(outgoing).collect(), done))
        };
        self.read(read, |(reader, changes, done)| Done::Document(reader, changes, done));
    }

    /// Begins to read our store.
    fn read<R: Send + 'static, E: ToString + Send + 'static>(
        &mut self,
        read: impl FnOnce() -> Result<R, E> + Send + 'static,
        done: impl FnOnce(R) -> Done + Send + 'a,
    ) {
        let engine = self.engine;
        self.reads.push(Box::pin(async move {
            match engine.reading(read).await {
                Ok(Ok(read)) => done(read),
                Ok(Err(error)) => Done::Failed(error.to_string()),
                Err(error) => Done::Failed(error.to_string()),
            }
        }));
    }

    /// Passes what was read to the session.
    fn answer(&mut self, done: Done) -> Result<(), Ending> {
        let now = self.now();
        match done {
            Done::Feed(entries, through) => {
                let outgoing = |entry: store::FeedEntry| OutgoingChange {
                    document: DocumentName {
                        name: Arc::clone(&entry.document.name),
                        kind: Arc::clone(&entry.document.kind),
                    },
                    change: entry.change,
                    skip: entry.origin.is_some() && entry.origin == self.peer,
                };
                let changes: Vec<OutgoingChange> = entries.into_iter().map(outgoing).collect();
                self.session.feed(&changes, through, now);
            }
            Done::Document(reader, changes, done) => {
                self.document = match (changes.first(), done) {
                    (Some(change), false) => Some((change.document.clone(), reader)),
                    _ => None,
                };
                self.session.document_changes(&changes, done, now);
            }
            Done::Summary(summary, head) => self.session.summarized(summary, head),
            Done::Failed(why) => self.session.store_failed(why),
        }
        Ok(())
    }

    /// Keeps when the peer was here, for deciding later whether it still counts.
    fn leave_lease(&self) {
        if let (true, Some(peer), Some((space, _))) = (self.is_listener, self.peer, &self.space) {
            let acked = self.session.acked().into();
            let seen = (self.engine.wall)();
            self.engine.save_lease(space, peer, LeaseRecord { seen, acked });
        }
    }
}

fn lost() -> Ending {
    TransportError::from(TransportErrorKind::Lost).into()
}

/// How far the feed of a peer is held. Unreadable counts as not at all; a store
/// that does not answer ends the connection.
async fn cursor(engine: &Engine, space: &Space, peer: &Bytes) -> Result<Option<Position>, String> {
    let (reader, name, peer) = (engine.reader.clone(), Arc::clone(&space.name), peer.clone());
    let read = engine.reading(move || reader.cursor(&name, &peer)).await;
    Ok(read.map_err(|error| error.to_string())?.ok().flatten())
}

fn link_key(url: &str) -> Bytes {
    // A hash keeps the key short whatever the URL.
    [b"u", blake3::hash(url.as_bytes()).as_bytes().as_slice()].concat().into()
}

fn peer_key(peer: ReplicaId) -> Bytes {
    [b"r", peer.as_bytes().as_slice()].concat().into()
}

fn verdict(verdict: store::Verdict) -> Verdict {
    match verdict {
        store::Verdict::Refused(refusal) => Verdict::Refused(refusal.into()),
        _ => Verdict::Taken,
    }
}
