//! What follows from a report, in words: what was seen, why it matters, what to run.

use super::data::{Report, Verdict, Weight};
use super::units::{count, of_things, percent};

/// Nobody reads more.
pub(super) const MOST: usize = 7;

/// The verdicts, the worst first; of each kind one.
#[must_use]
pub fn verdicts(report: &Report) -> Vec<Verdict> {
    let mut found: Vec<Verdict> = report.kpis.iter().filter_map(kpi).collect();
    found.extend(
        [
            partitions(report),
            jobs(report),
            maintenance(report),
            migration(report),
            alerts(report),
            broken_indexes(report),
            unknown(report),
            idle_indexes(report),
        ]
        .into_iter()
        .flatten(),
    );
    // What is alike keeps the order that it was found in.
    found.sort_by_key(|verdict| verdict.weight);
    if found.iter().all(|verdict| verdict.weight != Weight::Act) {
        found.insert(0, good(report));
    }
    found.truncate(MOST);
    found
}

fn of(weight: Weight, section: &str, observation: String, why: &str, run: Option<&str>) -> Verdict {
    Verdict {
        weight,
        observation,
        why: why.to_owned(),
        run: run.map(str::to_owned),
        section: section.to_owned(),
    }
}

/// What a KPI is called among people.
pub fn title(kpi: &str) -> &str {
    match kpi {
        "migration_success_rate" => "Migration success",
        "query_latency_p95_ms" => "Query latency, p95",
        "connection_pool_utilization" => "Pool utilization",
        "index_hit_ratio" => "Index hit ratio",
        "table_bloat_max" => "Worst table bloat",
        "cache_hit_ratio" => "Cache hit ratio",
        other => other,
    }
}

/// Whether it is a share of a hundred.
pub fn is_percentage(kpi: &str) -> bool {
    crate::kpi::named(kpi).is_none_or(|kpi| kpi.is_percentage)
}

fn kpi(kpi: &super::data::Kpi) -> Option<Verdict> {
    if kpi.status != "fail" {
        return None;
    }
    let value = kpi.value.as_ref()?.as_f64()?;
    let (said, unit) = if is_percentage(&kpi.kpi) {
        (percent(value), " %")
    } else {
        (super::units::milliseconds(value), " ms")
    };
    let (why, run, section) = match kpi.kpi.as_str() {
        "migration_success_rate" => (
            "Records that are not staged are missing in every analysis.",
            "SELECT raw_table, reason, count(*) FROM groundskeeper.migration_failures GROUP BY 1, 2 ORDER BY 3 DESC;",
            "migration",
        ),
        "query_latency_p95_ms" => (
            "One statement in twenty keeps its caller waiting longer than the plan allows.",
            "SELECT * FROM groundskeeper.slow_queries('p95');",
            "statements",
        ),
        "connection_pool_utilization" => (
            "When the pool is full, callers wait for a connection before they wait for anything else.",
            "SELECT * FROM monitoring.idle_transactions;",
            "connections",
        ),
        "index_hit_ratio" | "cache_hit_ratio" => (
            "What is not in the buffer cache is read from disk, or from the system's cache, while a caller waits.",
            "SHOW shared_buffers;",
            "settings",
        ),
        _ => (
            "Room that is of no use is read, cached and backed up with the rest.",
            "SELECT * FROM monitoring.table_bloat ORDER BY bloat_percent DESC NULLS LAST LIMIT 10;",
            "bloat",
        ),
    };
    let observation = format!("{} is {said}; it should be {}{unit}.", title(&kpi.kpi), kpi.target);
    Some(of(Weight::Act, section, observation, why, Some(run)))
}

