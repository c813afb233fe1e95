//! How keys are hashed: foldhash, seeded with 64 random bits of the operating
//! system once a process and once a table.
//!
//! Keys come from peers, so an unseeded hash would let a peer choose keys that
//! all collide and turn every edit into a walk over them. Foldhash keeps that
//! off as long as the peer cannot see hashes: nothing here ever writes one down,
//! sends one, or iterates in hash order.

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// The seed that all tables of the process share.
static PROCESS: LazyLock<SharedSeed> = LazyLock::new(|| SharedSeed::from_u64(random_bits()));

/// The hasher of one table.
#[derive(Clone)]
pub(crate) struct Seeded(SeedableRandomState);

impl Default for Seeded {
    fn default() -> Self {
        Self(SeedableRandomState::with_seed(random_bits(), &PROCESS))
    }
}

impl BuildHasher for Seeded {
    type Hasher = <SeedableRandomState as BuildHasher>::Hasher;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// The standard library keys its SipHash with randomness of the operating
/// system, so the hash of nothing is random.
fn random_bits() -> u64 {
    RandomState::new().hash_one(())
}
