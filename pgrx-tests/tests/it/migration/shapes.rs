//! The tables as they are found: both shapes, plain and partitioned, and unfit ones.

use groundskeeper_tests::Template;
use groundskeeper_tests::sql::{refusal, text, texts};

use super::{assert_complete, count, installed, migrate, simulate};

#[test]
fn shape_b_is_staged_in_its_own_words() {
    let (_db, mut client) = installed(Template::ShapeB);
    simulate(&mut client, 5_000);
    client
        .batch_execute(
            "INSERT INTO raw_data.totals_raw (source, game_external_id) VALUES ('FEED', 'one book at most')",
        )
        .unwrap();
    // A scale of its own in staging.spreads: nothing is staged anywhere before somebody decides what it means.
    let call = "CALL groundskeeper.migrate_to_staging()";
    let refused = refusal(&mut client, call).unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    assert!(refused.message.contains("staging.spreads.data_quality_score is numeric(4,3)"), "{refused:?}");
    let remedy = refused.hint.split("else: ").nth(1).unwrap().to_owned();
    assert_eq!(remedy, "ALTER TABLE staging.spreads ALTER COLUMN data_quality_score TYPE numeric(6, 3);");
    assert_eq!(count(&mut client, "staging.games"), 0);

    client.batch_execute(&remedy).unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    let words = |table: &str| {
        format!(
            "SELECT string_agg(DISTINCT validation_status, ' ' ORDER BY validation_status) FROM staging.{table}"
        )
    };
    assert_eq!(text(&mut client, &words("moneylines")).unwrap(), "valid warning");
    // how many books quote a game is the simulation's, by the day
    let games = text(&mut client, &words("games")).unwrap();
    assert!(games.split(' ').all(|word| ["valid", "warning"].contains(&word)), "{games}");
    let games = "staging.spreads s WHERE s.game_id IS NOT NULL
                   AND NOT EXISTS (SELECT FROM staging.games g WHERE g.external_id = s.game_id)";
    assert_eq!(count(&mut client, games), 0);
    let lines = "staging.totals s JOIN raw_data.totals_raw r ON r.id = s.raw_totals_id
                  WHERE s.line_value IS DISTINCT FROM r.total_points OR s.over_odds IS DISTINCT FROM r.over_odds";
    assert_eq!(count(&mut client, lines), 0);
}

#[test]
fn partitioned_tables_are_staged_like_plain_ones() {
    let (_db, mut client) = installed(Template::ShapeA);
    // As a converted table is: a key for the partitions, ids unique within each.
    client
        .batch_execute(
            "DROP VIEW staging.migration_ready_records;
             DROP MATERIALIZED VIEW staging.daily_game_stats, staging.sportsbook_quality_metrics;
             ALTER TABLE raw_data.moneylines_raw RENAME TO moneylines_plain;
             CREATE TABLE raw_data.moneylines_raw (LIKE raw_data.moneylines_plain INCLUDING DEFAULTS)
                 PARTITION BY RANGE (game_date);
             CREATE TABLE raw_data.moneylines_raw_old PARTITION OF raw_data.moneylines_raw
                 FOR VALUES FROM (MINVALUE) TO ('2025-01-01');
             CREATE TABLE raw_data.moneylines_raw_new PARTITION OF raw_data.moneylines_raw
                 FOR VALUES FROM ('2025-01-01') TO (MAXVALUE);
             CREATE TABLE raw_data.moneylines_raw_default PARTITION OF raw_data.moneylines_raw DEFAULT;
             CREATE INDEX ON raw_data.moneylines_raw (id);
             ALTER TABLE staging.moneylines RENAME TO moneylines_plain;
             CREATE TABLE staging.moneylines (LIKE staging.moneylines_plain INCLUDING DEFAULTS)
                 PARTITION BY RANGE (processed_at);
             CREATE TABLE staging.moneylines_now PARTITION OF staging.moneylines
                 FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
             CREATE TABLE staging.moneylines_default PARTITION OF staging.moneylines DEFAULT;
             CREATE INDEX ON staging.moneylines (raw_id)",
        )
        .unwrap();
    simulate(&mut client, 5_000);
    migrate(&mut client);
    assert_complete(&mut client);
    let partitions = "SELECT count(DISTINCT tableoid) FROM raw_data.moneylines_raw";
    assert_eq!(text(&mut client, partitions).unwrap(), "3");
    // A row that moves in the partitioned table keeps its id in the other.
    client
        .batch_execute(
            "UPDATE raw_data.moneylines_raw SET game_date = '2020-01-01', updated_at = now() WHERE id = 9",
        )
        .unwrap();
    let id = "SELECT id FROM staging.moneylines WHERE raw_id = 9";
    let before = text(&mut client, id).unwrap();
    migrate(&mut client);
    assert_eq!(text(&mut client, id).unwrap(), before);
    assert_complete(&mut client);
}

