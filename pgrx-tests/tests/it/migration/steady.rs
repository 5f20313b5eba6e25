//! What a call costs when there is little to do, and what stands in the way of a record's value.

use std::time::{Duration, Instant};

use groundskeeper_sandbox::raw::Market;
use groundskeeper_tests::plan::plan_states;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{NOTHING, assert_complete, count, installed, last_call, migrate, simulate};

/// Records that a constraint will never let in.
const DOOMED: &str = "
    ALTER TABLE staging.totals ADD CONSTRAINT plausible CHECK (total_points < 20);
    INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds, raw_data,
                                     game_date, updated_at)
    SELECT 'F', 'g' || (i / 200), 'b' || (i % 12), 215.5, -110, -110, '{}', '2025-06-13', now() - interval '1 day'
      FROM generate_series(1, 10000) i";

/// As if the failures had failed so much earlier.
fn let_pass(client: &mut Client, time: &str) {
    let columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'groundskeeper.migration_failures'::regclass AND attnum > 0
                      AND atttypid = 'timestamptz'::regtype AND NOT attisdropped";
    let set: Vec<String> = texts(client, columns)
        .unwrap()
        .iter()
        .map(|column| format!("{column} = {column} - interval '{time}'"))
        .collect();
    let update = format!("UPDATE groundskeeper.migration_failures SET {}", set.join(", "));
    client.batch_execute(&update).unwrap();
}

const FAILURES: &str = "groundskeeper.migration_failures";

#[test]
fn what_will_never_be_staged_costs_nothing_until_it_is_due() {
    let (_db, mut client) = installed(Template::ShapeA);
    client.batch_execute(DOOMED).unwrap();
    let call = |client: &mut Client| {
        let began = Instant::now();
        client.batch_execute("CALL groundskeeper.migrate_to_staging()").unwrap();
        began.elapsed()
    };
    let first = call(&mut client);
    assert_eq!(count(&mut client, FAILURES), 10_000);
    let second = call(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    assert!(second < Duration::from_secs(2) && second < first, "{first:?}, then {second:?}");
    assert_eq!(count(&mut client, FAILURES), 10_000);

    let_pass(&mut client, "2 minutes");
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[2], "total 0/10000");
    // The second time they wait for longer than the first.
    let_pass(&mut client, "61 seconds");
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    let_pass(&mut client, "2 days");
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[2], "total 0/10000");
    assert_complete(&mut client);
}

#[test]
fn a_failure_is_tried_again_at_once_when_something_has_changed() {
    let (_db, mut client) = installed(Template::ShapeA);
    client.batch_execute(&DOOMED.replace("10000", "50")).unwrap();
    migrate(&mut client);
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);

    // The raw row, for the better and for the worse.
    client
        .batch_execute(
            "UPDATE raw_data.totals_raw SET total_points = 8.5 WHERE id = 7;
             UPDATE raw_data.totals_raw SET total_points = 99 WHERE id IN (8, 9)",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[2], "total 1/3");
    assert_eq!(count(&mut client, FAILURES), 49);
    // New ones do not draw in the old ones.
    let another = "INSERT INTO raw_data.totals_raw (source, total_points) VALUES ('F', 50), ('F', 9)";
    client.batch_execute(another).unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[2], "total 1/2");
    // Somebody asks for it.
    client.batch_execute("CALL groundskeeper.migrate_to_staging(sweep => true)").unwrap();
    assert_eq!(last_call(&mut client)[2], "total 0/50");
    // The constraint, replaced by a trigger.
    client
        .batch_execute(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.total_points > 20 THEN RAISE 'not this one'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON staging.totals FOR EACH ROW EXECUTE FUNCTION public.refuse();
             ALTER TABLE staging.totals DROP CONSTRAINT plausible",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[2], "total 0/50");
    let reasons = "SELECT string_agg(DISTINCT reason, ' ') FROM groundskeeper.migration_failures";
    assert_eq!(text(&mut client, reasons).unwrap(), "raised_by_trigger");
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    client.batch_execute("DROP TRIGGER refuse ON staging.totals").unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[2], "total 50/50");
    assert_eq!(count(&mut client, FAILURES), 0);
    assert_complete(&mut client);
}

