//! Alerts: what each rule watches is looked up here, what follows is decided by `groundskeeper_core::alert`.

mod observe;
mod store;

use crate::backend;
use crate::encoding::Utf8;
use crate::error::{Failure, Result};
use crate::extension::{as_owner, can_write};
use crate::jobs;
use crate::kpi;
use crate::sql::{self, required};
use crate::worker::locks;
use groundskeeper_core::alert::{Phase, Rule, State, announce, step, thresholds};
use groundskeeper_core::kpi::Target;
use groundskeeper_core::plan::Plan;
use observe::{Seen, observe};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use store::{Row, rows};

/// A row of `groundskeeper.alerts`.
pub type Alert = (
    Utf8,
    Option<Utf8>,
    Utf8,
    Option<AnyNumeric>,
    Option<AnyNumeric>,
    Option<TimestampWithTimeZone>,
    Option<Utf8>,
);

/// Looks at everything that is watched, unless another session is at it; how all of it stands.
pub fn check(plan: &Plan) -> Result<Vec<Alert>> {
    if backend::is_in_recovery() {
        let code = PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION;
        return Err(Failure::new(code, "cannot check alerts during recovery")
            .detail("A standby keeps no state of its own.")
            .hint("Call check_alerts() on the primary; groundskeeper.alerts shows its state here, too."));
    }
    may_see()?;
    if locks::take_for_transaction(locks::ALERTS) {
        // Whoever looks after jobs may have been told to end: this is called every minute, by any scheduler.
        if !jobs::go_on()? {
            notice!("jobs are waiting for a background worker");
        }
        check_all(plan)?;
    } else {
        notice!("alerts are being checked by another session");
    }
    as_owner(|| {
        sql::rows(
            "SELECT rule, target, state, value, threshold, since, detail FROM groundskeeper.alerts",
            &[],
            |row| {
                Ok((
                    required::<String>(row, 1)?.into(),
                    row.get::<String>(2)?.map(Utf8::from),
                    required::<String>(row, 3)?.into(),
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                    row.get::<String>(7)?.map(Utf8::from),
                ))
            },
        )
    })
}

/// Who sees only part of the server would call the rest well.
fn may_see() -> Result<()> {
    let member = "SELECT pg_catalog.pg_has_role('pg_monitor', 'USAGE'), CURRENT_USER::text";
    let member = sql::first(member, &[], |row| Ok((required::<bool>(row, 1)?, required::<String>(row, 2)?)))?;
    match member {
        Some((true, _)) => Ok(()),
        other => {
            let role = other.map(|(_, role)| role).unwrap_or_default();
            let code = PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE;
            Err(Failure::new(code, "permission denied to check alerts")
                .detail(format!(
                    "Role {role} is no member of pg_monitor and does not see what is to be watched."
                ))
                .hint(format!("GRANT pg_monitor TO {};", sql::quote_identifier(&role))))
        }
    }
}

fn check_all(plan: &Plan) -> Result<()> {
    let now = now()?;
    let last_check = store::last_check()?;
    store::begin(now)?;
    for row in rows()? {
        match &row.watched {
            None => store::forget(&row)?,
            Some(watched) if !is_due(&row, watched.check_every, now) => {
                if let Some(state) = row.state {
                    conclude(&row, state, row.seen.clone(), row.threshold.clone(), row.observed_at)?;
                }
            }
            Some(watched) => {
                let (rule, mut seen) = match rule(plan, watched)? {
                    Some(rule) => (rule, observe(plan, watched, last_check.map(|last| now - last))?),
                    None => continue,
                };
                let before = row.state.unwrap_or_else(|| State::new(now));
                let after = step(&before, &rule, &seen.observation, now);
                if after.phase == Phase::Firing && seen.observation.value.is_none() {
                    seen.detail = format!("no data any more, so still firing: {}", seen.detail);
                }
                let observed_at = (watched.check_every > 0).then_some(now);
                conclude(&row, after, seen, Some(kpi::numeric(rule.fire.normalize())?), observed_at)?;
            }
        }
    }
    Ok(())
}

