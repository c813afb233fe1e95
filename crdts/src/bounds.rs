//! What keys and values must be able to do.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hash::Hash;

/// What can be a key of a map or an element of a set. Every type with these
/// traits is one; `f64` is not, because NaN has no place in an order.
///
/// Equal keys must have equal encodings, or equal states will not have equal
/// bytes.
pub trait Key: Ord + Hash + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Ord + Hash + Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Key for T {}

/// What can be a value. Every type with these traits is one.
pub trait Value: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}
