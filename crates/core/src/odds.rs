//! What odds say: prices and probabilities, as exact as decimals are.
//!
//! American odds are at least +100 (what a stake of 100 wins) or at most -100 (what must be staked to win 100).

use std::fmt;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddsError {
    /// American odds between -100 and +100.
    American(i32),
    /// A decimal price that returns no more than the stake.
    Decimal,
    /// A probability that is not between 0 and 1.
    Probability,
    /// A price or probability that no American odds are near.
    TooLong,
}

impl fmt::Display for OddsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::American(odds) => write!(f, "American odds of {odds} are impossible"),
            Self::Decimal => f.write_str("decimal odds must be above 1"),
            Self::Probability => f.write_str("a probability must be above 0 and below 1"),
            Self::TooLong => f.write_str("the odds are too long for American odds"),
        }
    }
}

impl OddsError {
    /// What would have been possible.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::American(_) => "American odds are at most -100 or at least +100.",
            Self::Decimal => "Decimal odds are what a stake of 1 returns, the stake included.",
            Self::Probability => "The implied probability of odds is the share of the return that is staked.",
            Self::TooLong => "American odds are integers up to 2147483647.",
        }
    }
}

/// American odds as stake and win: both positive.
fn stake_and_win(odds: i32) -> Result<(Decimal, Decimal), OddsError> {
    let size = Decimal::from(odds.unsigned_abs());
    match odds {
        -99..=99 => Err(OddsError::American(odds)),
        100.. => Ok((Decimal::ONE_HUNDRED, size)),
        _ => Ok((size, Decimal::ONE_HUNDRED)),
    }
}

/// What a stake of 1 returns, the stake included.
///
/// # Errors
/// For impossible odds.
pub fn american_to_decimal(odds: i32) -> Result<Decimal, OddsError> {
    let (stake, win) = stake_and_win(odds)?;
    Ok((Decimal::ONE + win / stake).normalize())
}

/// How probable the outcome must be for the odds to be fair.
///
/// # Errors
/// For impossible odds.
pub fn american_to_probability(odds: i32) -> Result<Decimal, OddsError> {
    let (stake, win) = stake_and_win(odds)?;
    Ok((stake / (stake + win)).normalize())
}

/// The American odds nearest to a decimal price; even money is +100.
///
/// # Errors
/// For a price that returns no more than the stake, or beyond all American odds.
pub fn decimal_to_american(price: Decimal) -> Result<i32, OddsError> {
    let win = price - Decimal::ONE;
    if win <= Decimal::ZERO {
        return Err(OddsError::Decimal);
    }
    nearest(Decimal::ONE, win)
}

/// The American odds nearest to a probability; one half is +100.
///
/// # Errors
/// For what is no probability, for certainty either way, or beyond all American odds.
pub fn probability_to_american(probability: Decimal) -> Result<i32, OddsError> {
    if probability <= Decimal::ZERO || probability >= Decimal::ONE {
        return Err(OddsError::Probability);
    }
    nearest(probability, Decimal::ONE - probability)
}

fn nearest(stake: Decimal, win: Decimal) -> Result<i32, OddsError> {
    let (part, whole, sign) = if win >= stake { (win, stake, 1) } else { (stake, win, -1) };
    let size = part
        .checked_mul(Decimal::ONE_HUNDRED)
        .and_then(|part| part.checked_div(whole))
        .map(|size| size.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero))
        .and_then(|size| (size * Decimal::from(sign)).to_i32())
        .ok_or(OddsError::TooLong)?;
    // -100 and +100 are the same price.
    Ok(if size == -100 { 100 } else { size })
}

/// The overround of a two-way market: by how much its implied probabilities exceed 1.
///
/// # Errors
/// For impossible odds.
pub fn market_hold(one: i32, other: i32) -> Result<Decimal, OddsError> {
    let sum = american_to_probability(one)? + american_to_probability(other)?;
    Ok((sum - Decimal::ONE).normalize())
}

