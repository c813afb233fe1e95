//! The libraries that are measured, one file each.

mod automerge;
mod cola;
mod crdts;
mod diamond_types;
mod diamond_types_extended;
mod loro;
mod repliq;
mod yrs;

use super::peer::Peer;

/// The name of the one that is measured against the others.
pub(crate) const REPLIQ: &str = "repliq";

/// Repliq first, then its peers.
pub(crate) const PEERS: &[&dyn Peer] = &[
    &repliq::Repliq,
    &diamond_types::DiamondTypes,
    &diamond_types_extended::DiamondTypesExtended,
    &loro::Loro,
    &yrs::Yrs,
    &automerge::Automerge,
    &cola::Cola,
    &crdts::Crdts,
];
