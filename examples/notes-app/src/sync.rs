//! `sync` and `watch`: with a relay, once and for as long as it is wanted.
//!
//! They promise that "in sync" means that both sides hold the same, durably, and
//! that nobody waits for ever for a relay that does not answer.

use crate::commands::{count, one_line, say, short};
use crate::error::AppError;
use crate::notebook::{Notebook, Notes};
use crate::signal;
use repliq::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::time::{Duration, Instant};

/// How many changes are told of together.
const AT_ONCE: usize = 1024;

/// Syncs, and gives up after `timeout` without a connection.
pub(crate) async fn once(book: &Notebook, url: &str, timeout: Duration) -> Result<(), AppError> {
    let before = book.all()?;
    let link = book.replica.sync(url).await?;
    until_synced(&link, url, timeout).await?;
    link.close().await;
    let after = book.all()?;
    let new = after.iter().filter(|(id, note)| before.get(*id) != Some(note)).count();
    let removed = before.keys().filter(|id| !after.contains_key(*id)).count();
    let notes = count(after.len(), "note");
    say(&format!("In sync with {url}: {notes}, {new} new or changed here, {removed} removed"))
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
                Some(event) => {
                    let more = std::iter::from_fn(|| events.try_next()).take(AT_ONCE);
                    tell(book, [event].into_iter().chain(more), &mut known)?;
                }
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

/// What became of a note.
enum Fate {
    There,
    Gone,
}

/// Tells of each note once, however many parts of it have changed.
fn tell(
    book: &Notebook,
    events: impl IntoIterator<Item = <Notes as Crdt>::Event>,
    known: &mut HashSet<String>,
) -> Result<(), AppError> {
    let mut fates = BTreeMap::new();
    for event in events {
        match event {
            CrdtMapEvent::Shown { key, .. } | CrdtMapEvent::Changed { key, .. } => {
                fates.insert(key, Fate::There);
            }
            CrdtMapEvent::Removed { key } => drop(fates.insert(key, Fate::Gone)),
        }
    }
    for (id, fate) in fates {
        let shown = short(&id);
        match (fate, book.title(&id)?) {
            (Fate::There, Some(title)) => {
                let what = if known.insert(id) { "added" } else { "changed" };
                say(&format!("{what} {shown}  {}", one_line(&title)))?;
            }
            // Gone by now, which is told next.
            (Fate::There, None) => {}
            (Fate::Gone, _) => {
                known.remove(&id);
                say(&format!("removed {shown}"))?;
            }
        }
    }
    Ok(())
}
