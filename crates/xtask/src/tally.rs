//! What became of tests, counted.

use std::fmt;
use std::ops::AddAssign;

use anyhow::Result;

/// How many passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that found what they expect.
    pub passed: u64,
    /// Those that did not.
    pub failed: u64,
    /// Those that lacked something.
    pub skipped: u64,
}

impl Tally {
    /// Reads libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    pub fn read(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| -> Option<u64> {
            counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
        };
        Some(Self { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }

    /// Reads the line at the end of `cargo xtask test`, as [`Tally`] is displayed.
    pub fn closing(line: &str) -> Option<Self> {
        let count = |part: Option<&str>, word: &str| part?.strip_suffix(word)?.trim().parse().ok();
        let mut parts = line.split(", ");
        let tally = Self {
            passed: count(parts.next(), "passed")?,
            failed: count(parts.next(), "failed")?,
            skipped: count(parts.next(), "skipped")?,
        };
        (tally.to_string() == line).then_some(tally)
    }

    /// What tests wrote down that lacked something and so passed without a look: one line each, which is shown.
    pub fn skip(&mut self, lines: &str) {
        for line in lines.lines() {
            println!("skipped {line}");
            self.passed = self.passed.saturating_sub(1);
            self.skipped += 1;
        }
    }

    /// Counts a check.
    pub fn check(&mut self, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("error: {error:#}");
                self.failed += 1;
            }
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn results_are_read_and_added_up() {
        let mut tally = Tally::default();
        tally += Tally::read("test result: ok. 13 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out")
            .unwrap();
        tally +=
            Tally::read("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out")
                .unwrap();
        assert_eq!(tally.to_string(), "15 passed, 1 failed, 1 skipped");
        tally.skip("one: no pg_cron\ntwo: no PgBouncer\n");
        assert_eq!(tally.to_string(), "13 passed, 1 failed, 3 skipped");
        assert_eq!(Tally::closing(&tally.to_string()), Some(tally));
        assert_eq!(Tally::closing("no passed, 1 failed, 3 skipped"), None);
        assert_eq!(Tally::read("test feed ... ok"), None);
    }
}
