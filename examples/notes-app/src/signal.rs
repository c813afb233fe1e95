//! When to stop: Ctrl-C, or the system asking the process to end.
//!
//! It promises to notice every such request made after it was called, and never
//! ends the process by itself: what is under way can be finished first.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Completes when the process is asked to stop. Listens from the moment it is
/// called, not from the first poll.
#[cfg(unix)]
pub(crate) fn stop() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Completes when the process is asked to stop.
#[cfg(not(unix))]
pub(crate) fn stop() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

/// Becomes true when the process is asked to stop.
pub(crate) fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let (stop, raised) = (stop()?, Arc::clone(&flag));
    tokio::spawn(async move {
        stop.await;
        raised.store(true, Ordering::Relaxed);
    });
    Ok(flag)
}
