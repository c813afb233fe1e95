//! A client without a store: it follows what passes through a relay.

use crate::error::Error;
use crate::replica::DefaultTransport;
use repliq_core::erased::{DynConnection, DynTransport};
use repliq_core::{Change, Endpoint, ReplicaId, Transport, TransportError, TransportErrorKind};
use repliq_sync::{
    Arrival, Config, Effect, Identified, Phase, Position, Role, Session, Summary, Verdict,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a [`Client`] is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Message {
    /// A change, each once and after the changes it builds on.
    Sync(SyncMessage),
    /// Everything the peer had was told; what follows is new.
    Live,
}

/// One change as it passed by.
#[derive(Clone)]
#[non_exhaustive]
pub struct SyncMessage {
    /// The name of its document.
    pub document: Arc<str>,
    /// The kind of the document's type.
    pub kind: Arc<str>,
    /// The change. Its payload is in the encoding of that type.
    pub change: Change,
}

impl fmt::Debug for SyncMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncMessage")
            .field("document", &self.document)
            .field("kind", &self.kind)
            .field("replica", &self.change.dot.replica)
            .field("seq", &self.change.dot.seq)
            .field("bytes", &self.change.body.len())
            .finish()
    }
}

/// Follows a relay without keeping anything: for looking at what passes, not
/// for data that must last; that is [`Replica`](crate::Replica)'s.
///
/// ```no_run
/// use repliq::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica_id = ReplicaId::new();
/// let mut client = Client::new(replica_id);
/// client.connect("ws://127.0.0.1:8080").await?;
/// client.run(|message| match message { Message::Sync(sync) => println!("{sync:?}"), _ => {} }).await?;
/// # Ok(())
/// # }
/// ```
pub struct Client<T = DefaultTransport> {
    replica: ReplicaId,
    transport: T,
    connection: Option<(DynConnection, String)>,
}

impl Client {
    /// A client with this identity, over the default transport.
    #[must_use]
    pub fn new(replica: ReplicaId) -> Self {
        Self::with_transport(replica, DefaultTransport::default())
    }
}

impl<T> Client<T> {
    /// A client over another transport.
    #[must_use]
    pub const fn with_transport(replica: ReplicaId, transport: T) -> Self {
        Self { replica, transport, connection: None }
    }
}

impl<T: Transport> Client<T> {
    /// Connects; the path of the URL names the space to follow.
    ///
    /// # Errors
    /// [`Error::Transport`] when nobody answers there.
    pub async fn connect(&mut self, url: &str) -> Result<(), Error> {
        let endpoint: Endpoint = url.parse()?;
        let space = endpoint.space()?;
        let connection = DynTransport::connect(&self.transport, &endpoint).await?;
        self.connection = Some((connection, space));
        Ok(())
    }

    /// Tells every change the peer has, then every new one, until the peer
    /// closes the connection.
    ///
    /// # Errors
    /// [`Error::Transport`] when there is no connection or it is lost,
    /// [`Error::Session`] when the peer does not keep to the protocol.
    pub async fn run(&mut self, mut tell: impl FnMut(Message) + Send) -> Result<(), Error> {
        let closed = || TransportError::new(TransportErrorKind::Closed, "call connect first");
        let (mut connection, space) = self.connection.take().ok_or_else(closed)?;
        let config = Config {
            replica: self.replica,
            space,
            role: Role::Initiator { cursor: None },
            volatile: true,
            patience: crate::link::driver::PATIENCE,
        };
        let started = Instant::now();
        let mut session = Session::new(config, Position::default(), Duration::ZERO);
        loop {
            let effects = session.poll(true, started.elapsed());
            if effects.is_empty() {
                let late = session.deadline().map(|deadline| started + deadline);
                tokio::select! {
                    frame = connection.receiver.recv() => match frame? {
                        Some(frame) => {
                            session.receive(&frame, Position::default(), started.elapsed());
                        }
                        None => return Ok(()),
                    },
                    () = sleep_until(late) => {}
                }
                continue;
            }
            for effect in effects {
                match effect {
                    Effect::Send(frame) => connection.sender.send(frame).await?,
                    Effect::Identify { .. } => session.identified(Identified::default()),
                    Effect::Summarize => {
                        session.summarized(Summary::default(), Position::default());
                    }
                    Effect::Commit { arrivals, .. } => {
                        session.committed(Ok(vec![Verdict::Taken; arrivals.len()]));
                        arrivals.into_iter().for_each(|arrival| tell(message(arrival)));
                    }
                    Effect::Phase(Phase::Live) => tell(Message::Live),
                    Effect::End(Ok(())) => return Ok(()),
                    Effect::End(Err(error)) => return Err(Error::Session(error)),
                    _ => {}
                }
            }
        }
    }
}

fn message(Arrival { document, change }: Arrival) -> Message {
    Message::Sync(SyncMessage { document: document.name, kind: document.kind, change })
}

async fn sleep_until(late: Option<Instant>) {
    match late {
        Some(late) => tokio::time::sleep_until(late).await,
        None => std::future::pending().await,
    }
}

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("replica", &self.replica).finish_non_exhaustive()
    }
}