fn partitions(report: &Report) -> Option<Verdict> {
    let tables = report.partitions.data.as_ref()?;
    let troubled: Vec<_> =
        tables.iter().filter(|table| !matches!(table.status.as_str(), "ok" | "unknown")).collect();
    let first = troubled.first()?;
    let problem = first.problem.clone().unwrap_or_else(|| first.status.clone());
    let others = match troubled.len() - 1 {
        0 => String::new(),
        others => format!(" So it is with {}.", of_things(others as i64, "other table", "other tables")),
    };
    let observation = format!("{}: {}{others}", first.parent, sentence(&problem));
    let why = "Rows without a partition of their own gather where no query can leave them out.";
    let run = "SELECT parent, problem, remedy FROM monitoring.partition_health WHERE status <> 'ok';";
    Some(of(Weight::Act, "partitions", observation, why, Some(run)))
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

fn jobs(report: &Report) -> Option<Verdict> {
    let runs = &report.work.data.as_ref()?.runs;
    let failed: Vec<_> = runs.iter().filter(|run| run.source == "job" && run.state == "failed").collect();
    let last = failed.first()?;
    let observation = format!(
        "{} failed, the last one {} of {}: {}",
        of_things(failed.len() as i64, "attempt at a job", "attempts at jobs"),
        last.kind,
        last.target,
        sentence(last.error.as_deref().unwrap_or("for no known reason"))
    );
    let why = "What the job was to bring about is not there, or is half-way.";
    let run = "SELECT job_id, kind, target, error FROM groundskeeper.jobs WHERE state = 'failed';";
    Some(of(Weight::Act, "work", observation, why, Some(run)))
}

fn maintenance(report: &Report) -> Option<Verdict> {
    let tasks = &report.work.data.as_ref()?.tasks;
    let failing = tasks.iter().max_by_key(|task| task.consecutive_failures)?;
    if failing.consecutive_failures > 0 {
        let failures = of_things(failing.consecutive_failures, "time", "times");
        let reason = sentence(failing.last_error.as_deref().unwrap_or("for no known reason"));
        let observation = format!("The task {} has failed {failures} in a row: {reason}", failing.task);
        let why = "Partitions, statistics and alerts are only as good as the last run that succeeded.";
        return Some(of(
            Weight::Act,
            "work",
            observation,
            why,
            Some("SELECT * FROM monitoring.maintenance_status;"),
        ));
    }
    if tasks.iter().all(|task| task.scheduler == "none") {
        let observation = "No maintenance is scheduled.".to_owned();
        let why = "Nobody makes partitions, refreshes statistics, takes samples or looks at alerts.";
        return Some(of(
            Weight::Watch,
            "work",
            observation,
            why,
            Some("SELECT groundskeeper.schedule_maintenance();"),
        ));
    }
    None
}

fn migration(report: &Report) -> Option<Verdict> {
    let migration = report.migration.data.as_ref()?;
    let failed: i64 = migration.failures.iter().map(|failure| failure.records).sum();
    let worst = migration.failures.iter().max_by_key(|failure| failure.records)?;
    let observation = format!(
        "{} could not be staged, {} of them for the reason {}.",
        of_things(failed, "record", "records"),
        count(worst.records),
        worst.reason
    );
    let why = "They are tried again by themselves, ever less often; what is wrong with them is wrong in RAW.";
    let run = "SELECT * FROM groundskeeper.migration_failures ORDER BY failed_at DESC LIMIT 20;";
    Some(of(Weight::Watch, "migration", observation, why, Some(run)))
}

fn alerts(report: &Report) -> Option<Verdict> {
    let rules = &report.alerts.data.as_ref()?.rules;
    // What another verdict is about already.
    let known = |rule: &str| match rule {
        "partition_health" => partitions(report).is_some(),
        "failed_jobs" => jobs(report).is_some(),
        "invalid_indexes" => broken_indexes(report).is_some(),
        rule => report.kpis.iter().any(|kpi| kpi.kpi == rule && kpi.status == "fail"),
    };
    let firing: Vec<_> = rules.iter().filter(|rule| rule.state == "firing" && !known(&rule.rule)).collect();
    let first = firing.first()?;
    let names: Vec<&str> = firing.iter().take(4).map(|alert| alert.rule.as_str()).collect();
    let detail = first.detail.as_deref().filter(|_| firing.len() == 1).map(|detail| format!(": {detail}"));
    let observation = sentence(&format!(
        "{}: {}{}",
        if firing.len() == 1 { "An alert fires" } else { "Alerts fire" },
        names.join(", "),
        detail.unwrap_or_default()
    ));
    let why = "A rule has been broken for as long as it takes to fire.";
    let run = "SELECT * FROM groundskeeper.alerts WHERE state = 'firing';";
    Some(of(Weight::Act, "alerts", observation, why, Some(run)))
}

fn broken_indexes(report: &Report) -> Option<Verdict> {
    let findings = report.indexes.data.as_ref()?;
    let broken: Vec<_> = findings.iter().filter(|finding| finding.kind == "invalid").collect();
    let first = broken.first()?;
    let name = first.index.as_deref().unwrap_or(&first.relation);
    let observation = match broken.len() - 1 {
        0 => format!("The index {name} is INVALID."),
        others => {
            format!(
                "The index {name} is INVALID, and so are {}.",
                of_things(others as i64, "other", "others")
            )
        }
    };
    let why = "Every write keeps it up to date, and no query uses it.";
    Some(of(Weight::Act, "indexes", observation, why, first.run.as_deref()))
}

fn idle_indexes(report: &Report) -> Option<Verdict> {
    let findings = report.indexes.data.as_ref()?;
    let idle: Vec<_> =
        findings.iter().filter(|finding| matches!(finding.kind.as_str(), "unused" | "duplicate")).collect();
    if idle.is_empty() {
        return None;
    }
    let bytes: i64 = idle.iter().filter_map(|finding| finding.bytes).sum();
    let observation = format!(
        "{} unused or repeated{}.",
        of_things(idle.len() as i64, "index is", "indexes are"),
        if bytes > 0 { format!(", {} together", super::units::bytes(bytes as f64)) } else { String::new() }
    );
    let why = "Each is written with every row, and read by nobody.";
    Some(of(
        Weight::Watch,
        "indexes",
        observation,
        why,
        Some("SELECT * FROM groundskeeper.drop_unused_indexes();"),
    ))
}

fn unknown(report: &Report) -> Option<Verdict> {
    let unknown: Vec<_> = report.kpis.iter().filter(|kpi| kpi.status == "unknown").collect();
    let first = unknown.first()?;
    let names: Vec<&str> = unknown.iter().map(|kpi| title(&kpi.kpi)).collect();
    let observation = format!(
        "{} unknown: {}. {}",
        of_things(unknown.len() as i64, "KPI is", "KPIs are"),
        names.join("; "),
        sentence(first.detail.as_deref().unwrap_or("No reason is known"))
    );
    let why = "What is not measured may be failing.";
    Some(of(Weight::Watch, "kpis", observation, why, Some("SELECT * FROM groundskeeper.prerequisites();")))
}

fn good(report: &Report) -> Verdict {
    let passed = report.kpis.iter().filter(|kpi| kpi.status == "pass").count();
    let observation = if passed == report.kpis.len() && passed > 0 {
        format!("All {passed} KPIs meet their targets, and nothing has failed.")
    } else {
        format!("{passed} of {} KPIs meet their targets; none is known to fail.", report.kpis.len())
    };
    of(Weight::Good, "kpis", observation, "Nothing needs to be done at once.", None)
}
