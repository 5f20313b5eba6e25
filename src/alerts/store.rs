//! The tables of the alerts, written as their owner.

use super::observe::Seen;
use crate::error::Result;
use crate::extension::as_owner;
use crate::settings;
use crate::sql::Tuple;
use crate::sql::{self, required};
use crate::{error::Failure, kpi};
use groundskeeper_core::alert::{Observation, Phase, State};
use groundskeeper_core::kpi::Comparison;
use pgrx::datum::Interval;
use pgrx::prelude::*;
use rust_decimal::Decimal;

/// A rule that is watched. Times are in microseconds.
pub struct Watched {
    pub metric: String,
    pub target: Option<String>,
    pub comparison: Comparison,
    pub fire: Option<Decimal>,
    pub clear: Option<Decimal>,
    pub fire_after: i64,
    pub clear_after: i64,
    pub min_samples: i64,
    pub check_every: i64,
    /// Over which time a KPI is measured, if not its own.
    pub measured_over: Option<Interval>,
}

/// A rule, and how it stood at the last check.
pub struct Row {
    /// Its name.
    pub rule: String,
    /// `None` once it is disabled or deleted.
    pub watched: Option<Watched>,
    /// How it stood; `None` before its first check.
    pub state: Option<State>,
    /// What was seen then.
    pub seen: Seen,
    /// The threshold then.
    pub threshold: Option<AnyNumeric>,
    /// When it was measured, where that is not done each time.
    pub observed_at: Option<i64>,
    /// Whether nobody is to be told.
    pub silenced: bool,
}

/// All rules that are watched or were at the last check.
pub fn rows() -> Result<Vec<Row>> {
    as_owner(|| sql::rows(include_str!("rules.sql"), &[], read))
}

fn read(row: &Tuple) -> Result<Row> {
    let number = |column| Ok::<_, Failure>(row.get::<AnyNumeric>(column)?.as_ref().and_then(kpi::decimal));
    let watched = match row.get::<String>(2)? {
        None => None,
        Some(metric) => Some(Watched {
            metric,
            target: row.get(3)?,
            comparison: Comparison::parse(&required::<String>(row, 4)?)
                .ok_or_else(|| Failure::internal("an alert rule has no comparison"))?,
            fire: number(5)?,
            clear: number(6)?,
            fire_after: required(row, 7)?,
            clear_after: required(row, 8)?,
            min_samples: required(row, 9)?,
            check_every: required(row, 10)?,
            measured_over: row.get(20)?,
        }),
    };
    let state = match row.get::<String>(11)?.as_deref().and_then(Phase::parse) {
        None => None,
        Some(phase) => Some(State {
            phase,
            since: required(row, 12)?,
            good_since: row.get(13)?,
            announced: required(row, 14)?,
        }),
    };
    let seen = Seen {
        observation: Observation { value: number(15)?, samples: 0 },
        detail: row.get::<String>(17)?.unwrap_or_default(),
    };
    Ok(Row {
        rule: required(row, 1)?,
        watched,
        state,
        seen,
        threshold: row.get(16)?,
        observed_at: row.get(18)?,
        silenced: required(row, 19)?,
    })
}

/// When the last check was, in microseconds of Unix time.
pub fn last_check() -> Result<Option<i64>> {
    let query = "SELECT (extract(epoch FROM checked_at) * 1000000)::bigint FROM groundskeeper.alert_check";
    as_owner(|| sql::first(query, &[], |row| required(row, 1)))
}

/// Writes down that there is a check, and forgets silences that are over.
pub fn begin(now: i64) -> Result<()> {
    as_owner(|| {
        sql::run(
            "DELETE FROM groundskeeper.alert_silences WHERE until <= pg_catalog.clock_timestamp()",
            &[],
        )?;
        let at = "pg_catalog.to_timestamp($1::double precision / 1000000)";
        let update = format!("UPDATE groundskeeper.alert_check SET checked_at = {at}");
        if sql::affected(&update, &[now.into()])? == 0 {
            sql::run(&format!("INSERT INTO groundskeeper.alert_check VALUES ({at})"), &[now.into()])?;
        }
        Ok(())
    })
}

/// Writes down how a rule stands.
pub fn write(
    row: &Row,
    state: &State,
    seen: &Seen,
    threshold: Option<AnyNumeric>,
    observed_at: Option<i64>,
) -> Result<()> {
    let value = seen.observation.value.map(|value| kpi::numeric(value.normalize())).transpose()?;
    let target = row.watched.as_ref().and_then(|watched| watched.target.as_deref());
    as_owner(|| {
        sql::run(
            include_str!("write.sql"),
            &[
                row.rule.as_str().into(),
                target.into(),
                state.phase.as_str().into(),
                state.since.into(),
                state.good_since.into(),
                state.announced.into(),
                value.into(),
                threshold.into(),
                seen.detail.as_str().into(),
                observed_at.into(),
            ],
        )
    })
}

/// Adds how a rule stands to the history, and drops from it what is too old.
pub fn remember(rule: &str) -> Result<()> {
    as_owner(|| {
        sql::run(
            "INSERT INTO groundskeeper.alert_history
             SELECT pg_catalog.clock_timestamp(), rule, target, state, value, threshold, detail
               FROM groundskeeper.alert_state WHERE rule = $1",
            &[rule.into()],
        )?;
        sql::run(
            "DELETE FROM groundskeeper.alert_history
              WHERE happened_at < pg_catalog.now() - pg_catalog.make_interval(mins => $1)",
            &[settings::job_history_minutes().into()],
        )
    })
}

/// Tells who listens how a rule stands.
pub fn tell(rule: &str) -> Result<()> {
    as_owner(|| {
        sql::run(
            "SELECT pg_catalog.pg_notify('groundskeeper_alerts', pg_catalog.json_build_object(
                        'rule', rule, 'target', target, 'state', state, 'value', value, 'threshold', threshold,
                        'since', since, 'detail', detail)::text)
               FROM groundskeeper.alert_state WHERE rule = $1",
            &[rule.into()],
        )
    })
}

/// A rule that is no longer watched fires no longer, which listeners are told who were told that it does.
pub fn forget(row: &Row) -> Result<()> {
    as_owner(|| {
        if row.state.is_some_and(|state| state.phase == Phase::Firing) {
            sql::run(
                "UPDATE groundskeeper.alert_state
                    SET state = 'resolved', since = pg_catalog.clock_timestamp(), detail = 'no longer watched'
                  WHERE rule = $1",
                &[row.rule.as_str().into()],
            )?;
            remember(&row.rule)?;
        }
        if row.state.is_some_and(|state| state.announced) {
            tell(&row.rule)?;
        }
        sql::run("DELETE FROM groundskeeper.alert_state WHERE rule = $1", &[row.rule.as_str().into()])
    })
}
