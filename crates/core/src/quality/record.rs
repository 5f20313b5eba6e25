//! One betting record as it was collected, and what the rules make of it.

use super::market::is_implausible;
use super::{Issue, Issues, Rule, Rules, Score};

/// What the score looks at. Texts are bytes in any of the server's encodings, borrowed: nothing but blanks
/// and one ASCII word is ever looked for in them.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The sportsbook's name.
    pub sportsbook_name: Option<&'a [u8]>,
    /// The game's id at the source.
    pub game_external_id: Option<&'a [u8]>,
    /// Where the record came from.
    pub source: Option<&'a [u8]>,
    /// Whether the payload it was read from is a JSON object.
    pub raw_data_is_object: bool,
    /// When it was collected, in microseconds of any epoch.
    pub collected_at: Option<i64>,
    /// When it was stored, in microseconds of the same epoch.
    pub created_at: Option<i64>,
    /// What is bet on.
    pub bet: Bet,
}

/// The part of a record that depends on the kind of bet. Odds are American.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the columns'")]
pub enum Bet {
    Moneyline { home_odds: Option<i32>, away_odds: Option<i32> },
    Spread { has_value: bool, odds: Option<i32> },
    Total { has_points: bool, over_odds: Option<i32>, under_odds: Option<i32> },
}

impl Record<'_> {
    /// What is wrong with the record.
    #[must_use]
    #[inline]
    pub fn issues(&self, rules: &Rules) -> Issues {
        let mut issues = self.gaps();
        let market = match self.bet {
            Bet::Moneyline { home_odds, away_odds } => home_odds.zip(away_odds),
            Bet::Total { over_odds, under_odds, .. } => over_odds.zip(under_odds),
            // Half a market.
            Bet::Spread { .. } => None,
        };
        if market.is_some_and(|(one, other)| is_implausible(one, other, rules)) {
            issues.add(Issue::ImplausibleMarket);
        }
        issues
    }

    /// What is missing, impossible or out of order: all that can cost points.
    #[inline(always)]
    fn gaps(&self) -> Issues {
        let mut issues = Issues::default();
        if is_missing(self.sportsbook_name) {
            issues.add(Issue::MissingSportsbook);
        }
        if is_missing(self.game_external_id) {
            issues.add(Issue::MissingGameReference);
        }
        match self.bet {
            Bet::Moneyline { home_odds, away_odds } => {
                check_odds(&mut issues, home_odds, Issue::MissingHomeOdds, Issue::InvalidHomeOdds);
                check_odds(&mut issues, away_odds, Issue::MissingAwayOdds, Issue::InvalidAwayOdds);
            }
            Bet::Spread { has_value, odds } => {
                if !has_value {
                    issues.add(Issue::MissingSpreadValue);
                }
                check_odds(&mut issues, odds, Issue::MissingSpreadOdds, Issue::InvalidSpreadOdds);
            }
            Bet::Total { has_points, over_odds, under_odds } => {
                if !has_points {
                    issues.add(Issue::MissingTotalPoints);
                }
                check_odds(&mut issues, over_odds, Issue::MissingOverOdds, Issue::InvalidOverOdds);
                check_odds(&mut issues, under_odds, Issue::MissingUnderOdds, Issue::InvalidUnderOdds);
            }
        }
        if let (Some(collected), Some(created)) = (self.collected_at, self.created_at)
            && collected > created
        {
            issues.add(Issue::CollectedAfterCreated);
        }
        issues
    }

    /// The record's score: what its issues cost, then what its provenance adds, each up to the maximum.
    ///
    /// The floor comes last, so that with heavy weights a known source does not lift a hopeless record.
    #[must_use]
    #[inline(always)]
    pub fn score(&self, rules: &Rules) -> Score {
        let mut points = rules.hundredths(Rule::Start) - self.penalty(rules);
        if self.source_is_known() {
            points = (points + rules.hundredths(Rule::SourceKnown)).min(Score::MAX.hundredths().into());
        }
        if self.raw_data_is_object {
            points = (points + rules.hundredths(Rule::RawDataObject)).min(Score::MAX.hundredths().into());
        }
        Score::clamped(points)
    }

    #[inline(always)]
    fn penalty(&self, rules: &Rules) -> i32 {
        let issues = self.gaps();
        let has = |issue| issues.contains(issue);
        let cost = |holds, rule| if holds { rules.hundredths(rule) } else { 0 };
        // An impossible value counts as a missing one.
        let bet = match self.bet {
            Bet::Moneyline { .. } => {
                let home = has(Issue::MissingHomeOdds) || has(Issue::InvalidHomeOdds);
                let away = has(Issue::MissingAwayOdds) || has(Issue::InvalidAwayOdds);
                cost(home && away, Rule::MoneylineMissingBothOdds)
                    + cost(home != away, Rule::MoneylineMissingOneOdds)
            }
            Bet::Spread { .. } => {
                let odds = has(Issue::MissingSpreadOdds) || has(Issue::InvalidSpreadOdds);
                cost(has(Issue::MissingSpreadValue), Rule::SpreadMissingValue)
                    + cost(odds, Rule::SpreadMissingOdds)
            }
            Bet::Total { .. } => {
                let over = has(Issue::MissingOverOdds) || has(Issue::InvalidOverOdds);
                let under = has(Issue::MissingUnderOdds) || has(Issue::InvalidUnderOdds);
                cost(has(Issue::MissingTotalPoints), Rule::TotalMissingPoints)
                    + cost(over && under, Rule::TotalMissingBothOdds)
            }
        };
        bet + cost(has(Issue::MissingSportsbook), Rule::MissingSportsbook)
            + cost(has(Issue::MissingGameReference), Rule::MissingGameReference)
            + cost(has(Issue::CollectedAfterCreated), Rule::CollectedAfterCreated)
    }

    #[inline(always)]
    fn source_is_known(&self) -> bool {
        self.source.is_some_and(|source| !is_blank(source) && source != b"UNKNOWN")
    }
}

/// The plan's 0/1 factor of a moneyline: whether its odds and its sportsbook's name are there at all.
///
/// It is the plan's expression and no more, so that it agrees with the index built on that expression.
#[must_use]
pub const fn base_factor(home_odds: Option<i32>, away_odds: Option<i32>, has_sportsbook_name: bool) -> i32 {
    (home_odds.is_some() && away_odds.is_some() && has_sportsbook_name) as i32
}

/// Whether a text is empty or all blanks: the six ASCII ones (space, tab, line feed, vertical tab, form feed,
/// carriage return). Every server encoding keeps ASCII bytes to themselves, so no decoding is needed; a
/// no-break space or another of Unicode's counts as text, as it does for `btrim`.
#[must_use]
#[inline]
pub fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' ' | b'\t'..=b'\r'))
}

#[inline(always)]
fn is_missing(text: Option<&[u8]>) -> bool {
    text.is_none_or(is_blank)
}

/// American odds are at most -100 or at least +100; nothing between can be offered.
#[inline(always)]
fn check_odds(issues: &mut Issues, odds: Option<i32>, missing: Issue, invalid: Issue) {
    match odds {
        None => issues.add(missing),
        Some(-99..=99) => issues.add(invalid),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests;
