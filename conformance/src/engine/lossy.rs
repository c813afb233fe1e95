//! A transport around any transport whose frames get lost or come twice.
//!
//! A transport promises its frames whole, in order and once, so this one breaks
//! the contract on purpose: the sync protocol assumes less, that losing or
//! repeating any frame costs a reconnect at most. It promises that a connection
//! that has lost a frame ends within [`NOTICED`], as the keep-alive of a real
//! transport ends one that is dead in one direction; until then frames go on
//! passing, so the engine meets the gap first. With the first frame of a direction
//! all others are lost: a connection that begins in the middle is nothing a transport
//! gives, and looks like a stranger's. It never changes or reorders a frame.

use super::network::{Direction, Fate, Network};
use bytes::Bytes;
use repliq_core::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, Transport, TransportError,
    TransportErrorKind,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// When a connection that has lost a frame ends.
const NOTICED: Duration = Duration::from_millis(50);

/// A transport over a [`Network`] with faults.
#[derive(Clone, Debug)]
pub struct Lossy<T> {
    inner: T,
    network: Network,
}

impl<T> Lossy<T> {
    /// This transport over that network.
    pub const fn new(inner: T, network: Network) -> Self {
        Self { inner, network }
    }
}

impl<T: Transport> Transport for Lossy<T> {
    type Listener = LossyListener<T::Listener>;
    type Sender = LossySender<T::Sender>;
    type Receiver = LossyReceiver<T::Receiver>;

    fn schemes(&self) -> &'static [&'static str] {
        self.inner.schemes()
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        self.inner.check(endpoint)
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        Ok(over(&self.network, self.inner.connect(endpoint).await?))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Self::Listener, TransportError> {
        let inner = self.inner.listen(endpoint).await?;
        Ok(LossyListener { inner, network: self.network.clone() })
    }
}

fn over<S, R>(
    network: &Network,
    connection: Connection<S, R>,
) -> Connection<LossySender<S>, LossyReceiver<R>> {
    let ends = Arc::new(watch::Sender::new(None));
    let way = |direction| Way {
        network: network.clone(),
        direction,
        is_first: true,
        is_dead: false,
        ends: Arc::clone(&ends),
    };
    Connection {
        sender: LossySender { inner: connection.sender, way: way(Direction::Sending) },
        receiver: LossyReceiver {
            inner: connection.receiver,
            way: way(Direction::Receiving),
            again: None,
        },
        peer: connection.peer,
    }
}

/// Accepts connections with faults.
#[derive(Debug)]
pub struct LossyListener<L> {
    inner: L,
    network: Network,
}

impl<L: Listener> Listener for LossyListener<L> {
    type Sender = LossySender<L::Sender>;
    type Receiver = LossyReceiver<L::Receiver>;

    async fn accept(&mut self) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        Ok(over(&self.network, self.inner.accept().await?))
    }

    fn local_endpoint(&self) -> Endpoint {
        self.inner.local_endpoint()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.inner.close().await
    }
}

/// One direction of a connection.
#[derive(Debug)]
struct Way {
    network: Network,
    direction: Direction,
    /// No frame has passed yet.
    is_first: bool,
    is_dead: bool,
    /// When the connection ends; both directions share it.
    ends: Arc<watch::Sender<Option<Instant>>>,
}

impl Way {
    fn fate(&mut self) -> Fate {
        if self.is_dead {
            return Fate::Lost { rest: true };
        }
        let (fate, is_first) = (self.network.fate(self.direction), self.is_first);
        self.is_first = false;
        if let Fate::Lost { rest } = fate {
            self.is_dead = rest || is_first;
            let noticed = Instant::now() + NOTICED;
            self.ends.send_if_modified(|ends| ends.replace(noticed).is_none());
        }
        fate
    }

    /// Waits until the connection ends because a frame was lost.
    async fn end(&self) -> TransportError {
        let mut ends = self.ends.subscribe();
        let at = ends.wait_for(Option::is_some).await.ok().and_then(|at| *at);
        match at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
        TransportErrorKind::Lost.into()
    }
}

/// Sends frames that may get lost.
#[derive(Debug)]
pub struct LossySender<S> {
    inner: S,
    way: Way,
}

impl<S: FrameSender> FrameSender for LossySender<S> {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        match self.way.fate() {
            Fate::Arrives => self.inner.send(frame).await,
            Fate::ArrivesTwice => {
                self.inner.send(frame.clone()).await?;
                self.inner.send(frame).await
            }
            Fate::Lost { .. } => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.inner.close().await
    }
}

/// Receives what did not get lost.
#[derive(Debug)]
pub struct LossyReceiver<R> {
    inner: R,
    way: Way,
    again: Option<Bytes>,
}

impl<R: FrameReceiver> FrameReceiver for LossyReceiver<R> {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        if let Some(frame) = self.again.take() {
            return Ok(Some(frame));
        }
        loop {
            let received = tokio::select! {
                biased;
                received = self.inner.recv() => received?,
                lost = self.way.end() => return Err(lost),
            };
            let Some(frame) = received else { return Ok(None) };
            match self.way.fate() {
                Fate::Arrives => return Ok(Some(frame)),
                Fate::ArrivesTwice => {
                    self.again = Some(frame.clone());
                    return Ok(Some(frame));
                }
                Fate::Lost { .. } => {}
            }
        }
    }
}
