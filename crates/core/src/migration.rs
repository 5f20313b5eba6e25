//! The migration of betting records from RAW to STAGING: which tables it fits, what it runs on them, how it learns
//! of changes, and which errors are one record's.

mod columns;
mod failure;
mod games;
mod iso;
mod market;
mod notes;
mod progress;
mod record;
mod roles;
mod scope;
mod shape;
mod statement;

pub use columns::{Column, ColumnNames, Found, Misfit, Table, Words};
pub use failure::{is_of_a_record, is_worth_another_try, reason};
pub use games::games;
pub use iso::{Iso, iso};
pub use market::Market;
pub use notes::{Capture, Facts, GAMES_SUBJECT, TRIGGERS};
pub use progress::{pause, rewritten};
pub use roles::roles;
pub use scope::Scope;
pub use shape::{GAMES, Games, Raw, Shape, Source, Staging, Start, fit, fit_games, raw_keys, source};
pub use statement::BLANKS;

/// Where the pipeline writes down its runs.
pub const PIPELINE_LOG: &str = "public.pipeline_execution_log";
