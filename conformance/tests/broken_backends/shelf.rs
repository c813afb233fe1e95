//! Broken stores in memory: each is a sorted map with one method as an author in
//! a hurry would write it.
//!
//! They were written from the contract alone, without a look at the cases. What
//! is not overridden is right.

use repliq_conformance::backend::BackendHarness;
use repliq_core::{Batch, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Key = Vec<u8>;
type Write = (Vec<u8>, Option<Vec<u8>>);
type Answer<T> = Result<T, StorageError>;

/// A sorted map behind a lock, right unless a method is overridden.
pub(crate) trait OnMap: Default + Send + Sync + 'static {
    fn map(&self) -> &RwLock<Map>;

    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.map().read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Map> {
        self.map().write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        Ok(self.read().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        Ok(pairs(&self.read(), prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        apply(&mut self.write(), batch);
        Ok(())
    }
}

/// What a scan must give.
pub(crate) fn pairs(map: &Map, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Pair> {
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    map.range::<[u8], _>((start, Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(prefix))
        .take(limit)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What a commit must do.
pub(crate) fn apply(map: &mut Map, writes: impl IntoIterator<Item = Write>) {
    for (key, value) in writes {
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.remove(&key)),
        }
    }
}

/// Makes a backend of a broken map.
pub(crate) struct Handle<M>(Arc<M>);

impl<M: OnMap> StorageBackend for Handle<M> {
    fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
        self.0.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        self.0.commit(batch)
    }
}

/// One store in memory, which every handle shares.
#[derive(Default)]
pub(crate) struct Shelf<M>(Arc<M>);

impl<M: OnMap> BackendHarness for Shelf<M> {
    type Backend = Handle<M>;

    fn open(&self) -> Answer<Handle<M>> {
        Ok(Handle(Arc::clone(&self.0)))
    }
}

/// A map with nothing beside it and these methods of its own.
macro_rules! broken {
    ($($name:ident { $($method:item)* })*) => { $(
        #[derive(Default)]
        pub(crate) struct $name(RwLock<Map>);

        impl OnMap for $name {
            fn map(&self) -> &RwLock<Map> {
                &self.0
            }

            $($method)*
        }
    )* };
}

fn cloned((key, value): (&Key, &Vec<u8>)) -> Pair {
    (key.clone(), value.clone())
}

broken! {
    Honest {}

    AfterReplacesThePrefix {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
            let map = self.read();
            let range = map.range::<[u8], _>((start, Bound::Unbounded));
            Ok(range.take_while(|(key, _)| key.starts_with(prefix)).take(limit).map(cloned).collect())
        }
    }

    EndSaturatesAtFf {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let mut end = prefix.to_vec();
            if let Some(last) = end.last_mut() {
                *last = last.saturating_add(1);
            }
            let all = pairs(&self.read(), prefix, after, usize::MAX).into_iter();
            Ok(all.filter(|(key, _)| end.is_empty() || *key < end).take(limit).collect())
        }
    }

    EndIsPrefixAndFf {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let end = [prefix, &[0xff]].concat();
            let all = pairs(&self.read(), prefix, after, usize::MAX).into_iter();
            Ok(all.filter(|(key, _)| *key < end).take(limit).collect())
        }
    }

    RoomForTheLimit {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let mut found = Vec::with_capacity(limit);
            found.extend(pairs(&self.read(), prefix, after, limit));
            Ok(found)
        }
    }

    OneMoreThanTheLimit {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let mut found = pairs(&self.read(), prefix, after, limit + 1);
            found.truncate(limit);
            Ok(found)
        }
    }

    LimitCheckedAfterThePush {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let mut found = Vec::new();
            for pair in pairs(&self.read(), prefix, after, usize::MAX) {
                found.push(pair);
                if found.len() >= limit {
                    break;
                }
            }
            Ok(found)
        }
    }

    LimitAsU32 {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            Ok(pairs(&self.read(), prefix, after, limit as u32 as usize))
        }
    }

    LimitBeforeTheFilter {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let start = after.unwrap_or_default();
            let map = self.read();
            let range = map.range::<[u8], _>((Bound::Included(start), Bound::Unbounded)).take(limit);
            let past = |key: &Key| after.is_none_or(|after| key.as_slice() > after);
            Ok(range.filter(|(key, _)| past(key) && key.starts_with(prefix)).map(cloned).collect())
        }
    }

    AThousandRowsAtMost {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            Ok(pairs(&self.read(), prefix, after, limit.min(1000)))
        }
    }

    AfterMustStillExist {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let all = pairs(&self.read(), prefix, None, usize::MAX).into_iter();
            Ok(match after {
                None => all.take(limit).collect(),
                Some(after) => all.skip_while(|(key, _)| key != after).skip(1).take(limit).collect(),
            })
        }
    }

    PrefixIsAPattern {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let like = |key: &Key| {
                key.len() >= prefix.len() && key.iter().zip(prefix).all(|(a, b)| a == b || *b == b'_')
            };
            let past = |key: &Key| after.is_none_or(|after| key.as_slice() > after);
            let map = self.read();
            Ok(map.iter().filter(|(key, _)| like(key) && past(key)).take(limit).map(cloned).collect())
        }
    }

    PrefixIgnoresCase {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let like = |key: &Key| {
                key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            };
            let past = |key: &Key| after.is_none_or(|after| key.as_slice() > after);
            let map = self.read();
            Ok(map.iter().filter(|(key, _)| like(key) && past(key)).take(limit).map(cloned).collect())
        }
    }

    ShorterKeysFirst {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let mut all = pairs(&self.read(), prefix, None, usize::MAX);
            all.sort_by_key(|(key, _)| (key.len(), key.clone()));
            let past = |key: &Key| after.is_none_or(|after| (key.len(), key.as_slice()) > (after.len(), after));
            Ok(all.into_iter().filter(|(key, _)| past(key)).take(limit).collect())
        }
    }

    SignedBytes {
        fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Answer<Vec<Pair>> {
            let signed = |key: &[u8]| key.iter().map(|byte| *byte as i8).collect::<Vec<_>>();
            let mut all = pairs(&self.read(), prefix, None, usize::MAX);
            all.sort_by_key(|(key, _)| signed(key));
            let past = |key: &Key| after.is_none_or(|after| signed(key) > signed(after));
            Ok(all.into_iter().filter(|(key, _)| past(key)).take(limit).collect())
        }
    }

    GetFindsAnExtension {
        fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
            let found = pairs(&self.read(), key, None, 1).into_iter().next();
            Ok(found.map(|(_, value)| value))
        }
    }

    PutsBeforeDeletes {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let (puts, deletes): (Vec<_>, Vec<_>) = batch.into_iter().partition(|(_, value)| value.is_some());
            apply(&mut self.write(), puts.into_iter().chain(deletes));
            Ok(())
        }
    }

    DeletesBeforePuts {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let (puts, deletes): (Vec<_>, Vec<_>) = batch.into_iter().partition(|(_, value)| value.is_some());
            apply(&mut self.write(), deletes.into_iter().chain(puts));
            Ok(())
        }
    }

    FirstOnAKeyWins {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let mut writes = BTreeMap::new();
            for (key, value) in batch {
                writes.entry(key).or_insert(value);
            }
            apply(&mut self.write(), writes);
            Ok(())
        }
    }

    EmptyValueIsADelete {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let writes = batch.into_iter().map(|(key, value)| (key, value.filter(|value| !value.is_empty())));
            apply(&mut self.write(), writes);
            Ok(())
        }
    }

    EmptyKeyIsIgnored {
        fn commit(&self, batch: Batch) -> Answer<()> {
            apply(&mut self.write(), batch.into_iter().filter(|(key, _)| !key.is_empty()));
            Ok(())
        }
    }

    DeleteTakesTheWholePrefix {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let mut map = self.write();
            for (key, value) in batch {
                match value {
                    Some(value) => drop(map.insert(key, value)),
                    None => map.retain(|other, _| !other.starts_with(&key)),
                }
            }
            Ok(())
        }
    }

    DeleteOfNothingIsAnError {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let mut map = self.write();
            let mut next = map.clone();
            for (key, value) in batch {
                match value {
                    Some(value) => drop(next.insert(key, value)),
                    None if next.remove(&key).is_none() => return Err(StorageErrorKind::Io.into()),
                    None => {}
                }
            }
            *map = next;
            Ok(())
        }
    }

    EmptyBatchPanics {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let writes: Vec<_> = batch.into_iter().collect();
            let (first, rest) = writes.split_first().expect("a batch has writes");
            apply(&mut self.write(), [first.clone()].into_iter().chain(rest.iter().cloned()));
            Ok(())
        }
    }

    InPortionsOfAHundred {
        fn commit(&self, batch: Batch) -> Answer<()> {
            for portion in batch.into_iter().collect::<Vec<_>>().chunks(100) {
                apply(&mut self.write(), portion.iter().cloned());
            }
            Ok(())
        }
    }

    LargeBatchesAreRefusedHalfway {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let mut bytes = 0;
            for (key, value) in batch {
                bytes += key.len() + value.as_ref().map_or(0, Vec::len);
                if bytes > 4 << 20 {
                    return Err(StorageErrorKind::Full.into());
                }
                apply(&mut self.write(), [(key, value)]);
            }
            Ok(())
        }
    }

    OverwrittenInTwoSteps {
        fn commit(&self, batch: Batch) -> Answer<()> {
            for (key, _) in batch.iter() {
                self.write().remove(key);
            }
            apply(&mut self.write(), batch);
            Ok(())
        }
    }

    CopiedChangedAndSwapped {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let mut next = self.read().clone();
            apply(&mut next, batch);
            *self.write() = next;
            Ok(())
        }
    }

    KeysAreText {
        fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
            Ok(self.read().get(String::from_utf8_lossy(key).as_bytes()).cloned())
        }

        fn commit(&self, batch: Batch) -> Answer<()> {
            let text = |key: Key| String::from_utf8_lossy(&key).into_owned().into_bytes();
            apply(&mut self.write(), batch.into_iter().map(|(key, value)| (text(key), value)));
            Ok(())
        }
    }

    KeysEndAtNul {
        fn get(&self, key: &[u8]) -> Answer<Option<Vec<u8>>> {
            Ok(self.read().get(until_nul(key)).cloned())
        }

        fn commit(&self, batch: Batch) -> Answer<()> {
            let writes = batch.into_iter().map(|(key, value)| (until_nul(&key).to_vec(), value));
            apply(&mut self.write(), writes);
            Ok(())
        }
    }
}

fn until_nul(key: &[u8]) -> &[u8] {
    key.split(|byte| *byte == 0).next().unwrap_or_default()
}

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
        }
        Ok(pairs(&all, prefix, after, limit))
    }

    fn commit(&self, batch: Batch) -> Answer<()> {
        for (key, value) in batch {
            apply(&mut self.shard(&key).write().unwrap(), [(key.clone(), value)]);
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
