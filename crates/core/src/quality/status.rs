//! The validation status that follows from a score and the issues.

use super::{Issue, OF_THE_MIGRATION, Rule, Rules};

/// What may be done with a record or a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may be used.
    Validated,
    /// It may be used once somebody has looked at it.
    NeedsReview,
    /// It may not be used.
    Invalid,
    /// Too few sportsbooks offer the game.
    LowCoverage,
}

impl Status {
    /// The text under which SQL knows the status.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Validated => "validated",
            Self::NeedsReview => "needs_review",
            Self::Invalid => "invalid",
            Self::LowCoverage => "low_coverage",
        }
    }
}

/// The status of a record by its score in hundredths and the codes of its issues.
///
/// A core field that is missing, invalid or not to be believed makes it `needs_review` at best, however good the rest.
/// Codes that are not ours count by the same prefixes, so that another stage may add its own.
pub fn status<'a>(hundredths: i64, issues: impl IntoIterator<Item = &'a str>, rules: &Rules) -> Status {
    match by_score(hundredths, rules) {
        Status::Validated if issues.into_iter().any(concerns_core_field) => Status::NeedsReview,
        status => status,
    }
}

/// The status by the score alone.
pub(super) fn by_score(hundredths: i64, rules: &Rules) -> Status {
    if hundredths >= rules.hundredths(Rule::ValidatedFrom).into() {
        Status::Validated
    } else if hundredths >= rules.hundredths(Rule::NeedsReviewFrom).into() {
        Status::NeedsReview
    } else {
        Status::Invalid
    }
}

fn concerns_core_field(code: &str) -> bool {
    code.starts_with("missing_")
        || code.starts_with("invalid_")
        || code == Issue::ImplausibleMarket.code()
        || OF_THE_MIGRATION.contains(&code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quality::Issue;

    #[test]
    fn thresholds_belong_to_the_better_status() {
        for (hundredths, expected) in [
            (9_999, Status::Validated),
            (8_000, Status::Validated),
            (7_999, Status::NeedsReview),
            (6_000, Status::NeedsReview),
            (5_999, Status::Invalid),
            (-1, Status::Invalid),
        ] {
            assert_eq!(status(hundredths, [], &Rules::DEFAULT), expected);
        }
    }

    #[test]
    fn every_issue_but_the_clock_holds_a_record_back() {
        for issue in Issue::ALL {
            let expected = match issue {
                Issue::CollectedAfterCreated => Status::Validated,
                _ => Status::NeedsReview,
            };
            assert_eq!(status(9_999, [issue.code()], &Rules::DEFAULT), expected, "{}", issue.code());
        }
        for code in ["line_rounded", "conflicting_teams", "swapped_sides"] {
            assert_eq!(status(9_999, [code], &Rules::DEFAULT), Status::NeedsReview, "{code}");
            assert_eq!(status(5_999, [code], &Rules::DEFAULT), Status::Invalid, "{code}");
        }
        for code in ["unknown_team", "implausible", "line_rounded_", ""] {
            assert_eq!(status(9_999, [code], &Rules::DEFAULT), Status::Validated, "{code}");
        }
    }

    proptest! {
        #[test]
        fn issues_never_improve_a_status(hundredths in -100i64..12_000, code in "[a-z_]{0,10}") {
            let alone = status(hundredths, [], &Rules::DEFAULT);
            let with = status(hundredths, [code.as_str(), "missing_x"], &Rules::DEFAULT);
            prop_assert!(with == alone || (alone == Status::Validated && with == Status::NeedsReview));
        }
    }
}
