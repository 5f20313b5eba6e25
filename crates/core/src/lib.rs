//! The domain of `pg_groundskeeper`: what is decided, without the database it is decided for.
//!
//! Nothing here knows PostgreSQL's processes or memory, so everything here is tested without a server.
#![forbid(unsafe_code)]

pub mod alert;
pub mod bloat;
pub mod connections;
pub mod deparsed;
pub mod exposition;
pub mod figures;
mod folding;
pub mod growth;
pub mod histogram;
pub mod job;
pub mod kpi;
pub mod migration;
pub mod names;
pub mod naming;
pub mod odds;
pub mod partition;
pub mod plan;
pub mod quality;
pub mod release;
pub mod report;
pub mod schedule;
pub mod sportsbooks;
pub mod statement_text;
pub mod statistics;
pub mod stopwatch;
pub mod teams;
