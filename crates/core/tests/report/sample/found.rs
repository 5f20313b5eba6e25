//! What was found on that day.

use super::at;
use groundskeeper_core::report::*;

pub fn work() -> Work {
    let run = |source: &str, kind: &str, target: &str, state: &str, began: f64, minutes: f64| Run {
        source: source.to_owned(),
        kind: kind.to_owned(),
        target: target.to_owned(),
        state: state.to_owned(),
        started_at: at(began),
        finished_at: Some(at(began - minutes / 60.0)),
        error: (state == "failed").then(|| "canceling statement due to lock timeout".to_owned()),
    };
    let mut runs = vec![
        run("job", "create_index", "raw_data.moneylines_raw", "succeeded", 6.4, 22.0),
        run("job", "create_index", "staging.moneylines", "succeeded", 9.2, 11.0),
        run("job", "partition_table", "curated.betting_analysis", "succeeded", 20.0, 94.0),
        run("job", "validate_constraint", "staging.spreads", "failed", 14.0, 1.0),
        run("job", "drain_default", "curated.betting_analysis", "running", 1.1, 40.0),
    ];
    runs.extend((0..22).map(|n| {
        run("maintenance", "analyzed", "staging.moneylines", "succeeded", 23.0 - f64::from(n), 2.0)
    }));
    runs.extend((0..22).map(|n| {
        run("maintenance", "refreshed", "staging.daily_game_stats", "succeeded", 22.9 - f64::from(n), 4.0)
    }));
    let task = |task: &str, failures: i64| Task {
        task: task.to_owned(),
        scheduler: "launcher".to_owned(),
        last_run: Some(at(0.5)),
        last_success: Some(at(0.5)),
        next_run: Some(at(-0.5)),
        consecutive_failures: failures,
        last_error: None,
    };
    Work { runs, tasks: vec![task("statistics", 0), task("alerts", 0), task("partitions", 0)], left_out: 0 }
}

pub fn statements() -> Vec<Statement> {
    [
        ("SELECT * FROM raw_data.moneylines_raw WHERE game_external_id = $1 ORDER BY collected_at", 41.0, 48_210, 212.0),
        ("SELECT g.game_date, count(DISTINCT g.id), count(DISTINCT m.sportsbook_name), avg(m.data_quality_score) FROM staging.games g LEFT JOIN staging.moneylines m ON g.id = m.game_id WHERE g.game_date >= CURRENT_DATE - INTERVAL $1 GROUP BY g.game_date ORDER BY g.game_date DESC", 22.0, 96, 5_820.0),
        ("CALL …", 9.0, 96, 2_410.0),
    ]
    .map(|(query, share, calls, mean_ms)| Statement {
        queryid: Some("-4611686018427387904".to_owned()),
        query: Some(query.to_owned()),
        role_name: Some("pipeline".to_owned()),
        calls,
        total_ms: mean_ms * calls as f64,
        mean_ms,
        p95_ms: Some(mean_ms * 2.4),
        share: Some(share),
        hit_percent: Some(96.2),
    })
    .into()
}

pub fn bloat() -> Vec<Bloat> {
    [
        ("staging.moneylines", 12.4, 812_000_000),
        ("curated.betting_analysis", 7.1, 96_000_000),
        ("raw_data.totals_raw", 3.2, 1_212_000_000),
    ]
    .map(|(relation, percent, bytes)| Bloat {
        relation: relation.to_owned(),
        bytes: Some(bytes),
        percent: Some(percent),
        method: Some("pgstattuple_approx".to_owned()),
        reason: None,
        dead_rows: Some(12_412),
    })
    .into()
}

pub fn indexes() -> Vec<IndexFinding> {
    let finding = |kind: &str, index: Option<&str>, detail: &str, run: &str| IndexFinding {
        kind: kind.to_owned(),
        relation: "staging.spreads".to_owned(),
        index: index.map(str::to_owned),
        bytes: index.map(|_| 112_000_000),
        detail: Some(detail.to_owned()),
        run: Some(run.to_owned()),
    };
    vec![
        finding(
            "invalid",
            Some("staging.spreads_game_id_idx"),
            "its concurrent build or drop failed",
            "REINDEX INDEX CONCURRENTLY staging.spreads_game_id_idx",
        ),
        finding(
            "unused",
            Some("staging.spreads_line_idx"),
            "not scanned in 31 days",
            "DROP INDEX CONCURRENTLY staging.spreads_line_idx",
        ),
        finding(
            "missing_fk_index",
            None,
            "no index leads with the columns of foreign key spreads_game_id_fkey (game_id)",
            "CREATE INDEX CONCURRENTLY ON staging.spreads (game_id)",
        ),
    ]
}

pub fn growth() -> Vec<Growth> {
    [
        ("raw_data.totals_raw", 2.4e9, 4.1e7),
        ("raw_data.moneylines_raw", 2.1e9, 3.6e7),
        ("staging.moneylines", 8.1e8, 1.2e7),
    ]
    .map(|(relation, bytes, rate)| Growth {
        relation: relation.to_owned(),
        bytes: Some(bytes as i64),
        bytes_per_day: Some(rate),
        forecast_30d_bytes: Some(bytes + 30.0 * rate),
        measured_over: Some("6 days 23:00".to_owned()),
    })
    .into()
}

pub fn alerts() -> Alerts {
    let alert = |rule: &str, state: &str, value: f64, threshold: f64, detail: &str| Alert {
        rule: rule.to_owned(),
        target: None,
        state: state.to_owned(),
        value: Some(value),
        threshold: Some(threshold),
        since: Some(at(3.0)),
        detail: Some(detail.to_owned()),
    };
    Alerts {
        rules: vec![
            alert(
                "query_latency_p95_ms",
                "firing",
                612.4,
                500.0,
                "71210 of 1204441 statements took 500 ms or longer",
            ),
            alert("invalid_indexes", "firing", 1.0, 0.0, "staging.spreads_game_id_idx"),
            alert("heartbeat", "ok", 12.0, 300.0, "check_alerts() runs"),
        ],
        history: vec![AlertEvent {
            happened_at: at(3.0),
            rule: "query_latency_p95_ms".to_owned(),
            state: "firing".to_owned(),
            value: Some(540.0),
            detail: Some("beyond 500".to_owned()),
        }],
    }
}
