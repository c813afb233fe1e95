//! A transport that counts frames and their bytes, in both directions.

use bytes::Bytes;
use repliq::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, Transport, TransportError,
};
use std::sync::Arc;
use tokio::sync::watch;

/// What passed since the last time, seen from the side that connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections made.
    pub connections: usize,
    /// Frames sent.
    pub frames_sent: usize,
    /// Bytes in them.
    pub bytes_sent: usize,
    /// Frames received.
    pub frames_received: usize,
    /// Bytes in them.
    pub bytes_received: usize,
}

impl Traffic {
    /// Bytes in both directions.
    pub const fn bytes(&self) -> usize {
        self.bytes_sent + self.bytes_received
    }

    /// Frames in both directions.
    pub const fn frames(&self) -> usize {
        self.frames_sent + self.frames_received
    }
}

/// A transport around a transport that counts what passes on the connections
/// it opens. Clones share the counts.
#[derive(Clone)]
pub struct Counting<T> {
    inner: T,
    traffic: Arc<watch::Sender<Traffic>>,
}

impl<T> Counting<T> {
    pub fn new(inner: T) -> Self {
        Self { inner, traffic: Arc::new(watch::Sender::new(Traffic::default())) }
    }

    /// What passed since the last call.
    pub fn take(&self) -> Traffic {
        self.traffic.send_replace(Traffic::default())
    }

    /// What passed since the last [`Counting::take`].
    pub fn seen(&self) -> Traffic {
        *self.traffic.borrow()
    }

    /// Waits until that much has passed since the last [`Counting::take`].
    pub async fn until(&self, mut enough: impl FnMut(&Traffic) -> bool) {
        let mut traffic = self.traffic.subscribe();
        let waited = traffic.wait_for(|traffic| enough(traffic));
        let waited = tokio::time::timeout(std::time::Duration::from_secs(30), waited).await;
        assert!(waited.is_ok(), "only this passed: {:?}", self.seen());
    }
}

impl<T: Transport> Transport for Counting<T> {
    type Listener = Uncounted<T::Listener>;
    type Sender = CountingHalf<T::Sender>;
    type Receiver = CountingHalf<T::Receiver>;

    fn schemes(&self) -> &'static [&'static str] {
        self.inner.schemes()
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        let connection = self.inner.connect(endpoint).await?;
        self.traffic.send_modify(|traffic| traffic.connections += 1);
        Ok(wrap(connection, Some(&self.traffic)))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Self::Listener, TransportError> {
        self.inner.listen(endpoint).await.map(Uncounted)
    }
}

/// A listener whose connections are not counted.
pub struct Uncounted<L>(L);

impl<L: Listener> Listener for Uncounted<L> {
    type Sender = CountingHalf<L::Sender>;
    type Receiver = CountingHalf<L::Receiver>;

    async fn accept(&mut self) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        self.0.accept().await.map(|connection| wrap(connection, None))
    }

    fn local_endpoint(&self) -> Endpoint {
        self.0.local_endpoint()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.0.close().await
    }
}

fn wrap<S, R>(
    connection: Connection<S, R>,
    traffic: Option<&Arc<watch::Sender<Traffic>>>,
) -> Connection<CountingHalf<S>, CountingHalf<R>> {
    let Connection { sender, receiver, peer } = connection;
    Connection {
        sender: CountingHalf { inner: sender, traffic: traffic.cloned() },
        receiver: CountingHalf { inner: receiver, traffic: traffic.cloned() },
        peer,
    }
}

/// One half of a connection.
pub struct CountingHalf<H> {
    inner: H,
    traffic: Option<Arc<watch::Sender<Traffic>>>,
}

impl<H> CountingHalf<H> {
    fn count(&self, count: impl FnOnce(&mut Traffic)) {
        if let Some(traffic) = &self.traffic {
            traffic.send_modify(count);
        }
    }
}

impl<S: FrameSender> FrameSender for CountingHalf<S> {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        let bytes = frame.len();
        self.inner.send(frame).await?;
        self.count(|traffic| {
            traffic.frames_sent += 1;
            traffic.bytes_sent += bytes;
        });
        Ok(())
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.inner.close().await
    }
}

impl<R: FrameReceiver> FrameReceiver for CountingHalf<R> {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        let frame = self.inner.recv().await?;
        if let Some(frame) = &frame {
            self.count(|traffic| {
                traffic.frames_received += 1;
                traffic.bytes_received += frame.len();
            });
        }
        Ok(frame)
    }
}
