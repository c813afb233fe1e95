//! Backends that never return: whoever waits is told, nothing grows, closing goes
//! on, and when the call returns after all, so does everything else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::document::Document;
use crate::error::UpdateError;
use repliq_backend_memory::MemoryBackend;
use repliq_core::{Batch, Pair, StorageError};
use repliq_crdts::{LwwMap, LwwMapMut as _};
use std::sync::Condvar;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicUsize;

type Notes = LwwMap<String, String>;

/// No test waits longer than this for anything.
const WATCHDOG: Duration = Duration::from_secs(40);
/// How long the backends of these tests may take.
const SHORT: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Gates {
    /// Whether commits are held, and reads.
    held: StdMutex<(bool, bool)>,
    released: Condvar,
    commits: AtomicUsize,
    reads: AtomicUsize,
    most_reads: AtomicUsize,
    is_dropped: AtomicBool,
    /// The next commit lands and says that it failed, and the read after it fails.
    loses_track: AtomicBool,
    read_fails: AtomicBool,
}

impl Gates {
    fn hold(&self, commits: bool, reads: bool) {
        *self.held.lock().unwrap() = (commits, reads);
        self.released.notify_all();
    }

    fn pass(&self, is_held: impl Fn(&(bool, bool)) -> bool) {
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| is_held(held)).unwrap());
    }
}

/// A memory backend whose calls do not return while a test holds them.
struct Stuck {
    data: MemoryBackend,
    gates: Arc<Gates>,
    at_once: bool,
}

impl Stuck {
    fn read<R>(&self, read: impl FnOnce() -> R) -> R {
        let reads = self.gates.reads.fetch_add(1, Ordering::SeqCst) + 1;
        self.gates.most_reads.fetch_max(reads, Ordering::SeqCst);
        self.gates.pass(|held| held.1);
        self.gates.reads.fetch_sub(1, Ordering::SeqCst);
        read()
    }
}

