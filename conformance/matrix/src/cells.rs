//! Which cells there are.
//!
//! `bootstrap` and `partition_heals` run in every combination of backend,
//! transport and type. The other cases run in every combination of backend and
//! transport with the first type; with each other type in as few cells as cover
//! every pair of backend and type and every pair of transport and type. The full
//! product runs every case everywhere.

use crate::device::{AnyStore, Anywhere};
use crate::parts::{Net, Store};
use crate::types::Type;
use crate::world::World;
use repliq_conformance::engine::{CASES, Engine, EngineCase, Party};
use repliq_conformance::{CaseReport, run_case, run_seed};
use std::sync::Arc;

/// Cases that run in every combination.
pub(crate) const EVERYWHERE: [&str; 2] = ["bootstrap", "partition_heals"];

/// How many of the cells to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// Every pair.
    Pairwise,
    /// Every combination.
    Full,
}

/// The names of all backends, transports, types and cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registries {
    /// The backends.
    pub backends: Vec<&'static str>,
    /// The transports.
    pub transports: Vec<&'static str>,
    /// The types: their names in the registry and their paths in Rust.
    pub types: Vec<(&'static str, &'static str)>,
    /// The cases.
    pub cases: Vec<&'static str>,
}

impl Registries {
    /// What there is.
    #[must_use]
    pub fn all() -> Self {
        Self {
            backends: stores().iter().map(|part| part.name).collect(),
            transports: nets::<crate::SyncedMap>().iter().map(|part| part.name).collect(),
            types: kinds().iter().map(|part| (part.name, part.make.path)).collect(),
            cases: CASES.iter().map(|case| case.name).collect(),
        }
    }
}

/// One combination, and the case that runs in it.
#[derive(Clone, Debug)]
pub struct Cell {
    /// `backend::transport::type::case`.
    pub name: String,
    backend: usize,
    transport: usize,
    make: fn(usize, usize) -> Box<dyn Engine>,
    case: &'static str,
}

impl Cell {
    /// Runs the case. The seed is random unless `REPLIQ_SEED` gives one.
    ///
    /// # Errors
    /// What went wrong, with the seed.
    pub fn run(&self) -> Result<(), String> {
        let engine = (self.make)(self.backend, self.transport);
        let report: Option<CaseReport> =
            case(self.case).map(|case| run_case(case, engine, run_seed()));
        match report.map(CaseReport::failure) {
            Some(None) => Ok(()),
            Some(Some(why)) => Err(why),
            None => Err(format!("there is no case {}", self.case)),
        }
    }
}

fn case(name: &str) -> Option<&'static EngineCase> {
    CASES.iter().find(|case| case.name == name)
}

/// The cells, sorted by name.
#[must_use]
pub fn cells(extent: Extent) -> Vec<Cell> {
    let (backends, transports) = (stores(), nets::<crate::SyncedMap>());
    let mut cells = Vec::new();
    for (backend, store) in backends.iter().enumerate() {
        for (transport, net) in transports.iter().enumerate() {
            for (number, kind) in kinds().into_iter().enumerate() {
                let sparse = number > 0
                    && extent == Extent::Pairwise
                    && !is_on_diagonal(
                        number,
                        backend,
                        backends.len(),
                        transport,
                        transports.len(),
                    );
                for case in &CASES {
                    if !sparse || EVERYWHERE.contains(&case.name) {
                        let (store, net, make) = (store.name, net.name, kind.make.world);
                        let name = format!("{store}::{net}::{}::{}", kind.name, case.name);
                        cells.push(Cell { name, backend, transport, make, case: case.name });
                    }
                }
            }
        }
    }
    cells.sort_by(|one, other| one.name.cmp(&other.name));
    cells
}

/// Whether this pair is one of those that cover every backend and every transport
/// in as few steps as the longer list has, starting elsewhere for each type.
fn is_on_diagonal(
    kind: usize,
    backend: usize,
    backends: usize,
    transport: usize,
    transports: usize,
) -> bool {
    let mut steps = 0..backends.max(transports);
    steps.any(|step| (step % backends, (step + kind) % transports) == (backend, transport))
}

/// Something of a registry.
struct Part<M> {
    name: &'static str,
    make: M,
}

struct Kind {
    path: &'static str,
    world: fn(usize, usize) -> Box<dyn Engine>,
}

/// Something of which every cell gets its own.
type Fresh<T> = Part<fn() -> T>;

fn store<S: Store>() -> Box<dyn AnyStore> {
    Box::new(S::fresh())
}

fn net<N: Net, K: Type>() -> Arc<dyn Anywhere<K>> {
    Arc::new(N::fresh())
}

/// The world of a cell. Device C stands on another backend and transport, and
/// which one depends on both, so that every two of each meet in some cell.
fn world<K: Type>(backend: usize, transport: usize) -> Box<dyn Engine> {
    let (stores, nets) = (stores(), nets::<K>());
    let another = |own: usize, by: usize, of: usize| match of {
        0 | 1 => 0,
        _ => (own + 1 + by % (of - 1)) % of,
    };
    let there = another(transport, backend, nets.len());
    let (home, away) = (made(&nets, transport), made(&nets, there));
    let elsewhere = another(backend, transport, stores.len());
    Box::new(World::<K>::new(|who| match who {
        Party::C => (made(&stores, elsewhere), Arc::clone(&away)),
        _ => (made(&stores, backend), Arc::clone(&home)),
    }))
}

#[allow(clippy::indexing_slicing, reason = "numbers of cells are places in the registries")]
fn made<T>(parts: &[Fresh<T>], number: usize) -> T {
    (parts[number].make)()
}

fn stores() -> Vec<Fresh<Box<dyn AnyStore>>> {
    macro_rules! list {
        ($($name:ident: $part:ty,)*) => {
            vec![$(Part { name: stringify!($name), make: store::<$part> }),*]
        };
    }
    backends!(list)
}

fn nets<K: Type>() -> Vec<Fresh<Arc<dyn Anywhere<K>>>> {
    macro_rules! list {
        ($($name:ident: $part:ty,)*) => {
            vec![$(Part { name: stringify!($name), make: net::<$part, K> }),*]
        };
    }
    transports!(list)
}

fn kinds() -> Vec<Part<Kind>> {
    macro_rules! list {
        ($($name:ident: $part:ty,)*) => {
            vec![$(Part {
                name: stringify!($name),
                make: Kind {
                    path: std::any::type_name::<<$part as Type>::Crdt>(),
                    world: world::<$part>,
                },
            }),*]
        };
    }
    types!(list)
}
