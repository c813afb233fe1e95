//! Cases for engines: devices that edit, a relay they meet at, and everything
//! that goes wrong in between.
//!
//! An [`Engine`] is the handful of calls that the cases need; whoever implements
//! it chooses the backends, the transports and the data type, and judges what a
//! device holds by a naive model of that type. Every case checks the devices
//! against that model and against each other, never only the latter: replicas can
//! agree on a wrong value.
//!
//! No case sleeps to let something happen: it waits, for at most [`PATIENCE`], for
//! the thing itself. Faults come from layers that go around any transport
//! ([`Lossy`]) and any backend ([`Failing`]), planned by the seed of the run.

mod apart;
mod disk;
mod durable;
mod lossy;
mod network;
mod plain;
mod restarts;
mod story;
mod unreliable;

pub use disk::{Disk, Failing};
pub use lossy::Lossy;
pub use network::{Direction, Fate, Network};

use crate::case::run_all;
use crate::{Case, CaseResult, Failure, Level, Report};
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// How long a case waits for one thing. All ends in a fraction of a second when
/// all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Who takes part in a case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Party {
    /// A device.
    A,
    /// A device like [`Party::A`]: the same kind of backend and transport.
    B,
    /// A device on another backend and another transport than the two others, as
    /// far as the engine under test has several.
    C,
    /// The relay.
    Relay,
}

impl Party {
    /// Everybody.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::Relay];

    /// A name: `a`, `b`, `c` or `relay`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
            Self::Relay => "relay",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A document in a space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The space.
    pub space: &'static str,
    /// The document.
    pub document: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space, self.document)
    }
}

/// The document most cases edit.
pub const NOTES: Place = Place { space: repliq_core::DEFAULT_SPACE, document: "notes" };
/// Another document of the same space.
pub const TAGS: Place = Place { space: repliq_core::DEFAULT_SPACE, document: "tags" };
/// A document of the same name in another space.
pub const TEAM: Place = Place { space: "team", document: "notes" };
/// Every document there is.
pub const PLACES: [Place; 3] = [NOTES, TAGS, TEAM];

/// A call under way.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// An engine under test, with the stores and networks of one case.
pub trait Engine: Send + Sync + 'static {
    /// Opens the relay's store, new or as it was left, and listens where these
    /// devices reach it: at the same addresses each time.
    fn relay<'a>(&'a self, reached_by: &'a [Party]) -> Step<'a, Box<dyn Relay>>;

    /// Opens the store of a device, new or as it was left.
    fn device(&self, who: Party) -> Step<'_, Box<dyn Device>>;

    /// What a device's connections go through.
    fn network(&self, device: Party) -> &Network;

    /// What a store's commits go through.
    fn disk(&self, whose: Party) -> &Disk;

    /// What is wrong with what a device shows of a document, if `edits`, numbers
    /// given by [`Device::edit`] in ascending order, were made to it and no others.
    ///
    /// # Errors
    /// What was expected and what is shown.
    fn judge(&self, at: Place, edits: &[usize], shown: &[String]) -> Result<(), String>;
}

/// A relay that serves.
pub trait Relay: Send + Sync {
    /// Stops it; its store can be opened again then.
    fn close(self: Box<Self>) -> Step<'static, ()>;
}

/// A device whose store is open.
pub trait Device: Send + Sync {
    /// Makes the `n`-th edit and gives it a number, larger than those before it.
    /// It is durable then. Edits of different devices touch the same places.
    fn edit(&self, at: Place, n: usize) -> Step<'_, usize>;

    /// What a reader sees, in a fixed order.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn show(&self, at: Place) -> Result<Vec<String>, Failure>;

    /// Follows the visible changes of a document from now on.
    ///
    /// # Errors
    /// Why it cannot be followed.
    fn follow(&self, at: Place) -> Result<Box<dyn Events>, Failure>;

    /// Links a space with the relay, in the background, until the link is dropped.
    fn link(&self, space: &'static str) -> Step<'_, Box<dyn Link>>;

    /// Closes the store; it can be opened again then.
    fn close(self: Box<Self>) -> Step<'static, ()>;
}

/// A subscription to a document, and what the events make of what was shown when
/// it began.
pub trait Events: Send {
    /// Waits for the next event and takes it in.
    fn next(&mut self) -> Step<'_, ()>;

    /// What was shown in the beginning, changed by every event since, in the order
    /// of [`Device::show`].
    fn shown(&self) -> Vec<String>;

    /// Whether an event is there already; takes it out.
    fn is_told(&mut self) -> bool;
}

/// A link of a device to the relay.
pub trait Link: Send + Sync {
    /// Waits until both sides hold the same, durably, as of now.
    fn synced(&self) -> Step<'_, ()>;

    /// Waits until a session was seen to end.
    fn offline(&self) -> Step<'_, ()>;

    /// Ends the connection in order.
    fn close(self: Box<Self>) -> Step<'static, ()>;
}

macro_rules! registry {
    ($($module:ident: $name:ident;)*) => {
        [$(Case {
            name: stringify!($name),
            level: Level::Core,
            run: |engine, rng| in_runtime(Box::pin($module::$name(&**engine, rng))),
        }),*]
    };
}

/// A case for engines.
pub type EngineCase = Case<Box<dyn Engine>>;

/// Every case, in the order they run.
pub const CASES: [EngineCase; 11] = registry! {
    plain: bootstrap;
    plain: partition_heals;
    plain: live;
    plain: offline_edits_on_both;
    plain: mixed_pairs;
    apart: documents_and_spaces_stay_apart;
    restarts: relay_restarts;
    restarts: device_restarts;
    unreliable: one_direction_loses;
    unreliable: a_fifth_comes_twice;
    durable: what_fails_to_be_durable_is_not_told;
};

/// Runs every case, each on a fresh engine; the standard error shows meanwhile how it
/// goes. The seed is random unless the environment variable `REPLIQ_SEED` gives one.
pub fn run(make: impl Fn() -> Box<dyn Engine>) -> Report {
    run_all("engine", &CASES, make)
}

/// A runtime per case: what a case leaves behind ends with it.
fn in_runtime(case: Step<'_, ()>) -> CaseResult {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(case);
    runtime.shutdown_background();
    result
}
