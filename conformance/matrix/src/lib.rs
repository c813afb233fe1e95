//! The matrix: every backend under every transport with every data type, each
//! cell a pair of devices and a relay that have to end up with the same.
//!
//! The three registries below are the only lists; `tests/matrix.rs` turns them
//! into one test a cell and checks that none is missing. The scenarios name no
//! concrete backend, transport or type.

mod parts;
mod scenarios;
mod types;

pub use parts::{MemoryNet, MemoryStore, Net, QuicNet, RedbStore, SledStore, Store, WebSocketNet};
pub use scenarios::{bootstrap, partition_heals};
pub use types::{
    SyncedCrdtMap, SyncedGCounter, SyncedList, SyncedMap, SyncedMvRegister, SyncedOrSet,
    SyncedPnCounter, SyncedRegister, SyncedSet, SyncedText, Type,
};

/// Calls `$with!(name: Part, ...)` with every backend.
#[macro_export]
macro_rules! backends {
    ($with:ident $(, $args:ty)*) => {
        $with! { [$($args),*] memory: $crate::MemoryStore, sled: $crate::SledStore, redb: $crate::RedbStore }
    };
}

/// Calls `$with!(name: Part, ...)` with every transport.
#[macro_export]
macro_rules! transports {
    ($with:ident $(, $args:ty)*) => {
        $with! { [$($args),*] memory: $crate::MemoryNet, websocket: $crate::WebSocketNet, quic: $crate::QuicNet }
    };
}

/// Calls `$with!(name: Part, ...)` with every data type.
#[macro_export]
macro_rules! types {
    ($with:ident $(, $args:ty)*) => {
        $with! { [$($args),*]
            lww_map: $crate::SyncedMap,
            lww_set: $crate::SyncedSet,
            lww_register: $crate::SyncedRegister,
            mv_register: $crate::SyncedMvRegister,
            g_counter: $crate::SyncedGCounter,
            pn_counter: $crate::SyncedPnCounter,
            or_set: $crate::SyncedOrSet,
            crdt_map: $crate::SyncedCrdtMap,
            text: $crate::SyncedText,
            list: $crate::SyncedList
        }
    };
}
