//! Listening at a path, and leaving no trace that hinders the next listener.
//!
//! Who listens holds a lock on a file beside the socket, so a socket file beside a
//! free lock is a stale one and may be removed; without the lock two processes could
//! remove each other's. It never removes what is neither a socket nor that lock.

use crate::connection::{self, UnixReceiver, UnixSender};
use crate::place::{Place, failed};
use repliq_core::{Connection, Endpoint, Listener, TransportError, TransportErrorKind};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::time::sleep;

/// How long accepting rests when the system refuses, as when files run out.
const REST: Duration = Duration::from_millis(50);

/// Accepts connections at one path.
#[derive(Debug)]
pub struct UnixSocketListener {
    place: Place,
    /// Nothing once the listener was closed.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    socket: UnixListener,
    /// Held as long as it is open; the system frees it when the process dies.
    _lock: File,
}

impl UnixSocketListener {
    pub(crate) fn bind(place: Place) -> Result<Self, TransportError> {
        let bind = || -> io::Result<Open> {
            let lock = lock(&place)?;
            remove_stale(&place)?;
            Ok(Open { socket: UnixListener::bind(place.path())?, _lock: lock })
        };
        match bind() {
            Ok(open) => Ok(Self { place, open: Some(open) }),
            // Listening, what is not found is the directory.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let why = format!("{}: there is no such directory", place.endpoint());
                Err(TransportError::new(TransportErrorKind::Endpoint, why))
            }
            Err(error) => Err(failed(place.endpoint(), error)),
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        // The files go before the lock, or they could be the next listener's.
        let paths = [self.place.path(), &self.place.lock_path()];
        let removed = self.open.as_ref().map(|_| paths.map(fs::remove_file));
        self.open = None;
        let failed = removed.into_iter().flatten().filter_map(Result::err);
        failed.filter(|error| error.kind() != ErrorKind::NotFound).map(Err).next().unwrap_or(Ok(()))
    }
}

/// The lock of this place, unless somebody has it.
fn lock(place: &Place) -> io::Result<File> {
    loop {
        let path = place.lock_path();
        let lock = File::options().create(true).append(true).open(&path)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ErrorKind::AddrInUse.into(),
            TryLockError::Error(error) => error,
        })?;
        // The listener before removes its file: a lock on that one locks nothing.
        if fs::metadata(path).is_ok_and(|at| lock.metadata().is_ok_and(|it| it.ino() == at.ino())) {
            return Ok(lock);
        }
    }
}

/// Called with the lock held: what is there was left behind, unless a program that
/// knows nothing of the lock listens there.
fn remove_stale(place: &Place) -> io::Result<()> {
    match fs::symlink_metadata(place.path()) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match std::os::unix::net::UnixStream::connect(place.path()) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(place.path()),
        _ => Err(ErrorKind::AddrInUse.into()),
    }
}

impl Listener for UnixSocketListener {
    type Sender = UnixSender;
    type Receiver = UnixReceiver;

    async fn accept(&mut self) -> Result<Connection<UnixSender, UnixReceiver>, TransportError> {
        let open = self.open.as_ref().ok_or(TransportErrorKind::Closed)?;
        loop {
            // There is no handshake: the greeting is read with the first frame, so a
            // peer that stalls keeps nobody but its own receiver waiting.
            match open.socket.accept().await {
                Ok((stream, _)) => return Ok(connection::open(stream)),
                Err(_) => sleep(REST).await,
            }
        }
    }

    fn local_endpoint(&self) -> Endpoint {
        self.place.endpoint().clone()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.stop().map_err(|error| failed(self.place.endpoint(), error))
    }
}

impl Drop for UnixSocketListener {
    fn drop(&mut self) {
        // Nobody is left to tell; the next listener removes it.
        let _ = self.stop();
    }
}
