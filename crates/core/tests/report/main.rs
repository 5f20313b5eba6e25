//! The report from outside.
//!
//! The modules say that they are tests for the lints' sake.

#[cfg(test)]
mod page;
#[cfg(test)]
mod sample;
