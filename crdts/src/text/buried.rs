//! The letters that were deleted when a text was loaded: packed as they were saved
//! until somebody asks for one of them, to merge or to save again.
//!
//! They have consecutive handles. Nobody sees them, so what is damaged is replaced
//! when it is asked for; who must not let damage in asks [`Buried::damage`] before.

use super::scalars::Scalars;
use crate::seq::{Damage, unpack, unpacked_len};
use std::sync::OnceLock;

#[derive(Clone)]
pub(super) struct Buried {
    /// The handle of the first.
    first: u32,
    len: u32,
    packed: Vec<u8>,
    /// How many bytes they are unpacked.
    bytes: usize,
    letters: OnceLock<Scalars>,
}

impl Buried {
    /// `len` letters from a handle on; an error if it is seen at once that they are
    /// not as many.
    pub(super) fn new(first: u32, len: u32, packed: &[u8]) -> Result<Self, Damage> {
        let bytes = unpacked_len(packed)?;
        let (least, most) = (len as usize, (len as usize).saturating_mul(4));
        if bytes < least || bytes > most {
            return Err(Damage("it is longer or shorter than it says"));
        }
        Ok(Self { first, len, packed: packed.to_vec(), bytes, letters: OnceLock::new() })
    }

    pub(super) const fn first(&self) -> u32 {
        self.first
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many have smaller handles than an element.
    pub(super) fn count_below(&self, element: u32) -> u32 {
        element.saturating_sub(self.first).min(self.len)
    }

    /// The text of those from the `from`-th on.
    pub(super) fn get(&self, from: u32, len: u32) -> &str {
        if len == 0 {
            return "";
        }
        self.letters.get_or_init(|| self.read().unwrap_or_else(|_| self.replaced())).get(from, len)
    }

    /// Why they cannot be read, if so.
    pub(super) fn damage(&self) -> Option<Damage> {
        match self.read() {
            Ok(letters) => {
                // Who comes first sets the same.
                let _ = self.letters.set(letters);
                None
            }
            Err(damage) => Some(damage),
        }
    }

    fn read(&self) -> Result<Scalars, Damage> {
        let letters = String::from_utf8(unpack(&self.packed)?);
        let letters = letters.map_err(|_| Damage("it is not UTF-8"))?;
        if u32::try_from(letters.chars().count()) != Ok(self.len) {
            return Err(Damage("it is longer or shorter than it says"));
        }
        let mut scalars = Scalars::default();
        scalars.push(&letters, self.len);
        Ok(scalars)
    }

    /// As many letters that say that something was there.
    fn replaced(&self) -> Scalars {
        let mut scalars = Scalars::default();
        scalars.push(&"\u{fffd}".repeat(self.len as usize), self.len);
        scalars
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::{Packing, pack};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn letters_are_where_they_were_before_some_of_them_were_buried(
            parts in prop::collection::vec("[a-zé本😀]{0,40}", 3), from in 0_u32..120, len in 0_u32..120,
        ) {
            let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            let [living, buried, later] = [0, 1, 2].map(|part| parts.get(part).map_or("", String::as_str));
            let packed = pack(buried.as_bytes(), Packing::Small);
            let below = Buried::new(count(living), count(buried), &packed).map_err(|damage| damage.0);
            let mut scalars = Scalars::loaded(living, count(living), below.unwrap());
            scalars.push(later, count(later));
            let all: Vec<char> = [living, buried, later].concat().chars().collect();
            let from = from.min(count(living) + count(buried) + count(later));
            let len = len.min(u32::try_from(all.len()).unwrap_or(u32::MAX) - from);
            let mut copied = String::new();
            scalars.copy(from, len, &mut copied);
            let expected: String = all.iter().skip(from as usize).take(len as usize).collect();
            prop_assert_eq!(&copied, &expected);
            let unburied = from + len <= count(living) || from >= count(living) + count(buried);
            prop_assert!(!unburied || scalars.get(from, len) == expected);
            let kept = from.max(count(living) + count(buried));
            scalars.truncate(kept);
            scalars.push("+", 1);
            prop_assert_eq!(scalars.get(kept, 1), "+");
        }
    }
}
