//! The weights and thresholds, and how they are read from what an operator wrote.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde_json::{Value, json};

/// One configurable number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is described by its definition, in the words the operator sees")]
pub enum Rule {
    Start,
    MissingSportsbook,
    MissingGameReference,
    MoneylineMissingBothOdds,
    MoneylineMissingOneOdds,
    SpreadMissingValue,
    SpreadMissingOdds,
    TotalMissingPoints,
    TotalMissingBothOdds,
    CollectedAfterCreated,
    SourceKnown,
    RawDataObject,
    ValidatedFrom,
    NeedsReviewFrom,
    GameMinBooks,
    GameFewBooks,
    GameMinRecords,
    GameFewRecords,
    HoldBelow,
    HoldAbove,
}

/// What a rule is called, what it is unless configured, and what it may be.
#[derive(Debug)]
pub struct Definition {
    /// The rule.
    pub rule: Rule,
    /// The name under which SQL and JSON know it.
    pub name: &'static str,
    /// The built-in value, in hundredths.
    pub default: i32,
    /// The largest value, in hundredths; the smallest is 0.
    pub limit: i32,
    /// What the number does.
    pub description: &'static str,
}

/// The largest number of points: one more could not be told from it.
const POINTS: i32 = 9_999;
/// All of a market, in hundredths of a percent: no hold is more, whichever way.
const WHOLE: i32 = 10_000;
/// The largest count, a million, in hundredths.
const COUNT: i32 = 100_000_000;

const fn define(
    rule: Rule,
    name: &'static str,
    default: i32,
    limit: i32,
    description: &'static str,
) -> Definition {
    Definition { rule, name, default, limit, description }
}

/// Every rule, in the order of [`Rule`].
#[rustfmt::skip]
pub const DEFINITIONS: [Definition; 20] = {
    use Rule::*;
    [
        define(Start, "start", 9_999, POINTS, "what every record and game starts from"),
        define(MissingSportsbook, "missing_sportsbook", 2_000, POINTS, "taken off a record without a sportsbook name"),
        define(MissingGameReference, "missing_game_reference", 2_500, POINTS, "taken off a record without a game reference"),
        define(MoneylineMissingBothOdds, "moneyline_missing_both_odds", 3_000, POINTS, "taken off a moneyline with neither odds"),
        define(MoneylineMissingOneOdds, "moneyline_missing_one_odds", 1_500, POINTS, "taken off a moneyline with one of the two odds"),
        define(SpreadMissingValue, "spread_missing_value", 2_500, POINTS, "taken off a spread without its value"),
        define(SpreadMissingOdds, "spread_missing_odds", 1_500, POINTS, "taken off a spread without odds"),
        define(TotalMissingPoints, "total_missing_points", 2_500, POINTS, "taken off a total without its points"),
        define(TotalMissingBothOdds, "total_missing_both_odds", 1_500, POINTS, "taken off a total with neither odds"),
        define(CollectedAfterCreated, "collected_after_created", 500, POINTS, "taken off a record collected later than it was created"),
        define(SourceKnown, "source_known", 500, POINTS, "added, up to 99.99, where the source is present and not UNKNOWN"),
        define(RawDataObject, "raw_data_object", 300, POINTS, "added, up to 99.99, where raw_data is a JSON object"),
        define(ValidatedFrom, "validated_from", 8_000, POINTS, "the lowest score of status validated"),
        define(NeedsReviewFrom, "needs_review_from", 6_000, POINTS, "the lowest score of status needs_review"),
        define(GameMinBooks, "game_min_books", 200, COUNT, "a game with fewer sportsbooks has status low_coverage"),
        define(GameFewBooks, "game_few_books", 2_000, POINTS, "taken off a game with fewer than game_min_books sportsbooks"),
        define(GameMinRecords, "game_min_records", 500, COUNT, "the number of records that a game should have"),
        define(GameFewRecords, "game_few_records", 1_000, POINTS, "taken off a game with fewer than game_min_records records"),
        define(HoldBelow, "hold_below", 500, WHOLE, "a market whose hold is lower than minus so many percent is an implausible_market"),
        define(HoldAbove, "hold_above", 2_500, WHOLE, "a market whose hold is higher than so many percent is an implausible_market"),
    ]
};

/// The rows of `groundskeeper.quality_rules` until they are edited, by the names of its columns.
#[must_use]
pub fn default_rows() -> Vec<Value> {
    let row = |definition: &Definition| {
        let points = Decimal::new(definition.default.into(), 2).to_string();
        json!({ "rule": definition.name, "points": points, "description": definition.description })
    };
    DEFINITIONS.iter().map(row).collect()
}

/// A value for each rule, in hundredths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules([i32; DEFINITIONS.len()]);

impl Rules {
    /// The built-in values.
    pub const DEFAULT: Self = {
        let mut values = [0; DEFINITIONS.len()];
        let mut index = 0;
        while index < DEFINITIONS.len() {
            values[index] = DEFINITIONS[index].default;
            index += 1;
        }
        Self(values)
    };

