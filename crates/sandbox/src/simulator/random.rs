//! Chance that is the same on every machine for the same seed.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::raw::Market;

/// The parts of the simulation that draw independently of each other.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// Who plays whom, on the day that begins with the game of this number.
    Schedule,
    /// What the books think before the first quote on a game.
    Opening,
    /// The quotes on a game in one market.
    Quotes(Market),
}

impl Part {
    /// The number of the stream for a game.
    pub fn stream(self, game: u64) -> u64 {
        let part = match self {
            Self::Schedule => 0,
            Self::Opening => 1,
            Self::Quotes(Market::Moneyline) => 2,
            Self::Quotes(Market::Spread) => 3,
            Self::Quotes(Market::Total) => 4,
        };
        game * 8 + part
    }
}

/// A source of chance with a stream of its own for each part of the simulation, so that no part
/// depends on how much another drew.
#[derive(Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream with this number.
    pub fn stream(seed: u64, number: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(number);
        Self(generator)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }

    /// A number around zero: the sum of three even draws comes close enough to normal.
    pub fn noise(&mut self, deviation: f64) -> f64 {
        let sum: f64 = (0..3).map(|_| self.0.random_range(-1.0..1.0)).sum();
        sum * deviation
    }

    /// One of the choices.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Puts the items in an order of chance.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        use rand::seq::SliceRandom as _;
        items.shuffle(&mut self.0);
    }
}
