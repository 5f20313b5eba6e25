//! The six KPIs: what each must be, and whether it is.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// On which side of a threshold a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Comparison {
    /// `>`
    #[serde(rename = ">")]
    Above,
    /// `<`
    #[serde(rename = "<")]
    Below,
}

impl Comparison {
    /// As it stands in a table.
    #[must_use]
    pub fn parse(sign: &str) -> Option<Self> {
        match sign {
            ">" => Some(Self::Above),
            "<" => Some(Self::Below),
            _ => None,
        }
    }

    /// The sign.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::Below => "<",
        }
    }

    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Above => Self::Below,
            Self::Below => Self::Above,
        }
    }

    /// Whether the value lies beyond the threshold; one that equals it does not.
    #[must_use]
    pub fn holds(self, value: Decimal, threshold: Decimal) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::Below => value < threshold,
        }
    }
}

/// What a KPI is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How runs of the migration ended.
    MigrationRuns,
    /// How long statements took.
    Latency,
    /// How many connections were open.
    Connections,
    /// Where blocks of indexes were found.
    IndexBlocks,
    /// Where blocks of tables were found.
    TableBlocks,
    /// How much of tables is of no use.
    Bloat,
}

/// A KPI. What the plan wants of it stands in the plan.
#[derive(Debug, Clone, Copy)]
pub struct Kpi {
    /// Its name.
    pub name: &'static str,
    /// What it is measured by.
    pub measure: Measure,
    /// On which side of the target it should be.
    pub comparison: Comparison,
    /// Whether it is measured over a time, and not now.
    pub has_window: bool,
    /// Whether it runs from 0 to 100.
    pub is_percentage: bool,
}

/// The plan's six, in the order of the report; [`crate::plan::KpiTarget`] has what the plan wants of each.
pub const KPIS: [Kpi; 6] = [
    Kpi {
        name: "migration_success_rate",
        measure: Measure::MigrationRuns,
        comparison: Comparison::Above,
        has_window: true,
        is_percentage: true,
    },
    Kpi {
        name: "query_latency_p95_ms",
        measure: Measure::Latency,
        comparison: Comparison::Below,
        has_window: true,
        is_percentage: false,
    },
    Kpi {
        name: "connection_pool_utilization",
        measure: Measure::Connections,
        comparison: Comparison::Below,
        has_window: true,
        is_percentage: true,
    },
    Kpi {
        name: "index_hit_ratio",
        measure: Measure::IndexBlocks,
        comparison: Comparison::Above,
        has_window: true,
        is_percentage: true,
    },
    Kpi {
        name: "table_bloat_max",
        measure: Measure::Bloat,
        comparison: Comparison::Below,
        has_window: false,
        is_percentage: true,
    },
    Kpi {
        name: "cache_hit_ratio",
        measure: Measure::TableBlocks,
        comparison: Comparison::Above,
        has_window: true,
        is_percentage: true,
    },
];

/// The KPI of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Kpi> {
    KPIS.iter().find(|kpi| kpi.name == name)
}

/// What an operator wants of a KPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The threshold.
    pub target: Decimal,
    /// On which side of it the value should be.
    pub comparison: Comparison,
    /// How many samples a figure needs.
    pub min_samples: i64,
}

impl Kpi {
    /// Whether an operator may want that.
    pub fn check(&self, wanted: &Target) -> Result<(), Unfit> {
        if wanted.comparison != self.comparison {
            return Err(Unfit::Comparison(self.comparison));
        }
        let most = if self.is_percentage { Decimal::ONE_HUNDRED } else { Decimal::MAX };
        if wanted.target < Decimal::ZERO || wanted.target > most {
            return Err(Unfit::Target { is_percentage: self.is_percentage });
        }
        if wanted.min_samples < 1 {
            return Err(Unfit::MinSamples);
        }
        Ok(())
    }
}

