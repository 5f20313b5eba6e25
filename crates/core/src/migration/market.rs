//! The three kinds of bets.

use serde::{Deserialize, Serialize};

/// What is bet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Market {
    /// Who wins.
    Moneyline,
    /// Who wins once the favorite has given runs away.
    Spread,
    /// How many runs there are in all.
    Total,
}

impl Market {
    /// All of them, in the order in which they are migrated.
    pub const ALL: [Self; 3] = [Self::Moneyline, Self::Spread, Self::Total];

    /// What `bet_type` is called.
    #[must_use]
    pub const fn bet_type(self) -> &'static str {
        match self {
            Self::Moneyline => "moneyline",
            Self::Spread => "spread",
            Self::Total => "total",
        }
    }

    /// The market of that `bet_type`.
    #[must_use]
    pub fn of_bet_type(bet_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|market| market.bet_type() == bet_type)
    }

    /// Its raw table's name in `raw_data`.
    #[must_use]
    pub const fn raw_table(self) -> &'static str {
        match self {
            Self::Moneyline => "moneylines_raw",
            Self::Spread => "spreads_raw",
            Self::Total => "totals_raw",
        }
    }

    /// Its table's name in `staging`.
    #[must_use]
    pub const fn staging_table(self) -> &'static str {
        match self {
            Self::Moneyline => "moneylines",
            Self::Spread => "spreads",
            Self::Total => "totals",
        }
    }
}
