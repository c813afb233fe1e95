//! What the tests of the engine share: backends that fail or wait on command,
//! types that refuse, and ways to look at what is durable.

use repliq::prelude::*;
use repliq::{
    Batch, CrdtError, DEFAULT_SPACE, Durability, Effects, Pair, Stamp, StorageError,
    StorageErrorKind, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

pub(crate) type Notes = LwwMap<String, String>;
pub(crate) type Tags = LwwSet<String>;
pub(crate) type Device = Replica<Faulty, MemoryTransport>;
pub(crate) type View = BTreeMap<String, String>;

/// No test waits longer than this for anything.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(40);

/// Runs a future under the watchdog.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(WATCHDOG, future).await.expect("the watchdog: nothing came of it")
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, without any runtime around it.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Polls a future once.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that was polled once.
pub(crate) type Begun<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Polls a future once; what is left of it can be awaited.
pub(crate) fn begin<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Begun<T> {
    let mut future: Begun<T> = Box::pin(future);
    match poll_once(future.as_mut()) {
        Poll::Ready(output) => Box::pin(std::future::ready(output)),
        Poll::Pending => future,
    }
}

/// What happens to one commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Done,
    /// Refused, and nothing applied.
    Refused(StorageErrorKind),
    /// Applied, and an error reported all the same.
    AppliedButRefused,
    Panics,
}

#[derive(Default)]
struct Plan {
    fates: Mutex<VecDeque<Fate>>,
    always: Mutex<Option<Fate>>,
    commits: AtomicUsize,
    unreadable: AtomicBool,
    /// Whether commits wait, and how many do.
    gate: Mutex<(bool, usize)>,
    moved: Condvar,
}

/// A memory backend whose commits fail, wait or lie as a test says. Clones share
/// data and plan.
#[derive(Clone, Default)]
pub(crate) struct Faulty {
    data: MemoryBackend,
    plan: Arc<Plan>,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn over(data: MemoryBackend) -> Self {
        Self { data, plan: Arc::default() }
    }

    /// The fates of the next commits, one each.
    pub(crate) fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        self.plan.fates.lock().unwrap().extend(fates);
    }

    pub(crate) fn always(&self, fate: Option<Fate>) {
        *self.plan.always.lock().unwrap() = fate;
    }

    /// Whether no planned fate is left.
    pub(crate) fn is_calm(&self) -> bool {
        self.plan.fates.lock().unwrap().is_empty()
    }

    pub(crate) fn unreadable(&self, unreadable: bool) {
        self.plan.unreadable.store(unreadable, Ordering::SeqCst);
    }

    pub(crate) fn commits(&self) -> usize {
        self.plan.commits.load(Ordering::SeqCst)
    }

    /// From now on commits wait.
    pub(crate) fn hold(&self) {
        self.plan.gate.lock().unwrap().0 = true;
    }

    pub(crate) fn release(&self) {
        self.plan.gate.lock().unwrap().0 = false;
        self.plan.moved.notify_all();
    }

    /// Waits until a commit waits.
    pub(crate) fn await_held(&self) {
        let gate = self.plan.gate.lock().unwrap();
        let held = |gate: &mut (bool, usize)| gate.1 == 0;
        let (gate, late) = self.plan.moved.wait_timeout_while(gate, WATCHDOG, held).unwrap();
        assert!(!late.timed_out() && gate.1 > 0, "no commit came");
    }

    /// What is durable now, as a store of its own.
    pub(crate) fn copy(&self) -> MemoryBackend {
        copy(&self.data)
    }

    fn pass(&self) {
        let mut gate = self.plan.gate.lock().unwrap();
        gate.1 += 1;
        self.plan.moved.notify_all();
        let shut = |gate: &mut (bool, usize)| gate.0;
        gate = self.plan.moved.wait_while(gate, shut).unwrap();
        gate.1 -= 1;
    }

    fn readable(&self) -> Result<(), StorageError> {
        match self.plan.unreadable.load(Ordering::SeqCst) {
            true => Err(StorageErrorKind::Io.into()),
            false => Ok(()),
        }
    }
}

pub(crate) fn copy(data: &MemoryBackend) -> MemoryBackend {
    let mut batch = Batch::new();
    for (key, value) in data.scan(&[], None, usize::MAX).unwrap() {
        batch.put(key, value);
    }
    let copy = MemoryBackend::new();
    copy.commit(batch).unwrap();
    copy
}

