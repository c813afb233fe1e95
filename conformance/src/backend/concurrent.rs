//! Cases with several threads: batches and scans are whole, and nothing is lost
//! between threads. Every thread has a fixed amount of work at least, so no case
//! waits for time to pass.

use super::expect::{all, check, expect_pairs, put, put_keys, require};
use crate::backend::{BackendHarness, Shows, Stores};
use crate::{CaseResult, Failure, Rng};
use repliq_core::{Batch, Pair, StorageBackend};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread::{self, ScopedJoinHandle};

const COMMITS: u64 = 60;
const READERS: usize = 2;
const READS: usize = 60;

/// Calls `write` with 1, 2, 3 and so on beside readers, until each has read
/// [`READS`] times and [`COMMITS`] writes are done.
fn write_and_read(
    mut write: impl FnMut(u64) -> CaseResult + Send,
    read: impl Fn() -> CaseResult + Sync,
) -> CaseResult {
    let (writing, reading) = (AtomicUsize::new(1), AtomicUsize::new(READERS));
    let begin = Barrier::new(READERS + 1);
    thread::scope(|scope| {
        let reader = || {
            let mut reading = Busy(Some(&reading));
            begin.wait();
            let mut reads = 0;
            while reads < READS || writing.load(Ordering::Acquire) > 0 {
                read()?;
                reads += 1;
                if reads == READS {
                    reading.done();
                }
            }
            Ok(())
        };
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(reader)).collect();
        let writer = scope.spawn(|| {
            let mut writing = Busy(Some(&writing));
            begin.wait();
            let mut number = 0;
            while number < COMMITS || reading.load(Ordering::Acquire) > 0 {
                number += 1;
                write(number)?;
                if number == COMMITS {
                    writing.done();
                }
            }
            Ok(())
        });
        let written = join(writer);
        readers.into_iter().map(join).fold(written, Result::and)
    })
}

/// One of the threads that others wait for, until it has done its share or ends,
/// by a panic too.
struct Busy<'a>(Option<&'a AtomicUsize>);

impl Busy<'_> {
    fn done(&mut self) {
        if let Some(busy) = self.0.take() {
            busy.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.done();
    }
}

fn join(thread: ScopedJoinHandle<'_, CaseResult>) -> CaseResult {
    thread.join().unwrap_or_else(|_| Err(Failure::Broken("a call panicked".to_owned())))
}

/// A batch that puts the same number under each of so many keys.
fn generation(keys: u16, number: u64) -> Batch {
    let mut batch = Batch::new();
    for key in 0..keys {
        batch.put(key.to_be_bytes(), number.to_be_bytes());
    }
    batch
}

/// Commits one generation over the other, and calls `read` meanwhile.
fn overwrite_and_read<B: StorageBackend>(
    store: &B,
    keys: u16,
    read: impl Fn(&B) -> CaseResult + Sync,
) -> CaseResult {
    store.commit(generation(keys, 0))?;
    write_and_read(|number| Ok(store.commit(generation(keys, number))?), || read(store))
}

/// Expects every scan to see one generation, and all of it.
fn each_scan_is_whole<H: BackendHarness>(stores: &Stores<H>, keys: u16) -> CaseResult {
    overwrite_and_read(&stores.open()?, keys, |store| {
        let pairs = all(store)?;
        let first = pairs.first().map(|(_, value)| value);
        let whole = pairs.iter().all(|(_, value)| Some(value) == first);
        check(whole && pairs.len() == usize::from(keys), || {
            format!("a scan saw a part of a batch of {keys} writes")
        })
    })
}

pub(crate) fn a_scan_sees_all_of_a_batch_or_nothing<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    each_scan_is_whole(stores, 64)
}

pub(crate) fn a_scan_sees_all_of_a_large_batch_or_nothing<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    each_scan_is_whole(stores, 1000)
}

pub(crate) fn a_scan_sees_one_committed_state<H: BackendHarness>(
    stores: &Stores<H>,
    rng: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    // One token wanders over a store wide enough that a scan in several steps
    // meets it twice or never.
    let filler: Vec<Vec<u8>> =
        (0..400_u16).map(|key| [&key.to_be_bytes()[..], b"f"].concat()).collect();
    put_keys(&store, &filler.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let token = |at: u16| [&at.to_be_bytes()[..], b"token"].concat();
    put(&store, token(0), "")?;
    let mut at = 0;
    write_and_read(
        |_| {
            let step = u16::try_from(rng.below(400))?;
            let mut batch = Batch::new();
            batch.delete(token(at));
            batch.put(token(step), "");
            at = step;
            Ok(store.commit(batch)?)
        },
        || {
            let tokens = all(&store)?.iter().filter(|(key, _)| key.ends_with(b"token")).count();
            check(tokens == 1, || format!("a scan saw {tokens} tokens, there was always one"))
        },
    )
}

/// Runs one writer on each of `threads` threads, all starting together.
fn writers(threads: u8, write: impl Fn(u8) -> CaseResult + Sync) -> CaseResult {
    let begin = Barrier::new(threads.into());
    let (begin, write) = (&begin, &write);
    thread::scope(|scope| {
        let spawn = |thread| {
            scope.spawn(move || {
                begin.wait();
                write(thread)
            })
        };
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        threads.into_iter().map(join).fold(Ok(()), Result::and)
    })
}

pub(crate) fn concurrent_commits_all_land<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    writers(8, |thread| {
        Ok((0..30_u8).try_for_each(|number| put(&store, [thread, number], [number]))?)
    })?;
    let pair = |thread, number| (vec![thread, number], vec![number]);
    let expected: Vec<Pair> =
        (0..8_u8).flat_map(|thread| (0..30_u8).map(move |number| pair(thread, number))).collect();
    expect_pairs("after 8 threads wrote 30 keys each", &all(&store)?, &expected)
}

