//! The tables as they are found: both shapes, plain and partitioned, and unfit ones.

use groundskeeper_tests::Template;
use groundskeeper_tests::sql::{refusal, text};

use super::{assert_complete, count, installed, migrate, simulate, waited};

#[test]
fn shape_b_is_staged_in_its_own_words() {
    let (_db, mut client) = installed(Template::ShapeB);
    simulate(&mut client, 5_000);
    client
        .batch_execute(
            "INSERT INTO raw_data.totals_raw (source, game_external_id) VALUES ('FEED', 'one book at most')",
        )
        .unwrap();
    // A scale of its own in staging.spreads: nothing is staged there before somebody decides what it means.
    client
        .batch_execute(
            "ALTER TABLE staging.spreads DROP CONSTRAINT chk_spreads_quality_score;
             DROP INDEX staging.idx_staging_spreads_sportsbook_date;
             ALTER TABLE staging.spreads ALTER data_quality_score TYPE numeric(4,3)",
        )
        .unwrap();
    let call = "CALL groundskeeper.migrate_to_staging('spread')";
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
    assert!(
        games.split(' ').all(|word| ["validated", "needs_review", "low_coverage"].contains(&word)),
        "{games}"
    );
    // A raw spread names its favorite and the home side's line and odds: that tells which side is which.
    let sides = "staging.spreads s JOIN raw_data.spreads_raw r ON r.id = s.raw_spreads_id
                  WHERE s.home_odds IS DISTINCT FROM r.spread_odds OR s.away_odds IS NOT NULL
                     OR s.home_team_normalized IS DISTINCT FROM
                        CASE WHEN r.spread_value < 0 THEN groundskeeper.normalized_team(r.favorite_team)
                             WHEN r.spread_value > 0 THEN groundskeeper.normalized_team(r.underdog_team) END";
    assert_eq!(count(&mut client, sides), 0);
    let games = "staging.spreads s WHERE s.game_id IS NOT NULL
                   AND NOT EXISTS (SELECT FROM staging.games g WHERE g.external_id = s.game_id)";
    assert_eq!(count(&mut client, games), 0);
    let others = "staging.spreads s JOIN raw_data.spreads_raw r ON r.id = s.raw_spreads_id
                   WHERE s.game_id IS DISTINCT FROM nullif(btrim(r.game_external_id), '')";
    assert_eq!(count(&mut client, others), 0);
    let lines = "staging.totals s JOIN raw_data.totals_raw r ON r.id = s.raw_totals_id
                  WHERE s.line_value IS DISTINCT FROM r.total_points OR s.over_odds IS DISTINCT FROM r.over_odds";
    assert_eq!(count(&mut client, lines), 0);

    client
        .batch_execute("UPDATE raw_data.totals_raw SET total_points = 12.5, updated_at = now() WHERE id = 5")
        .unwrap();
    client.batch_execute("CALL groundskeeper.migrate_to_staging('total')").unwrap();
    let again = "SELECT line_value FROM staging.totals WHERE raw_totals_id = 5";
    assert_eq!(text(&mut client, again).unwrap(), "12.50");
    assert_complete(&mut client);
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
fn a_table_that_is_partitioned_meanwhile_goes_on_where_it_was() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 3_000);
    // Half of it is staged before the table is partitioned.
    client
        .batch_execute("CREATE TABLE public.later AS SELECT * FROM raw_data.moneylines_raw WHERE id > 700")
        .unwrap();
    client.batch_execute("DELETE FROM raw_data.moneylines_raw WHERE id > 700").unwrap();
    migrate(&mut client);
    let partition = "SELECT groundskeeper.partition_table('raw_data.moneylines_raw', 'game_date', accept => '{on_conflict}')";
    let job = text(&mut client, partition).unwrap();
    assert_eq!(waited(&mut client, &job), "succeeded");
    assert_eq!(count(&mut client, "pg_partition_tree('raw_data.moneylines_raw') WHERE level = 0"), 1);
    client.batch_execute("INSERT INTO raw_data.moneylines_raw SELECT * FROM public.later").unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);

    client
        .batch_execute(
            "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds,
                                                  raw_data, game_date)
             VALUES ('FEED', 'soon', 'book', -110, 100, '{}', '2025-06-13'),
                    ('FEED', 'far', 'book', -110, 100, '{}', '2099-01-01'),
                    ('FEED', 'never', 'book', -110, 100, '{}', NULL);
             -- to another partition
             UPDATE raw_data.moneylines_raw SET game_date = '2099-01-02', updated_at = now() WHERE id = 3;
             UPDATE raw_data.moneylines_raw SET home_odds = -321, updated_at = now() WHERE id = 4",
        )
        .unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    let last = "SELECT format('%s %s', successful, failed) FROM groundskeeper.migration_runs
                 WHERE bet_type = 'moneyline' ORDER BY run_id DESC LIMIT 1";
    assert_eq!(text(&mut client, last).unwrap(), "5 0");
    assert_eq!(count(&mut client, "staging.moneylines WHERE raw_id = 4 AND home_odds = -321"), 1);
    migrate(&mut client);
    assert_eq!(text(&mut client, last).unwrap(), "0 0");
}

