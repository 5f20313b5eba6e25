//! What can be wrong with a record.

/// Codes of what only the migration sees, as it has more than the record: a line that the column rounds, teams that
/// are not the game's, and sides that stand in each other's place.
pub const OF_THE_MIGRATION: [&str; 3] = ["line_rounded", "conflicting_teams", "swapped_sides"];

/// One thing that is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs, reason = "each variant is its code, spelled in Rust")]
pub enum Issue {
    MissingSportsbook = 1 << 0,
    MissingGameReference = 1 << 1,
    MissingHomeOdds = 1 << 2,
    MissingAwayOdds = 1 << 3,
    InvalidHomeOdds = 1 << 4,
    InvalidAwayOdds = 1 << 5,
    MissingSpreadValue = 1 << 6,
    MissingSpreadOdds = 1 << 7,
    InvalidSpreadOdds = 1 << 8,
    MissingTotalPoints = 1 << 9,
    MissingOverOdds = 1 << 10,
    MissingUnderOdds = 1 << 11,
    InvalidOverOdds = 1 << 12,
    InvalidUnderOdds = 1 << 13,
    CollectedAfterCreated = 1 << 14,
    ImplausibleMarket = 1 << 15,
}

impl Issue {
    /// Every issue, in the order in which they are reported.
    pub const ALL: [Self; 16] = [
        Self::MissingSportsbook,
        Self::MissingGameReference,
        Self::MissingHomeOdds,
        Self::MissingAwayOdds,
        Self::InvalidHomeOdds,
        Self::InvalidAwayOdds,
        Self::MissingSpreadValue,
        Self::MissingSpreadOdds,
        Self::InvalidSpreadOdds,
        Self::MissingTotalPoints,
        Self::MissingOverOdds,
        Self::MissingUnderOdds,
        Self::InvalidOverOdds,
        Self::InvalidUnderOdds,
        Self::CollectedAfterCreated,
        Self::ImplausibleMarket,
    ];

    /// The code under which SQL knows the issue.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingSportsbook => "missing_sportsbook",
            Self::MissingGameReference => "missing_game_reference",
            Self::MissingHomeOdds => "missing_home_odds",
            Self::MissingAwayOdds => "missing_away_odds",
            Self::InvalidHomeOdds => "invalid_home_odds",
            Self::InvalidAwayOdds => "invalid_away_odds",
            Self::MissingSpreadValue => "missing_spread_value",
            Self::MissingSpreadOdds => "missing_spread_odds",
            Self::InvalidSpreadOdds => "invalid_spread_odds",
            Self::MissingTotalPoints => "missing_total_points",
            Self::MissingOverOdds => "missing_over_odds",
            Self::MissingUnderOdds => "missing_under_odds",
            Self::InvalidOverOdds => "invalid_over_odds",
            Self::InvalidUnderOdds => "invalid_under_odds",
            Self::CollectedAfterCreated => "collected_after_created",
            Self::ImplausibleMarket => "implausible_market",
        }
    }
}

/// The issues of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Issues(u16);

impl Issues {
    /// Adds an issue.
    pub const fn add(&mut self, issue: Issue) {
        self.0 |= issue as u16;
    }

    /// Whether the issue is among them.
    #[must_use]
    pub const fn contains(self, issue: Issue) -> bool {
        self.0 & issue as u16 != 0
    }

    /// A number for each set of issues.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The issues, in the order of [`Issue::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Issue> {
        Issue::ALL.into_iter().filter(move |issue| self.contains(*issue))
    }
}
