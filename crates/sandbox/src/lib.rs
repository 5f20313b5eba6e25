//! A private throwaway PostgreSQL server with a betting database in it.
//!
//! [`server`] starts and ends servers, [`shape`] holds the betting database's tables in the forms
//! they are found in, [`simulator`] and [`feed`] fill the raw tables with invented and with real
//! odds, and [`old_pipeline`] carries them on the way the pipeline before the plan did.
#![forbid(unsafe_code)]

pub mod feed;
pub mod installation;
pub mod old_pipeline;
pub mod raw;
pub mod server;
pub mod shape;
pub mod simulator;
