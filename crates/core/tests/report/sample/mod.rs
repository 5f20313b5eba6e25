//! An invented day of an invented database.

mod found;

use found::{alerts, bloat, growth, indexes, statements, work};
use groundskeeper_core::report::*;
use serde_json::Number;

const ENDS: f64 = 1_796_000_400.0;
const STEP: f64 = 900.0;
const STEPS: i32 = 96;

fn at(hours_ago: f64) -> Moment {
    Moment::of(ENDS - hours_ago * 3600.0)
}

fn wave(step: i32, length: f64) -> f64 {
    (f64::from(step) / length * std::f64::consts::TAU).sin()
}

/// A database that has all of it.
pub fn report() -> Report {
    let mut report = Report {
        about: About {
            database: "betting".to_owned(),
            role: "monitor".to_owned(),
            server_version: "15.8".to_owned(),
            extension_version: "0.2.0".to_owned(),
            generated_at: at(0.0),
            server_started_at: at(400.0),
            on_standby: false,
            preloaded: true,
            sees_all_statements: true,
        },
        interval: Interval { begins: at(24.0), ends: at(0.0) },
        compared_with: Some(Interval { begins: at(192.0), ends: at(168.0) }),
        verdicts: Vec::new(),
        kpis: kpis(),
        figures: Part::known(figures(1.0)),
        figures_compared: Some(Part::known(figures(0.8))),
        samples: Part::known((0..STEPS).map(sample).collect()),
        latency: Part::known(latency()),
        latency_compared: None,
        plan: Part::known(plan()),
        migration: Part::known(migration()),
        partitions: Part::known(vec![
            partitioned("staging.moneylines", 31, true),
            partitioned("curated.betting_analysis", 14, false),
        ]),
        work: Part::known(work()),
        statements: Part::known(statements()),
        bloat: Part::known(bloat()),
        indexes: Part::known(indexes()),
        connections: Part::known(Connections {
            usable_slots: Some(97),
            pool_size: Some(40),
            utilization_percent: Some(22.5),
            peak_busy: Some(27),
            peak: Some(38),
            states: [("active", 7, 1.25), ("idle", 22, 640.0), ("idle in transaction", 2, 14.0)]
                .map(|(state, connections, longest)| ConnectionState {
                    state: Some(state.to_owned()),
                    connections,
                    longest_seconds: Some(longest),
                })
                .into(),
        }),
        growth: Part::known(growth()),
        alerts: Part::known(alerts()),
        settings: Part::known(
            [
                ("shared_buffers", "512MB", "configuration file"),
                ("max_connections", "100", "default"),
                ("groundskeeper.pool_size", "40", "configuration file"),
            ]
            .map(|(name, value, source)| Setting {
                name: name.to_owned(),
                value: value.to_owned(),
                source: source.to_owned(),
            })
            .into(),
        ),
        prerequisites: Part::known(vec![Prerequisite {
            component: "pg_cron".to_owned(),
            state: "missing".to_owned(),
            needed_for: Some("schedules that outlive a restart without the launcher".to_owned()),
            remedy: Some("CREATE EXTENSION pg_cron".to_owned()),
        }]),
    };
    report.verdicts = verdicts(&report);
    report
}

/// A database of which nothing is known.
pub fn empty() -> Report {
    let reason = "permission denied for view jobs";
    let mut report = Report {
        compared_with: None,
        kpis: kpis()
            .into_iter()
            .map(|kpi| Kpi {
                value: None,
                status: "unknown".to_owned(),
                detail: Some("no samples".to_owned()),
                samples: 0,
                ..kpi
            })
            .collect(),
        figures: Part::unknown(reason),
        figures_compared: None,
        samples: Part::unknown(reason),
        latency: Part::unknown("latency is not counted: pg_groundskeeper is not in shared_preload_libraries"),
        plan: Part::known(Vec::new()),
        migration: Part::known(Migration { markets: Vec::new(), failures: Vec::new() }),
        partitions: Part::known(Vec::new()),
        work: Part::unknown(reason),
        statements: Part::known(Vec::new()),
        bloat: Part::known(Vec::new()),
        indexes: Part::known(Vec::new()),
        growth: Part::known(Vec::new()),
        alerts: Part::known(Alerts { rules: Vec::new(), history: Vec::new() }),
        ..report()
    };
    report.about.preloaded = false;
    report.about.sees_all_statements = false;
    report.verdicts = verdicts(&report);
    report
}

