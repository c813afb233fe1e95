//! A device of the demo: a data directory, the notes in it, and the link to the
//! relay.
//!
//! It promises that every edit it makes is noted down by hand as well, with a
//! time later than all edits before it.

use super::by_hand::{ByHand, Edit};
use super::wire::{Counting, Wire};
use crate::error::AppError;
use crate::note::{Changes, Content};
use crate::notebook::Notebook;
use crate::sync::until_synced;
use repliq::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a device may be without a connection, where it should have one.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Device {
    pub(crate) name: &'static str,
    pub(crate) data_dir: PathBuf,
    pub(crate) wire: Arc<Wire>,
    pub(crate) book: Notebook<Counting<WebSocket>>,
    link: Option<Link>,
}

impl Device {
    pub(crate) async fn open(
        name: &'static str,
        data_dir: PathBuf,
        wire: Arc<Wire>,
    ) -> Result<Self, AppError> {
        let transport = Counting { inner: WebSocket::new(), wire: Arc::clone(&wire) };
        let book = Notebook::open_with(&data_dir, transport).await?;
        Ok(Self { name, data_dir, wire, book, link: None })
    }

    /// Starts to sync in the background, unless it does already.
    pub(crate) async fn go_online(&mut self, url: &str) -> Result<(), AppError> {
        if self.link.is_none() {
            self.link = Some(self.book.replica.sync(url).await?);
        }
        Ok(())
    }

    pub(crate) async fn go_offline(&mut self) {
        if let Some(link) = self.link.take() {
            link.close().await;
        }
    }

    /// Waits until the relay and this device hold the same, durably.
    pub(crate) async fn synced(&self, url: &str) -> Result<(), AppError> {
        match &self.link {
            Some(link) => until_synced(link, url, PATIENCE).await,
            None => Err(AppError::Check(format!("{} is offline", self.name))),
        }
    }

    /// Adds a note; gives its id.
    pub(crate) async fn add(&self, title: &str, by_hand: &mut ByHand) -> Result<String, AppError> {
        let note = Content::new(title, &format!("Written on {}.\n", self.name));
        let at = by_hand.next_time().await?;
        let id = self.book.add(note.clone()).await?;
        by_hand.did(at, self.book.replica.id(), id.clone(), Edit::Made(note));
        Ok(id)
    }

    /// Adds a line to a note.
    pub(crate) async fn edit(&self, id: &str, by_hand: &mut ByHand) -> Result<(), AppError> {
        let line = format!("\nEdited on {}.\n", self.name);
        let body = self.book.find(id)?.1.body + &line;
        let changes = Changes { body: Some(body), ..Changes::default() };
        self.change(id, changes, Edit::Added(line), by_hand).await
    }

    /// Gives a note another title.
    pub(crate) async fn rename(&self, id: &str, by_hand: &mut ByHand) -> Result<(), AppError> {
        let title = format!("Renamed on {}", self.name);
        let changes = Changes { title: Some(title.clone()), ..Changes::default() };
        self.change(id, changes, Edit::Renamed(title), by_hand).await
    }

    /// Adds a tag to a note.
    pub(crate) async fn tag(
        &self,
        id: &str,
        tag: &str,
        by_hand: &mut ByHand,
    ) -> Result<(), AppError> {
        let changes = Changes { tag: vec![tag.to_owned()], ..Changes::default() };
        self.change(id, changes, Edit::Tagged(tag.to_owned()), by_hand).await
    }

    /// Takes a tag away from a note.
    pub(crate) async fn untag(
        &self,
        id: &str,
        tag: &str,
        by_hand: &mut ByHand,
    ) -> Result<(), AppError> {
        let changes = Changes { untag: vec![tag.to_owned()], ..Changes::default() };
        self.change(id, changes, Edit::Untagged(tag.to_owned()), by_hand).await
    }

    async fn change(
        &self,
        id: &str,
        changes: Changes,
        edit: Edit,
        by_hand: &mut ByHand,
    ) -> Result<(), AppError> {
        let at = by_hand.next_time().await?;
        let id = self.book.edit(id, changes).await?;
        by_hand.did(at, self.book.replica.id(), id, edit);
        Ok(())
    }

    pub(crate) async fn remove(&self, id: &str, by_hand: &mut ByHand) -> Result<(), AppError> {
        let at = by_hand.next_time().await?;
        let id = self.book.remove(id).await?;
        by_hand.did(at, self.book.replica.id(), id, Edit::Removed);
        Ok(())
    }

    /// Lets go of the store, in order.
    pub(crate) async fn close(mut self) -> (PathBuf, Arc<Wire>) {
        self.go_offline().await;
        self.book.close().await;
        (self.data_dir, self.wire)
    }
}
