//! What partitions are asked for: the arguments that the preflight and the conversion share.

use super::invalid;
use crate::catalog;
use crate::error::Result;
use crate::sql::quote_literal;
use groundskeeper_core::partition::{Interval, KeyFormat, MAX_PREMAKE};

/// The partitions that a table is to have.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What one of them covers.
    pub interval: Interval,
    /// The zone of its days.
    pub timezone: String,
    /// How many to keep ready, the current one included.
    pub premake: u32,
    /// How the key has its moments, where it is no date.
    pub format: Option<KeyFormat>,
    /// Whether there is to be a partition for rows that no other takes.
    pub has_default: bool,
}

impl Asked {
    /// Reads the arguments; no zone is the setting's.
    pub fn read(
        interval: &str,
        timezone: Option<String>,
        premake: i32,
        format: Option<&str>,
        has_default: bool,
    ) -> Result<Self> {
        let parsed = Interval::parse(interval).ok_or_else(|| {
            invalid(format!("\"{interval}\" is no interval")).hint("It is day, week, month, quarter or year.")
        })?;
        let ready = u32::try_from(premake).ok().filter(|ready| (1..=MAX_PREMAKE).contains(ready));
        let ready = ready.ok_or_else(|| invalid(format!("premake must be between 1 and {MAX_PREMAKE}")))?;
        let timezone = catalog::time_zone(&timezone.unwrap_or_else(crate::settings::timezone))?;
        let known = |name: &str| {
            KeyFormat::parse(name).ok_or_else(|| {
                let names = KeyFormat::ALL.map(KeyFormat::as_str).join(", ");
                invalid(format!("\"{name}\" is no key_format"))
                    .hint(format!("It is one of {names}; NULL for dates and times."))
            })
        };
        Ok(Self {
            interval: parsed,
            timezone,
            premake: ready,
            format: format.map(known).transpose()?,
            has_default,
        })
    }

    /// The same as arguments of a call.
    pub fn arguments(&self) -> String {
        let (interval, timezone) = (quote_literal(self.interval.as_str()), quote_literal(&self.timezone));
        let mut arguments = format!("{interval}, {timezone}, {}", self.premake);
        if let Some(format) = self.format {
            arguments.push_str(&format!(", key_format => {}", quote_literal(format.as_str())));
        }
        if !self.has_default {
            arguments.push_str(", \"default\" => false");
        }
        arguments
    }
}
