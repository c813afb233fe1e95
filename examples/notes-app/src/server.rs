//! `server`: a relay in the data directory, beside the device's own notes.
//!
//! It promises that the notes of the data directory are on the relay when it says
//! that it is ready, and that it does not keep the device's store in use: other
//! commands go on working while the relay runs.

use crate::commands::say;
use crate::error::AppError;
use crate::notebook::{Notebook, RELAY, device_store, open_store};
use crate::{signal, sync};
use repliq::Server;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

/// How long the device may take to reach the relay, which is in the same process.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until the process is asked to stop.
pub(crate) async fn run(data_dir: &Path, addr: String) -> Result<(), AppError> {
    let mut stop = pin!(signal::stop()?);
    let storage = open_store(data_dir, RELAY)?;
    let (relay, endpoint) = Server::new(addr).storage(storage).start().await?;
    tokio::select! {
        published = publish(data_dir, endpoint.as_str()) => {
            if let Err(error) = published {
                let dir = data_dir.display();
                writeln!(std::io::stderr(), "notes-app: the notes in {dir} are not on the relay: {error}")?;
            }
            say(&format!("Relay at {endpoint}, data in {}", data_dir.join(RELAY).display()))?;
            stop.await;
        }
        () = &mut stop => {}
    }
    relay.close().await;
    Ok(())
}

/// Brings the notes of this data directory to the relay.
async fn publish(data_dir: &Path, url: &str) -> Result<(), AppError> {
    if device_store(data_dir).is_none() {
        return Ok(());
    }
    let book = Notebook::open(data_dir).await?;
    let link = book.replica.sync(url).await?;
    let synced = sync::until_synced(&link, url, PATIENCE).await;
    book.close().await;
    synced
}