fn is_due(row: &Row, check_every: i64, now: i64) -> bool {
    // A clock that was ahead then must not put it off.
    !row.observed_at.is_some_and(|at| (0..check_every).contains(&(now - at)))
}

/// The rule with the thresholds that are in force.
fn rule(plan: &Plan, watched: &store::Watched) -> Result<Option<Rule>> {
    let target: Option<Target> = match groundskeeper_core::kpi::named(&watched.metric) {
        Some(kpi) => Some(kpi::target_of(plan, kpi)?),
        None => None,
    };
    let found = thresholds(&watched.metric, target.as_ref(), watched.comparison, watched.fire, watched.clear);
    Ok(found.map(|(fire, clear, fire_on_equal)| Rule {
        comparison: watched.comparison,
        fire,
        fire_on_equal,
        clear,
        fire_after: watched.fire_after,
        clear_after: watched.clear_after,
        min_samples: watched.min_samples,
    }))
}

/// Writes down how a rule stands, and tells who listens.
fn conclude(
    row: &Row,
    state: State,
    seen: Seen,
    threshold: Option<AnyNumeric>,
    observed_at: Option<i64>,
) -> Result<()> {
    let (state, tell) = announce(&state, row.silenced);
    store::write(row, &state, &seen, threshold, observed_at)?;
    let was = row.state.map(|state| state.phase);
    let of_interest = |phase| phase != Phase::Pending;
    if was.is_some_and(|was| was != state.phase && of_interest(was)) && of_interest(state.phase)
        || was == Some(Phase::Pending) && matches!(state.phase, Phase::Firing | Phase::NoData)
        || was.is_none() && state.phase == Phase::Firing
    {
        store::remember(&row.rule)?;
    }
    if tell { store::tell(&row.rule) } else { Ok(()) }
}

/// The time, in microseconds of Unix time.
fn now() -> Result<i64> {
    let query = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint";
    sql::first(query, &[], |row| required(row, 1))?
        .ok_or_else(|| Failure::internal("the clock tells nothing"))
}

/// Tells listeners nothing of a rule until then.
pub fn silence(rule: &str, until: TimestampWithTimeZone, reason: &str) -> Result<()> {
    can_write("silence an alert")?;
    let wrong = |message: &str| Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message);
    let sensible = "SELECT pg_catalog.isfinite($1) AND $1 > pg_catalog.clock_timestamp()";
    if sql::first(sensible, &[until.into()], |row| required::<bool>(row, 1))? != Some(true) {
        return Err(wrong("until must be a time to come")
            .detail("A silence has an end.")
            .hint("Pass a time such as now() + interval '2 hours'."));
    }
    if reason.trim().is_empty() || reason.chars().count() > 200 {
        return Err(wrong("reason must have 1 to 200 characters").hint("Say why nobody is to be told."));
    }
    // Not the owner, who this becomes below.
    let who = sql::first("SELECT CURRENT_USER::text", &[], |row| required::<String>(row, 1))?;
    let silenced = as_owner(|| {
        sql::affected(
            "INSERT INTO groundskeeper.alert_silences AS s (rule, until, reason, silenced_by, silenced_at)
             SELECT r.rule, $2, $3, $4, pg_catalog.clock_timestamp()
               FROM groundskeeper.alert_rules r WHERE r.rule = $1
             ON CONFLICT (rule) DO UPDATE SET until = EXCLUDED.until, reason = EXCLUDED.reason,
                    silenced_by = EXCLUDED.silenced_by, silenced_at = EXCLUDED.silenced_at",
            &[rule.into(), until.into(), reason.trim().into(), who.into()],
        )
    })?;
    if silenced == 0 {
        let code = PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT;
        return Err(Failure::new(code, format!("there is no alert rule \"{rule}\""))
            .hint("SELECT rule FROM groundskeeper.alert_rules lists them."));
    }
    Ok(())
}
