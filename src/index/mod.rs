//! Indexes: built, built anew and dropped without blocking writers, and those dropped that nobody uses.

pub mod build;
pub mod dropped;
pub mod rebuild;
pub mod unused;
