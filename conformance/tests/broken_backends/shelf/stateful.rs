//! Broken stores in memory that keep more than their map: caches, shards, queues.

use super::{Answer, Key, Map, OnMap, apply, linger, pairs};
use repliq_core::{Batch, Pair, StorageErrorKind};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock};

/// Every store of the process is the same one.
#[derive(Default)]
pub(crate) struct OneForAll;

impl OnMap for OneForAll {
    fn map(&self) -> &RwLock<Map> {
        static MAP: RwLock<Map> = RwLock::new(Map::new());
        &MAP
    }
}

/// Remembers what a get found; a delete does not forget it.
#[derive(Default)]
pub(crate) struct DeletedButCached {
    map: RwLock<Map>,
    cache: Mutex<HashMap<Key, Vec<u8>>>,
}

impl OnMap for DeletedButCached {
    fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        let mut cache = self.cache.lock().unwrap();
        if let Some(value) = cache.get(key) {
            return Ok(Some(value.clone()));
        }
        let found = self.read().get(key).cloned();
        if let Some(value) = &found {
            cache.insert(key.to_vec(), value.clone());
        }
        Ok(found)
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let mut map = self.write();
        let mut cache = self.cache.lock().unwrap();
        for (key, value) in batch.iter() {
            if let Some(value) = value {
                cache.insert(key.to_vec(), value.to_vec());
            }
        }
        apply(&mut map, batch);
        Ok(())
    }
}

/// Remembers which keys a get did not find; a put does not forget it.
#[derive(Default)]
pub(crate) struct AbsenceIsCached {
    map: RwLock<Map>,
    absent: Mutex<std::collections::HashSet<Key>>,
}

impl OnMap for AbsenceIsCached {
    fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        if self.absent.lock().unwrap().contains(key) {
            return Ok(None);
        }
        let found = self.read().get(key).cloned();
        if found.is_none() {
            self.absent.lock().unwrap().insert(key.to_vec());
        }
        Ok(found)
    }
}

/// Remembers what was scanned; only a put under the prefix forgets it.
#[derive(Default)]
pub(crate) struct ScansAreCached {
    map: RwLock<Map>,
    cache: Mutex<HashMap<Key, Vec<Pair>>>,
}

impl OnMap for ScansAreCached {
    fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        let mut cache = self.cache.lock().unwrap();
        let all = cache
            .entry(prefix.to_vec())
            .or_insert_with(|| pairs(&self.read(), prefix, None, usize::MAX));
        let past = |key: &Key| after.is_none_or(|after| key.as_slice() > after);
        Ok(all.iter().filter(|(key, _)| past(key)).take(limit).cloned().collect())
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let mut cache = self.cache.lock().unwrap();
        for (key, _) in batch.iter().filter(|(_, value)| value.is_some()) {
            cache.retain(|prefix, _| !key.starts_with(prefix));
        }
        apply(&mut self.write(), batch);
        Ok(())
    }
}

/// New writes lie over old ones; a scan takes its limit before it leaves out what
/// was deleted.
#[derive(Default)]
pub(crate) struct DeletedCountAsFound {
    map: RwLock<Map>,
    deleted: RwLock<std::collections::BTreeSet<Key>>,
}

impl OnMap for DeletedCountAsFound {
    fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        let map = self.read();
        let deleted = self.deleted.read().unwrap();
        Ok(map.get(key).filter(|_| !deleted.contains(key)).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        let map = self.read();
        let deleted = self.deleted.read().unwrap();
        let found = pairs(&map, prefix, after, limit).into_iter();
        Ok(found.filter(|(key, _)| !deleted.contains(key)).collect())
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let mut map = self.write();
        let mut deleted = self.deleted.write().unwrap();
        for (key, value) in batch {
            match value {
                Some(value) => {
                    deleted.remove(&key);
                    map.insert(key, value);
                }
                None => drop(deleted.insert(key)),
            }
        }
        Ok(())
    }
}

