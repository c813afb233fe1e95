//! Where listeners listen: UDP sockets that outlive them.
//!
//! The connections that a listener accepted share its socket, so the socket stays
//! when the listener is closed. It promises that a listener of this process can
//! take the place over, that another process can as soon as the connections have
//! ended, and that nothing is accepted where nobody listens.

use quinn::{
    AsyncTimer, AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, ServerConfig, TokioRuntime,
};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the last packets of ended connections may keep a socket.
const LEAVING: Duration = Duration::from_secs(5);

/// A socket at which somebody listens, or whose connections still live.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: SocketAddr,
    listening: AtomicBool,
    freed: Freed,
}

/// Ends when the socket is free.
type Freed = watch::Receiver<()>;

/// The places of this process.
static PLACES: Mutex<Vec<(SocketAddr, Weak<Place>, Freed)>> = Mutex::new(Vec::new());

impl Place {
    pub(crate) async fn listen(address: SocketAddr, config: ServerConfig) -> io::Result<Arc<Self>> {
        let error = match Self::bind(address, config.clone()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => error,
            other => return other,
        };
        let known = {
            let places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
            places.iter().rfind(|(at, ..)| *at == address).cloned()
        };
        let Some((_, place, freed)) = known else {
            return Err(error);
        };
        if let Some(place) = place.upgrade() {
            if place.listening.swap(true, Ordering::SeqCst) {
                return Err(error);
            }
            place.endpoint.set_server_config(Some(config));
            return Ok(place);
        }
        until_free(freed).await;
        Self::bind(address, config)
    }

    fn bind(address: SocketAddr, config: ServerConfig) -> io::Result<Arc<Self>> {
        let (held, freed) = watch::channel(());
        let runtime: Arc<dyn Runtime> = Arc::new(Holding { _held: held });
        let socket = UdpSocket::bind(address)?;
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)?;
        let address = endpoint.local_addr()?;
        let place = Arc::new(Self {
            endpoint,
            address,
            listening: AtomicBool::new(true),
            freed: freed.clone(),
        });
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|(_, _, freed)| freed.has_changed().is_ok());
        places.push((address, Arc::downgrade(&place), freed));
        Ok(place)
    }

    /// Accepts nothing more. Returns when the socket is free, or at once when
    /// connections live on.
    pub(crate) async fn leave(self: Arc<Self>) {
        self.stop();
        let freed = self.freed.clone();
        if Arc::into_inner(self).is_some() {
            until_free(freed).await;
        }
    }

    /// Accepts nothing more.
    pub(crate) fn stop(&self) {
        self.endpoint.set_server_config(None);
        self.listening.store(false, Ordering::SeqCst);
    }
}

async fn until_free(mut freed: Freed) {
    let _ = timeout(LEAVING, freed.changed()).await;
}

/// Tokio, as quinn sees it. Quinn holds it wherever it holds the socket, and drops
/// it after the socket, so its end tells that the socket is free.
#[derive(Debug)]
struct Holding {
    _held: watch::Sender<()>,
}

impl Runtime for Holding {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}
