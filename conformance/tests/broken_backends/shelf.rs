//! Broken stores in memory: each is a sorted map with one method as an author in
//! a hurry would write it.
//!
//! They were written from the contract alone, without a look at the cases. What
//! is not overridden is right.

mod stateful;

pub(crate) use stateful::*;

use repliq_conformance::backend::BackendHarness;
use repliq_core::{Batch, Pair, StorageBackend, StorageError, StorageErrorKind};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

pub(crate) type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Key = Vec<u8>;
type Write = (Vec<u8>, Option<Vec<u8>>);
type Answer<T> = Result<T, StorageError>;

/// Makes the moment in which a store is in a wrong state wide enough for another
/// thread, or a kill, to fall into it, on a busy machine too.
pub(crate) fn linger() {
    thread::sleep(Duration::from_micros(100));
}

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
                linger();
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
            linger();
            apply(&mut self.write(), batch);
            Ok(())
        }
    }

    CopiedChangedAndSwapped {
        fn commit(&self, batch: Batch) -> Answer<()> {
            let mut next = self.read().clone();
            apply(&mut next, batch);
            linger();
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
