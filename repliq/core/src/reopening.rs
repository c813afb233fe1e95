//! A storage engine that is opened again after it failed: what an adaptor puts
//! around an engine that stays unusable after its first error, as most do. It
//! promises that no call reaches an engine that has failed or panicked, and that
//! damage stays reported. It does no I/O of its own, and retries no call.

use crate::{StorageError, StorageErrorKind};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

type Open<E> = Box<dyn Fn() -> Result<E, StorageError> + Send + Sync>;

/// An open storage engine, or the way to open it again.
///
/// After an error other than [`Unsupported`](StorageErrorKind::Unsupported), which
/// says that a call was refused, the engine is dropped; the next call opens it
/// again and so finds what is durable, or reports why it cannot. After
/// [`Corrupt`](StorageErrorKind::Corrupt), which a panic counts as too, it stays
/// closed: somebody has to look at it.
///
/// ```
/// use repliq_core::{Reopening, StorageErrorKind};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// let opened = AtomicU32::new(0);
/// let engine = Reopening::open(move || Ok(opened.fetch_add(1, Ordering::SeqCst)))?;
/// assert_eq!(engine.call(|opened| Ok(*opened))?, 0);
/// let full: Result<(), _> = engine.call(|_| Err(StorageErrorKind::Full.into()));
/// assert!(full.is_err());
/// assert_eq!(engine.call(|opened| Ok(*opened))?, 1);
/// # Ok::<(), repliq_core::StorageError>(())
/// ```
pub struct Reopening<E> {
    state: RwLock<State<E>>,
    open: Open<E>,
}

enum State<E> {
    /// The number tells one opening from the next.
    Open(E, u64),
    Closed(u64),
    Damaged(String),
}

impl<E> Reopening<E> {
    /// Opens the engine, and keeps how to do it again.
    ///
    /// # Errors
    /// What `open` reports, and [`Corrupt`](StorageErrorKind::Corrupt) when it
    /// panics.
    pub fn open(
        open: impl Fn() -> Result<E, StorageError> + Send + Sync + 'static,
    ) -> Result<Self, StorageError> {
        let engine = caught(&open)?;
        Ok(Self { state: RwLock::new(State::Open(engine, 0)), open: Box::new(open) })
    }

