//! The gate: what a process sets up once.
pub(crate) mod supervisor;