    /// The rule's value in hundredths.
    #[must_use]
    pub const fn hundredths(&self, rule: Rule) -> i32 {
        self.0[rule as usize]
    }

    /// Gives the rule of that name the value that the text spells.
    ///
    /// # Errors
    /// When there is no such rule, or the text is not a number that it takes.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), RuleError> {
        let Some(definition) = DEFINITIONS.iter().find(|definition| definition.name == name) else {
            return Err(RuleError::Unknown { name: name.to_owned() });
        };
        let number = Decimal::from_str(value)
            .or_else(|_| Decimal::from_scientific(value))
            .map_err(|_| RuleError::NotANumber { definition, value: value.to_owned() })?;
        let hundredths = number
            .checked_mul(Decimal::ONE_HUNDRED)
            .filter(|hundredths| Decimal::ZERO <= *hundredths && *hundredths <= definition.limit.into())
            .ok_or_else(|| RuleError::OutOfRange { definition, value: value.to_owned() })?;
        self.0[definition.rule as usize] = i32::try_from(hundredths)
            .ok()
            .filter(|_| hundredths.fract().is_zero())
            .ok_or_else(|| RuleError::TooPrecise { definition, value: value.to_owned() })?;
        Ok(())
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a rule cannot be what was asked for.
#[derive(Debug)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum RuleError {
    Unknown { name: String },
    NotANumber { definition: &'static Definition, value: String },
    OutOfRange { definition: &'static Definition, value: String },
    TooPrecise { definition: &'static Definition, value: String },
}

impl RuleError {
    /// What would have been right.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Unknown { .. } => {
                let names: Vec<_> = DEFINITIONS.iter().map(|definition| definition.name).collect();
                format!("The rules are {}.", names.join(", "))
            }
            Self::NotANumber { definition, .. }
            | Self::OutOfRange { definition, .. }
            | Self::TooPrecise { definition, .. } => format!(
                "It takes a number from 0 to {} with at most two decimals: {}.",
                Decimal::new(definition.limit.into(), 2).normalize(),
                definition.description
            ),
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "unknown quality rule \"{name}\""),
            Self::NotANumber { definition, value } => {
                write!(f, "quality rule \"{}\" is not a number: {value}", definition.name)
            }
            Self::OutOfRange { definition, value } => {
                write!(f, "quality rule \"{}\" is out of range: {value}", definition.name)
            }
            Self::TooPrecise { definition, value } => {
                write!(f, "quality rule \"{}\" has more than two decimals: {value}", definition.name)
            }
        }
    }
}

impl std::error::Error for RuleError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn definitions_stand_in_the_order_of_the_rules_and_keep_their_own_limits() {
        for (index, definition) in DEFINITIONS.iter().enumerate() {
            assert_eq!(definition.rule as usize, index);
            assert!((0..=definition.limit).contains(&definition.default));
        }
    }

    #[test]
    fn what_is_no_number_in_range_is_refused_by_name() {
        for value in ["NaN", "Infinity", "", "null", "true", "[]", "1e400x", "0x10", "1_0_x"] {
            let error = Rules::DEFAULT.clone().set("start", value).unwrap_err();
            assert!(matches!(error, RuleError::NotANumber { .. }), "{value}: {error}");
        }
        for value in ["-0.01", "-5", "100", "99.995", "9999999999999999999999999999"] {
            let error = Rules::DEFAULT.clone().set("start", value).unwrap_err();
            assert!(matches!(error, RuleError::OutOfRange { .. }), "{value}: {error}");
        }
        let error = Rules::DEFAULT.clone().set("start", "0.005").unwrap_err();
        assert!(matches!(error, RuleError::TooPrecise { .. }), "{error}");
        let error = Rules::DEFAULT.clone().set("Start", "1").unwrap_err();
        assert!(matches!(error, RuleError::Unknown { .. }), "{error}");
        assert!(error.detail().contains("start, missing_sportsbook"));
    }

    proptest! {
        #[test]
        fn every_hundredth_in_range_is_taken_exactly(index in 0..DEFINITIONS.len(), share in 0.0..=1.0) {
            let definition = &DEFINITIONS[index];
            let hundredths = (f64::from(definition.limit) * share) as i32;
            let mut rules = Rules::DEFAULT;
            rules.set(definition.name, &format!("{}.{:02}", hundredths / 100, hundredths % 100)).unwrap();
            prop_assert_eq!(rules.hundredths(definition.rule), hundredths);
            for other in DEFINITIONS.iter().filter(|other| other.rule != definition.rule) {
                prop_assert_eq!(rules.hundredths(other.rule), other.default);
            }
        }

        #[test]
        fn no_text_makes_it_panic_or_leave_the_range(name in "[a-z_]{0,12}|start", value in ".{0,40}") {
            let mut rules = Rules::DEFAULT;
            if let Err(error) = rules.set(&name, &value) {
                prop_assert!(!error.to_string().is_empty() && !error.detail().is_empty());
                prop_assert_eq!(rules, Rules::DEFAULT);
            } else {
                prop_assert!((0..=POINTS).contains(&rules.hundredths(Rule::Start)));
            }
        }
    }
}
