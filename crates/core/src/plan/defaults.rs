//! What the plan's configuration tables hold until they are edited: rows by their columns' names, as JSON.

use crate::alert;
use crate::kpi::{self, Comparison, KPIS, Kpi, Target};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the plan wants of a KPI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KpiTarget {
    /// The KPI's name.
    pub kpi: String,
    /// On which side of the target it should be.
    pub comparison: Comparison,
    /// The target.
    pub target: i64,
    /// How many samples a figure needs.
    pub min_samples: i64,
    /// The time that it is measured over, in hours; none for what is measured now.
    pub hours: Option<i64>,
}

impl KpiTarget {
    /// The same without the time.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { target: self.target.into(), comparison: self.comparison, min_samples: self.min_samples }
    }

    fn check(&self) -> Result<(), String> {
        let kpi = kpi::named(&self.kpi).ok_or_else(|| format!("there is no KPI {}", self.kpi))?;
        kpi.check(&self.target()).map_err(|unfit| format!("the target of {}: {unfit}", self.kpi))?;
        if kpi.has_window != self.hours.is_some_and(|hours| hours > 0) {
            return Err(format!("the hours of {} do not fit how it is measured", self.kpi));
        }
        Ok(())
    }

    fn row(&self) -> Value {
        json!({
            "kpi": self.kpi, "target": self.target, "comparison": self.comparison.sign(), "min_samples": self.min_samples,
            "measured_over": self.hours.map(|hours| format!("{hours} hours")),
        })
    }
}

/// Something that is watched: a row of `groundskeeper.alert_rules`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Its name.
    pub rule: String,
    /// What is measured.
    pub metric: String,
    /// On which side of the threshold a value is bad.
    pub comparison: Comparison,
    /// A value beyond it is bad; none for the target of a KPI.
    pub fire_threshold: Option<i64>,
    /// A value that comes back to it is good again.
    pub clear_threshold: Option<i64>,
    /// How long it must be bad before it fires, as an interval of SQL.
    #[serde(default = "at_once")]
    pub fire_after: String,
    /// How long it must be good before it clears.
    #[serde(default = "at_once")]
    pub clear_after: String,
    /// How often it is measured, where that is not each time.
    #[serde(default = "at_once")]
    pub check_every: String,
    /// Over which time a KPI is measured, where that is not the KPI's own: an alert is about the present.
    pub measured_over: Option<String>,
    /// With fewer samples there is no data.
    #[serde(default)]
    pub min_samples: i64,
    /// Whether it is watched at all.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl AlertRule {
    fn check(&self) -> Result<(), String> {
        let [fire, clear] =
            [self.fire_threshold, self.clear_threshold].map(|number| number.map(Decimal::from));
        alert::check(&self.metric, None, self.comparison, fire, clear)
            .and_then(|()| self.measured_over.as_ref().map_or(Ok(()), |_| alert::check_window(&self.metric)))
            .map_err(|unfit| format!("the alert rule {}: {unfit}", self.rule))
    }
}

/// Something that is done regularly: a row of `groundskeeper.schedule`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Routine {
    /// Its name.
    pub job_name: String,
    /// Five fields of cron.
    pub schedule: String,
    /// One statement. What it calls is in a schema where nobody else can add a function of the same name.
    pub command: String,
    /// Who runs it: nobody until that is asked for.
    #[serde(default = "nobody")]
    pub scheduler: String,
    /// Whether it is run at all.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn at_once() -> String {
    "0".to_owned()
}

fn nobody() -> String {
    "none".to_owned()
}

fn yes() -> bool {
    true
}

/// Whether each KPI has one target that it can have, and each rule makes sense.
pub(super) fn check(targets: &[KpiTarget], rules: &[AlertRule]) -> Result<(), String> {
    targets.iter().try_for_each(KpiTarget::check)?;
    rules.iter().try_for_each(AlertRule::check)?;
    let named = |kpi: &&Kpi| targets.iter().filter(|target| target.kpi == kpi.name).count() == 1;
    match KPIS.iter().find(|kpi| !named(kpi)) {
        Some(kpi) => Err(format!("KPI {} does not have one target", kpi.name)),
        None => Ok(()),
    }
}

impl super::Plan {
    /// The rows that a table of the extension's holds until they are edited, where the plan states any.
    #[must_use]
    pub fn rows_of(&self, table: &str) -> Option<Vec<Value>> {
        Some(match table {
            "kpi_targets" => self.kpis.iter().map(KpiTarget::row).collect(),
            "alert_rules" => self.alert_rules.iter().map(|rule| json!(rule)).collect(),
            "schedule" => self.schedule.iter().map(|routine| json!(routine)).collect(),
            _ => return None,
        })
    }

    /// What is wanted of a KPI.
    #[must_use]
    pub fn target_of(&self, kpi: &Kpi) -> Option<&KpiTarget> {
        self.kpis.iter().find(|target| target.kpi == kpi.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Plan;

    #[test]
    fn rows_are_whole() {
        let plan = Plan::built_in().unwrap();
        let rows = |table| plan.rows_of(table).unwrap();
        assert_eq!(rows("kpi_targets").len(), 6);
        let rule = rows("alert_rules").into_iter().find(|rule| rule["rule"] == "failed_jobs").unwrap();
        let whole = r#"{"rule":"failed_jobs","metric":"failed_jobs","comparison":">","fire_threshold":0,"clear_threshold":0,
            "fire_after":"0","clear_after":"0","check_every":"0","measured_over":null,"min_samples":0,"enabled":true}"#;
        assert_eq!(rule, serde_json::from_str::<serde_json::Value>(whole).unwrap());
        assert!(
            rows("schedule")
                .iter()
                .any(|row| row["command"] == "SELECT groundskeeper.update_table_statistics(false)")
        );
        assert_eq!(plan.rows_of("jobs"), None);
    }

    #[test]
    fn a_plan_states_each_kpi_once_and_as_it_can_be() {
        let text = include_str!("plan.toml");
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            Plan::parse(&text.replacen(from, to, 1)).unwrap_err()
        };
        assert!(
            refused("kpi = \"cache_hit_ratio\"", "kpi = \"index_hit_ratio\"").contains("does not have one")
        );
        assert!(refused("kpi = \"cache_hit_ratio\"", "kpi = \"happiness\"").contains("no KPI happiness"));
        assert!(refused("target = 95", "target = 101").contains("percentage"));
        assert!(refused("hours = 24", "hours = 0").contains("do not fit"));
        assert!(
            refused("metric = \"failed_jobs\"", "metric = \"happiness\"").contains("alert rule failed_jobs")
        );
    }
}
