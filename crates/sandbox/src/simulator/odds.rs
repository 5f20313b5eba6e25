//! What books think of a game, and how it drifts until the first pitch.

use rust_decimal::Decimal;

use super::random::{Part, Random};
use super::schedule::Game;
use crate::raw::{Market, Quote};

/// What playing at home adds to a club's chance.
const HOME_ADVANTAGE: f64 = 0.035;
/// How much likelier than winning it is not to lose by two runs.
const RUN_LINE: f64 = 0.16;

/// The market's opinion of one game.
#[derive(Debug)]
pub struct Opinion {
    home_wins: f64,
    runs: f64,
}

impl Opinion {
    /// Before the first quote: from the clubs' strengths, by Bill James' formula.
    pub fn opening(seed: u64, game: &Game) -> Self {
        let mut random = Random::stream(seed, Part::Opening.stream(game.number));
        let (home, away) = (game.home.strength, game.away.strength);
        let even = home * (1.0 - away) / (home * (1.0 - away) + away * (1.0 - home));
        Self {
            home_wins: even + HOME_ADVANTAGE + random.noise(0.03),
            runs: 8.6 + (home - away).abs() + random.noise(0.7),
        }
    }

    /// One step of the walk.
    pub fn drift(&mut self, random: &mut Random) {
        self.home_wins = (self.home_wins + random.noise(0.004)).clamp(0.2, 0.8);
        self.runs = (self.runs + random.noise(0.06)).clamp(6.0, 12.5);
    }

    /// A book's quote: the market's opinion with a little of its own, and its share on top.
    pub fn quote(&self, market: Market, hold: f64, game: &Game, random: &mut Random) -> Quote {
        let home_wins = self.home_wins + random.noise(0.004);
        match market {
            Market::Moneyline => Quote::Moneyline {
                home: Some(american(home_wins, hold)),
                away: Some(american(1.0 - home_wins, hold)),
                home_team: Some(game.home.spelled(random)),
                away_team: Some(game.away.spelled(random)),
            },
            Market::Spread => spread(home_wins, hold, game),
            Market::Total => total(self.runs, hold, random),
        }
    }
}

fn spread(home_wins: f64, hold: f64, game: &Game) -> Quote {
    let (value, covers, favorite, underdog) = if home_wins >= 0.5 {
        (-15, home_wins - RUN_LINE, game.home, game.away)
    } else {
        (15, home_wins + RUN_LINE, game.away, game.home)
    };
    Quote::Spread {
        value: Some(Decimal::new(value, 1)),
        odds: Some(american(covers, hold)),
        favorite: Some(favorite.name()),
        underdog: Some(underdog.name()),
    }
}

fn total(runs: f64, hold: f64, random: &mut Random) -> Quote {
    let halves = (runs * 2.0).round();
    let over = 0.5 + (runs - halves / 2.0) * 0.1 + random.noise(0.006);
    Quote::Total {
        points: Some(Decimal::new(halves as i64 * 5, 1)),
        over: Some(american(over, hold)),
        under: Some(american(1.0 - over, hold)),
    }
}

/// American odds on a chance, the book's share included: at most -100 or at least +100.
fn american(chance: f64, hold: f64) -> i32 {
    let chance = (chance * (1.0 + hold)).clamp(0.02, 0.98);
    let odds = if chance >= 0.5 { -100.0 * chance / (1.0 - chance) } else { 100.0 * (1.0 - chance) / chance };
    odds.round() as i32
}

#[cfg(test)]
mod tests {
    use super::american;

    #[test]
    fn odds_are_never_impossible() {
        for percent in 0..=100 {
            let odds = american(f64::from(percent) / 100.0, 0.045);
            assert!(odds.abs() >= 100, "{percent} % gives {odds}");
        }
        assert_eq!(american(0.5, 0.0), -100);
        assert_eq!(american(0.6, 0.0), -150);
        assert_eq!(american(0.4, 0.0), 150);
    }
}
