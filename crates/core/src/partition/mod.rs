//! Partitions by date: which there should be, what they are called, and whether those that exist fit.

pub use chrono::NaiveDate;

mod action;
pub mod afterwards;
pub mod convert;
mod coverage;
mod extent;
mod interval;
mod key_format;
mod literal;
mod name;
pub mod preflight;
pub mod source;

pub use action::Action;
pub use coverage::{Edge, Existing, Left, MAX_GAPS, MAX_STRETCH, Report, judge, leave_old};
pub use extent::{MANY_EMPTY, Sparse, extent, sparse};
pub use interval::{Interval, MAX_MONTHS_AHEAD, MAX_PREMAKE, epoch_days, from_epoch_days};
pub use key_format::KeyFormat;
pub use literal::with_offset;
pub use name::{default_name, partition_name, stem};
