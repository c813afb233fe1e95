//! Who listens under which name.
//!
//! A name belongs to one listener until that is closed or dropped. A connection
//! waits in the listener's bounded queue until it is accepted; when the queue is
//! full, connecting fails at once and never waits.

use crate::SCHEME;
use crate::connection::{MemoryReceiver, MemorySender, pair};
use repliq_core::{Connection, Endpoint, Listener, TransportError, TransportErrorKind};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// How many connections wait at a listener to be accepted.
const WAITING_CONNECTIONS: usize = 128;
/// The name that asks for a free one.
const ANY_NAME: &str = ":0";

type MemoryConnection = Connection<MemorySender, MemoryReceiver>;

/// Listeners by name.
#[derive(Default, Debug)]
pub(crate) struct Network {
    names: Mutex<Names>,
}

#[derive(Default, Debug)]
struct Names {
    listening: HashMap<String, mpsc::Sender<MemoryConnection>>,
    last_picked: u64,
}

impl Network {
    pub(crate) fn connect(
        &self,
        name: &str,
        endpoint: &Endpoint,
    ) -> Result<MemoryConnection, TransportError> {
        let unreachable = |why: &str| {
            TransportError::new(TransportErrorKind::Unreachable, format!("{endpoint}: {why}"))
        };
        let names = self.names();
        let listener =
            names.listening.get(name).ok_or_else(|| unreachable("nobody listens there"))?;
        let (near, far) = pair();
        listener.try_send(far).map_err(|_| unreachable("the listener accepts no more"))?;
        Ok(near)
    }

    pub(crate) fn listen(
        network: &Arc<Self>,
        name: &str,
        endpoint: &Endpoint,
    ) -> Result<MemoryListener, TransportError> {
        let mut names = network.names();
        let name = if name == ANY_NAME { names.pick() } else { name.to_owned() };
        let local: Endpoint = format!("{SCHEME}://{name}{}", endpoint.path()).parse()?;
        let (sender, waiting) = mpsc::channel(WAITING_CONNECTIONS);
        match names.listening.entry(name.clone()) {
            Entry::Occupied(_) => {
                Err(TransportError::new(TransportErrorKind::InUse, endpoint.to_string()))
            }
            Entry::Vacant(free) => {
                free.insert(sender);
                drop(names);
                Ok(MemoryListener {
                    network: Arc::clone(network),
                    name,
                    local,
                    waiting: Some(waiting),
                })
            }
        }
    }

    /// A panic elsewhere cannot leave the names half changed, so they are used on.
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    fn pick(&mut self) -> String {
        loop {
            self.last_picked += 1;
            let name = self.last_picked.to_string();
            if !self.listening.contains_key(&name) {
                return name;
            }
        }
    }
}

/// Accepts in-process connections under one name.
#[derive(Debug)]
pub struct MemoryListener {
    network: Arc<Network>,
    name: String,
    local: Endpoint,
    /// Nothing once the listener was closed.
    waiting: Option<mpsc::Receiver<MemoryConnection>>,
}

impl MemoryListener {
    fn stop(&mut self) {
        // Only once: afterwards the name may belong to another listener.
        if self.waiting.take().is_some() {
            self.network.names().listening.remove(&self.name);
        }
    }
}

impl Listener for MemoryListener {
    type Sender = MemorySender;
    type Receiver = MemoryReceiver;

    async fn accept(&mut self) -> Result<MemoryConnection, TransportError> {
        let waiting = self.waiting.as_mut().ok_or(TransportErrorKind::Closed)?;
        waiting.recv().await.ok_or_else(|| TransportErrorKind::Closed.into())
    }

    fn local_endpoint(&self) -> Endpoint {
        self.local.clone()
    }

    async fn close(&mut self) -> Result<(), TransportError> {
        self.stop();
        Ok(())
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.stop();
    }
}
