//! Values kept by name, without sync: for data that stays on one device.

use crate::error::Error;
use crate::store;
use repliq_core::{Batch, LoadError, Loaded, StorageBackend, Stored};

/// Keeps single values in a backend, each with what it takes to go on editing.
///
/// ```
/// use repliq::prelude::*;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let mut map = LwwMap::new(ReplicaId::new());
/// map.set("user_name".to_string(), "Alice".to_string());
///
/// let storage = Storage::new(SledBackend::open(path)?);
/// storage.put("my_map", &map)?;
/// let loaded: Option<LwwMap<String, String>> = storage.get("my_map")?;
/// assert_eq!(loaded.as_ref(), Some(&*map));
///
/// // To go on editing, with no timestamp used twice:
/// if let Some(saved) = storage.get::<Saved<LwwMap<String, String>>>("my_map")? {
///     let mut map = Standalone::resume(saved, map.replica());
///     map.remove("user_name".to_string());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Storage<B> {
    backend: B,
}

impl<B: StorageBackend> Storage<B> {
    /// Keeps values in this backend.
    #[must_use]
    pub const fn new(backend: B) -> Self {
        Self { backend }
    }

    /// Keeps a value under a name, in place of what was there: a
    /// [`Standalone`](repliq_core::Standalone), or a bare value that will only
    /// be read. Durable at the level of the backend when it returns.
    ///
    /// # Errors
    /// [`Error::Store`] when the backend fails or holds something else,
    /// [`Error::Name`] for a name that is empty or too long, [`Error::Save`] for
    /// a value that could not be read again.
    pub fn put<S: Stored>(&self, name: &str, value: &S) -> Result<(), Error> {
        let mut batch = Batch::new();
        if let Some((key, value)) = store::claim_for_named_values(&self.backend)? {
            batch.put(key, value);
        }
        let fail = |source| Error::Save { name: name.to_owned(), source };
        batch.put(key(name)?, value.to_bytes().map_err(fail)?);
        Ok(self.backend.commit(batch)?)
    }

    /// The value under a name: a bare one for reading, or a
    /// [`Saved`](repliq_core::Saved) for
    /// [`Standalone::resume`](repliq_core::Standalone::resume) to go on with.
    ///
    /// # Errors
    /// [`Error::Load`] when it was put as another type or is damaged,
    /// [`Error::Store`] when the backend fails.
    pub fn get<L: Loaded>(&self, name: &str) -> Result<Option<L>, Error> {
        let Some(bytes) = self.backend.get(&key(name)?)? else { return Ok(None) };
        let fail = |source: LoadError| Error::Load { name: name.to_owned(), source };
        L::from_bytes(&bytes).map(Some).map_err(fail)
    }

    /// Removes the value under a name, if there is one.
    ///
    /// # Errors
    /// [`Error::Store`] when the backend fails.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let mut batch = Batch::new();
        batch.delete(key(name)?);
        Ok(self.backend.commit(batch)?)
    }
}

fn key(name: &str) -> Result<Vec<u8>, Error> {
    if name.is_empty() || name.len() > store::MAX_NAME_BYTES {
        return Err(Error::Name(name.to_owned()));
    }
    Ok(store::named_value_key(name))
}
