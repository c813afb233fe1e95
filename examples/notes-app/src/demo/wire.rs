//! A transport around a transport: it counts what passes, and can hold it up.
//!
//! It promises to pass every frame unchanged while it is not told to hold, and to
//! count payload only. It shows how layers compose: whatever takes a `Transport`
//! takes this one.

use bytes::Bytes;
use repliq::{
    Connection, Endpoint, FrameReceiver, FrameSender, Listener, Transport, TransportError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// What may still be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gate {
    Open,
    /// So many frames pass; the next one waits.
    Closing(u32),
    /// A frame waits.
    Holding,
}

/// Payload that passed, both ways, and the gate it passes.
pub(crate) struct Wire {
    bytes: AtomicU64,
    gate: watch::Sender<Gate>,
}

impl Wire {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(0), gate: watch::Sender::new(Gate::Open) })
    }

    /// How many bytes have passed, both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Lets so many more frames out and holds up the next.
    pub(crate) fn hold_after(&self, frames: u32) {
        self.gate.send_replace(Gate::Closing(frames));
    }

    /// Waits until a frame is held up.
    pub(crate) async fn holding(&self) {
        let _ = self.gate.subscribe().wait_for(|gate| *gate == Gate::Holding).await;
    }

    /// Lets everything pass again.
    pub(crate) fn release(&self) {
        self.gate.send_replace(Gate::Open);
    }

    fn count(&self, frame: &Bytes) {
        self.bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
    }

    async fn pass(&self) {
        self.gate.send_if_modified(|gate| {
            let next = match *gate {
                Gate::Closing(0) => Gate::Holding,
                Gate::Closing(frames) => Gate::Closing(frames - 1),
                same => same,
            };
            let changed = next != *gate;
            *gate = next;
            changed
        });
        let _ = self.gate.subscribe().wait_for(|gate| *gate != Gate::Holding).await;
    }
}

/// A transport whose payload is counted.
pub(crate) struct Counting<T> {
    pub(crate) inner: T,
    pub(crate) wire: Arc<Wire>,
}

impl<T> Counting<T> {
    fn around<S, R>(&self, connection: Connection<S, R>) -> Connection<Counting<S>, Counting<R>> {
        around(&self.wire, connection)
    }
}

fn around<S, R>(
    wire: &Arc<Wire>,
    Connection { sender, receiver, peer }: Connection<S, R>,
) -> Connection<Counting<S>, Counting<R>> {
    Connection {
        sender: Counting { inner: sender, wire: Arc::clone(wire) },
        receiver: Counting { inner: receiver, wire: Arc::clone(wire) },
        peer,
    }
}

impl<T: Transport> Transport for Counting<T> {
    type Listener = Counting<T::Listener>;
    type Sender = Counting<T::Sender>;
    type Receiver = Counting<T::Receiver>;

    fn schemes(&self) -> &'static [&'static str] {
        self.inner.schemes()
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        Ok(self.around(self.inner.connect(endpoint).await?))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Self::Listener, TransportError> {
        let inner = self.inner.listen(endpoint).await?;
        Ok(Counting { inner, wire: Arc::clone(&self.wire) })
    }
}

impl<L: Listener> Listener for Counting<L> {
    type Sender = Counting<L::Sender>;
    type Receiver = Counting<L::Receiver>;

    async fn accept(&mut self) -> Result<Connection<Self::Sender, Self::Receiver>, TransportError> {
        let connection = self.inner.accept().await?;
        Ok(around(&self.wire, connection))
    }

    fn local_endpoint(&self) -> Endpoint {
        self.inner.local_endpoint()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.inner.close().await
    }
}

impl<S: FrameSender> FrameSender for Counting<S> {
    async fn send(&mut self, frame: Bytes) -> Result<(), TransportError> {
        self.wire.pass().await;
        self.wire.count(&frame);
        self.inner.send(frame).await
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.inner.close().await
    }
}

impl<R: FrameReceiver> FrameReceiver for Counting<R> {
    async fn recv(&mut self) -> Result<Option<Bytes>, TransportError> {
        let frame = self.inner.recv().await?;
        frame.iter().for_each(|frame| self.wire.count(frame));
        Ok(frame)
    }
}