#[test]
fn a_failure_is_tried_again_when_its_column_has_become_wider() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("ALTER TABLE raw_data.totals_raw ALTER total_points TYPE numeric(7, 1)").unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    client
        .batch_execute(
            "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points)
             VALUES ('F', 'g1', 'dk', 8.5), ('F', 'g1', 'dk', 12345.5)",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(text(&mut client, &format!("SELECT reason FROM {FAILURES}")).unwrap(), "value_out_of_range");
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    client
        .batch_execute(
            "DROP VIEW IF EXISTS staging.migration_ready_records;
             DROP MATERIALIZED VIEW IF EXISTS staging.daily_game_stats, staging.sportsbook_quality_metrics;
             ALTER TABLE staging.totals ALTER total_points TYPE numeric(7, 1)",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[2], "total 1/1");
    assert_eq!(count(&mut client, FAILURES), 0);
}

/// Rows read from end to end, by table.
fn scans(client: &mut Client) -> String {
    client.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
    let scans = "SELECT string_agg(relname || seq_tup_read, ' ' ORDER BY relname) FROM pg_stat_user_tables
                  WHERE schemaname = 'raw_data' OR schemaname = 'staging' AND relname IN ('moneylines', 'spreads', 'totals')";
    text(client, scans).unwrap()
}

/// A call in a session of its own, whose figures are there when it has ended.
fn migrate_apart(db: &TestDb) {
    let mut other = db.client().unwrap();
    migrate(&mut other);
    other.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
}

#[test]
fn a_market_without_records_costs_nothing() {
    let (db, mut client) = installed(Template::ShapeA);
    // Nobody collects spreads or totals, and somebody else has staged many.
    client
        .batch_execute(
            "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds)
             SELECT 'F', 'g' || i / 50, 'b' || i % 12, -110, 100 FROM generate_series(1, 10000) i;
             INSERT INTO staging.totals (sportsbook_name, total_points) SELECT 'theirs', 8.5 FROM generate_series(1, 10000);
             INSERT INTO staging.spreads (sportsbook_name) SELECT 'theirs' FROM generate_series(1, 10000)",
        )
        .unwrap();
    migrate(&mut client);
    client.batch_execute("VACUUM ANALYZE").unwrap();
    migrate(&mut client);
    let before = scans(&mut client);
    for n in 0..3 {
        let one = format!("UPDATE raw_data.moneylines_raw SET home_odds = -15{n} WHERE id = 700 + {n}");
        client.batch_execute(&one).unwrap();
        migrate_apart(&db);
        assert_eq!(last_call(&mut client), ["moneyline 1/1", "spread 0/0", "total 0/0"]);
    }
    migrate_apart(&db);
    // The updates find their row by its key.
    assert_eq!(scans(&mut client), before);
    assert_eq!(count(&mut client, "staging.totals WHERE sportsbook_name = 'theirs'"), 10_000);
}

#[test]
fn the_reference_to_the_raw_row_is_indexed_with_a_foreign_key_or_without() {
    let (db, mut client) = installed(Template::ShapeB);
    let states = plan_states(&mut client).unwrap();
    for market in Market::ALL {
        let table = market.table();
        let item = format!("beyond.staging.{table}.idx_staging_{table}_raw");
        let standing = states.get(&item).unwrap_or_else(|| panic!("no item {item}"));
        assert_eq!(standing.state, "applied", "{item}: {}", standing.detail);
        let index = format!(
            "pg_index i JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = indkey[0]
              WHERE indrelid = 'staging.{table}'::regclass AND attname = 'raw_{table}_id' AND indisvalid"
        );
        assert_eq!(count(&mut client, &index), 1, "{table}");
    }
    simulate(&mut client, 20_000);
    migrate(&mut client);
    client.batch_execute("VACUUM ANALYZE").unwrap();
    migrate(&mut client);
    client.batch_execute("UPDATE raw_data.moneylines_raw SET home_odds = -4321 WHERE id <= 20").unwrap();
    let before = scans(&mut client);
    let mut other = db.client().unwrap();
    other.batch_execute("CALL groundskeeper.migrate_to_staging('moneyline', 10)").unwrap();
    other.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
    assert_eq!(last_call(&mut client), ["moneyline 20/20"]);
    assert_eq!(scans(&mut client), before);
}

/// Quarters, which a line with one decimal has no room for.
const QUARTERS: &str = "
    INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds)
    VALUES ('F', 'g1', 'dk', 8.25, -110, -110), ('F', 'g1', 'dk', 8.50, -110, -110), ('F', 'g1', 'dk', 8, -110, -110);
    INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value, spread_odds)
    VALUES ('F', 'g1', 'dk', -1.75, -110), ('F', 'g1', 'dk', -1.5, -110)";

