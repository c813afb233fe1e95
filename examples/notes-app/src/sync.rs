//! `sync` and `watch`: with a relay, once and for as long as it is wanted.
//!
//! They promise that "in sync" means that both sides hold the same, durably, and
//! that nobody waits for ever for a relay that does not answer.

use crate::commands::{one_line, say, short};
use crate::error::AppError;
use crate::notebook::{Notebook, Notes};
use crate::signal;
use repliq::crdts::MapEvent;
use repliq::prelude::*;
use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

/// Syncs, and gives up after `timeout` without a connection.
pub(crate) async fn once(book: &Notebook, url: &str, timeout: Duration) -> Result<(), AppError> {
    let before = book.all()?;
    let link = book.replica.sync(url).await?;
    until_synced(&link, url, timeout).await?;
    link.close().await;
    let after = book.all()?;
    let new = after.iter().filter(|(id, note)| before.get(*id) != Some(note)).count();
    let removed = before.keys().filter(|id| !after.contains_key(*id)).count();
    let count = after.len();
    say(&format!(
        "In sync with {url}: {count} notes, {new} of them new or changed here, {removed} removed"
    ))
}

/// Waits until both sides hold the same, for as long as there is a connection;
/// without one, for `patience` altogether.
pub(crate) async fn until_synced(
    link: &Link,
    url: &str,
    mut patience: Duration,
) -> Result<(), AppError> {
    let allowed = patience;
    let mut why = "no connection yet".to_owned();
    let mut synced = pin!(link.synced());
    let mut statuses = link.watch_status();
    loop {
        let status = statuses.borrow_and_update().clone();
        let connected = matches!(status, LinkStatus::Syncing | LinkStatus::Live);
        if let LinkStatus::Offline(ending) = status {
            why = ending.to_string();
        }
        let since = Instant::now();
        tokio::select! {
            result = &mut synced => {
                return result.map_err(|source| AppError::Sync { url: url.to_owned(), source });
            }
            () = tokio::time::sleep(patience), if !connected => {
                let seconds = allowed.as_secs_f64();
                return Err(AppError::NobodyAnswers { url: url.to_owned(), seconds, why });
            }
            _ = statuses.changed() => {}
        }
        if !connected {
            patience = patience.saturating_sub(since.elapsed());
        }
    }
}

/// Stays in sync and prints what changes, until the process is asked to stop.
pub(crate) async fn watch(book: &Notebook, url: &str) -> Result<(), AppError> {
    let mut stop = pin!(signal::stop()?);
    let mut events = book.notes.subscribe();
    let mut known: HashSet<String> = book.all()?.into_keys().collect();
    let link = book.replica.sync(url).await?;
    let mut statuses = link.watch_status();
    // It may have connected by now.
    statuses.mark_changed();
    say(&format!("Watching {url}: Ctrl-C ends"))?;
    loop {
        tokio::select! {
            () = &mut stop => break,
            event = events.next() => match event {
                Some(event) => tell(event, &mut known)?,
                None if events.lagged() => {
                    say("Many changes at once: `list` shows what there is now")?;
                    events = book.notes.subscribe();
                    known = book.all()?.into_keys().collect();
                }
                None => break,
            },
            changed = statuses.changed() => {
                let status = statuses.borrow_and_update().clone();
                if changed.is_err() || matches!(status, LinkStatus::Closed) {
                    break;
                }
                say(&format!("* {status}"))?;
            }
        }
    }
    link.close().await;
    Ok(())
}

fn tell(event: <Notes as Crdt>::Event, known: &mut HashSet<String>) -> Result<(), AppError> {
    match event {
        MapEvent::Set { key, value } => {
            let (id, title) = (short(&key), one_line(&value.title));
            let what = if known.insert(key) { "added" } else { "changed" };
            say(&format!("{what} {id}  {title}"))
        }
        MapEvent::Removed { key } => {
            known.remove(&key);
            say(&format!("removed {}", short(&key)))
        }
    }
}
