//! The model as an engine that the suite can drive.

use crate::bugs::Bug;
use crate::model::{Line, World};
use repliq_conformance::Failure;
use repliq_conformance::engine::{
    Device, Disk, Engine, Events, Link, Network, Party, Place, Relay, Step,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What never comes in so many rounds never comes.
const ROUNDS: usize = 60;

#[derive(Clone)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves frames, and says whether this is so then.
    fn moved(&self, is_so: impl Fn(&World) -> bool) -> bool {
        let mut world = self.world();
        world.pump();
        is_so(&world)
    }

    /// Moves frames until this is so.
    async fn until(&self, is_so: impl Fn(&World) -> bool) -> Result<(), Failure> {
        for _ in 0..ROUNDS {
            if self.moved(&is_so) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err(format!("not in {ROUNDS} rounds").into())
    }
}

/// The model, sound or with one bug.
pub(crate) struct Twin {
    shared: Shared,
    networks: BTreeMap<Party, Network>,
    disks: BTreeMap<Party, Disk>,
}

impl Twin {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        let networks = BTreeMap::from(Party::ALL.map(|who| (who, Network::default())));
        let disks = BTreeMap::from(Party::ALL.map(|who| (who, Disk::default())));
        let world = World::new(bug, networks.clone(), disks.clone());
        Self { shared: Shared(Arc::new(Mutex::new(world))), networks, disks }
    }

    fn opened(&self, who: Party) -> Open {
        Open { who, shared: self.shared.clone() }
    }
}

impl Engine for Twin {
    fn relay<'a>(&'a self, reached_by: &'a [Party]) -> Step<'a, Box<dyn Relay>> {
        Box::pin(async {
            self.shared.world().serve(reached_by);
            Ok(Box::new(self.opened(Party::Relay)) as Box<dyn Relay>)
        })
    }

    fn device(&self, who: Party) -> Step<'_, Box<dyn Device>> {
        Box::pin(async move {
            self.shared.world().open(who);
            Ok(Box::new(self.opened(who)) as Box<dyn Device>)
        })
    }

    fn network(&self, device: Party) -> &Network {
        &self.networks[&device]
    }

    fn disk(&self, whose: Party) -> &Disk {
        &self.disks[&whose]
    }

    fn judge(&self, _at: Place, edits: &[usize], shown: &[String]) -> Result<(), String> {
        let made: Vec<String> = edits.iter().map(ToString::to_string).collect();
        if let Some(missing) = made.iter().find(|edit| !shown.contains(edit)) {
            return Err(format!("missing: {missing}; it shows {shown:?}"));
        }
        if let Some(strange) = shown.iter().find(|edit| !made.contains(edit)) {
            return Err(format!("from elsewhere: {strange}; it shows {shown:?}"));
        }
        if shown.len() > made.len() { Err(format!("twice: {shown:?}")) } else { Ok(()) }
    }
}

struct Open {
    who: Party,
    shared: Shared,
}

impl Relay for Open {
    fn close(self: Box<Self>) -> Step<'static, ()> {
        Box::pin(async move {
            self.shared.world().close(self.who);
            Ok(())
        })
    }
}

impl Device for Open {
    fn edit(&self, at: Place, _n: usize) -> Step<'_, usize> {
        Box::pin(async move { self.shared.world().edit(self.who, at) })
    }

    fn show(&self, at: Place) -> Result<Vec<String>, Failure> {
        let world = self.shared.world();
        let of_place = world.kept(self.who)?.log.iter().filter(|change| change.at == at);
        let mut shown: Vec<String> = of_place.map(|change| change.edit.to_string()).collect();
        shown.sort();
        Ok(shown)
    }

    fn follow(&self, at: Place) -> Result<Box<dyn Events>, Failure> {
        let shown = self.show(at)?;
        let heard = self.shared.world().told(self.who, at).len();
        Ok(Box::new(Following { shared: self.shared.clone(), who: self.who, at, heard, shown }))
    }

    fn link(&self, space: &'static str) -> Step<'_, Box<dyn Link>> {
        Box::pin(async move {
            let line = (self.who, space);
            self.shared.world().link(line);
            self.shared.world().pump();
            Ok(Box::new(Linked { shared: self.shared.clone(), line }) as Box<dyn Link>)
        })
    }

    fn close(self: Box<Self>) -> Step<'static, ()> {
        Relay::close(self)
    }
}

struct Following {
    shared: Shared,
    who: Party,
    at: Place,
    heard: usize,
    shown: Vec<String>,
}

impl Events for Following {
    fn next(&mut self) -> Step<'_, ()> {
        Box::pin(async {
            let (who, at, heard) = (self.who, self.at, self.heard);
            self.shared.until(move |world| world.told(who, at).len() > heard).await?;
            let edit = self.shared.world().told(who, at)[heard];
            self.heard += 1;
            self.shown.push(edit.to_string());
            self.shown.sort();
            Ok(())
        })
    }

    fn shown(&self) -> Vec<String> {
        self.shown.clone()
    }

    fn is_told(&mut self) -> bool {
        let is_told = self.shared.world().told(self.who, self.at).len() > self.heard;
        self.heard += usize::from(is_told);
        is_told
    }
}

struct Linked {
    shared: Shared,
    line: Line,
}

impl Link for Linked {
    fn synced(&self) -> Step<'_, ()> {
        Box::pin(self.shared.until(|world| world.is_synced(self.line)))
    }

    fn offline(&self) -> Step<'_, ()> {
        Box::pin(self.shared.until(|world| !world.is_live(self.line)))
    }

    fn close(self: Box<Self>) -> Step<'static, ()> {
        Box::pin(async move {
            drop(self);
            Ok(())
        })
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.shared.world().unlink(self.line);
    }
}