/// A shape whose raw lines have two decimals, with quarters in them.
fn quarters(template: Template) -> (TestDb, Client) {
    let db = TestDb::new(template).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "ALTER TABLE raw_data.totals_raw ALTER total_points TYPE numeric(5, 2);
             ALTER TABLE raw_data.spreads_raw ALTER spread_value TYPE numeric(5, 2)",
        )
        .unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    client.batch_execute(QUARTERS).unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    (db, client)
}

#[test]
fn a_line_that_had_to_be_rounded_says_so() {
    let (_db, mut client) = quarters(Template::ShapeA);
    let totals = "SELECT string_agg(format('%s %s', total_points, coalesce(validation_errors ? 'line_rounded', false)), ', '
                                    ORDER BY raw_id) FROM staging.totals";
    assert_eq!(text(&mut client, totals).unwrap(), "8.3 t, 8.5 f, 8.0 f");
    let spreads = "SELECT string_agg(format('%s %s', spread_value, coalesce(validation_errors ? 'line_rounded', false)), ', '
                                     ORDER BY raw_id) FROM staging.spreads";
    assert_eq!(text(&mut client, spreads).unwrap(), "-1.8 t, -1.5 f");
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    // It goes with the line.
    client.batch_execute("UPDATE raw_data.totals_raw SET total_points = 9.5").unwrap();
    migrate(&mut client);
    assert_eq!(text(&mut client, totals).unwrap(), "9.5 f, 9.5 f, 9.5 f");
}

#[test]
fn a_line_that_has_room_is_staged_as_it_is() {
    let (_db, mut client) = quarters(Template::ShapeB);
    let totals = "SELECT string_agg(line_value::text, ', ' ORDER BY raw_totals_id) FROM staging.totals";
    assert_eq!(text(&mut client, totals).unwrap(), "8.25, 8.50, 8.00");
    for table in ["totals", "spreads"] {
        let rounded = format!("staging.{table} WHERE validation_errors ? 'line_rounded'");
        assert_eq!(count(&mut client, &rounded), 0, "{table}");
    }
}

#[test]
fn prices_that_no_book_would_give_are_told() {
    let (_db, mut client) = installed(Template::ShapeA);
    client
        .batch_execute(
            "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds)
             VALUES ('F', 'g1', 'dk', -110, -110), ('F', 'g1', 'dk', -150, 130), ('F', 'g1', 'dk', 100, -120),
                    ('F', 'g1', 'dk', -10000, 2000), ('F', 'g1', 'dk', 400, 400), ('F', 'g1', 'dk', -2000, -2000);
             INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds)
             VALUES ('F', 'g1', 'dk', 8.5, -110, -110), ('F', 'g1', 'dk', 8.5, 400, 400), ('F', 'g1', 'dk', 8.5, -110, NULL)",
        )
        .unwrap();
    migrate(&mut client);
    let told = |table: &str| {
        format!(
            "SELECT string_agg(coalesce(validation_errors ? 'implausible_market', false)::text, ' ' ORDER BY raw_id)
               FROM staging.{table}"
        )
    };
    assert_eq!(text(&mut client, &told("moneylines")).unwrap(), "false false false false true true");
    assert_eq!(text(&mut client, &told("totals")).unwrap(), "false true false");
}
