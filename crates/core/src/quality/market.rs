//! Whether the two sides of a market can have been quoted together.

use super::{Rule, Rules};

/// Whether the hold of a two-way market, the sum of its implied probabilities less 1, is beyond what the rules
/// believe. Odds that are impossible make no market and so no implausible one.
///
/// The probability of a side is its stake over its return. Both fractions are multiplied out, so that the comparison is
/// one of integers, and in an order in which no step leaves 64 bits before a rule comes in.
#[inline]
pub(super) fn is_implausible(one: i32, other: i32, rules: &Rules) -> bool {
    let (Some((one_stake, one_return)), Some((other_stake, other_return))) =
        (stake_and_return(one), stake_and_return(other))
    else {
        return false;
    };
    let whole = one_return * other_return;
    let excess = other_stake * one_return - (one_return - one_stake) * other_return;
    // Rules are in hundredths of a percent.
    let scaled = i128::from(excess) * 10_000;
    let share = |rule| i128::from(rules.hundredths(rule)) * i128::from(whole);
    scaled < -share(Rule::HoldBelow) || scaled > share(Rule::HoldAbove)
}

/// What is staked at American odds and what comes back if they win; nothing for impossible odds.
#[inline]
fn stake_and_return(odds: i32) -> Option<(i64, i64)> {
    let size = i64::from(odds).abs();
    match odds {
        -99..=99 => None,
        100.. => Some((100, 100 + size)),
        _ => Some((size, 100 + size)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;
    use crate::odds::market_hold;

    fn by_default(one: i32, other: i32) -> bool {
        is_implausible(one, other, &Rules::DEFAULT)
    }

    #[test]
    fn markets_that_books_quote_are_plausible_and_others_are_not() {
        for (one, other) in [(-110, -110), (100, -100), (-150, 130), (-1200, 700), (105, 105), (110, 110)] {
            assert!(!by_default(one, other), "{one} {other}");
        }
        for (one, other) in
            [(150, 150), (-200, -200), (-110, 700), (i32::MAX, i32::MAX), (i32::MIN, i32::MIN)]
        {
            assert!(by_default(one, other), "{one} {other}");
        }
        // Nothing of it can be judged.
        for odds in [-99, 0, 99] {
            assert!(!by_default(odds, -110) && !by_default(i32::MIN, odds), "{odds}");
        }
        assert!(!by_default(i32::MIN, i32::MAX) && !by_default(i32::MAX, i32::MIN));
    }

    #[test]
    fn a_hold_at_the_threshold_is_believed() {
        // 0.5 and 0.4.
        let mut rules = Rules::DEFAULT;
        for (below, above, expected) in
            [("10", "25", false), ("9.99", "25", true), ("10", "0", false), ("100", "100", false)]
        {
            rules.set("hold_below", below).unwrap();
            rules.set("hold_above", above).unwrap();
            assert_eq!(is_implausible(100, 150, &rules), expected, "{below} {above}");
        }
        // 0.75 and 0.5.
        for (above, expected) in [("25", false), ("24.99", true)] {
            rules.set("hold_above", above).unwrap();
            assert_eq!(is_implausible(-300, 100, &rules), expected, "{above}");
        }
    }

    fn odds() -> impl Strategy<Value = i32> {
        prop_oneof![100..=400, -400..=-100, any::<i32>(), Just(i32::MIN), Just(i32::MAX), -110..=110]
    }

    proptest! {
        #[test]
        fn it_is_the_hold_compared(one in odds(), other in odds(), below in 0..=10_000i32, above in 0..=10_000i32) {
            let mut rules = Rules::DEFAULT;
            let percent = |hundredths: i32| Decimal::new(hundredths.into(), 2);
            rules.set("hold_below", &percent(below).to_string()).unwrap();
            rules.set("hold_above", &percent(above).to_string()).unwrap();
            let expected = market_hold(one, other).is_ok_and(|hold| {
                let hold = hold * Decimal::ONE_HUNDRED;
                // The decimals are rounded at their last digit; where that decides, they do not.
                hold < -percent(below) || hold > percent(above)
            });
            let near = market_hold(one, other).is_ok_and(|hold| {
                let hold = hold * Decimal::ONE_HUNDRED;
                let digit = Decimal::new(1, 20);
                (hold + percent(below)).abs() < digit || (hold - percent(above)).abs() < digit
            });
            prop_assert!(near || is_implausible(one, other, &rules) == expected);
            prop_assert_eq!(is_implausible(one, other, &rules), is_implausible(other, one, &rules));
        }

        #[test]
        fn wider_rules_believe_more(one in odds(), other in odds(), share in 0..=9_999i32) {
            let with = |value: i32| {
                let mut rules = Rules::DEFAULT;
                for rule in ["hold_below", "hold_above"] {
                    rules.set(rule, &Decimal::new(value.into(), 2).to_string()).unwrap();
                }
                is_implausible(one, other, &rules)
            };
            prop_assert!(with(share) || !with(share + 1));
            prop_assert!(!with(10_000));
        }
    }
}