impl StorageBackend for Faulty {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.readable()?;
        self.data.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.readable()?;
        self.data.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.pass();
        self.plan.commits.fetch_add(1, Ordering::SeqCst);
        let planned = self.plan.fates.lock().unwrap().pop_front();
        let always = *self.plan.always.lock().unwrap();
        match planned.or(always).unwrap_or(Fate::Done) {
            Fate::Done => self.data.commit(batch),
            Fate::Refused(kind) => Err(kind.into()),
            Fate::AppliedButRefused => {
                self.data.commit(batch)?;
                Err(StorageErrorKind::Io.into())
            }
            Fate::Panics => panic!("the backend panics, as this test wants it to"),
        }
    }

    fn durability(&self) -> Durability {
        self.data.durability()
    }
}

/// A device over this backend, on a network of its own.
pub(crate) async fn alone(backend: &Faulty) -> Device {
    on(backend, &MemoryTransport::new()).await
}

pub(crate) async fn on(backend: &Faulty, network: &MemoryTransport) -> Device {
    Replica::builder().storage(backend.clone()).transport(network.clone()).build().await.unwrap()
}

pub(crate) async fn notes(device: &Device, name: &str) -> Document<Notes> {
    device.document(name).await.unwrap()
}

pub(crate) async fn set(document: &Document<Notes>, key: &str, value: &str) {
    document.update(|m| m.set(key.into(), value.into())).await.unwrap();
}

pub(crate) fn view(document: &Document<Notes>) -> View {
    document.read(|m| m.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap()
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> View {
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

/// What a reopened store holds of a document.
pub(crate) async fn durable(backend: &Faulty, name: &str) -> View {
    durable_in(backend.copy(), DEFAULT_SPACE, name).await
}

pub(crate) async fn durable_in(data: MemoryBackend, space: &str, name: &str) -> View {
    let replica = Replica::builder().storage(data).build().await.unwrap();
    let document = replica.space(space).document::<Notes>(name).await.unwrap();
    let view = view(&document);
    replica.close().await;
    view
}

/// A relay in memory, and where it is reached.
pub(crate) async fn relay(network: &MemoryTransport) -> (Relay, String) {
    relay_over(MemoryBackend::new(), network, "memory://:0").await
}

pub(crate) async fn relay_over(
    data: impl StorageBackend,
    network: &MemoryTransport,
    url: &str,
) -> (Relay, String) {
    let relay = Relay::open(data).await.unwrap();
    let url = relay.listen(network.clone(), url).await.unwrap().to_string();
    (relay, url)
}

/// Applies what a subscription told to a copy of the view.
pub(crate) fn patch(shadow: &mut View, event: MapEvent<String, String>) {
    match event {
        MapEvent::Set { key, value } => drop(shadow.insert(key, value)),
        MapEvent::Removed { key } => drop(shadow.remove(&key)),
    }
}

/// A list of numbers that refuses 13 and panics on 666.
#[derive(Default, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Picky(pub(crate) Vec<u64>);

impl Crdt for Picky {
    const KIND: &'static str = "picky/1";
    type Op = u64;
    type Event = u64;
    type Undo = usize;

    fn apply(&mut self, op: u64, _at: Stamp, fx: &mut Effects<Self>) -> Result<(), CrdtError> {
        if op == 13 {
            return Err(CrdtError::Invalid("thirteen"));
        }
        assert_ne!(op, 666, "as this test wants it");
        fx.undo(|| self.0.len());
        fx.event(|| op);
        self.0.push(op);
        Ok(())
    }

    fn join(&mut self, _: &Version, _: Self, _: &Version, _: &mut Effects<Self>) {}

    fn rollback(&mut self, len: usize) {
        assert_eq!(self.0.len(), len + 1, "undone newest first");
        self.0.truncate(len);
    }
}

/// A value nested as deeply as one likes. It is dropped without recursion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deep {
    pub(crate) text: String,
    pub(crate) inner: Option<Box<Deep>>,
}

impl Deep {
    pub(crate) fn of(depth: usize) -> Self {
        let mut deep = Self { text: String::new(), inner: None };
        for _ in 1..depth {
            deep = Self { text: String::new(), inner: Some(Box::new(deep)) };
        }
        deep
    }
}

impl Drop for Deep {
    fn drop(&mut self) {
        let mut next = self.inner.take();
        while let Some(mut inner) = next {
            next = inner.inner.take();
        }
    }
}

/// A small generator: the same seed gives the same run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A seed from the environment (`SEED`), or a new one; it is printed.
    pub(crate) fn new(test: &str) -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let id = ReplicaId::new();
            u64::from_be_bytes(id.as_bytes()[..8].try_into().unwrap())
        });
        println!("{test}: SEED={seed}");
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}