fn kpis() -> Vec<Kpi> {
    let all = [
        (
            "migration_success_rate",
            "98.7",
            "> 95",
            "pass",
            48_210,
            "23:59:59",
            "47583 of 48210 records migrated in 96 runs, 0 of which failed",
        ),
        (
            "query_latency_p95_ms",
            "612.4",
            "< 500",
            "fail",
            1_204_441,
            "24:00:00",
            "71210 of 1204441 statements (5.91 %) took 500 ms or longer, 12 failed",
        ),
        (
            "connection_pool_utilization",
            "67.5",
            "< 60",
            "fail",
            1440,
            "24:00:00",
            "at most 27 of 40 pooled connections busy, now 7",
        ),
        (
            "index_hit_ratio",
            "99.82",
            "> 99",
            "pass",
            88_120_333,
            "24:00:00",
            "87961716 blocks found in the buffer cache, 158617 read",
        ),
        (
            "table_bloat_max",
            "12.4",
            "< 20",
            "pass",
            14,
            "",
            "worst: staging.moneylines; 2 of 16 tables have no figure that can be trusted",
        ),
        (
            "cache_hit_ratio",
            "97.3",
            "> 95",
            "pass",
            30_120_333,
            "24:00:00",
            "29307084 blocks found in the buffer cache, 813249 read",
        ),
    ];
    all.map(|(kpi, value, target, status, samples, over, detail)| Kpi {
        kpi: kpi.to_owned(),
        value: value.parse::<f64>().ok().and_then(Number::from_f64),
        target: target.to_owned(),
        status: status.to_owned(),
        samples,
        measured_over: Some(over.to_owned()).filter(|over| !over.is_empty()),
        method: None,
        detail: Some(detail.to_owned()),
    })
    .into()
}

fn figures(factor: f64) -> Vec<Figure> {
    [
        ("Transactions committed", "count", 1_204_441.0 * factor, None),
        ("Latency, p95", "ms", 612.4 * factor, Some("less")),
        ("Cache hit ratio", "percent", 97.3 * factor, Some("more")),
        ("Bytes in temporary files", "bytes", 5e8 / factor, Some("less")),
        ("Deadlocks", "count", 0.0, Some("less")),
    ]
    .map(|(name, unit, value, better)| Figure {
        name: name.to_owned(),
        unit: unit.to_owned(),
        value: Some(value),
        better: better.map(str::to_owned),
    })
    .into()
}

fn is_gap(step: i32) -> bool {
    (50..55).contains(&step)
}

fn sample(step: i32) -> Step {
    let known = |value: f64| (!is_gap(step)).then_some(value);
    Step {
        at: Moment::of(ENDS - f64::from(STEPS - step) * STEP),
        connections: known((24.0 + 9.0 * wave(step, 48.0) + 3.0 * wave(step, 5.0)).round()),
        busy: known((12.0 + 9.0 * wave(step, 48.0) + 4.0 * wave(step, 7.0)).max(0.0).round()),
        usable_slots: known(97.0),
        cache_hit: known(97.2 + 1.1 * wave(step, 30.0)),
        index_hit: known(99.7 + 0.2 * wave(step, 22.0)),
        commits_per_second: known(14.0 + 8.0 * wave(step, 48.0) + 2.0 * wave(step, 4.0)),
        migration_success: (step % 4 == 0).then_some(98.0 + wave(step, 40.0)),
    }
}

const BOUNDS: [f64; 12] = [1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0];

