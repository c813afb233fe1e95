//! Repliq's replicas, relays and links as the engine suite drives them.
//!
//! Each call is one of the public API and nothing more. What a network and a
//! backend are stays outside: [`Anywhere`] opens a replica on a transport that
//! only it knows.

use crate::parts::{Net, Store};
use crate::types::Type;
use crate::world::{Shared, wall};
use repliq::prelude::*;
use repliq::{Error, LinkStatus, StorageError, TransportErrorKind};
use repliq_conformance::Failure;
use repliq_conformance::engine::{
    Device, Events, Failing, Link, Lossy, Network, PATIENCE, PLACES, Party, Place, Relay, Step,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A [`Store`] of any backend.
pub(crate) trait AnyStore: Send + Sync {
    fn open(&self) -> Result<Box<dyn StorageBackend>, StorageError>;
}

impl<S: Store> AnyStore for S {
    fn open(&self) -> Result<Box<dyn StorageBackend>, StorageError> {
        Ok(Box::new(Store::open(self)?))
    }
}

/// Who opens a device, and over what.
pub(crate) struct Opening<K: Type> {
    pub(crate) who: Party,
    pub(crate) storage: Failing,
    pub(crate) network: Network,
    pub(crate) shared: Arc<Shared<K>>,
}

/// A [`Net`] of any transport.
pub(crate) trait Anywhere<K: Type>: Send + Sync {
    fn open(&self, opening: Opening<K>) -> Step<'_, Box<dyn Device>>;

    /// Lets a relay listen at this URL, or anywhere, and says where it does.
    fn listen<'a>(&'a self, relay: &'a repliq::Relay, at: Option<&'a str>) -> Step<'a, String>;
}

impl<N: Net, K: Type> Anywhere<K> for N {
    fn open(&self, opening: Opening<K>) -> Step<'_, Box<dyn Device>> {
        let transport = Lossy::new(self.transport(), opening.network.clone());
        Box::pin(async move {
            let Opening { who, storage, shared, .. } = opening;
            let builder = Replica::builder().storage(storage).transport(transport).wall(wall);
            let replica = builder.build().await?;
            let mut documents = BTreeMap::new();
            for at in PLACES {
                let document = replica.space(at.space).document(at.document).await?;
                documents.insert(at, document);
            }
            let device = Open::<K, _> { who, replica, documents, shared };
            Ok(Box::new(device) as Box<dyn Device>)
        })
    }

    fn listen<'a>(&'a self, relay: &'a repliq::Relay, at: Option<&'a str>) -> Step<'a, String> {
        Box::pin(async move {
            let begun = Instant::now();
            loop {
                match relay.listen(self.transport(), at.unwrap_or(N::ANY)).await {
                    Ok(listening) => return Ok(listening.to_string()),
                    Err(Error::Transport(error)) if error.kind == TransportErrorKind::InUse => {
                        // Another cell may have got the port while the relay was closed, and
                        // gives it back soon.
                        if begun.elapsed() > PATIENCE {
                            return Err(error.into());
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    }
}

/// An open replica.
struct Open<K: Type, T> {
    who: Party,
    replica: Replica<Failing, T>,
    documents: BTreeMap<Place, Document<K::Crdt>>,
    shared: Arc<Shared<K>>,
}

impl<K: Type, T> Open<K, T> {
    fn document(&self, at: Place) -> Result<&Document<K::Crdt>, Failure> {
        self.documents.get(&at).ok_or_else(|| format!("{at} is not open").into())
    }
}

impl<K: Type, T: Transport> Device for Open<K, T> {
    fn edit(&self, at: Place, n: usize) -> Step<'_, usize> {
        Box::pin(async move {
            let who = self.who.name();
            let done = self.document(at)?.update(move |tx| K::edit(tx, who, n)).await?;
            Ok(self.shared.made(done))
        })
    }

    fn show(&self, at: Place) -> Result<Vec<String>, Failure> {
        Ok(self.document(at)?.read(|value| K::view(value))?)
    }

    fn follow(&self, at: Place) -> Result<Box<dyn Events>, Failure> {
        let document = self.document(at)?;
        let (events, shown) = document.read(|value| (document.subscribe(), K::view(value)))?;
        Ok(Box::new(Following::<K> { events, shown }))
    }

    fn link(&self, space: &'static str) -> Step<'_, Box<dyn Link>> {
        Box::pin(async move {
            let url = self.shared.url(self.who).ok_or("no relay listens for this device")?;
            let url = url.parse::<repliq::Endpoint>()?.with_space(space)?;
            let link = self.replica.space(space).sync(url.as_str()).await?;
            Ok(Box::new(Linked(link)) as Box<dyn Link>)
        })
    }

    fn close(self: Box<Self>) -> Step<'static, ()> {
        Box::pin(async move {
            self.replica.close().await;
            Ok(())
        })
    }
}

struct Following<K: Type> {
    events: repliq::Events<K::Crdt>,
    shown: Vec<String>,
}

impl<K: Type> Events for Following<K> {
    fn next(&mut self) -> Step<'_, ()> {
        Box::pin(async {
            let event = self.events.next().await.ok_or("the stream of events ended")?;
            Ok(K::patch(&mut self.shown, event)?)
        })
    }

    fn shown(&self) -> Vec<String> {
        self.shown.clone()
    }

    fn is_told(&mut self) -> bool {
        self.events.try_next().is_some()
    }
}

struct Linked(repliq::Link);

impl Link for Linked {
    fn synced(&self) -> Step<'_, ()> {
        Box::pin(async {
            match self.0.synced().await {
                Ok(()) => Ok(()),
                Err(why) => Err(format!("{why} (the link is {})", self.0.status()).into()),
            }
        })
    }

    fn offline(&self) -> Step<'_, ()> {
        Box::pin(async {
            let mut status = self.0.watch_status();
            status.wait_for(|status| matches!(status, LinkStatus::Offline(_))).await?;
            Ok(())
        })
    }

    fn close(self: Box<Self>) -> Step<'static, ()> {
        Box::pin(async {
            self.0.close().await;
            Ok(())
        })
    }
}

/// A relay that serves.
pub(crate) struct Serving(pub(crate) repliq::Relay);

impl Relay for Serving {
    fn close(self: Box<Self>) -> Step<'static, ()> {
        Box::pin(async move {
            self.0.close().await;
            Ok(())
        })
    }
}
