//! Why a naming cannot be what was asked for.

use std::fmt;

use crate::teams::CLUBS;

/// What is wrong with a naming, and what would have been right.
#[derive(Debug, PartialEq, Eq)]
pub struct NamingError {
    message: String,
    detail: String,
}

impl NamingError {
    pub(super) fn new(message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { message: message.into(), detail: detail.into() }
    }

    /// An error about a club that is none of the thirty.
    pub(super) fn unknown_club(code: &[u8]) -> Self {
        let codes: Vec<_> = CLUBS.iter().map(|club| club.code).collect();
        Self::new(format!("unknown club {}", shown(code)), format!("The clubs are {}.", codes.join(", ")))
    }

    /// What would have been right.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for NamingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NamingError {}

/// Text in quotes; what is no UTF-8 is escaped, as a message may not hold it.
pub(super) fn shown(text: &[u8]) -> String {
    match str::from_utf8(text) {
        Ok(text) => format!("\"{text}\""),
        Err(_) => format!("\"{}\"", text.escape_ascii()),
    }
}