fn latency() -> Latency {
    let bands = |step: i32| -> Vec<i64> {
        let busy = 1.0 + 0.6 * wave(step, 48.0);
        [900.0, 2900.0, 4100.0, 2300.0, 800.0, 300.0, 160.0, 120.0, 60.0, 22.0, 4.0, 1.0, 0.2]
            .iter()
            .enumerate()
            .map(|(band, calls)| (calls * busy * (1.0 + 0.3 * wave(step + band as i32 * 5, 17.0))) as i64)
            .collect()
    };
    let steps: Vec<LatencyStep> = (0..STEPS)
        .map(|step| LatencyStep {
            at: Moment::of(ENDS - f64::from(STEPS - step) * STEP),
            quantiles: (!is_gap(step)).then(|| {
                quantiles(
                    12_000,
                    6.0 + wave(step, 48.0),
                    320.0 + 160.0 * wave(step, 48.0) + 40.0 * wave(step, 5.0),
                )
            }),
            bands: if is_gap(step) { vec![0; 13] } else { bands(step) },
        })
        .collect();
    let sums = (0..13).map(|band| steps.iter().map(|step| step.bands[band]).sum()).collect();
    Latency {
        total: Quantiles { over_objective: 71_210, failed: 12, ..quantiles(1_204_441, 6.2, 612.4) },
        measured_since: Some(at(24.0)),
        bounds_ms: BOUNDS.into(),
        bands: sums,
        steps,
    }
}

fn quantiles(calls: i64, p50: f64, p95: f64) -> Quantiles {
    let over_objective = if p95 > 400.0 { calls / 18 } else { calls / 60 };
    Quantiles {
        calls,
        p50_ms: Some(p50),
        p95_ms: Some(p95),
        p99_ms: Some(p95 * 1.7),
        over_objective,
        failed: 0,
    }
}

fn plan() -> Vec<Change> {
    [
        ("2.1.raw_data.moneylines_raw.game_external_id", 6.0, true),
        ("1.1.staging.moneylines.data_quality_score", 8.0, false),
        ("2.2.staging.moneylines.game_id", 9.0, true),
    ]
    .map(|(item, hours, is_index)| Change {
        item: item.to_owned(),
        applied_at: at(hours),
        reverted_at: None,
        is_index,
        statements: is_index.then_some(3),
        before: is_index.then(|| quantiles(4_120, 90.0, 840.0)),
        after: is_index.then(|| quantiles(4_310, 2.0, 31.0)),
        reason: None,
    })
    .into()
}

fn migration() -> Migration {
    Migration {
        markets: ["moneyline", "spread", "total"]
            .map(|market| MarketRuns {
                bet_type: market.to_owned(),
                runs: 96,
                failed_runs: 0,
                processed: 16_070,
                successful: 15_861,
                last_finished: Some(at(0.2)),
                last_error: None,
            })
            .into(),
        failures: [
            ("raw_data.totals_raw", "unknown_game", 412),
            ("raw_data.moneylines_raw", "numeric_value_out_of_range", 215),
        ]
        .map(|(raw_table, reason, records)| FailureReason {
            raw_table: raw_table.to_owned(),
            reason: reason.to_owned(),
            records,
            last_tried: Some(at(1.0)),
        })
        .into(),
    }
}

fn partitioned(parent: &str, months: i32, is_well: bool) -> Partitioned {
    let month = |n: i32| {
        let (year, month) = (2026 + (10 + 2 - n).div_euclid(12), (10 + 2 - n).rem_euclid(12) + 1);
        Month {
            at: Moment(format!("{year}-{month:02}-01T05:00:00+00:00")),
            rows: Some(if n < 3 { 0 } else { i64::from(4_000_000 / (n + 1)) }),
            bytes: Some(i64::from(400_000_000 / (n + 1))),
        }
    };
    Partitioned {
        parent: parent.to_owned(),
        partition_key: "created_at".to_owned(),
        covers: "month".to_owned(),
        partitions: i64::from(months),
        next_missing: Some("2027-02-01".to_owned()),
        default_rows: Some(if is_well { 0 } else { 312 }),
        status: if is_well { "ok" } else { "default_rows" }.to_owned(),
        problem: (!is_well).then(|| "312 rows are in the default partition".to_owned()),
        remedy: (!is_well).then(|| format!("SELECT groundskeeper.drain_default('{parent}')")),
        months: (0..months).filter(|n| is_well || *n != 5).map(month).collect(),
    }
}
