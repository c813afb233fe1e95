//! An in-process transport for Repliq, for tests and for replicas that share a
//! process.
//!
//! It promises the whole contract of [`Transport`] with bounded queues: at most
//! 16 frames wait in each direction and 128 connections at a listener. It never
//! leaves the process, and two [`MemoryTransport::new`] never reach each other.
//!
//! ```
//! use repliq_core::{FrameReceiver, FrameSender, Listener, Transport};
//! use repliq_transport_memory::MemoryTransport;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = MemoryTransport::new();
//! let mut listener = transport.listen(&"memory://relay".parse()?).await?;
//! let mut here = transport.connect(&"memory://relay".parse()?).await?;
//! let mut there = listener.accept().await?;
//! here.sender.send("hello".into()).await?;
//! assert_eq!(there.receiver.recv().await?, Some("hello".into()));
//! # Ok(())
//! # }
//! ```

mod connection;
mod network;

pub use connection::{MemoryReceiver, MemorySender};
pub use network::MemoryListener;

use network::Network;
use repliq_core::{Connection, Endpoint, Transport, TransportError, TransportErrorKind};
use std::sync::Arc;

const SCHEME: &str = "memory";

/// A network inside this process. Clones share it; each [`MemoryTransport::new`]
/// is a network of its own.
///
/// An endpoint is `memory://name`; a path and a query are ignored. To listen at
/// `memory://:0` picks a free name, as port 0 picks a free port.
#[derive(Clone, Default, Debug)]
pub struct MemoryTransport {
    network: Arc<Network>,
}

impl MemoryTransport {
    /// A network on which nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Transport for MemoryTransport {
    type Listener = MemoryListener;
    type Sender = MemorySender;
    type Receiver = MemoryReceiver;

    fn schemes(&self) -> &'static [&'static str] {
        &[SCHEME]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        name_in(endpoint).map(drop)
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Connection<MemorySender, MemoryReceiver>, TransportError> {
        self.network.connect(name_in(endpoint)?, endpoint)
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<MemoryListener, TransportError> {
        Network::listen(&self.network, name_in(endpoint)?, endpoint)
    }
}

fn name_in(endpoint: &Endpoint) -> Result<&str, TransportError> {
    let refuse = |why: String| Err(TransportError::new(TransportErrorKind::Endpoint, why));
    if endpoint.scheme() != SCHEME {
        return refuse(format!("{endpoint} is not served here; write it like memory://relay"));
    }
    match endpoint.authority() {
        "" => refuse(format!("{endpoint} has no name; write it like memory://relay")),
        name => Ok(name),
    }
}
