//! Keys that have a moment in them and are no dates: numbers that count from 1970 on, and UUIDs of version 7, which
//! begin with one.

use chrono::NaiveDate;

/// How the moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// Milliseconds in the first 48 bits of a `uuid` (RFC 9562, version 7).
    UuidV7,
    /// A `bigint` of seconds.
    EpochS,
    /// A `bigint` of milliseconds.
    EpochMs,
    /// A `bigint` of microseconds.
    EpochUs,
}

/// A number of seconds is below this, one of milliseconds is not, and one of microseconds is not below its thousandfold:
/// so far a number says itself what it counts.
const SECONDS_END: i64 = 100_000_000_000;

impl KeyFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::UuidV7, Self::EpochS, Self::EpochMs, Self::EpochUs];

    /// Its name in calls.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UuidV7 => "uuidv7",
            Self::EpochS => "epoch_s",
            Self::EpochMs => "epoch_ms",
            Self::EpochUs => "epoch_us",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// The type of such a column, by its name in `pg_type`.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::UuidV7 => "uuid",
            Self::EpochS | Self::EpochMs | Self::EpochUs => "int8",
        }
    }

    /// What a number of that size counts.
    #[must_use]
    pub fn of_number(number: i64) -> Self {
        match number {
            ..SECONDS_END => Self::EpochS,
            SECONDS_END..100_000_000_000_000 => Self::EpochMs,
            _ => Self::EpochUs,
        }
    }

    /// How many of its units a second has.
    #[must_use]
    pub fn per_second(self) -> i64 {
        match self {
            Self::EpochS => 1,
            Self::UuidV7 | Self::EpochMs => 1_000,
            Self::EpochUs => 1_000_000,
        }
    }

    /// The first day that has a partition. Before it, numbers do not say what they count, and nobody counted yet.
    #[must_use]
    pub fn first_day() -> NaiveDate {
        NaiveDate::from_ymd_opt(1973, 3, 5).unwrap_or(NaiveDate::MIN)
    }

    /// The least key of a moment, in seconds since 1970 in UTC: what a bound is written as. None before the first day,
    /// and where the years have no such keys any more.
    #[must_use]
    pub fn bound(self, seconds: i64) -> Option<String> {
        let counts = (SECONDS_END / 1_000..SECONDS_END).contains(&seconds);
        let number = seconds.checked_mul(self.per_second()).filter(|_| counts)?;
        Some(match self {
            Self::UuidV7 => format!("{:08x}-{:04x}-0000-0000-000000000000", number >> 16, number & 0xffff),
            _ => number.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The milliseconds of a UUID, read another way.
    fn milliseconds(uuid: &str) -> i64 {
        let digits: String = uuid.chars().filter(|c| *c != '-').take(12).collect();
        i64::from_str_radix(&digits, 16).unwrap()
    }

    #[test]
    fn bounds_are_the_least_keys() {
        // the example of RFC 9562: 2022-02-22 19:22:22 UTC
        let (second, example) = (1_645_557_742, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        let [this, next] = [second, second + 1].map(|at| KeyFormat::UuidV7.bound(at).unwrap());
        assert!(*this < *example && *example < *next, "{this} {next}");
        assert_eq!(KeyFormat::EpochS.bound(second).unwrap(), "1645557742");
        assert_eq!(KeyFormat::EpochMs.bound(second).unwrap(), "1645557742000");
        assert_eq!(KeyFormat::EpochUs.bound(second).unwrap(), "1645557742000000");
    }

    #[test]
    fn a_format_has_one_name() {
        for format in KeyFormat::ALL {
            assert_eq!(KeyFormat::parse(format.as_str()), Some(format));
        }
        assert_eq!(KeyFormat::parse("UUIDv7"), None);
        assert!(KeyFormat::EpochS.bound(0).is_none());
        let first = KeyFormat::first_day().and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp();
        // whatever the zone
        assert!(KeyFormat::EpochS.bound(first - 24 * 3600).is_some());
    }

    proptest! {
        #[test]
        fn a_number_says_what_it_counts(seconds in 100_000_000..SECONDS_END) {
            for format in [KeyFormat::EpochS, KeyFormat::EpochMs, KeyFormat::EpochUs] {
                let number: i64 = format.bound(seconds).unwrap().parse().unwrap();
                prop_assert_eq!(KeyFormat::of_number(number), format);
                prop_assert_eq!(number / format.per_second(), seconds);
            }
        }

        #[test]
        fn later_is_greater(one in 100_000_000..SECONDS_END, later in 1..10_000_000i64) {
            prop_assume!(one + later < SECONDS_END);
            let [this, next] = [one, one + later].map(|at| KeyFormat::UuidV7.bound(at).unwrap());
            prop_assert!(this < next);
            prop_assert_eq!(milliseconds(&this), one * 1000);
            prop_assert_eq!(this.len(), 36);
        }
    }
}
