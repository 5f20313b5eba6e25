//! Partitioned tables by date: their bounds, which of them are managed, how a partition comes to be and goes.

pub mod absent;
pub mod adopt;
pub mod ahead;
pub mod attach;
pub mod before;
pub mod bounds;
pub mod convert;
pub mod create;
pub mod drain;
pub mod health;
pub mod leave;
pub mod managed;
mod premade;
pub mod premake;
pub mod rebuild;
pub mod referring;
pub mod release;
pub mod retention;
pub mod retire;
pub mod watch;
