//! Tables that take in more than the shapes' do, filled with whatever the server takes in.

use groundskeeper_sandbox::raw::Market;
use groundskeeper_tests::sql::{refusal, text};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{assert_complete, count, migrate};

/// The raw columns take in more than Shape A's would.
const LENIENT: &str = "
    ALTER TABLE raw_data.moneylines_raw ALTER source TYPE text, ALTER game_external_id TYPE text,
        ALTER sportsbook_name TYPE text, ALTER home_team_name TYPE text, ALTER away_team_name TYPE text,
        ALTER collected_at DROP NOT NULL, ALTER created_at DROP NOT NULL, ALTER updated_at DROP NOT NULL,
        ALTER source DROP NOT NULL, ALTER home_odds TYPE bigint;
    ALTER TABLE raw_data.spreads_raw ALTER source TYPE text, ALTER game_external_id TYPE text,
        ALTER sportsbook_name TYPE text, ALTER favorite_team TYPE text, ALTER underdog_team TYPE text,
        ALTER spread_value TYPE numeric, ALTER collected_at DROP NOT NULL, ALTER created_at DROP NOT NULL,
        ALTER updated_at DROP NOT NULL, ALTER source DROP NOT NULL;
    ALTER TABLE raw_data.totals_raw ALTER source TYPE text, ALTER game_external_id TYPE text,
        ALTER sportsbook_name TYPE text, ALTER total_points TYPE numeric, ALTER collected_at DROP NOT NULL,
        ALTER created_at DROP NOT NULL, ALTER updated_at DROP NOT NULL, ALTER source DROP NOT NULL";

/// And staging as much, so that only indexes and numbers refuse anything.
const LENIENT_STAGING: &str = "
    ALTER TABLE staging.games ALTER external_id TYPE text, ALTER home_team_normalized TYPE text,
        ALTER away_team_normalized TYPE text;
    ALTER TABLE staging.moneylines ALTER sportsbook_name TYPE text, ALTER home_team_normalized TYPE text,
        ALTER away_team_normalized TYPE text;
    ALTER TABLE staging.spreads ALTER sportsbook_name TYPE text, ALTER favorite_team_normalized TYPE text,
        ALTER underdog_team_normalized TYPE text, ALTER updated_at DROP NOT NULL;
    ALTER TABLE staging.totals ALTER sportsbook_name TYPE text";