    /// Uses the engine. Calls run beside each other; opening again waits for those
    /// that are under way.
    ///
    /// # Errors
    /// What `work` reports, or why the engine cannot be opened again.
    pub fn call<T>(
        &self,
        work: impl FnOnce(&E) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut state = self.read();
        while let State::Closed(opening) = *state {
            drop(state);
            self.reopen(opening)?;
            state = self.read();
        }
        let (result, opening) = match &*state {
            State::Open(engine, opening) => (caught(|| work(engine)), *opening),
            State::Closed(opening) => (Err(StorageErrorKind::Closed.into()), *opening),
            State::Damaged(why) => return Err(damaged(&format!("{why}; open the store again"))),
        };
        drop(state);
        result.inspect_err(|error| {
            if error.kind != StorageErrorKind::Unsupported {
                self.close(error, opening);
            }
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, State<E>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<E>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn reopen(&self, closed: u64) -> Result<(), StorageError> {
        let mut state = self.write();
        if matches!(*state, State::Closed(opening) if opening == closed) {
            match caught(&self.open) {
                Ok(engine) => *state = State::Open(engine, closed + 1),
                Err(error) => {
                    state.note(&error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Drops the engine whose call failed, unless another call has seen to it.
    fn close(&self, error: &StorageError, failed: u64) {
        let mut state = self.write();
        if matches!(*state, State::Open(_, opening) if opening == failed) {
            state.drop_engine(failed);
            state.note(error);
        }
    }
}

impl<E> State<E> {
    fn drop_engine(&mut self, opening: u64) {
        let engine = std::mem::replace(self, Self::Closed(opening));
        let _ = caught(|| {
            drop(engine);
            Ok(())
        });
    }

    /// Keeps that it is damaged.
    fn note(&mut self, error: &StorageError) {
        if error.kind == StorageErrorKind::Corrupt {
            let why = error.source.as_ref().map_or_else(String::new, ToString::to_string);
            *self = Self::Damaged(why);
        }
    }
}

impl<E> Drop for Reopening<E> {
    fn drop(&mut self) {
        self.write().drop_engine(0);
    }
}

/// Engines may panic on damage.
fn caught<T>(work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(damaged(&format!("it panicked: {}", text.unwrap_or("no reason given"))))
    })
}

fn damaged(why: &str) -> StorageError {
    StorageError::new(StorageErrorKind::Corrupt, why.to_owned())
}

impl<E> fmt::Debug for Reopening<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reopening").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
    use std::sync::{Arc, Barrier};

    /// An engine that counts how many of it there are; one at a time may be.
    struct Engine(Arc<AtomicU32>);

    impl Drop for Engine {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }

    fn counted(
        opens: &Arc<AtomicBool>,
        kind: StorageErrorKind,
    ) -> (Reopening<Engine>, Arc<AtomicU32>) {
        let (alive, opens) = (Arc::<AtomicU32>::default(), Arc::clone(opens));
        let counter = Arc::clone(&alive);
        let engine = Reopening::open(move || {
            if !opens.load(SeqCst) {
                return Err(kind.into());
            }
            assert_eq!(counter.fetch_add(1, SeqCst), 0, "the one before was dropped first");
            Ok(Engine(Arc::clone(&counter)))
        });
        (engine.unwrap(), alive)
    }

    #[test]
    fn a_failed_engine_is_dropped_and_opened_again_once_it_can_be() {
        let opens = Arc::new(AtomicBool::new(true));
        let (engine, alive) = counted(&opens, StorageErrorKind::Full);
        for _ in 0..3 {
            let failed = engine.call::<()>(|_| Err(StorageErrorKind::Io.into()));
            assert_eq!(failed.unwrap_err().kind, StorageErrorKind::Io);
            assert_eq!(alive.load(SeqCst), 0);
            opens.store(false, SeqCst);
            assert_eq!(engine.call(|_| Ok(())).unwrap_err().kind, StorageErrorKind::Full);
            opens.store(true, SeqCst);
            assert_eq!(engine.call(|engine| Ok(engine.0.load(SeqCst))).unwrap(), 1);
        }
        drop(engine);
        assert_eq!(alive.load(SeqCst), 0);
    }

    #[test]
    fn a_refused_call_leaves_the_engine_open() {
        let opens = Arc::new(AtomicBool::new(true));
        let (engine, alive) = counted(&opens, StorageErrorKind::Io);
        opens.store(false, SeqCst);
        let refused = engine.call::<()>(|_| Err(StorageErrorKind::Unsupported.into()));
        assert_eq!(refused.unwrap_err().kind, StorageErrorKind::Unsupported);
        engine.call(|_| Ok(())).unwrap();
        assert_eq!(alive.load(SeqCst), 1);
    }

    #[test]
    fn damage_and_panics_are_reported_for_ever_also_when_found_while_opening_again() {
        let opens = Arc::new(AtomicBool::new(true));
        for how in 0..3 {
            let (engine, alive) = counted(&opens, StorageErrorKind::Corrupt);
            let failed = engine.call::<()>(|_| match how {
                0 => Err(damaged("page 7")),
                1 => panic!("page 7"),
                _ => Err(StorageErrorKind::Io.into()),
            });
            assert!(failed.is_err());
            opens.store(how < 2, SeqCst);
            for _ in 0..3 {
                let error = engine.call(|_| Ok(())).unwrap_err();
                assert_eq!(error.kind, StorageErrorKind::Corrupt, "{how}");
                assert!(how == 2 || error.to_string().contains("page 7"), "{how}: {error}");
                opens.store(true, SeqCst);
            }
            assert_eq!(alive.load(SeqCst), 0);
        }
    }

    #[test]
    fn calls_that_fail_beside_each_other_open_it_again_once() {
        let opened = Arc::<AtomicU32>::default();
        let count = Arc::clone(&opened);
        let engine = Reopening::open(move || Ok(count.fetch_add(1, SeqCst))).unwrap();
        let together = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let failed = engine.call::<()>(|_| {
                        together.wait();
                        Err(StorageErrorKind::Io.into())
                    });
                    assert!(failed.is_err());
                    together.wait();
                    engine.call(|_| Ok(())).unwrap();
                });
            }
        });
        assert_eq!(opened.load(SeqCst), 2);
    }
}