impl StorageBackend for Stuck {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        if self.gates.read_fails.swap(false, Ordering::SeqCst) {
            return Err(StorageErrorKind::Io.into());
        }
        self.read(|| self.data.get(key))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.read(|| self.data.scan(prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.gates.commits.fetch_add(1, Ordering::SeqCst);
        self.gates.pass(|held| held.0);
        self.data.commit(batch)?;
        if self.gates.loses_track.swap(false, Ordering::SeqCst) {
            self.gates.read_fails.store(true, Ordering::SeqCst);
            return Err(StorageErrorKind::Io.into());
        }
        Ok(())
    }

    fn commits_at_once(&self) -> bool {
        self.at_once
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.gates.is_dropped.store(true, Ordering::SeqCst);
    }
}

fn stuck() -> (Arc<Engine>, Arc<Gates>) {
    with(false, SHORT)
}

fn with(at_once: bool, patience: Duration) -> (Arc<Engine>, Arc<Gates>) {
    let gates = Arc::<Gates>::default();
    let backend = Stuck { data: MemoryBackend::new(), gates: Arc::clone(&gates), at_once };
    (Engine::open_with(backend, Millis::now, Skew::Hold, patience).unwrap(), gates)
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(WATCHDOG, future).await.expect("the watchdog: nothing came of it")
}

async fn open(engine: &Arc<Engine>, name: &str) -> Result<Document<Notes>, Error> {
    within(Document::open(engine, &engine.space("s"), name)).await
}

async fn set(document: &Document<Notes>, value: &str) -> Result<(), UpdateError> {
    let value = value.to_owned();
    within(document.update(|m| m.set("a".into(), value))).await
}

fn get(document: &Document<Notes>) -> Option<String> {
    document.read(|m| m.get("a").cloned()).unwrap()
}

async fn until(what: impl Fn() -> bool) {
    within(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn is_unknown(result: &Result<(), UpdateError>) -> bool {
    let Err(UpdateError::Commit(CommitError::Unknown(why))) = result else { return false };
    matches!(**why, StoreError::Stalled(_))
}

fn is_refused(result: &Result<(), UpdateError>) -> bool {
    let Err(UpdateError::Commit(CommitError::Store(why))) = result else { return false };
    matches!(**why, StoreError::Stalled(_))
}

#[tokio::test]
async fn a_commit_that_never_returns_is_reported_and_all_goes_on_when_it_does() {
    let (engine, gates) = stuck();
    let (one, two) = (open(&engine, "one").await.unwrap(), open(&engine, "two").await.unwrap());
    set(&one, "1").await.unwrap();
    gates.hold(true, false);
    let first = set(&one, "2").await;
    assert!(is_unknown(&first), "{first:?}");
    assert_eq!(get(&one).as_deref(), Some("2"), "it may still become durable");
    // Nothing is added, and everything can be read.
    for document in [&one, &two] {
        let next = set(document, "3").await;
        assert!(is_refused(&next), "{next:?}");
    }
    assert_eq!((get(&one).as_deref(), get(&two)), (Some("2"), None));
    drop(two);
    assert_eq!(get(&open(&engine, "two").await.unwrap()), None);
    let remote = Remote {
        space: "s".into(),
        from: ReplicaId::new(),
        arrivals: Vec::new(),
        cursor: None,
        skew: Skew::Hold,
    };
    let answer = within(engine.submit_remote(&engine.space("s"), remote)).await.unwrap();
    assert!(matches!(answer, Err(CommitError::Store(_))), "{answer:?}");

    gates.hold(false, false);
    within(async { while set(&one, "4").await.is_err() {} }).await;
    assert_eq!(get(&one).as_deref(), Some("4"));
    assert_eq!(one.version().unwrap().get(engine.replica), 3, "what was in doubt counts");
}

#[tokio::test]
async fn updates_that_wait_for_room_are_told_too() {
    let (engine, gates) = stuck();
    let one = open(&engine, "one").await.unwrap();
    gates.hold(true, false);
    let updates: Vec<_> = (0..20_000)
        .map(|_| {
            tokio::spawn({
                let one = one.clone();
                async move { set(&one, "x").await }
            })
        })
        .collect();
    let (mut unknown, mut refused) = (0, 0);
    for update in updates {
        let result = within(update).await.unwrap();
        unknown += usize::from(is_unknown(&result));
        refused += usize::from(is_refused(&result));
    }
    assert_eq!(unknown + refused, 20_000);
    assert!(unknown <= 16_384, "{unknown} are under way");
    gates.hold(false, false);
    within(async { while set(&one, "4").await.is_err() {} }).await;
}

#[tokio::test]
async fn closing_does_not_wait_for_a_commit_that_never_returns() {
    for drops in [false, true] {
        let (engine, gates) = stuck();
        let one = open(&engine, "one").await.unwrap();
        gates.hold(true, false);
        let update = tokio::spawn({
            let one = one.clone();
            async move { set(&one, "1").await }
        });
        until(|| get(&one).is_some()).await;
        if drops {
            assert!(is_unknown(&within(update).await.unwrap()));
            drop(one);
            within(tokio::task::spawn_blocking(|| drop(engine))).await.unwrap();
        } else {
            let closing = Arc::clone(&engine);
            within(tokio::task::spawn_blocking(move || closing.close())).await.unwrap();
            assert!(is_unknown(&within(update).await.unwrap()));
            assert!(set(&one, "2").await.is_err() && one.read(|_| ()).is_err());
        }
        assert!(!gates.is_dropped.load(Ordering::SeqCst), "nobody can end the call");
        gates.hold(false, false);
        until(|| gates.is_dropped.load(Ordering::SeqCst)).await;
    }
}

#[tokio::test]
async fn reads_that_never_return_are_reported_and_hold_few_threads() {
    let (engine, gates) = stuck();
    let one = open(&engine, "one").await.unwrap();
    set(&one, "1").await.unwrap();
    gates.hold(false, true);
    let opening: Vec<_> = (0..3 * READS)
        .map(|n| {
            tokio::spawn({
                let engine = Arc::clone(&engine);
                async move { open(&engine, &n.to_string()).await.map(drop) }
            })
        })
        .collect();
    for opening in opening {
        match within(opening).await.unwrap() {
            Err(Error::Store(StoreError::Stalled(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(gates.most_reads.load(Ordering::SeqCst) <= READS + 1);
    assert_eq!(get(&one).as_deref(), Some("1"));
    set(&one, "2").await.unwrap();
    gates.hold(false, false);
    within(async { while open(&engine, "0").await.is_err() {} }).await;
    // And with a read under way, closing goes on.
    gates.hold(false, true);
    let error = open(&engine, "other").await.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Stalled(_))), "{error:?}");
    within(tokio::task::spawn_blocking(move || engine.close())).await.unwrap();
    gates.hold(false, false);
    until(|| gates.is_dropped.load(Ordering::SeqCst)).await;
}

/// An update of another thread, which is now inside a commit that is held.
async fn committing(
    one: &Document<Notes>,
    gates: &Gates,
) -> std::thread::JoinHandle<Result<(), UpdateError>> {
    gates.hold(true, false);
    let before = gates.commits.load(Ordering::SeqCst);
    let (one, runtime) = (one.clone(), tokio::runtime::Handle::current());
    let other = std::thread::spawn(move || runtime.block_on(set(&one, "1")));
    until(|| gates.commits.load(Ordering::SeqCst) > before).await;
    other
}

#[tokio::test]
async fn an_update_is_durable_at_its_first_poll_if_the_backend_commits_at_once() {
    let (engine, gates) = with(true, PATIENCE);
    let one = open(&engine, "one").await.unwrap();
    for value in ["1", "2"] {
        let before = gates.commits.load(Ordering::SeqCst);
        let mut update = std::pin::pin!(one.update(|m| m.set("a".into(), value.to_owned())));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(matches!(update.as_mut().poll(&mut context), std::task::Poll::Ready(Ok(()))));
        assert_eq!(gates.commits.load(Ordering::SeqCst), before + 1);
        assert_eq!(engine.space("s").head().number, value.parse().unwrap());
    }
}

#[tokio::test]
async fn an_update_does_not_wait_for_a_commit_of_another_thread_and_is_not_forgotten() {
    let (engine, gates) = with(true, PATIENCE);
    let (one, two) = (open(&engine, "one").await.unwrap(), open(&engine, "two").await.unwrap());
    let other = committing(&one, &gates).await;
    let mut update = Box::pin(set(&two, "2"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(update.as_mut().poll(&mut context).is_pending());
    gates.hold(false, false);
    update.await.unwrap();
    other.join().unwrap().unwrap();
    assert_eq!(engine.space("s").head().number, 2);
}

#[tokio::test]
async fn a_backend_that_says_at_once_and_never_returns_holds_up_one_thread_only() {
    let (engine, gates) = with(true, SHORT);
    let (one, two) = (open(&engine, "one").await.unwrap(), open(&engine, "two").await.unwrap());
    let other = committing(&one, &gates).await;
    let told = set(&two, "2").await;
    assert!(is_unknown(&told) || is_refused(&told), "{told:?}");
    let closing = Arc::clone(&engine);
    within(tokio::task::spawn_blocking(move || closing.close())).await.unwrap();
    gates.hold(false, false);
    let result = other.join().unwrap();
    assert!(is_unknown(&result), "{result:?}");
    until(|| gates.is_dropped.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_store_that_lost_track_on_the_thread_of_an_update_is_asked_again_by_itself() {
    let (engine, gates) = with(true, PATIENCE);
    let one = open(&engine, "one").await.unwrap();
    set(&one, "1").await.unwrap();
    gates.loses_track.store(true, Ordering::SeqCst);
    let lost = set(&one, "2").await;
    let is_unknown = matches!(lost, Err(UpdateError::Commit(CommitError::Unknown(_))));
    assert!(is_unknown, "{lost:?}");
    until(|| get(&one).as_deref() == Some("2")).await;
}
