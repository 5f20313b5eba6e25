//! The quality of a game: how well the books cover it.

use super::status::by_score;
use super::{Rule, Rules, Score, Status};

/// What is counted of a game.
#[derive(Clone, Copy, Debug)]
pub struct Game {
    /// The sportsbooks that offer it.
    pub books: u32,
    /// The records that tell of it.
    pub records: u32,
}

/// A game's score and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GameQuality {
    /// The score.
    pub score: Score,
    /// The status; few books mean `low_coverage`, whatever the score.
    pub status: Status,
}

impl Game {
    /// The game's score and status.
    #[must_use]
    pub fn quality(self, rules: &Rules) -> GameQuality {
        let fewer = |count: u32, floor| i64::from(count) * 100 < i64::from(rules.hundredths(floor));
        let few_books = fewer(self.books, Rule::GameMinBooks);
        let mut points = rules.hundredths(Rule::Start);
        if few_books {
            points -= rules.hundredths(Rule::GameFewBooks);
        }
        if fewer(self.records, Rule::GameMinRecords) {
            points -= rules.hundredths(Rule::GameFewRecords);
        }
        let score = Score::clamped(points);
        let status = if few_books { Status::LowCoverage } else { by_score(score.hundredths().into(), rules) };
        GameQuality { score, status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_books_and_few_records_cost_their_weights() {
        for (books, records, score, status) in [
            (2, 5, 9_999, Status::Validated),
            (2, 4, 8_999, Status::Validated),
            (1, 5, 7_999, Status::LowCoverage),
            (0, 0, 6_999, Status::LowCoverage),
        ] {
            let quality = Game { books, records }.quality(&Rules::DEFAULT);
            assert_eq!(quality, GameQuality { score: Score::clamped(score), status });
        }
    }
}
