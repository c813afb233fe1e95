//! The engine of one cell: who stands on which backend and transport, and every
//! edit that was made.
//!
//! Devices A and B and the relay stand on the backend of the cell, A and B on its
//! transport; device C stands on others. All read one clock that never gives the
//! same millisecond twice, so what was written later in a case is later for the
//! types as well, and a naive model can say who wins.

use crate::device::{AnyStore, Anywhere, Opening, Serving};
use crate::types::Type;
use repliq::Millis;
use repliq_conformance::Failure;
use repliq_conformance::engine::{
    Device, Disk, Engine, Failing, Network, Party, Place, Relay, Step,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A clock that is a millisecond later each time it is read.
pub(crate) fn wall() -> Millis {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    static START: std::sync::OnceLock<Millis> = std::sync::OnceLock::new();
    let start = START.get_or_init(Millis::now);
    Millis(start.0 + AHEAD.fetch_add(1, Ordering::SeqCst))
}

/// What the parties of a case share.
pub(crate) struct Shared<K: Type> {
    /// Every edit, numbered in the order they were made.
    history: Mutex<Vec<K::Done>>,
    /// Where the relay listens for each device.
    urls: Mutex<BTreeMap<Party, String>>,
}

impl<K: Type> Shared<K> {
    /// Writes down an edit and gives its number.
    pub(crate) fn made(&self, done: K::Done) -> usize {
        let mut history = lock(&self.history);
        history.push(done);
        history.len() - 1
    }

    /// Where the relay listens for this device, once it does.
    pub(crate) fn url(&self, who: Party) -> Option<String> {
        lock(&self.urls).get(&who).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one party stands on.
struct Standing<K: Type> {
    store: Box<dyn AnyStore>,
    net: Arc<dyn Anywhere<K>>,
    disk: Disk,
    network: Network,
}

/// Backend and transport of one party. The relay's transport is not used: it
/// listens on those of its devices.
pub(crate) type Base<K> = (Box<dyn AnyStore>, Arc<dyn Anywhere<K>>);

/// One cell's stores and networks.
pub(crate) struct World<K: Type> {
    parties: BTreeMap<Party, Standing<K>>,
    nobody: (Network, Disk),
    shared: Arc<Shared<K>>,
}

impl<K: Type> World<K> {
    pub(crate) fn new(base: impl Fn(Party) -> Base<K>) -> Self {
        let parties = Party::ALL.map(|who| {
            let (store, net) = base(who);
            (who, Standing { store, net, disk: Disk::default(), network: Network::default() })
        });
        Self {
            parties: parties.into(),
            nobody: Default::default(),
            shared: Arc::new(Shared { history: Mutex::default(), urls: Mutex::default() }),
        }
    }

    fn party(&self, who: Party) -> Result<&Standing<K>, Failure> {
        self.parties.get(&who).ok_or_else(|| format!("there is no {who}").into())
    }
}

impl<K: Type> Standing<K> {
    fn open(&self) -> Result<Failing, Failure> {
        Ok(Failing::new(self.store.open()?, self.disk.clone()))
    }
}

impl<K: Type> Engine for World<K> {
    fn relay<'a>(&'a self, reached_by: &'a [Party]) -> Step<'a, Box<dyn Relay>> {
        Box::pin(async move {
            let relay = repliq::Relay::open_at(self.party(Party::Relay)?.open()?, wall).await?;
            let mut listening: Vec<(&Standing<K>, String)> = Vec::new();
            for who in reached_by {
                let party = self.party(*who)?;
                let there = listening.iter().find(|(other, _)| Arc::ptr_eq(&other.net, &party.net));
                let url = match there {
                    Some((_, url)) => url.clone(),
                    None => party.net.listen(&relay, self.shared.url(*who).as_deref()).await?,
                };
                lock(&self.shared.urls).insert(*who, url.clone());
                listening.push((party, url));
            }
            Ok(Box::new(Serving(relay)) as Box<dyn Relay>)
        })
    }

    fn device(&self, who: Party) -> Step<'_, Box<dyn Device>> {
        Box::pin(async move {
            let party = self.party(who)?;
            let (storage, network) = (party.open()?, party.network.clone());
            let shared = Arc::clone(&self.shared);
            party.net.open(Opening { who, storage, network, shared }).await
        })
    }

    fn network(&self, device: Party) -> &Network {
        self.parties.get(&device).map_or(&self.nobody.0, |party| &party.network)
    }

    fn disk(&self, whose: Party) -> &Disk {
        self.parties.get(&whose).map_or(&self.nobody.1, |party| &party.disk)
    }

    fn judge(&self, _at: Place, edits: &[usize], shown: &[String]) -> Result<(), String> {
        let history = lock(&self.shared.history);
        let made: Vec<&K::Done> = edits.iter().filter_map(|edit| history.get(*edit)).collect();
        K::judge(&made, shown)
    }
}