/// Keeps equal values once; the first key that goes takes the value along.
#[derive(Default)]
pub(crate) struct EqualValuesShareAFate {
    map: RwLock<Map>,
    values: RwLock<HashMap<Vec<u8>, ()>>,
}

impl OnMap for EqualValuesShareAFate {
    fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        let map = self.read();
        let values = self.values.read().unwrap();
        Ok(map.get(key).filter(|value| values.contains_key(*value)).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        let map = self.read();
        let values = self.values.read().unwrap();
        let found = pairs(&map, prefix, after, usize::MAX).into_iter();
        Ok(found.filter(|(_, value)| values.contains_key(value)).take(limit).collect())
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let mut map = self.write();
        let mut values = self.values.write().unwrap();
        for (key, value) in batch {
            if let Some(old) = map.remove(&key) {
                values.remove(&old);
            }
            if let Some(value) = value {
                values.insert(value.clone(), ());
                map.insert(key, value);
            }
        }
        Ok(())
    }
}

/// Keys are spread over shards, each with a lock of its own.
#[derive(Default)]
pub(crate) struct Sharded {
    unused: RwLock<Map>,
    shards: [RwLock<Map>; 4],
}

impl Sharded {
    fn shard(&self, key: &[u8]) -> &RwLock<Map> {
        let sum = key.iter().fold(0usize, |sum, byte| sum.wrapping_add(*byte as usize));
        &self.shards[sum % 4]
    }
}

