//! `repliq serve`: a relay as a process.
//!
//! It promises that what it has acknowledged is on its disk, that it says where
//! it listens as soon as it does, that it closes in order when it is asked to stop,
//! and that it says when its store fails, and ends when that is for good. It never
//! looks into the data it keeps.

use crate::places::{PlaceError, PlaceOptions};
use crate::signal;
use clap::Args;
use repliq::prelude::*;
use repliq::{Endpoint, StoreStatus};
use std::io::Write;
use std::path::PathBuf;

/// Runs a relay: devices meet at it, and it keeps their changes for devices that come later
///
/// The relay stores every change it is sent before it acknowledges it, so stopping it in any way, kill -9 included,
/// loses nothing that was acknowledged. It knows no data types: one relay serves any apps. It prints the URLs that
/// devices sync with, a line each. Ctrl-C or SIGTERM stops it.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(flatten)]
    places: PlaceOptions,
    /// The directory to keep the data in; it is created, and is used by one process at a time
    #[arg(long, value_name = "DIR", default_value = "./repliq-relay")]
    data: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  Plain, behind a proxy that encrypts, or on this machine:
    repliq serve --listen ws://127.0.0.1:8080 --data /var/lib/repliq
  Encrypted without an authority; devices take the URL that is printed, with its ?fingerprint=…:
    repliq serve --listen quic://0.0.0.0:9000 --self-signed /etc/repliq
  Encrypted with a certificate for the relay's name; devices write wss://relay.example:
    repliq serve --listen wss://0.0.0.0:443 --listen quic://0.0.0.0:443 --certificate chain.pem --key key.pem";

/// Why the relay does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Places(#[from] PlaceError),
    #[error("the data in {} cannot be opened: {why}", data.display())]
    Open { data: PathBuf, why: repliq::Error },
    #[error("cannot listen at {listen}: {why}")]
    Listen { listen: Endpoint, why: repliq::Error },
    #[error("the relay stopped: {0}")]
    Failed(repliq::Error),
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Serves until the process is asked to stop.
pub(crate) async fn run(Options { places, data }: Options) -> Result<(), ServeError> {
    let stop = signal::stop()?;
    let places = places.places()?;
    let relay = match SledBackend::open(&data) {
        Ok(backend) => Relay::open(backend).await,
        Err(error) => Err(error.into()),
    };
    let relay = relay.map_err(|why| ServeError::Open { data: data.clone(), why })?;
    let listening = places.listen(&relay).await;
    let listening = listening.map_err(|(listen, why)| ServeError::Listen { listen, why })?;
    for endpoint in listening {
        writeln!(std::io::stdout(), "Relay at {endpoint}, data in {}", data.display())?;
    }
    let ended = tokio::select! {
        () = stop => Ok(()),
        why = relay.failed() => Err(ServeError::Failed(why)),
        told = tell_status(&relay) => told,
    };
    relay.close().await;
    ended
}

/// Says when the store takes no changes, and when it does again.
async fn tell_status(relay: &Relay) -> Result<(), ServeError> {
    let mut status = relay.watch_store();
    while status.changed().await.is_ok() {
        let said = match &*status.borrow_and_update() {
            StoreStatus::Working => "The relay takes changes again".to_owned(),
            StoreStatus::Failing(why) => format!("The relay takes no changes now: {why}"),
            // This ends it, and is said then.
            _ => continue,
        };
        writeln!(std::io::stdout(), "{said}")?;
    }
    std::future::pending().await
}
