//! Opening a document: its snapshot, then the log after it.

use super::core::{DocumentCore, OpenDocument};
use super::inbox::Inbox;
use super::state::{Mark, State};
use crate::engine::{Engine, Slot, Space};
use crate::error::Error;
use crate::store::{MAX_NAME_BYTES, Snapshot, Submission};
use parking_lot::{Mutex, RwLock};
use repliq_core::{Chain, Change, Crdt, Version, decode_state, encode};
use repliq_sync::DocumentName;
use std::sync::Arc;

/// How much of the log is read at once.
const READ_BYTES: usize = 1 << 20;
/// A log tail shorter than this is not worth a new snapshot.
const TAIL_BYTES: usize = 256 << 10;

/// Opens a document, or finds it open.
pub(super) async fn open<C: Crdt>(
    engine: &Arc<Engine>,
    space: &Arc<Space>,
    name: &str,
) -> Result<Arc<DocumentCore<C>>, Error> {
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::Name(name.to_owned()));
    }
    let name = DocumentName { name: name.into(), kind: C::KIND.into() };
    let slot = space.slot(&name.name);
    let opening = engine.in_time(Arc::clone(&slot.opening).lock_owned()).await?;
    let found = slot.open.lock().as_ref().and_then(std::sync::Weak::upgrade);
    if let Some(found) = found {
        let (kind, open) = (found.kind(), found.type_name());
        return found.into_any().downcast().map_err(|_| match kind == C::KIND {
            true => Error::OtherParameters {
                name: name.name.to_string(),
                open,
                expected: std::any::type_name::<C>(),
            },
            false => wrong_kind::<C>(&name.name, kind),
        });
    }
    let core = place::<C>(engine, space, slot, name);
    // The task has the lock: a caller that gives up leaves nobody a document
    // that is half open.
    let load = move || {
        let loaded = load(&core).map(|tail| (core, tail));
        drop(opening);
        loaded
    };
    let (core, tail) = engine.reading(load).await??;
    core.settle();
    if tail.is_worth_a_snapshot() {
        // It only saves time: a store that takes no more can be read all the same.
        let _ = write_snapshot(&core).await;
    }
    Ok(core)
}

fn wrong_kind<C: Crdt>(name: &str, found: &str) -> Error {
    Error::WrongKind { name: name.to_owned(), found: found.to_owned(), expected: C::KIND }
}

/// Puts an unloaded document in its place, so that nothing posted is missed
/// while it loads.
fn place<C: Crdt>(
    engine: &Arc<Engine>,
    space: &Arc<Space>,
    slot: Arc<Slot>,
    name: DocumentName,
) -> Arc<DocumentCore<C>> {
    let core = Arc::new(DocumentCore {
        engine: Arc::clone(engine),
        space: Arc::clone(space),
        name,
        inbox: Inbox::default(),
        joining: Mutex::default(),
        state: RwLock::new(None),
        slot,
    });
    let open: Arc<dyn OpenDocument> = Arc::clone(&core) as _;
    *core.slot.open.lock() = Some(Arc::downgrade(&open));
    core
}

/// How a log compares to the snapshot before it.
struct Tail {
    snapshot: usize,
    log: usize,
}

impl Tail {
    const fn is_worth_a_snapshot(&self) -> bool {
        self.log >= TAIL_BYTES && self.log >= self.snapshot
    }
}

fn load<C: Crdt>(core: &DocumentCore<C>) -> Result<Tail, Error> {
    let DocumentCore { engine, space, name, .. } = core;
    let mut guard = core.state.write();
    let snapshot = match engine.reader.document(&space.name, &name.name)? {
        Some(stored) if *stored.info.kind != *C::KIND => {
            return Err(wrong_kind::<C>(&name.name, &stored.info.kind));
        }
        Some(stored) => stored.snapshot()?,
        None => None,
    };
    let damaged = |source| Error::Damaged { name: name.name.to_string(), source };
    let mut tail = Tail { snapshot: 0, log: 0 };
    let (value, version, unsaid) = match snapshot {
        Some(Snapshot { version, unsaid, bytes }) => {
            tail.snapshot = bytes.len();
            (decode_state(&bytes).map_err(damaged)?, version, unsaid)
        }
        None => (C::default(), Version::new(), Version::new()),
    };
    let mark = Mark { seq: version.get(engine.replica), chain: Chain::START, unsaid };
    let mut state = State::new(engine.replica, value, version, mark);
    tail.log = replay(engine, space, name, &mut state)?;
    if tail.snapshot == 0 {
        state.check_readable();
    }
    if let Err(why) = state.usable() {
        return Err(Error::Unreadable { name: name.name.to_string(), why });
    }
    state.mark.chain = chain(engine, space, name)?;
    *guard = Some(state);
    Ok(tail)
}

/// The chain over the own changes that the log has.
pub(super) fn chain(engine: &Engine, space: &Space, name: &DocumentName) -> Result<Chain, Error> {
    let stored = engine.reader.document(&space.name, &name.name)?;
    stored.map_or(Ok(Chain::START), |stored| Ok(stored.heads()?.chain(engine.replica)))
}

/// Applies what the log has and the state has not. Returns how many bytes that
/// was.
pub(super) fn replay<C: Crdt>(
    engine: &Engine,
    space: &Space,
    name: &DocumentName,
    state: &mut State<C>,
) -> Result<usize, Error> {
    let Some(stored) = engine.reader.document(&space.name, &name.name)? else { return Ok(0) };
    if *stored.info.kind != *name.kind {
        return Err(wrong_kind::<C>(&name.name, &stored.info.kind));
    }
    let mut changes = stored.changes(&state.version)?;
    let mut bytes = 0;
    loop {
        let chunk = changes.next_chunk(READ_BYTES)?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        for change in chunk {
            bytes += change.body.len();
            check_sealed(name, &change)?;
            state.apply(change);
        }
    }
}

fn check_sealed(name: &DocumentName, change: &Change) -> Result<(), Error> {
    match change.open() {
        Ok((header, _)) if header.key.is_sealed() => {
            Err(Error::Sealed { name: name.name.to_string(), key: header.key.0 })
        }
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Damaged { name: name.name.to_string(), source }),
    }
}

/// Writes a snapshot of what is loaded, so that the next opening is short.
async fn write_snapshot<C: Crdt>(core: &Arc<DocumentCore<C>>) -> Result<(), Error> {
    let shared = Arc::clone(core);
    let snapshot = tokio::task::spawn_blocking(move || {
        let guard = shared.state.read();
        guard.as_ref().filter(|state| state.is_durable()).map(|state| Snapshot {
            version: state.version.clone(),
            unsaid: state.mark.unsaid.clone(),
            bytes: encode(&state.value).into(),
        })
    });
    let Ok(Some(snapshot)) = snapshot.await else { return Ok(()) };
    let bytes = snapshot.bytes.len();
    let submission = Submission::Snapshot {
        space: Arc::clone(&core.space.name),
        document: Arc::clone(&core.name.name),
        snapshot,
    };
    Ok(core.engine.record(&core.space, submission, bytes).await?)
}