#[test]
fn an_unfit_table_is_named_with_its_column() {
    let (_db, mut client) = installed(Template::ShapeA);
    for (change, found) in [
        (
            "ALTER TABLE raw_data.spreads_raw RENAME spread_odds TO odds",
            "raw_data.spreads_raw.spread_odds does not exist",
        ),
        (
            "ALTER TABLE staging.games ALTER game_date TYPE text",
            "staging.games.game_date is text, not a date",
        ),
        (
            "ALTER TABLE staging.totals DROP validation_errors",
            "staging.totals.validation_errors does not exist",
        ),
        ("ALTER TABLE staging.totals RENAME TO sums", "staging.totals does not exist"),
        (
            "ALTER TABLE staging.totals ADD CHECK (validation_status IN ('good', 'bad'))",
            "staging.totals.validation_status admits other words",
        ),
    ] {
        client
            .batch_execute(&format!(
                "BEGIN; DROP MATERIALIZED VIEW staging.daily_game_stats; SAVEPOINT s; {change}; COMMIT"
            ))
            .unwrap();
        let refused = refusal(&mut client, "CALL groundskeeper.migrate_to_staging()").unwrap();
        assert_eq!(refused.code, "55000", "{refused:?}");
        assert!(refused.detail.contains(found), "{change}: {refused:?}");
        break_back(&mut client, change);
    }
    assert_eq!(texts(&mut client, "SELECT run_id FROM groundskeeper.migration_runs").unwrap(), [""; 0]);
}

/// Undoes one of the changes above, so that the next is alone.
fn break_back(client: &mut postgres::Client, change: &str) {
    let back = match change {
        change if change.contains("spread_odds") => {
            "ALTER TABLE raw_data.spreads_raw RENAME odds TO spread_odds"
        }
        change if change.contains("game_date") => {
            "ALTER TABLE staging.games ALTER game_date TYPE date USING NULL"
        }
        change if change.contains("DROP validation") => {
            "ALTER TABLE staging.totals ADD validation_errors jsonb"
        }
        change if change.contains("sums") => "ALTER TABLE staging.sums RENAME TO totals",
        _ => "SELECT",
    };
    client
        .batch_execute(&format!("CREATE MATERIALIZED VIEW staging.daily_game_stats AS SELECT 1; {back}"))
        .unwrap();
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let (_db, mut client) = installed(Template::ShapeA);
    for (arguments, code) in [
        ("'parlay'", "22023"),
        ("''", "22023"),
        ("NULL, NULL", "22004"),
        ("NULL, 0", "22023"),
        ("NULL, -1", "22023"),
        ("NULL, 1000001", "22023"),
    ] {
        let call = format!("CALL groundskeeper.migrate_to_staging({arguments})");
        assert_eq!(refusal(&mut client, &call).unwrap().code, code, "{call}");
    }
    client.batch_execute("SET default_transaction_isolation = 'serializable'").unwrap();
    migrate(&mut client);
}
