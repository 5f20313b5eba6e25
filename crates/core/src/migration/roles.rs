//! What the plan calls the columns that the migration reads and writes: their roles.

use super::Market;
use super::shape::GAMES;

/// The roles of the home team and the visitors in raw tables.
pub(super) const SIDES: [&str; 2] = ["home_team_name", "away_team_name"];

impl Market {
    /// The roles of the columns of odds, the same in raw and staging. A spread's are the home side's, and may be
    /// called so.
    pub(super) const fn odds(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Moneyline => &[&["home_odds"], &["away_odds"]],
            Self::Spread => &[&["spread_odds", "home_odds"]],
            Self::Total => &[&["over_odds"], &["under_odds"]],
        }
    }

    /// The roles of the line's column.
    pub(super) const fn line(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Moneyline => None,
            Self::Spread => Some(&["spread_value", "line_value"]),
            Self::Total => Some(&["total_points", "line_value"]),
        }
    }

    pub(super) const fn own_raw_id(self) -> &'static str {
        match self {
            Self::Moneyline => "raw_moneylines_id",
            Self::Spread => "raw_spreads_id",
            Self::Total => "raw_totals_id",
        }
    }
}

/// The roles that `groundskeeper.column_names` knows for a relation; nothing for another relation.
#[must_use]
pub fn roles(relation: &str) -> Option<Vec<&'static str>> {
    let by_market = |table: fn(Market) -> String| Market::ALL.into_iter().find(|m| table(*m) == relation);
    let odds = |market: Market| market.odds().iter().map(|roles| roles[0]);
    let line = |market: Market| market.line().map(|roles| roles[0]);
    if let Some(market) = by_market(Market::raw) {
        let frame = ["id", "source", "game_external_id", "sportsbook_id", "sportsbook_name", "raw_data"];
        let moments = ["collected_at", "game_date", "created_at", "updated_at", "start_time"];
        let teams = SIDES.into_iter().chain(["favorite_team", "underdog_team"]);
        return Some(
            frame.into_iter().chain(moments).chain(teams).chain(odds(market)).chain(line(market)).collect(),
        );
    }
    if let Some(market) = by_market(Market::staging) {
        let frame = ["raw_id", "game_id", "sportsbook_id", "sportsbook_name", "home_team_normalized"];
        let teams = ["away_team_normalized", "favorite_team_normalized", "underdog_team_normalized"];
        let rest =
            ["data_quality_score", "validation_status", "validation_errors", "processed_at", "updated_at"];
        return Some(
            frame.into_iter().chain(teams).chain(rest).chain(odds(market)).chain(line(market)).collect(),
        );
    }
    (relation == GAMES).then(|| {
        vec![
            "id",
            "external_id",
            "home_team_normalized",
            "away_team_normalized",
            "game_date",
            "game_datetime",
            "season",
            "data_quality_score",
            "validation_status",
            "updated_at",
        ]
    })
}
