//! No order of calls deadlocks.

use crate::support::*;
use repliq::prelude::*;
use repliq::{ReadError, UpdateError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

fn reentrant<T: std::fmt::Debug>(result: Result<T, UpdateError>) {
    assert!(matches!(result, Err(UpdateError::Reentrant)), "{result:?}");
}

#[tokio::test]
async fn a_call_inside_an_update_is_a_typed_error() {
    let device = alone(&Faulty::new()).await;
    let (one, two) = (notes(&device, "one").await, notes(&device, "two").await);
    let outer = one.clone();
    let update = outer.update(move |m| {
        for document in [&one, &two] {
            reentrant(block_on(document.update(|m| m.set("x".into(), "y".into()))));
            let tried = block_on(document.try_update(|_| Ok::<_, ()>(())));
            assert!(matches!(tried, Err(UpdateError::Reentrant)));
            assert!(matches!(document.read(|_| ()), Err(ReadError::Reentrant)));
            assert!(matches!(document.version(), Err(ReadError::Reentrant)));
        }
        m.set("a".into(), "1".into());
        // What does not need the document works.
        let _events = one.subscribe();
        assert_eq!(one.clone().name(), "one");
        reentrant(block_on(two.update(|_| ())));
    });
    within(update).await.unwrap();
    assert_eq!(view(&outer), pairs(&[("a", "1")]));
}

#[tokio::test]
async fn an_update_inside_a_read_is_a_typed_error() {
    let device = alone(&Faulty::new()).await;
    let (one, two) = (notes(&device, "one").await, notes(&device, "two").await);
    one.read(|_| {
        reentrant(block_on(one.update(|m| m.set("x".into(), "y".into()))));
        reentrant(block_on(two.update(|m| m.set("x".into(), "y".into()))));
        let _events = one.subscribe();
    })
    .unwrap();
    set(&one, "a", "1").await;
    assert_eq!(view(&one), pairs(&[("a", "1")]));
}

#[tokio::test]
async fn the_mark_of_a_closure_goes_with_it_also_when_it_panics() {
    let device = alone(&Faulty::new()).await;
    let one = notes(&device, "one").await;
    let panicking = one.clone();
    let thread = std::thread::spawn(move || {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = panicking.read(|_| panic!("as this test wants it"));
        }));
        assert!(caught.is_err());
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = block_on(panicking.update(|_| panic!("as this test wants it")));
        }));
        assert!(caught.is_err());
        block_on(panicking.update(|m| m.set("a".into(), "1".into()))).unwrap();
    });
    thread.join().unwrap();
    assert_eq!(view(&one), pairs(&[("a", "1")]));
}

