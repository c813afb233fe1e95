//! Documents: a named CRDT of a space, read and updated through cheap handles.

mod core;
mod events;
mod held;
mod inbox;
mod open;
mod state;

pub(crate) use self::core::OpenDocument;
pub use events::Events;
pub(crate) use inbox::Item;
pub use state::RefusedOps;

use self::core::DocumentCore;
use crate::engine::{Engine, Space};
use crate::error::{Error, ReadError, UpdateError};
use repliq_core::{Crdt, Tx, Version};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// A handle to a document. Cheap to clone; the document stays loaded while a
/// handle or a subscription lives, and is loaded again when it is next needed.
///
/// Closures given to it run on the calling thread, under the document's lock:
/// keep them short, and do not call other documents from inside `update`.
pub struct Document<C: Crdt> {
    core: Arc<DocumentCore<C>>,
}

impl<C: Crdt> Document<C> {
    pub(crate) async fn open(
        engine: &Arc<Engine>,
        space: &Arc<Space>,
        name: &str,
    ) -> Result<Self, Error> {
        Ok(Self { core: open::open(engine, space, name).await? })
    }

    /// The name of the document.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name.name
    }

    /// Edits the document in one transaction. Durable when it returns; visible
    /// to readers on this device at once; sent to peers once durable.
    ///
    /// Nothing happens before the future is first polled. Dropping it later
    /// undoes nothing: the change commits all the same.
    ///
    /// ```
    /// # use repliq::prelude::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let replica = Replica::open(directory.path()).await?;
    /// let stock: Document<LwwMap<String, u32>> = replica.document("stock").await?;
    /// let all = stock
    ///     .update(|m| {
    ///         m.set("apples".to_string(), 3);
    ///         m.set("pears".to_string(), 4);
    ///         m.values().sum::<u32>()
    ///     })
    ///     .await?;
    /// assert_eq!(all, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`UpdateError`]; nothing has changed then.
    ///
    /// # Panics
    /// When the closure does; nothing has changed then either, and the document
    /// stays usable.
    pub fn update<R, F>(
        &self,
        update: F,
    ) -> impl Future<Output = Result<R, UpdateError>> + Send + use<R, F, C>
    where
        R: Send,
        F: FnOnce(&mut Tx<'_, C>) -> R + Send,
    {
        let core = Arc::clone(&self.core);
        core.update(|tx| Ok::<R, Infallible>(update(tx)))
    }

    /// Edits the document in one transaction, unless the closure returns an
    /// error. Otherwise as [`Document::update`].
    ///
    /// ```
    /// # use repliq::prelude::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let replica = Replica::open(directory.path()).await?;
    /// let stock: Document<LwwMap<String, u32>> = replica.document("stock").await?;
    /// let sold = stock
    ///     .try_update(|m| {
    ///         m.set("apples".to_string(), 0);
    ///         Err::<(), _>("there are none")
    ///     })
    ///     .await;
    /// assert!(sold.is_err());
    /// assert_eq!(stock.read(|m| m.len())?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`UpdateError`], [`UpdateError::Aborted`] with what the closure
    /// returned; nothing has changed then.
    ///
    /// # Panics
    /// As [`Document::update`].
    pub fn try_update<R, E, F>(
        &self,
        update: F,
    ) -> impl Future<Output = Result<R, UpdateError<E>>> + Send + use<R, E, F, C>
    where
        R: Send,
        E: Send,
        F: FnOnce(&mut Tx<'_, C>) -> Result<R, E> + Send,
    {
        let core = Arc::clone(&self.core);
        core.update(update)
    }

    /// Reads the document, with every change that is durable on this device and
    /// every update that was made.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read<R>(&self, read: impl FnOnce(&C) -> R) -> Result<R, ReadError> {
        self.core.read(read)
    }

    /// What the document has seen, own updates that are not yet durable included.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn version(&self) -> Result<Version, ReadError> {
        self.core.version()
    }

    /// How many changes of peers do not decode as `C`, as far as they came in
    /// since this document was loaded: a newer version of the app made them, or
    /// somebody who means no good. They have no effect here, are kept and passed
    /// on, and are read again when the document is next loaded.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn unread(&self) -> Result<usize, ReadError> {
        self.core.unread()
    }

    /// The changes of which `C` refused an op, as far as they came in since this
    /// document was loaded without a snapshot of them: `None` if there are none. They
    /// have no effect on any device, and are kept and passed on all the same.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn refused(&self) -> Result<Option<RefusedOps>, ReadError> {
        self.core.refused()
    }

    /// Follows the visible changes from now on.
    ///
    /// ```
    /// # use repliq::prelude::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let replica = Replica::open(directory.path()).await?;
    /// let tags: Document<LwwSet<String>> = replica.document("tags").await?;
    /// let mut events = tags.subscribe();
    /// tags.update(|t| t.add("new".to_string())).await?;
    /// let told = events.next().await;
    /// assert_eq!(told, Some(SetEvent::Added { element: "new".to_string() }));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Events<C> {
        self.core.subscribe()
    }
}

impl<C: Crdt> Clone for Document<C> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<C: Crdt> fmt::Debug for Document<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("name", &self.name()).finish_non_exhaustive()
    }
}