pub(crate) fn concurrent_batches_apply_one_after_the_other<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    for round in 0..15_u8 {
        writers(4, |thread| {
            let mut batch = Batch::new();
            for key in 0..32_u8 {
                batch.put([key], [round, thread]);
            }
            Ok(store.commit(batch)?)
        })?;
        let pairs = all(&store)?;
        let first = pairs.first().map(|(_, value)| value.as_slice());
        let whole = pairs.len() == 32 && pairs.iter().all(|(_, value)| Some(&**value) == first);
        check(whole, || "two batches on the same keys were mixed".to_owned())?;
        check(first.is_some_and(|value| value.first() == Some(&round)), || {
            "an older batch came out on top".to_owned()
        })?;
    }
    Ok(())
}

pub(crate) fn concurrent_commits_survive_a_reopen<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    require(stores, Shows::Reopen)?;
    let store = stores.open()?;
    // A key of its own for each commit, and one that all commits of a round write: who
    // came last there is for the store to say, but it has to say the same afterwards.
    for round in 0..30_u8 {
        writers(4, |thread| {
            let mut batch = Batch::new();
            batch.put([round], [thread]);
            batch.put([round, thread], "");
            Ok(store.commit(batch)?)
        })?;
    }
    let pairs = all(&store)?;
    check(pairs.len() == 150, || format!("of 150 keys that threads wrote {} came", pairs.len()))?;
    drop(store);
    expect_pairs("after a reopen", &all(&stores.open()?)?, &pairs)
}

pub(crate) fn another_thread_sees_what_was_committed<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let (tell, told) = mpsc::sync_channel::<u64>(0);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for number in told {
                let found = store.get(b"key")?.and_then(|value| (*value).try_into().ok());
                let found = found.map_or(0, u64::from_be_bytes);
                check(found >= number, || {
                    format!("commit {number} had returned, a get on another thread saw {found}")
                })?;
                let scanned = store.scan(&number.to_be_bytes(), None, 1)?.len();
                check(scanned == 1, || format!("a scan on another thread misses key {number}"))?;
            }
            Ok(())
        });
        for number in 1..=COMMITS {
            let mut batch = Batch::new();
            batch.put("key", number.to_be_bytes());
            batch.put(number.to_be_bytes(), "");
            store.commit(batch)?;
            if tell.send(number).is_err() {
                break;
            }
        }
        drop(tell);
        join(reader)
    })
}

pub(crate) fn a_read_during_writes_gives_a_committed_value<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    // A value tells its own length and holds one byte only.
    let value = |number: u64| {
        let [.., byte] = number.to_be_bytes();
        vec![byte; 1 + usize::from(byte) * 200]
    };
    put(&store, "key", value(0))?;
    write_and_read(
        |number| Ok(put(&store, "key", value(number * 37))?),
        || {
            let found = store.get(b"key")?.unwrap_or_default();
            let byte = found.first().copied().unwrap_or_default();
            check(found == value(byte.into()), || "a get saw a value nobody put".to_owned())
        },
    )
}

/// A store wide enough that a commit made of reading and writing takes a while:
/// two of them then overlap.
pub(crate) fn concurrent_commits_to_a_full_store_all_land<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    let store = stores.open()?;
    let filler: Vec<[u8; 3]> =
        (0..5000_u16).map(u16::to_be_bytes).map(|[high, low]| [0, high, low]).collect();
    put_keys(&store, &filler.iter().map(<[u8; 3]>::as_slice).collect::<Vec<_>>())?;
    writers(4, |thread| {
        Ok((0..30_u8).try_for_each(|number| put(&store, [1, thread, number], [number]))?)
    })?;
    let found = store.scan(&[1], None, usize::MAX)?.len();
    check(found == 4 * 30, || format!("4 threads wrote 30 keys each, {found} of 120 are there"))?;
    let filled = store.scan(&[0], None, usize::MAX)?.len();
    check(filled == filler.len(), || format!("of 5000 older keys {filled} are left"))
}

/// To put a value over another is one step, not a removal and a put.
pub(crate) fn an_overwritten_key_is_never_absent<H: BackendHarness>(
    stores: &Stores<H>,
    _: &mut Rng,
) -> CaseResult {
    const KEYS: u16 = 500;
    overwrite_and_read(&stores.open()?, KEYS, |store| {
        for key in (0..KEYS).step_by(25) {
            let found = store.get(&key.to_be_bytes())?;
            check(found.is_some(), || format!("key {key} was absent while it was overwritten"))?;
        }
        Ok(())
    })
}
