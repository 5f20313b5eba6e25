//! The migration of betting records from RAW to STAGING: which tables it fits, what it runs on them, and which
//! errors are one record's.

mod failure;
mod market;
mod shape;
mod statement;

pub use failure::{is_of_a_record, reason};
pub use market::Market;
pub use shape::{Column, Misfit, Shape, Table, Words, fit};
pub use statement::{BLANKS, Scope, games};
