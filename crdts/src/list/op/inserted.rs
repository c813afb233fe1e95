//! The values of an insertion: mostly one, which takes no allocation. Written and
//! read they are a sequence, and equal, however they are held. It never says where
//! they go.

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::slice;

/// The values of an insertion; it dereferences to them. One value takes no
/// allocation.
#[derive(Clone)]
pub struct Inserted<T>(Form<T>);

#[derive(Clone)]
enum Form<T> {
    One(T),
    Each(Vec<T>),
}

impl<T> Inserted<T> {
    /// A single value.
    #[must_use]
    pub const fn one(value: T) -> Self {
        Self(Form::One(value))
    }

    /// The value, if it is held as the only one, or else all of them.
    pub(in crate::list) fn into_one(self) -> Result<T, Vec<T>> {
        match self.0 {
            Form::One(value) => Ok(value),
            Form::Each(values) => Err(values),
        }
    }

    pub(in crate::list) fn into_vec(self) -> Vec<T> {
        self.into_one().map_or_else(|values| values, |value| vec![value])
    }

    /// Adds values after these.
    pub(super) fn extend(&mut self, more: &[T])
    where
        T: Clone,
    {
        if let Form::One(_) = self.0 {
            let one = std::mem::replace(self, Self::from(Vec::new()));
            *self = Self::from(one.into_vec());
        }
        if let Form::Each(values) = &mut self.0 {
            values.extend_from_slice(more);
        }
    }
}

impl<T> Deref for Inserted<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Form::One(value) => slice::from_ref(value),
            Form::Each(values) => values,
        }
    }
}

impl<T> From<Vec<T>> for Inserted<T> {
    fn from(values: Vec<T>) -> Self {
        Self(Form::Each(values))
    }
}

impl<T: PartialEq> PartialEq for Inserted<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Inserted<T> {}

impl<T: fmt::Debug> fmt::Debug for Inserted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Serialize> Serialize for Inserted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Inserted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InsertedVisitor(PhantomData))
    }
}

struct InsertedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InsertedVisitor<T> {
    type Value = Inserted<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Inserted<T>, A::Error> {
        if values.size_hint() == Some(1)
            && let Some(value) = values.next_element()?
        {
            // A hint may be the limit of what is read instead of the length.
            return match values.next_element::<T>()? {
                None => Ok(Inserted::one(value)),
                Some(_) => Err(A::Error::invalid_length(2, &"one value, as was announced")),
            };
        }
        // A vector believes no length that it is told.
        Vec::deserialize(SeqAccessDeserializer::new(values)).map(Inserted::from)
    }
}
