//! `Debug` of what may have none: an op or event of a field is shown if it can
//! be. It promises to compile for every type, and works only on types that are
//! written out, as those of a derive's fields are.

use std::fmt::{Debug, Formatter, Result};

/// A value to be shown: `(&&Shown(value)).shown(f)` picks [`ViaDebug`] if the value
/// has it, and [`ViaDots`] otherwise, because the compiler looks at the type with
/// fewer references last.
pub struct Shown<'a, T>(pub &'a T);

impl<T> Debug for Shown<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("..")
    }
}

/// See [`Shown`].
pub trait ViaDebug {
    /// The value itself.
    fn shown(&self) -> &dyn Debug;
}

impl<T: Debug> ViaDebug for &Shown<'_, T> {
    fn shown(&self) -> &dyn Debug {
        self.0
    }
}

/// See [`Shown`].
pub trait ViaDots {
    /// Two dots.
    fn shown(&self) -> &dyn Debug;
}

impl<T> ViaDots for Shown<'_, T> {
    fn shown(&self) -> &dyn Debug {
        self
    }
}
