//! Cases for storage backends.
