//! Every combination of backend, transport and data type.
