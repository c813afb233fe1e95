//! The matrix: every backend under every transport with every data type, each
//! cell two devices and a relay that go through one case of the engine suite.
//!
//! The three registries below are the only lists of what there is, and
//! [`repliq_conformance::engine::CASES`] the only list of cases; [`cells`] makes
//! the cells of them, and `tests/matrix.rs` runs each as a test of its own.
//! Nothing else here names a concrete backend, transport or type.

/// Calls `$with!(name: Part, ...)` with every backend.
#[macro_export]
macro_rules! backends {
    ($with:ident) => {
        $with! {
            memory: $crate::MemoryStore,
            sled: $crate::SledStore,
            redb: $crate::RedbStore,
            sqlite: $crate::SqliteStore,
        }
    };
}

/// Calls `$with!(name: Part, ...)` with every transport.
#[macro_export]
macro_rules! transports {
    ($with:ident) => {
        $with! {
            memory: $crate::MemoryNet,
            websocket: $crate::WebSocketNet,
            quic: $crate::QuicNet,
            unix: $crate::UnixNet,
        }
    };
}

/// Calls `$with!(name: Part, ...)` with every data type. The first runs every
/// case over every backend and transport.
#[macro_export]
macro_rules! types {
    ($with:ident) => {
        $with! {
            lww_map: $crate::SyncedMap,
            lww_set: $crate::SyncedSet,
            lww_register: $crate::SyncedRegister,
            mv_register: $crate::SyncedMvRegister,
            g_counter: $crate::SyncedGCounter,
            pn_counter: $crate::SyncedPnCounter,
            or_set: $crate::SyncedOrSet,
            crdt_map: $crate::SyncedCrdtMap,
            text: $crate::SyncedText,
            list: $crate::SyncedList,
            leaderboard: $crate::SyncedLeaderboard,
            derived: $crate::SyncedStruct,
        }
    };
}

mod cells;
mod device;
mod parts;
mod types;
mod world;

pub use cells::{Cell, Extent, Registries, cells};
pub use parts::{
    MemoryNet, MemoryStore, Net, QuicNet, RedbStore, SledStore, SqliteStore, Store, UnixNet,
    WebSocketNet,
};
pub use types::{
    SyncedCrdtMap, SyncedGCounter, SyncedLeaderboard, SyncedList, SyncedMap, SyncedMvRegister,
    SyncedOrSet, SyncedPnCounter, SyncedRegister, SyncedSet, SyncedStruct, SyncedText, Type,
};