/// The probability of the first side of a two-way market with the overround taken out in proportion.
///
/// # Errors
/// For impossible odds.
pub fn no_vig_probability(one: i32, other: i32) -> Result<Decimal, OddsError> {
    let (one, other) = (american_to_probability(one)?, american_to_probability(other)?);
    Ok((one / (one + other)).normalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    /// As much as the last of 28 digits, twice over.
    fn near(one: Decimal, other: Decimal) -> bool {
        (one - other).abs() <= decimal("0.000000000000000000000000002")
    }

    #[test]
    fn odds_that_books_quote() {
        for (odds, price, probability) in [
            (-110, "1.9090909090909090909090909091", "0.5238095238095238095238095238"),
            (-200, "1.5", "0.6666666666666666666666666667"),
            (150, "2.5", "0.4"),
            (100, "2", "0.5"),
            (-100, "2", "0.5"),
        ] {
            assert_eq!(american_to_decimal(odds), Ok(decimal(price)), "{odds}");
            assert_eq!(american_to_probability(odds), Ok(decimal(probability)), "{odds}");
        }
        assert_eq!(market_hold(-110, -110), Ok(decimal("0.0476190476190476190476190476")));
        assert_eq!(market_hold(-150, 150), Ok(Decimal::ZERO));
        assert_eq!(no_vig_probability(-110, -110), Ok(decimal("0.5")));
        assert_eq!(no_vig_probability(-300, 300), Ok(decimal("0.75")));
    }

    #[test]
    fn the_impossible_is_refused() {
        for odds in [-99, -1, 0, 1, 99] {
            assert_eq!(american_to_decimal(odds), Err(OddsError::American(odds)));
            assert_eq!(american_to_probability(odds), Err(OddsError::American(odds)));
            assert_eq!(market_hold(-110, odds), Err(OddsError::American(odds)));
            assert_eq!(no_vig_probability(odds, -110), Err(OddsError::American(odds)));
        }
        for price in ["1", "0.5", "0", "-3"] {
            assert_eq!(decimal_to_american(decimal(price)), Err(OddsError::Decimal));
        }
        for probability in ["0", "1", "1.5", "-0.1"] {
            assert_eq!(probability_to_american(decimal(probability)), Err(OddsError::Probability));
        }
        assert_eq!(decimal_to_american(Decimal::MAX), Err(OddsError::TooLong));
        assert_eq!(decimal_to_american(decimal("1.0000000000000000000000000001")), Err(OddsError::TooLong));
        assert_eq!(
            probability_to_american(decimal("0.0000000000000000000000000001")),
            Err(OddsError::TooLong)
        );
    }

    fn american() -> impl Strategy<Value = i32> {
        prop_oneof![100..=1_000_000, -1_000_000..=-100, prop_oneof![Just(i32::MAX), Just(i32::MIN)]]
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(odds in american()) {
            let expected = if odds == -100 { 100 } else { odds };
            prop_assert_eq!(decimal_to_american(american_to_decimal(odds).unwrap()), Ok(expected));
            prop_assert_eq!(probability_to_american(american_to_probability(odds).unwrap()), Ok(expected));
        }

        #[test]
        fn price_and_probability_are_reciprocal(odds in -1_000_000..=1_000_000i32) {
            prop_assume!(odds.abs() >= 100);
            let product = american_to_decimal(odds).unwrap() * american_to_probability(odds).unwrap();
            prop_assert!((product - Decimal::ONE).abs() < decimal("0.00000000000000000001"), "{}", product);
        }

        #[test]
        fn longer_odds_pay_more_and_are_less_probable(one in american(), other in american()) {
            let price = |odds| american_to_decimal(odds).unwrap();
            let probability = |odds| american_to_probability(odds).unwrap();
            prop_assert_eq!(price(one) > price(other), probability(one) < probability(other));
            prop_assert!(price(one) > Decimal::ONE && probability(one) > Decimal::ZERO && probability(one) < Decimal::ONE);
        }

        #[test]
        fn without_the_hold_both_sides_add_up(one in american(), other in american()) {
            let sum = no_vig_probability(one, other).unwrap() + no_vig_probability(other, one).unwrap();
            prop_assert!(near(sum, Decimal::ONE), "{}", sum);
            prop_assert_eq!(market_hold(one, other), market_hold(other, one));
        }
    }
}
