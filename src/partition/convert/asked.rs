//! What partitions are asked for: the arguments that the preflight and the conversion share.

use super::invalid;
use crate::catalog;
use crate::error::Result;
use crate::sql::quote_literal;
use groundskeeper_core::partition::{Interval, MAX_PREMAKE};

/// The partitions that a table is to have.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What one of them covers.
    pub interval: Interval,
    /// The zone of its days.
    pub timezone: String,
    /// How many to keep ready, the current one included.
    pub premake: u32,
}

impl Asked {
    /// Reads the arguments; no zone is the setting's.
    pub fn read(interval: &str, timezone: Option<String>, premake: i32) -> Result<Self> {
        let parsed = Interval::parse(interval).ok_or_else(|| {
            invalid(format!("\"{interval}\" is no interval")).hint("It is day, week, month, quarter or year.")
        })?;
        let ready = u32::try_from(premake).ok().filter(|ready| (1..=MAX_PREMAKE).contains(ready));
        let ready = ready.ok_or_else(|| invalid(format!("premake must be between 1 and {MAX_PREMAKE}")))?;
        let timezone = catalog::time_zone(&timezone.unwrap_or_else(crate::settings::timezone))?;
        Ok(Self { interval: parsed, timezone, premake: ready })
    }

    /// The same as arguments of a call.
    pub fn arguments(&self) -> String {
        let (interval, timezone) = (quote_literal(self.interval.as_str()), quote_literal(&self.timezone));
        format!("{interval}, {timezone}, {}", self.premake)
    }
}
