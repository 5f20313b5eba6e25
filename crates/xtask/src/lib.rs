//! What the project's commands share: other programs, what must be installed, and the extension built.
#![forbid(unsafe_code)]

pub mod book;
pub mod install;
pub mod packages;
pub mod process;
pub mod setup;
pub mod upgrade;
