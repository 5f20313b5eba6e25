//! Anything that the raw tables can hold.

use groundskeeper_sandbox::raw::Market;
use groundskeeper_tests::Template;
use groundskeeper_tests::sql::{refusal, text};
use postgres::Client;

use super::{assert_complete, count, installed, migrate};

/// Every column drawn by itself from what it can hold; the widths are the shape's or none.
const FILL: &str = r#"
    CREATE FUNCTION public.word(long boolean) RETURNS text LANGUAGE sql VOLATILE AS $$
        SELECT (ARRAY[NULL, '', ' ', E'\t\n\x0B\f\r ', 'x', 'UNKNOWN', 'Boston Red Sox', 'New York', 'Zürich Löwen', '数据',
                      repeat('ä', 100), repeat('z', 100), E'\'; DROP TABLE x; --', '\u0000', 'A''s',
                      CASE WHEN long THEN repeat(md5(random()::text), 3200) ELSE 'short' END])[1 + (random() * 15)::int] $$;
    CREATE FUNCTION public.whole() RETURNS integer LANGUAGE sql VOLATILE AS $$
        SELECT (ARRAY[NULL, 0, 1, -1, 99, -99, 100, -100, -110, 150, 2147483647, -2147483648])[1 + (random() * 11)::int] $$;
    CREATE FUNCTION public.line() RETURNS numeric LANGUAGE sql VOLATILE AS $$
        SELECT (ARRAY[NULL, 0, -1.5, 999.9, -999.9, 8.5, 'NaN'])[1 + (random() * 6)::int] $$;
    CREATE FUNCTION public.moment() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
        SELECT (ARRAY['infinity', '-infinity', '4713-01-01 BC', '294276-12-31', '2025-06-13', now()::text])
                   [1 + (random() * 5)::int]::timestamptz $$;
    CREATE FUNCTION public.day() RETURNS date LANGUAGE sql VOLATILE AS $$
        SELECT (ARRAY[NULL, 'infinity', '-infinity', '4713-01-01 BC', '5874897-12-31', '2025-06-13', '2025-06-14'])
                   [1 + (random() * 6)::int]::date $$;
    CREATE FUNCTION public.payload() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
        SELECT CASE (random() * 8)::int WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN '[]' WHEN 3 THEN '3' WHEN 4 THEN '"s"'
                    WHEN 5 THEN 'null' WHEN 6 THEN 'true' WHEN 7 THEN jsonb_build_object('long', repeat('x', 100000))
                    ELSE '{"a": [1, {"b": null}]}' END::jsonb $$;
    SELECT setseed(0.42);"#;

fn fill(client: &mut Client, rows: i32, long: bool) {
    let seeded = client.batch_execute(FILL);
    seeded.unwrap();
    for market in Market::ALL {
        let (columns, values) = match market {
            Market::Moneyline => (
                "home_odds, away_odds, home_team_name, away_team_name",
                format!("public.whole(), public.whole(), public.word({long}), public.word({long})"),
            ),
            Market::Spread => (
                "spread_value, spread_odds, favorite_team, underdog_team",
                format!("public.line(), public.whole(), public.word({long}), public.word({long})"),
            ),
            Market::Total => (
                "total_points, over_odds, under_odds",
                "public.line(), public.whole(), public.whole()".to_owned(),
            ),
        };
        let word = format!("public.word({long})");
        client
            .batch_execute(&format!(
                "INSERT INTO {raw} (external_id, source, game_external_id, sportsbook_id, sportsbook_name, raw_data,
                                    collected_at, game_date, created_at, updated_at, {columns})
                 SELECT {word}, COALESCE(left({word}, 50), ''), {word}, public.whole(), {word}, public.payload(),
                        public.moment(), public.day(), public.moment(), public.moment(), {values}
                   FROM generate_series(1, {rows})",
                raw = market.raw_table()
            ))
            .unwrap();
    }
}