#[test]
fn an_unfit_table_is_named_with_its_column_and_nothing_begins() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 300);
    for (market, change, found) in [
        (
            "spread",
            "ALTER TABLE raw_data.spreads_raw RENAME spread_odds TO odds",
            "raw_data.spreads_raw.spread_odds does not exist",
        ),
        (
            "spread",
            "ALTER TABLE raw_data.spreads_raw ALTER spread_odds TYPE text",
            "raw_data.spreads_raw.spread_odds is text, not an integer",
        ),
        (
            "moneyline",
            "DROP MATERIALIZED VIEW staging.daily_game_stats; ALTER TABLE staging.games ALTER game_date TYPE text",
            "staging.games.game_date is text, not a date",
        ),
        (
            "total",
            "ALTER TABLE staging.totals DROP validation_errors",
            "staging.totals.validation_errors does not exist",
        ),
        ("total", "DROP TABLE staging.totals CASCADE", "staging.totals does not exist"),
        (
            "total",
            "ALTER TABLE staging.totals ADD CHECK (validation_status IN ('good', 'bad'))",
            "staging.totals.validation_status admits other words",
        ),
    ] {
        client.batch_execute("BEGIN").unwrap();
        client.batch_execute(change).unwrap();
        let refused = refusal(
            &mut client,
            &format!("SELECT groundskeeper_internal.start_migration('{market}', 1000, false)"),
        )
        .unwrap();
        client.batch_execute("ROLLBACK").unwrap();
        assert_eq!(refused.code, "55000", "{refused:?}");
        let message = format!("the migration does not fit: {found}");
        assert!(refused.message.starts_with(&message), "{change}: {refused:?}");
        assert!(!refused.hint.is_empty(), "{change}: {refused:?}");
    }
    client.batch_execute("ALTER TABLE raw_data.totals_raw RENAME collected_at TO taken_at").unwrap();
    let refused = refusal(&mut client, "CALL groundskeeper.migrate_to_staging('total')").unwrap();
    assert_eq!(refused.detail, "raw_data.totals_raw.collected_at does not exist.");
    for table in ["groundskeeper.migration_runs", "staging.games", "staging.moneylines"] {
        assert_eq!(count(&mut client, table), 0, "{table}");
    }
    client.batch_execute("ALTER TABLE raw_data.totals_raw RENAME taken_at TO collected_at").unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
}

#[test]
fn in_a_transaction_block_it_is_refused_before_anything_changes() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 300);
    let call = "CALL groundskeeper.migrate_to_staging()";
    client
        .batch_execute(&format!(
            "CREATE FUNCTION public.migrated() RETURNS void LANGUAGE plpgsql AS 'BEGIN {call}; END'"
        ))
        .unwrap();
    for within in [
        format!("BEGIN; {call}"),
        format!("SELECT 1; {call}"),
        "SELECT public.migrated()".to_owned(),
        format!("DO $$ BEGIN {call}; EXCEPTION WHEN division_by_zero THEN NULL; END $$"),
        format!("DO $$ BEGIN EXECUTE '{call}'; END $$"),
    ] {
        let refused = refusal(&mut client, &within).unwrap();
        assert_eq!(
            (refused.code.as_str(), refused.message.as_str()),
            ("2D000", "groundskeeper.migrate_to_staging() cannot run inside a transaction block"),
            "{within}"
        );
        assert!(refused.detail.contains("Nothing was changed"), "{refused:?}");
        assert!(refused.hint.contains("autocommit"), "{refused:?}");
        client.batch_execute("ROLLBACK").unwrap();
    }
    assert_eq!(count(&mut client, "groundskeeper.migration_runs"), 0);
    client.batch_execute(&format!("DO $$ BEGIN {call}; END $$")).unwrap();
    assert_complete(&mut client);
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
