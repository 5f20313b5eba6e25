//! Partitioned tables by date: their bounds, which of them are managed, how a partition comes to be and goes.

pub mod bounds;
pub mod convert;
pub mod create;
pub mod managed;
