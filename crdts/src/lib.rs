//! The data types of Repliq: each merges without conflicts, and says what that
//! means when two devices edit at once.
//!
//! | type | concurrent edits of one place |
//! | --- | --- |
//! | [`LwwMap`] | the last write to a key wins, removals included |
//! | [`LwwSet`] | the last edit of an element wins, at equal times the addition |
//! | [`LwwRegister`] | the last write wins |
//! | [`MvRegister`] | every write stays visible until somebody who has seen it writes |
//! | [`GCounter`], [`PnCounter`] | every addition counts |
//! | [`OrSet`] | an addition wins over a removal that had not seen it |
//! | [`CrdtMap`] | children merge as their type says; an edit wins over a removal |
//! | [`List`] | both insertions stay; an element that two move is moved once; a deletion is final |
//! | [`Text`] | both insertions stay, each as a whole; what was inserted into a deleted part stays |
//!
//! This crate knows only `repliq-core`. It has no clock, no identity and no I/O:
//! stamps are passed in, and whoever holds a value decides where it is kept.
//!
//! Edits are methods of one trait a type ([`LwwMapMut`], [`LwwSetMut`], ...) and read
//! the same in a transaction and alone:
//! ```
//! use repliq_core::ReplicaId;
//! use repliq_crdts::*;
//!
//! let replica = ReplicaId::new();
//! let mut map = LwwMap::new(replica);
//! map.set("user_name".to_string(), "Alice".to_string());
//! map.edit(|tx| {
//!     tx.set("city".to_string(), "Bern".to_string());
//!     tx.remove("user_name".to_string());
//! })?;
//! assert_eq!(map.get("city"), Some(&"Bern".to_string()));
//! map.remove("city".to_string());
//! assert_eq!(map.len(), 0);
//!
//! let mut set = LwwSet::new(replica);
//! set.add(7);
//! set.add(3);
//! set.edit(|tx| tx.remove(7))?;
//! assert!(set.contains(&3));
//! set.remove(3);
//! assert!(set.elements().is_empty());
//! # Ok::<(), repliq_core::CrdtError>(())
//! ```
//!
//! What one device does reaches another as a whole value, by `merge`, or change by
//! change, as bytes:
//! ```
//! use repliq_core::{Change, ReplicaId};
//! use repliq_crdts::*;
//!
//! let mut laptop = Text::new(ReplicaId::new());
//! let mut phone = Text::new(ReplicaId::new());
//!
//! let (written, change) = laptop.commit(|text| text.insert(0, "Hello"))?;
//! written?;
//! let change = change.expect("something was edited");
//! let bytes = change.to_bytes(); // to a file, a socket, a message …
//!
//! let (change, rest) = Change::read(&bytes)?;
//! phone.apply(&change)?;
//! assert!(rest.is_empty());
//! assert_eq!(phone.to_string(), "Hello");
//! assert_eq!(phone.version(), laptop.version());
//!
//! // Every change exactly once and in order: what does not fit is a typed error.
//! assert_eq!(phone.apply(&change), Err(repliq_core::ApplyError::Duplicate));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A key needs an order, so floating-point numbers are refused by the compiler:
//! ```compile_fail
//! use repliq_core::ReplicaId;
//! use repliq_crdts::LwwSet;
//!
//! let set = LwwSet::<f64>::new(ReplicaId::new());
//! ```

mod bounds;
pub mod counter;
pub mod crdt_map;
mod dots;
mod hash;
mod keyed;
pub mod list;
mod lww;
pub mod map;
pub mod mv_register;
pub mod or_set;
pub mod register;
mod saved;
mod seq;
pub mod set;
mod stamps;
pub mod text;

pub use bounds::{Key, Value};
pub use counter::{
    GCounter, GCounterEvent, GCounterMut, GCounterOp, GCounterUndo, PnCounter, PnCounterEvent,
    PnCounterMut, PnCounterOp, PnCounterUndo,
};
pub use crdt_map::{CrdtMap, CrdtMapEvent, CrdtMapMut, CrdtMapOp, CrdtMapUndo};
pub use list::{Inserted, List, ListEvent, ListMut, ListOp, ListUndo};
pub use map::{LwwMap, LwwMapMut, MapEvent, MapOp, MapUndo};
pub use mv_register::{MvRegister, MvRegisterEvent, MvRegisterMut, MvRegisterOp, MvRegisterUndo};
pub use or_set::{OrSet, OrSetEvent, OrSetMut, OrSetOp, OrSetUndo};
pub use register::{LwwRegister, LwwRegisterMut, RegisterEvent, RegisterOp, RegisterUndo};
pub use set::{LwwSet, LwwSetMut, SetEvent, SetOp, SetUndo};
pub use text::{Anchor, Side, Text, TextEvent, TextMut, TextOp, TextUndo};