/// Values to choose from, by type. Half of the choices are ordinary, so that rows reach all stages.
const CHOICES: &str = r#"
    CREATE TABLE public.incompressible AS
        SELECT string_agg(md5(i::text), '') AS line FROM generate_series(1, 3200) i;
    CREATE FUNCTION public.any_text() RETURNS text VOLATILE LANGUAGE sql AS $$
        SELECT (ARRAY[NULL, '', ' ', E'\t\n', 'x', 'Mets', 'NYM', 'Boston Red Sox', 'game 1', 'game 2', 'game 3', 'game 4',
                      'game 5', 'game 6', 'UNKNOWN', E'\\', '''; DROP TABLE staging.games; --', '%s%I', E'\u00a0', 'Ünïcödé 🎲',
                      E'\u202e', 'NULL', '{}', repeat('x', 255), repeat('y', 256), repeat('é', 100), repeat('z', 100000),
                      (SELECT line FROM public.incompressible)])
               [1 + floor(random() * 28)] $$;
    CREATE FUNCTION public.any_int() RETURNS integer VOLATILE LANGUAGE sql AS $$
        SELECT (ARRAY[NULL, 0, 1, -1, 99, -99, 100, -100, -110, 150, 2147483647, -2147483648])[1 + floor(random() * 12)] $$;
    CREATE FUNCTION public.any_bigint() RETURNS bigint VOLATILE LANGUAGE sql AS $$
        SELECT CASE WHEN random() < 0.1 THEN (ARRAY[9223372036854775807, -9223372036854775808, 2147483648])[1 + floor(random() * 3)]
                    ELSE public.any_int() END $$;
    CREATE FUNCTION public.any_numeric() RETURNS numeric VOLATILE LANGUAGE sql AS $$
        SELECT (ARRAY[NULL, 0, 1.5, -1.5, 8.5, 999.9, 999.95, -999.9, 1000, 0.049, 'NaN', 'Infinity', '-Infinity',
                      ('1e' || 5000)::numeric, ('1e-' || 5000)::numeric]::numeric[])[1 + floor(random() * 15)] $$;
    CREATE FUNCTION public.any_jsonb() RETURNS jsonb VOLATILE LANGUAGE sql AS $$
        SELECT (ARRAY[NULL, 'null', 'true', '0', '""', '[]', '{}', '[[[]]]', '{"a": {"b": [1, null]}}', '1e400', '"\u00e9"',
                      '{"": ""}', repeat('[', 1000) || repeat(']', 1000), to_json(repeat('j', 100000))::text]::jsonb[])
               [1 + floor(random() * 14)] $$;
    CREATE FUNCTION public.any_date() RETURNS date VOLATILE LANGUAGE sql AS $$
        SELECT (ARRAY[NULL, '2025-06-13', '2025-06-14', 'infinity', '-infinity', '4713-01-01 BC', '5874897-12-31']::date[])
               [1 + floor(random() * 7)] $$;
    CREATE FUNCTION public.any_time() RETURNS timestamptz VOLATILE LANGUAGE sql AS $$
        SELECT (ARRAY[NULL, now(), now(), '2025-06-13', 'infinity', '-infinity', '4713-01-02 BC', '294276-12-31']::timestamptz[])
               [1 + floor(random() * 8)] $$;
    CREATE FUNCTION public.any_id() RETURNS bigint VOLATILE LANGUAGE sql AS $$
        SELECT floor((random() - 0.5) * 1.8e19)::numeric::bigint $$;
    SELECT setseed(0.42)"#;

/// Fills a raw table with such rows. Every fifth keeps an ordinary id.
fn fill(client: &mut Client, market: Market, rows: u32) {
    let own = match market {
        Market::Moneyline => "home_odds, away_odds, home_team_name, away_team_name",
        Market::Spread => "spread_value, spread_odds, favorite_team, underdog_team",
        Market::Total => "total_points, over_odds, under_odds",
    };
    let values = match market {
        Market::Moneyline => "any_bigint(), any_int(), any_text(), any_text()",
        Market::Spread => "any_numeric(), any_int(), any_text(), any_text()",
        Market::Total => "any_numeric(), any_int(), any_int()",
    };
    let insert = format!(
        "INSERT INTO {raw} (id, source, game_external_id, sportsbook_id, sportsbook_name, raw_data, collected_at,
                            game_date, created_at, updated_at, {own})
         SELECT CASE WHEN i % 5 = 0 THEN i ELSE any_id() END, any_text(), any_text(), any_int(), any_text(),
                any_jsonb(), any_time(), any_date(), any_time(), any_time(), {values}
           FROM generate_series(1, {rows}) i
         ON CONFLICT DO NOTHING;
         INSERT INTO {raw} (id, source, collected_at, created_at, updated_at)
         VALUES (9223372036854775807, NULL, NULL, NULL, NULL), (-9223372036854775807, NULL, NULL, NULL, NULL)",
        raw = market.raw_table()
    );
    client.batch_execute(&insert).unwrap();
}

/// A database of tables so changed, filled with such rows.
fn filled(changes: &[&str]) -> (TestDb, Client) {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    for change in changes {
        client.batch_execute(change).unwrap();
    }
    db.install().unwrap();
    db.settle().unwrap();
    // These would refuse long values before they came to be migrated.
    let drop = "SELECT string_agg(format('DROP INDEX raw_data.%I', indexname), '; ') FROM pg_indexes
                 WHERE schemaname = 'raw_data' AND indexdef !~ 'UNIQUE' AND indexname !~ 'updated'";
    let drop = text(&mut client, drop).unwrap();
    client.batch_execute(&drop).unwrap();
    client.batch_execute(CHOICES).unwrap();
    for market in Market::ALL {
        fill(&mut client, market, 150);
    }
    (db, client)
}

/// Migrates twice: nothing escapes, nothing is lost, and all that failed has a reason. How many failed.
fn migrate_twice(client: &mut Client) -> i64 {
    migrate(client);
    assert_complete(client);
    let failed = count(client, "groundskeeper.migration_failures");
    let raw: i64 = Market::ALL.iter().map(|market| count(client, &market.raw_table())).sum();
    let staged: i64 =
        Market::ALL.iter().map(|market| count(client, &format!("staging.{}", market.table()))).sum();
    assert_eq!(staged + failed, raw);
    let sums = "SELECT format('%s %s', sum(successful), sum(failed)) FROM groundskeeper.migration_runs";
    assert_eq!(text(client, sums).unwrap(), format!("{staged} {failed}"));
    assert_eq!(
        count(client, "groundskeeper.migration_failures WHERE reason = '' OR coalesce(detail, '') = ''"),
        0
    );
    migrate(client);
    assert_complete(client);
    assert_eq!(count(client, "groundskeeper.migration_failures"), failed);
    let reasons = "SELECT string_agg(format('%s x %s', n, reason), ', ' ORDER BY reason)
                     FROM (SELECT reason, count(*) AS n FROM groundskeeper.migration_failures GROUP BY 1) r";
    println!("{raw} rows, {staged} staged; {}", text(client, reasons).unwrap());
    failed
}

#[test]
fn whatever_the_raw_tables_hold_is_staged_or_a_failure() {
    let (_db, mut client) = filled(&[LENIENT]);
    let failed = migrate_twice(&mut client);
    assert!(failed > 0, "the rows were not bad enough");
    let kinds = "groundskeeper.migration_failures
                  WHERE reason IN ('value_too_long', 'value_out_of_range', 'not_null_violation', 'game_not_staged')";
    assert_eq!(count(&mut client, kinds), failed);
}

#[test]
fn what_no_column_refuses_may_still_be_refused_by_an_index() {
    let (_db, mut client) = filled(&[LENIENT, LENIENT_STAGING]);
    assert!(migrate_twice(&mut client) > 0, "the rows were not bad enough");
}

#[test]
fn the_lowest_id_is_refused_rather_than_left_out() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let lowest = "INSERT INTO raw_data.totals_raw (id, source) VALUES (-9223372036854775808, 'x')";
    client.batch_execute(lowest).unwrap();
    let refused = refusal(&mut client, "CALL groundskeeper.migrate_to_staging()").unwrap();
    assert_eq!(refused.code, "22003");
    assert!(refused.message.contains("raw_data.totals_raw"), "{}", refused.message);
    client.batch_execute("UPDATE raw_data.totals_raw SET id = -9223372036854775807").unwrap();
    assert_eq!(migrate_twice(&mut client), 0);
}