impl OnMap for Sharded {
    fn map(&self) -> &RwLock<Map> {
        &self.unused
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.shard(key).read().unwrap().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        let mut all = Map::new();
        for shard in &self.shards {
            all.extend(pairs(&shard.read().unwrap(), prefix, after, limit));
            linger();
        }
        Ok(pairs(&all, prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        for (key, value) in batch {
            apply(&mut self.shard(&key).write().unwrap(), [(key.clone(), value)]);
            linger();
        }
        Ok(())
    }
}

/// A commit holds all shards, but a scan looks at one after the other.
#[derive(Default)]
pub(crate) struct ScannedShardByShard(Sharded);

impl OnMap for ScannedShardByShard {
    fn map(&self) -> &RwLock<Map> {
        &self.0.unused
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        OnMap::get(&self.0, key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        OnMap::scan(&self.0, prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let mut held: Vec<_> = self.0.shards.iter().map(|shard| shard.write().unwrap()).collect();
        for (key, value) in batch {
            let sum = key.iter().fold(0usize, |sum, byte| sum.wrapping_add(*byte as usize));
            apply(&mut held[sum % 4], [(key, value)]);
        }
        Ok(())
    }
}

/// Pages of a scan: 64 pairs under one lock, then the next 64.
#[derive(Default)]
pub(crate) struct ScannedInPages(RwLock<Map>);

impl OnMap for ScannedInPages {
    fn map(&self) -> &RwLock<Map> {
        &self.0
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        let mut found: Vec<Pair> = Vec::new();
        loop {
            let from = found.last().map(|(key, _)| key.clone());
            let after = from.as_deref().or(after);
            let page = pairs(&self.read(), prefix, after, 64.min(limit - found.len()));
            if page.is_empty() {
                return Ok(found);
            }
            found.extend(page);
            linger();
        }
    }
}

/// Each thread reads its own copy, which only its own commits renew.
#[derive(Default)]
pub(crate) struct EachThreadItsCopy(RwLock<Map>);

thread_local! {
    static COPY: RefCell<HashMap<usize, Map>> = RefCell::default();
}

impl EachThreadItsCopy {
    fn with_copy<T>(&self, read: impl FnOnce(&Map) -> T) -> T {
        let place = std::ptr::from_ref(self) as usize;
        COPY.with_borrow_mut(|copies| {
            read(copies.entry(place).or_insert_with(|| self.read().clone()))
        })
    }
}

impl OnMap for EachThreadItsCopy {
    fn map(&self) -> &RwLock<Map> {
        &self.0
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.with_copy(|map| map.get(key).cloned()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        Ok(self.with_copy(|map| pairs(map, prefix, after, limit)))
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let place = std::ptr::from_ref(self) as usize;
        apply(&mut self.write(), batch);
        let now = self.read().clone();
        COPY.with_borrow_mut(|copies| copies.insert(place, now));
        Ok(())
    }
}

/// One thread applies all commits, and nobody waits for it.
pub(crate) struct AppliedLater {
    map: Arc<RwLock<Map>>,
    queue: std::sync::mpsc::Sender<Batch>,
}

impl Default for AppliedLater {
    fn default() -> Self {
        let map = Arc::new(RwLock::default());
        let (queue, batches) = std::sync::mpsc::channel::<Batch>();
        let applied = Arc::clone(&map);
        std::thread::spawn(move || {
            while let Ok(batch) = batches.recv() {
                linger();
                apply(&mut applied.write().unwrap(), batch);
            }
        });
        Self { map, queue }
    }
}

impl OnMap for AppliedLater {
    fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        self.queue.send(batch).map_err(|_| StorageErrorKind::Closed.into())
    }
}

/// A put of the bytes that were put last is skipped, even after a delete.
#[derive(Default)]
pub(crate) struct SamePutIsSkipped {
    map: RwLock<Map>,
    last: Mutex<HashMap<Key, Vec<u8>>>,
}

impl OnMap for SamePutIsSkipped {
    fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let mut map = self.write();
        let mut last = self.last.lock().unwrap();
        for (key, value) in batch {
            if let Some(value) = &value
                && last.insert(key.clone(), value.clone()).as_ref() == Some(value)
            {
                continue;
            }
            apply(&mut map, [(key, value)]);
        }
        Ok(())
    }
}

/// Each key counts its versions in a byte and keeps the highest.
#[derive(Default)]
pub(crate) struct VersionsInAByte {
    map: RwLock<Map>,
    versions: RwLock<BTreeMap<Key, BTreeMap<u8, Vec<u8>>>>,
    counts: Mutex<HashMap<Key, u8>>,
}

impl OnMap for VersionsInAByte {
    fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let mut map = self.write();
        let mut counts = self.counts.lock().unwrap();
        let mut versions = self.versions.write().unwrap();
        for (key, value) in batch {
            let Some(value) = value else {
                map.remove(&key);
                counts.remove(&key);
                versions.remove(&key);
                continue;
            };
            let count = counts.entry(key.clone()).or_default();
            *count = count.wrapping_add(1);
            let kept = versions.entry(key.clone()).or_default();
            kept.insert(*count, value);
            if kept.len() > 2 {
                kept.pop_first();
            }
            if let Some(newest) = kept.values().next_back() {
                map.insert(key, newest.clone());
            }
        }
        Ok(())
    }
}

/// Values over a page are cut at the page.
#[derive(Default)]
pub(crate) struct LengthInTwoBytes(RwLock<Map>);

impl OnMap for LengthInTwoBytes {
    fn map(&self) -> &RwLock<Map> {
        &self.0
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let cut = |mut value: Vec<u8>| {
            value.truncate(value.len() as u16 as usize);
            value
        };
        apply(&mut self.write(), batch.into_iter().map(|(key, value)| (key, value.map(cut))));
        Ok(())
    }
}

/// Keys over 255 bytes are cut.
#[derive(Default)]
pub(crate) struct KeyLengthInAByte(RwLock<Map>);

fn short(key: &[u8]) -> &[u8] {
    key.get(..key.len() as u8 as usize).unwrap_or(key)
}

impl OnMap for KeyLengthInAByte {
    fn map(&self) -> &RwLock<Map> {
        &self.0
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.read().get(short(key)).cloned())
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        let writes = batch.into_iter().map(|(key, value)| (short(&key).to_vec(), value));
        apply(&mut self.write(), writes);
        Ok(())
    }
}
