//! The libraries that are measured, one file each.

mod automerge;
mod diamond_types;
mod loro;
mod repliq;
mod yrs;

use super::peer::Peer;

/// Repliq first, then its peers.
pub(crate) const PEERS: &[&dyn Peer] =
    &[&repliq::Repliq, &diamond_types::DiamondTypes, &loro::Loro, &yrs::Yrs, &automerge::Automerge];