#[tokio::test]
async fn a_future_made_inside_a_closure_works_outside() {
    let device = alone(&Faulty::new()).await;
    let one = notes(&device, "one").await;
    let later = one.read(|_| one.update(|m| m.set("a".into(), "1".into()))).unwrap();
    within(later).await.unwrap();
    assert_eq!(view(&one), pairs(&[("a", "1")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_inside_a_read_works_with_a_writer_waiting() {
    let device = alone(&Faulty::new()).await;
    let one = notes(&device, "one").await;
    let two = notes(&device, "two").await;
    let writer = one.clone();
    let reader = tokio::task::spawn_blocking(move || {
        one.read(|_| {
            let writing = std::thread::spawn(move || {
                block_on(writer.update(|m| m.set("a".into(), "1".into())))
            });
            // Long enough for the writer to queue up at the lock.
            std::thread::sleep(Duration::from_millis(100));
            let nested = one.read(|m| m.len()).unwrap();
            let other = two.read(|m| m.len()).unwrap();
            let version = one.version().unwrap();
            (writing, nested, other, version)
        })
        .map(|(writing, nested, other, _)| {
            writing.join().unwrap().unwrap();
            (nested, other)
        })
    });
    assert_eq!(within(reader).await.unwrap().unwrap(), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_blocks_holds_up_nobody_elsewhere() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let (here, there) = (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
    let (read, free) = (notes(&here, "read").await, notes(&here, "free").await);
    let (read_there, free_there) = (notes(&there, "read").await, notes(&there, "free").await);
    let (link, link_there) = (here.sync(&url).await.unwrap(), there.sync(&url).await.unwrap());

    let (inside, is_inside) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let blocked = read.clone();
    let reader = std::thread::spawn(move || {
        blocked.read(|_| {
            inside.send(()).unwrap();
            may_go_on.recv().unwrap();
        })
    });
    is_inside.recv().unwrap();
    // On the blocked document itself an update waits; it is polled on its own.
    let held = read.clone();
    let waiting =
        std::thread::spawn(move || block_on(held.update(|m| m.set("a".into(), "1".into()))));
    // Other documents, commits of peers to this very document, and syncing go on.
    within(async {
        set(&read_there, "b", "2").await;
        link_there.synced().await.unwrap();
        set(&free, "c", "3").await;
        link.synced().await.unwrap();
        link_there.synced().await.unwrap();
    })
    .await;
    assert_eq!(view(&free_there), pairs(&[("c", "3")]));
    go_on.send(()).unwrap();
    reader.join().unwrap().unwrap();
    tokio::task::spawn_blocking(move || waiting.join().unwrap().unwrap()).await.unwrap();
    assert_eq!(view(&read), pairs(&[("a", "1"), ("b", "2")]));
}

/// More than an inbox keeps while the document is held: the rest is read from
/// the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_held_through_thousands_of_changes_catches_up() {
    let network = MemoryTransport::new();
    let (_relay, url) = relay(&network).await;
    let (here, there) = (on(&Faulty::new(), &network).await, on(&Faulty::new(), &network).await);
    let (read, written) = (notes(&here, "notes").await, notes(&there, "notes").await);
    let mut events = read.subscribe();
    let (link, link_there) = (here.sync(&url).await.unwrap(), there.sync(&url).await.unwrap());
    let (inside, is_inside) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let blocked = read.clone();
    let reader = std::thread::spawn(move || {
        blocked.read(|_| {
            inside.send(()).unwrap();
            may_go_on.recv().unwrap();
        })
    });
    is_inside.recv().unwrap();
    let mut updates = Vec::new();
    for number in 0..3000_u32 {
        updates.push(begin(written.update(move |m| m.set(number.to_string(), "x".into()))));
    }
    for update in updates {
        within(update).await.unwrap();
    }
    within(async {
        link_there.synced().await.unwrap();
        link.synced().await.unwrap();
    })
    .await;
    go_on.send(()).unwrap();
    reader.join().unwrap().unwrap();
    assert_eq!(view(&read), view(&written));
    set(&read, "own", "y").await;
    let mut shadow = View::new();
    while shadow.len() < 3001 {
        patch(&mut shadow, within(events.next()).await.unwrap());
    }
    assert_eq!(shadow, view(&read));
    within(link.synced()).await.unwrap();
    within(link_there.synced()).await.unwrap();
    assert_eq!(view(&read), view(&written));
}

#[test]
fn threads_that_hammer_every_call_come_to_an_end() {
    let mut random = Random::new("threads_that_hammer_every_call_come_to_an_end");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let backend = Faulty::new();
    let device = runtime.block_on(alone(&backend));
    let documents: Vec<Document<Notes>> =
        (0..3).map(|n| runtime.block_on(notes(&device, &n.to_string()))).collect();
    let (done, finished) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let updates = Arc::new(AtomicUsize::new(0));
    let threads = 6;
    for _ in 0..threads {
        let (documents, done, stop) = (documents.clone(), done.clone(), Arc::clone(&stop));
        let (backend, updates) = (backend.clone(), Arc::clone(&updates));
        let mut random = Random(random.next() | 1);
        std::thread::spawn(move || {
            let mut events = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let document = &documents[random.below(3) as usize];
                let other = &documents[random.below(3) as usize];
                match random.below(8) {
                    0..=2 => {
                        let key = random.below(20).to_string();
                        if block_on(document.update(|m| m.set(key, "x".into()))).is_ok() {
                            updates.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    3 => {
                        let _ = document.read(|m| other.read(|n| m.len() + n.len()));
                    }
                    4 => {
                        let _ = document.read(|_| block_on(other.update(|_| ())));
                    }
                    5 => {
                        let nested = block_on(document.update(|m| {
                            m.set("nested".into(), "x".into());
                            other.read(|_| ()).is_err() && block_on(other.update(|_| ())).is_err()
                        }));
                        assert!(nested.unwrap_or(true));
                    }
                    6 => {
                        events.push(document.subscribe());
                        events.truncate(4);
                    }
                    _ => {
                        if backend.is_calm() && random.below(20) == 0 {
                            backend.next([Fate::Refused(repliq::StorageErrorKind::Io)]);
                        }
                        let _ = document.version();
                    }
                }
            }
            done.send(()).unwrap();
        });
    }
    std::thread::sleep(Duration::from_millis(1500));
    stop.store(true, Ordering::Relaxed);
    for _ in 0..threads {
        finished.recv_timeout(WATCHDOG).expect("a thread hangs");
    }
    assert!(updates.load(Ordering::Relaxed) > 0);
    for (n, document) in documents.iter().enumerate() {
        runtime.block_on(async {
            // A failure that is left over concerns the first of these.
            let _ = document.update(|m| m.set("end".into(), "x".into())).await;
            let _ = document.update(|m| m.set("end".into(), "x".into())).await;
            assert_eq!(view(document), durable(&backend, &n.to_string()).await);
        });
    }
}
