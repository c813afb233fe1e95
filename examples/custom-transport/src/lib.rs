#![doc = include_str!("../README.md")]

mod connection;
mod frames;
mod listener;
mod place;

pub use connection::{UnixReceiver, UnixSender};
pub use listener::UnixSocketListener;

use place::{Place, failed};
use repliq_core::{Connection, Endpoint, Transport, TransportError, TransportErrorKind};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

/// How long to try when a listener has no room for another waiting connection.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// Repliq over Unix domain sockets, between processes of one machine.
///
/// An endpoint is `unix:///path/of/socket`, percent-encoded where a URL has to be;
/// the space at the other end is named by `?space=team`. To listen at a path with a
/// slash at its end picks a free name in that directory, as port 0 picks a port.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnixSocket;

impl Transport for UnixSocket {
    type Listener = UnixSocketListener;
    type Sender = UnixSender;
    type Receiver = UnixReceiver;

    fn schemes(&self) -> &'static [&'static str] {
        &[place::SCHEME]
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), TransportError> {
        Place::of(endpoint).map(drop)
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Connection<UnixSender, UnixReceiver>, TransportError> {
        let place = Place::of(endpoint)?;
        let give_up = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(place.path()).await {
                Ok(stream) => return Ok(connection::open(stream)),
                // Too many wait to be accepted already; TCP would wait by itself.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() > give_up {
                        let why = format!("{endpoint}: nobody accepts");
                        return Err(TransportError::new(TransportErrorKind::Unreachable, why));
                    }
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(failed(endpoint, error)),
            }
        }
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<UnixSocketListener, TransportError> {
        UnixSocketListener::bind(Place::of(endpoint)?.or_free_name()?)
    }
}
