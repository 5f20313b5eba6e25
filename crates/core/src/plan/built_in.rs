//! The plan that this extension carries out, read once per process.

use super::Plan;
use std::fmt;
use std::sync::OnceLock;

/// What the built-in text lacks; a bug if it is ever seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the built-in plan cannot be read: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// The built-in plan.
///
/// # Errors
/// As [`Plan::parse`]; the text is covered by a test.
pub fn built_in() -> Result<&'static Plan, Malformed> {
    static PLAN: OnceLock<Result<Plan, Malformed>> = OnceLock::new();
    PLAN.get_or_init(|| Plan::built_in().map_err(Malformed)).as_ref().map_err(Clone::clone)
}
