//! The quality of a betting record: its score, what is wrong with it, and the status that follows.
//!
//! Scores run from 0.00 to 99.99 and are kept in integer hundredths: every rule has at most two decimals,
//! so the arithmetic is exact, and an integer costs a fraction of a decimal.

mod game;
mod issues;
mod market;
mod record;
mod rules;
mod status;

pub use game::{Game, GameQuality};
pub use issues::{Issue, Issues, OF_THE_MIGRATION};
pub use record::{Bet, Record, base_factor, is_blank};
pub use rules::{DEFINITIONS, Definition, Rule, RuleError, Rules, default_rows};
pub use status::{Status, status};

/// A quality score in hundredths: 0 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(u16);

impl Score {
    /// The best score there is, 99.99: what the score columns' CHECK constraints admit.
    pub const MAX: Self = Self(9_999);

    /// The score that lies nearest to a sum of hundredths.
    #[must_use]
    pub fn clamped(hundredths: i32) -> Self {
        // In range by the clamp, so the conversion loses nothing.
        Self(hundredths.clamp(0, i32::from(Self::MAX.0)) as u16)
    }

    /// The score in hundredths.
    #[must_use]
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}
