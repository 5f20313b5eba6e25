//! The sandbox against real servers.
//!
//! The modules say that they are tests for the lints' sake.

#[cfg(test)]
mod betting_database;
#[cfg(test)]
mod server;
