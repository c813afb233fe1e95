//! A relay in one line.

use crate::error::Error;
use crate::relay::Relay;
use repliq_backend_sled::SledBackend;
use repliq_core::{Endpoint, StorageBackend};
use repliq_transport_websocket::WebSocket;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

type Opening = Pin<Box<dyn Future<Output = Result<Relay, Error>> + Send>>;

/// A relay over WebSocket that keeps its data in `./repliq-relay`, with sled,
/// or wherever [`Server::storage`] says.
///
/// ```no_run
/// use repliq::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// Server::new("127.0.0.1:8080".to_string()).run().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a server does nothing until it runs"]
pub struct Server {
    address: String,
    open: Box<dyn FnOnce() -> Opening + Send>,
}

impl Server {
    /// A relay at this address: `127.0.0.1:8080`, or a URL.
    pub fn new(address: String) -> Self {
        let open = || -> Opening {
            Box::pin(async {
                let open = || SledBackend::open("./repliq-relay");
                let backend =
                    tokio::task::spawn_blocking(open).await.map_err(|_| Error::Closed)??;
                Relay::open(backend).await
            })
        };
        Self { address, open: Box::new(open) }
    }

    /// Keeps the data in this backend.
    pub fn storage(self, storage: impl StorageBackend) -> Self {
        Self { open: Box::new(|| Box::pin(Relay::open(storage))), ..self }
    }

    /// Starts to serve and returns the relay with the address it listens at.
    ///
    /// # Errors
    /// [`Error`]: the store does not open, or the address is in use.
    pub async fn start(self) -> Result<(Relay, Endpoint), Error> {
        let relay = (self.open)().await?;
        let scheme = if self.address.contains("://") { "" } else { "ws://" };
        let url = format!("{scheme}{}", self.address);
        let endpoint = relay.listen(WebSocket::default(), &url).await?;
        Ok((relay, endpoint))
    }

    /// Serves until the future is dropped or the store fails for good.
    ///
    /// # Errors
    /// As [`Server::start`], and [`Error::Failed`].
    pub async fn run(self) -> Result<(), Error> {
        let (relay, _) = self.start().await?;
        let error = relay.failed().await;
        relay.close().await;
        Err(error)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}
