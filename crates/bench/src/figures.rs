//! What a suite measured: samples, what they are compared with, and what was asked of them.

use serde::{Deserialize, Serialize};

/// Who a figure belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The extension.
    Ours,
    /// Another way to the same end.
    Alternative,
    /// The least that the machine asks for it.
    Limit,
}

/// One contestant's samples in one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// What was done; contestants of a case are compared with one another.
    pub case: String,
    /// The contestant.
    pub who: String,
    /// What it is in the comparison.
    pub role: Role,
    /// What is counted.
    pub unit: String,
    /// One value for each round, in their order.
    pub samples: Vec<f64>,
}

impl Figure {
    /// The middle one of the samples.
    pub fn median(&self) -> f64 {
        median(self.samples.iter().copied())
    }

    /// The least and the greatest of the samples.
    pub fn spread(&self) -> (f64, f64) {
        let fold = |start: f64, pick: fn(f64, f64) -> f64| self.samples.iter().copied().fold(start, pick);
        (fold(f64::INFINITY, f64::min), fold(f64::NEG_INFINITY, f64::max))
    }
}

/// What an issue or the plan asks, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verdict {
    /// In words, with the bound.
    pub asked: String,
    /// The figure that was held against the bound, if there is one.
    pub measured: Option<f64>,
    /// Whether it holds.
    pub met: bool,
}

/// All that a suite found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Findings {
    /// What it ran over and how often, in words.
    pub setting: String,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What was asked.
    pub verdicts: Vec<Verdict>,
    /// What else a reader has to know.
    pub notes: Vec<String>,
}

impl Findings {
    /// Nothing yet.
    pub fn new(setting: impl Into<String>) -> Self {
        Self { setting: setting.into(), ..Self::default() }
    }

    /// One more sample; what there was nothing to measure of is none.
    pub fn add(&mut self, case: &str, who: &str, role: Role, unit: &str, sample: f64) {
        if !sample.is_finite() {
            return;
        }
        let same = |figure: &&mut Figure| figure.case == case && figure.who == who && figure.unit == unit;
        if let Some(figure) = self.figures.iter_mut().find(same) {
            return figure.samples.push(sample);
        }
        let [case, who, unit] = [case, who, unit].map(str::to_owned);
        self.figures.push(Figure { case, who, role, unit, samples: vec![sample] });
    }

    /// A contestant's figure.
    pub fn figure(&self, case: &str, who: &str, unit: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.case == case && figure.who == who && figure.unit == unit)
    }

    /// A contestant's median; NaN, which meets no bound, where there is none.
    pub fn median(&self, case: &str, who: &str, unit: &str) -> f64 {
        self.figure(case, who, unit).map_or(f64::NAN, Figure::median)
    }

    /// How many times as much ours has as another contestant of its case: the median over the rounds, whose parts
    /// met the same weather, or that of the medians where they were not run in pairs.
    pub fn ratio(&self, other: &Figure) -> Option<f64> {
        let ours = self
            .figures
            .iter()
            .find(|f| f.role == Role::Ours && f.case == other.case && f.unit == other.unit)?;
        Some(quotient(ours, other))
    }

    /// How many times as much one contestant has as another.
    pub fn between(&self, case: &str, unit: &str, who: &str, other: &str) -> f64 {
        match (self.figure(case, who, unit), self.figure(case, other, unit)) {
            (Some(one), Some(other)) => quotient(one, other),
            _ => f64::NAN,
        }
    }

    /// Holds a figure against the least that was asked.
    pub fn at_least(&mut self, asked: &str, measured: f64, bound: f64) {
        self.judge(asked, measured, measured >= bound);
    }

    /// Holds a figure against the most that was asked.
    pub fn at_most(&mut self, asked: &str, measured: f64, bound: f64) {
        self.judge(asked, measured, measured <= bound);
    }

    fn judge(&mut self, asked: &str, measured: f64, met: bool) {
        let measured = measured.is_finite().then_some(measured);
        self.verdicts.push(Verdict { asked: asked.to_owned(), measured, met });
    }

    /// Says something besides.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

fn quotient(one: &Figure, other: &Figure) -> f64 {
    if one.samples.len() == other.samples.len() {
        median(one.samples.iter().zip(&other.samples).map(|(one, other)| one / other))
    } else {
        one.median() / other.median()
    }
}

/// The middle one, or half-way between the middle two; NaN of none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match (sorted.get(sorted.len().wrapping_sub(1) / 2), sorted.get(sorted.len() / 2)) {
        (Some(one), Some(other)) => (one + other) / 2.0,
        _ => f64::NAN,
    }
}

/// The value that so large a part of the values does not exceed; NaN of none.
pub fn quantile(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (part * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{Findings, Role, median, quantile};

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values = || [5.0, 1.0, 4.0, 2.0, 3.0].into_iter();
        assert_eq!(quantile(values(), 0.5), 3.0);
        assert_eq!(quantile(values(), 0.95), 5.0);
        assert_eq!(quantile(values(), 0.0), 1.0);
        assert!(quantile(std::iter::empty(), 0.5).is_nan());
        assert_eq!(median(values()), 3.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
        assert!(median(std::iter::empty()).is_nan());
    }

    #[test]
    fn pairs_are_compared_round_by_round() {
        let mut findings = Findings::new("");
        // The machine was twice as slow in the second round, for both.
        for (ours, theirs) in [(10.0, 20.0), (20.0, 40.0), (11.0, 22.0)] {
            findings.add("work", "ours", Role::Ours, "ms", ours);
            findings.add("work", "theirs", Role::Alternative, "ms", theirs);
        }
        findings.add("work", "limit", Role::Limit, "ms", 5.5);
        findings.add("work", "limit", Role::Limit, "ms", f64::NAN);
        assert_eq!(findings.ratio(&findings.figures[1]), Some(0.5));
        assert_eq!(findings.ratio(&findings.figures[2]), Some(2.0));
        findings.at_most("less", findings.median("work", "nobody", "ms"), 1.0);
        assert!(!findings.verdicts[0].met, "what was not measured meets nothing");
    }
}
