//! The name of a map by the name of what it maps to, put together by the compiler.

use repliq_core::Crdt;
use std::marker::PhantomData;

/// The longest name. A longer one, of maps nested some ten deep, does not compile.
const LONGEST: usize = 128;

/// The name of a map to `C`, such as `crdt-map/1<or-set/1>`.
pub(super) struct KindOf<C>(PhantomData<C>);

impl<C: Crdt> KindOf<C> {
    const BYTES: [u8; LONGEST] = Name::start().then("crdt-map/1<").then(C::KIND).then(">").bytes;

    pub(super) const NAME: &'static str = {
        let len = "crdt-map/1<>".len() + C::KIND.len();
        let (name, _) = Self::BYTES.split_at(len);
        match std::str::from_utf8(name) {
            Ok(name) => name,
            Err(_) => "crdt-map/1",
        }
    };
}

struct Name {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Name {
    const fn start() -> Self {
        Self { bytes: [0; LONGEST], len: 0 }
    }

    #[allow(clippy::indexing_slicing, reason = "it runs in the compiler: out of range is an error")]
    const fn then(mut self, text: &str) -> Self {
        let mut rest = text.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            self.bytes[self.len] = *byte;
            self.len += 1;
            rest = after;
        }
        self
    }
}
