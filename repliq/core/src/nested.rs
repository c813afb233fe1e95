//! A layer around any serializer that counts nesting, level for level as the
//! layer around deserializers does: what is written can be read, and a value
//! nested a million deep is an error before it is a full stack.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::cell::Cell;
use std::fmt;

/// The levels that are left.
pub(crate) struct Levels {
    left: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Levels {
    pub(crate) fn new(levels: usize) -> Self {
        Self { left: Cell::new(levels), exceeded: Cell::new(false) }
    }

    /// Whether there were too few.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded.get()
    }

    fn enter<E: Error>(&self, levels: usize) -> Result<Within<'_>, E> {
        match self.left.get().checked_sub(levels) {
            Some(left) => {
                self.left.set(left);
                Ok(Within { all: self, levels })
            }
            None => {
                self.exceeded.set(true);
                Err(E::custom("nested too deeply"))
            }
        }
    }
}

struct Within<'l> {
    all: &'l Levels,
    levels: usize,
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.all.left.set(self.all.left.get() + self.levels);
    }
}

/// A serializer, or a value on its way to one, that counts on behalf of `inner`.
pub(crate) struct Nested<'l, T> {
    inner: T,
    levels: &'l Levels,
}

impl<'l, T> Nested<'l, T> {
    pub(crate) fn new(inner: T, levels: &'l Levels) -> Self {
        Self { inner, levels }
    }
}

impl<T: Serialize + ?Sized> Serialize for Nested<'_, &T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(Nested::new(serializer, self.levels))
    }
}

/// A list, map or structure that is being written.
pub(crate) struct Parts<'l, C> {
    inner: C,
    within: Within<'l>,
}

macro_rules! forward {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method(self, $($arg: $ty),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($arg),*)
        }
    )*};
}

macro_rules! open {
    ($($method:ident($($arg:ident: $ty:ty),*) -> $parts:ident, $levels:literal;)*) => {$(
        fn $method(self, $($arg: $ty),*) -> Result<Self::$parts, S::Error> {
            let within = self.levels.enter($levels)?;
            Ok(Parts { inner: self.inner.$method($($arg),*)?, within })
        }
    )*};
}

impl<'l, S: Serializer> Serializer for Nested<'l, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'l, S::SerializeSeq>;
    type SerializeTuple = Parts<'l, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<'l, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'l, S::SerializeTupleVariant>;
    type SerializeMap = Parts<'l, S::SerializeMap>;
    type SerializeStruct = Parts<'l, S::SerializeStruct>;
    type SerializeStructVariant = Parts<'l, S::SerializeStructVariant>;

    forward! {
        serialize_bool(value: bool);
        serialize_i8(value: i8); serialize_i16(value: i16); serialize_i32(value: i32);
        serialize_i64(value: i64); serialize_i128(value: i128);
        serialize_u8(value: u8); serialize_u16(value: u16); serialize_u32(value: u32);
        serialize_u64(value: u64); serialize_u128(value: u128);
        serialize_f32(value: f32); serialize_f64(value: f64); serialize_char(value: char);
        serialize_str(value: &str); serialize_bytes(value: &[u8]);
        serialize_none(); serialize_unit(); serialize_unit_struct(name: &'static str);
    }

    open! {
        serialize_seq(len: Option<usize>) -> SerializeSeq, 1;
        serialize_tuple(len: usize) -> SerializeTuple, 1;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct, 1;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant, 2;
        serialize_map(len: Option<usize>) -> SerializeMap, 1;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct, 1;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant, 2;
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        let _within = self.levels.enter(1)?;
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let _within = self.levels.enter(1)?;
        self.inner.serialize_some(&Nested::new(value, self.levels))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let _within = self.levels.enter(1)?;
        self.inner.serialize_newtype_struct(name, &Nested::new(value, self.levels))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let _within = self.levels.enter(1)?;
        let value = Nested::new(value, self.levels);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! parts {
    ($($trait:ident::$method:ident($($key:ident: $ty:ty)?);)*) => {$(
        impl<C: $trait> $trait for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: $ty,)?
                value: &T,
            ) -> Result<(), C::Error> {
                self.inner.$method($($key,)? &Nested::new(value, self.within.all))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

parts! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(key: &'static str);
    SerializeStructVariant::serialize_field(key: &'static str);
}

impl<C: SerializeMap> SerializeMap for Parts<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(&Nested::new(key, self.within.all))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&Nested::new(value, self.within.all))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