/// Why a target makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The KPI is good on the other side.
    Comparison(Comparison),
    /// Outside of what the KPI can be.
    Target {
        /// Whether it runs from 0 to 100.
        is_percentage: bool,
    },
    /// A figure out of no samples is none.
    MinSamples,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comparison(right) => write!(f, "Its comparison is {}.", right.sign()),
            Self::Target { is_percentage: true } => f.write_str("Its target is a percentage, from 0 to 100."),
            Self::Target { is_percentage: false } => f.write_str("Its target cannot be negative."),
            Self::MinSamples => f.write_str("min_samples must be at least 1."),
        }
    }
}

/// What has been measured of a KPI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The figure, or why there is none.
    pub figure: Result<Decimal, String>,
    /// Out of how many samples.
    pub samples: i64,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// On the right side of its target.
    Pass(Decimal),
    /// Not on the right side.
    Fail(Decimal),
    /// Nobody knows, for this reason.
    Unknown(String),
}

impl Judgement {
    /// `pass`, `fail` or `unknown`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Pass(_) => "pass",
            Self::Fail(_) => "fail",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Whether a KPI is what it should be.
#[must_use]
pub fn judge(measured: &Measured, target: &Target) -> Judgement {
    match &measured.figure {
        Err(reason) => Judgement::Unknown(reason.clone()),
        Ok(_) if measured.samples < target.min_samples => {
            Judgement::Unknown(format!("{} of the {} samples needed", measured.samples, target.min_samples))
        }
        Ok(value) if target.comparison.holds(*value, target.target) => Judgement::Pass(*value),
        Ok(value) => Judgement::Fail(*value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use proptest::prelude::*;

    fn planned(kpi: &Kpi) -> Target {
        Plan::built_in().unwrap().target_of(kpi).unwrap().target()
    }

    fn measured(value: i64, samples: i64) -> Measured {
        Measured { figure: Ok(value.into()), samples }
    }

    #[test]
    fn a_value_on_its_target_has_not_reached_it() {
        for kpi in KPIS {
            let target = planned(&kpi);
            let on = Measured { figure: Ok(target.target), samples: i64::MAX };
            assert_eq!(judge(&on, &target).status(), "fail", "{}", kpi.name);
        }
    }

    #[test]
    fn every_kpi_is_measured_by_something_of_its_own() {
        for (at, kpi) in KPIS.iter().enumerate() {
            assert!(KPIS[..at].iter().all(|other| other.measure != kpi.measure), "{}", kpi.name);
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let rate = named("migration_success_rate").unwrap();
        let latency = named("query_latency_p95_ms").unwrap();
        let with = |target: i64| Target { target: target.into(), ..planned(rate) };
        assert_eq!(rate.check(&with(101)), Err(Unfit::Target { is_percentage: true }));
        assert_eq!(rate.check(&with(-1)), Err(Unfit::Target { is_percentage: true }));
        assert_eq!(
            latency.check(&Target { target: 5000.into(), ..planned(latency) }),
            Ok(()),
            "milliseconds have no end"
        );
        assert_eq!(latency.check(&planned(rate)), Err(Unfit::Comparison(Comparison::Below)));
        assert_eq!(rate.check(&Target { min_samples: 0, ..planned(rate) }), Err(Unfit::MinSamples));
        assert!(named("happiness").is_none());
    }

    proptest! {
        #[test]
        fn nothing_passes_or_fails_below_the_floor(value: i64, samples in 0_i64..200, kpi in 0_usize..6) {
            let target = planned(&KPIS[kpi]);
            let verdict = judge(&measured(value, samples), &target);
            prop_assert_eq!(verdict.status() == "unknown", samples < target.min_samples);
            let missing = Measured { figure: Err("no data".into()), samples };
            prop_assert_eq!(judge(&missing, &target).status(), "unknown");
        }

        #[test]
        fn exactly_one_side_passes(value: i64, target: i64) {
            let of = |comparison| Target { target: target.into(), comparison, min_samples: 1 };
            let [above, below] =
                [Comparison::Above, Comparison::Below].map(|c| judge(&measured(value, 1), &of(c)).status());
            prop_assert_eq!(above == "pass", value > target);
            prop_assert_eq!(below == "pass", value < target);
        }
    }
}