/// Scores lie where they must, and what is said of a record agrees with its status.
fn assert_sane(client: &mut Client) {
    for market in Market::ALL {
        let staging = format!("staging.{}", market.table());
        let wrong = format!(
            "{staging} WHERE data_quality_score IS NULL OR data_quality_score NOT BETWEEN 0 AND 99.99
                OR validation_status NOT IN ('validated', 'needs_review', 'invalid')
                OR jsonb_typeof(validation_errors) <> 'array' OR validation_errors = '[]'
                OR validation_status = 'validated' AND validation_errors::text ~ '(missing|invalid)_'"
        );
        assert_eq!(count(client, &wrong), 0, "{staging}");
    }
}

#[test]
fn anything_that_fits_is_staged() {
    let (_db, mut client) = installed(Template::ShapeA);
    fill(&mut client, 700, false);
    for _ in 0..2 {
        migrate(&mut client);
        assert_complete(&mut client);
        assert_sane(&mut client);
        assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    }
    let unknown = "staging.moneylines WHERE validation_errors ? 'unknown_team'";
    assert!(count(&mut client, unknown) > 0);
    let kept = "staging.moneylines s JOIN raw_data.moneylines_raw r ON r.id = s.raw_id
                 WHERE r.home_team_name = 'Zürich Löwen' AND s.home_team_normalized <> r.home_team_name";
    assert_eq!(count(&mut client, kept), 0, "an unknown name is kept as given");
    // The server keeps out what is no text at all.
    let raw = r"INSERT INTO raw_data.moneylines_raw (source) VALUES (E'\xff')";
    assert_eq!(refusal(&mut client, raw).unwrap().code, "22021");
}

#[test]
fn what_is_too_long_fails_row_by_row_with_its_reason() {
    let (_db, mut client) = installed(Template::ShapeA);
    client.batch_execute("DROP VIEW staging.migration_ready_records").unwrap();
    for market in Market::ALL {
        // The indexes cannot hold such texts either.
        client
            .batch_execute(&format!(
                "DO $$ DECLARE i text; BEGIN
                     FOR i IN SELECT indexrelid::regclass::text FROM pg_index
                               WHERE indrelid = '{raw}'::regclass AND NOT indisprimary LOOP
                         EXECUTE 'DROP INDEX ' || i;
                     END LOOP; END $$;
                 ALTER TABLE {raw} ALTER game_external_id TYPE text, ALTER sportsbook_name TYPE text,
                     ALTER external_id TYPE text",
                raw = market.raw_table()
            ))
            .unwrap();
    }
    client
        .batch_execute(
            "ALTER TABLE raw_data.moneylines_raw ALTER home_team_name TYPE text, ALTER away_team_name TYPE text;
             ALTER TABLE raw_data.spreads_raw ALTER favorite_team TYPE text, ALTER underdog_team TYPE text",
        )
        .unwrap();
    fill(&mut client, 120, true);
    migrate(&mut client);
    assert_complete(&mut client);
    assert_sane(&mut client);
    let reasons =
        "SELECT string_agg(DISTINCT reason, ' ' ORDER BY reason) FROM groundskeeper.migration_failures";
    assert_eq!(text(&mut client, reasons).unwrap(), "game_not_staged value_too_long");
    for market in Market::ALL {
        let names = match market {
            Market::Moneyline => "home_team_name, away_team_name",
            Market::Spread => "favorite_team, underdog_team",
            Market::Total => "NULL::text",
        };
        let sound = format!(
            "{raw} r JOIN groundskeeper.migration_failures f ON f.raw_table = '{raw}' AND f.raw_id = r.id
              WHERE f.reason = 'value_too_long'
                AND GREATEST(length(sportsbook_name), (SELECT max(length(n)) FROM unnest(ARRAY[{names}]) n)) <= 100",
            raw = market.raw_table()
        );
        assert_eq!(count(&mut client, &sound), 0, "{}: sound rows among the failures", market.table());
    }
}
