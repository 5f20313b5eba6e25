//! What the planner makes of a converted table: a month's query reads that month alone, and knows how much it is.

use groundskeeper_tests::Template;
use groundskeeper_tests::sql::text;
use postgres::Client;
use serde_json::Value;

use super::{RAW, STAGING, convert, finalize, installed};

/// The plan's two tables, uneven by month, with rows without a date and beyond all dates.
const ROWS: &str = "
    INSERT INTO raw_data.moneylines_raw (source, game_date)
    SELECT 'source ' || i % 7, CASE WHEN i % 50 = 0 THEN NULL WHEN i % 500 = 1 THEN 'infinity'
                                    ELSE current_date - (200 * (i / 12000.0) ^ 2)::integer END
      FROM generate_series(1, 12000) i;
    INSERT INTO staging.moneylines (raw_id, game_id, processed_at)
    SELECT i, i / 30, now() - (200 * (i / 12000.0) ^ 2) * interval '1 day' FROM generate_series(1, 12000) i;";

fn converted() -> (groundskeeper_tests::TestDb, Client) {
    let (db, mut client) = installed(Template::ShapeA);
    client.batch_execute(&format!("SET timezone = 'America/New_York'; {ROWS}")).unwrap();
    convert(&mut client, RAW, "game_date");
    convert(&mut client, STAGING, "processed_at");
    (db, client)
}

/// The bounds of a month, so many from the current one, as literals, and the suffix of its partition.
fn month(client: &mut Client, months: i32) -> [String; 3] {
    let first = format!("(date_trunc('month', current_date) + interval '{months} months')");
    ["quote_literal(:m::date)", "quote_literal((:m + interval '1 month')::date)", "to_char(:m, 'YYYY_MM')"]
        .map(|what| text(client, &format!("SELECT {}", what.replace(":m", &first))).unwrap())
}

fn plan(client: &mut Client, statement: &str) -> Value {
    let explained: Value =
        client.query_one(&format!("EXPLAIN (FORMAT JSON) {statement}"), &[]).unwrap().get(0);
    explained[0]["Plan"].clone()
}

/// The tables that a plan reads, each once.
fn read(plan: &Value) -> Vec<String> {
    let below = plan["Plans"].as_array().into_iter().flatten().flat_map(read);
    let mut tables: Vec<String> =
        plan["Relation Name"].as_str().map(str::to_owned).into_iter().chain(below).collect();
    tables.sort();
    tables.dedup();
    tables
}

#[test]
fn a_months_query_reads_that_month_alone() {
    let (_db, mut client) = converted();
    for step in ["converted", "finalized"] {
        if step == "finalized" {
            finalize(&mut client, RAW);
            finalize(&mut client, STAGING);
        }
        for (table, key, key_type) in [(RAW, "game_date", "date"), (STAGING, "processed_at", "timestamptz")] {
            let name = table.split('.').nth(1).unwrap();
            let whole = read(&plan(&mut client, &format!("SELECT * FROM {table}")));
            assert!(whole.len() >= 8 && whole.contains(&format!("{name}_default")), "{whole:?}");
            for months in [-4, -1, 0, 2] {
                let [from, to, suffix] = month(&mut client, months);
                let only = [format!("{name}_{suffix}")];
                let of =
                    |from: &str, to: &str| format!("FROM {table} WHERE {key} >= {from} AND {key} < {to}");
                let statement = format!("SELECT count(*) {}", of(&from, &to));
                assert_eq!(read(&plan(&mut client, &statement)), only, "{step}: {statement}");
                // Parameters: planned for the values, and once for all values.
                client
                    .batch_execute(&format!(
                        "DEALLOCATE ALL; PREPARE month ({key_type}, {key_type}) AS SELECT count(*) {}",
                        of("$1", "$2")
                    ))
                    .unwrap();
                for mode in ["force_custom_plan", "force_generic_plan"] {
                    client.batch_execute(&format!("SET plan_cache_mode = {mode}")).unwrap();
                    let execute = format!("EXECUTE month ({from}, {to})");
                    assert_eq!(read(&plan(&mut client, &execute)), only, "{step}, {mode}: {table} {execute}");
                    // and it is the right partition that is read
                    let counted: i64 = client.query_one(&execute, &[]).unwrap().get(0);
                    let all: i64 = client
                        .query_one(
                            &format!("SELECT count(*) FROM {table} WHERE ({key} >= {from} AND {key} < {to}) IS TRUE"),
                            &[],
                        )
                        .unwrap()
                        .get(0);
                    assert_eq!(counted, all, "{step}, {mode}: {table} {execute}");
                }
                // A month that is known only when the query runs.
                let stable = format!(
                    "SELECT count(*) {}",
                    of(
                        &format!("date_trunc('month', now()) + interval '{months} months'"),
                        &format!("date_trunc('month', now()) + interval '{} months'", months + 1)
                    )
                );
                assert_eq!(read(&plan(&mut client, &stable)), only, "{step}: {stable}");
            }
        }
    }
}

#[test]
fn the_planner_knows_how_many_rows_a_month_has() {
    let (_db, mut client) = converted();
    let maintained = |client: &mut Client| {
        client.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
        client.batch_execute("SELECT FROM update_table_statistics()").unwrap();
    };
    maintained(&mut client);
    let now = month(&mut client, 0);
    for step in ["as converted", "one month has grown"] {
        if step == "one month has grown" {
            // The current month becomes several times what it was, and no statistics know of it yet.
            let from = &now[0];
            client
                .batch_execute(&format!(
                    "INSERT INTO {RAW} (source, game_date) SELECT 'more', {from}::date + i % 28 FROM generate_series(1, 40000) i;
                     INSERT INTO {STAGING} (game_id, processed_at) SELECT i, {from}::timestamptz + i * interval '50 s' FROM generate_series(1, 40000) i"
                ))
                .unwrap();
            maintained(&mut client);
        }
        for (table, key) in [(RAW, "game_date"), (STAGING, "processed_at")] {
            for months in [-5, -3, -1, 0] {
                let [from, to, _] = month(&mut client, months);
                let rows = format!("FROM {table} WHERE {key} >= {from} AND {key} < {to}");
                let estimated = plan(&mut client, &format!("SELECT * {rows}"))["Plan Rows"].as_f64().unwrap();
                let real: f64 =
                    text(&mut client, &format!("SELECT count(*) {rows}")).unwrap().parse().unwrap();
                assert!(real > 0.0, "{rows}");
                assert!(
                    (real / 2.0..=real * 2.0).contains(&estimated),
                    "{step}: {estimated} instead of {real} {rows}"
                );
            }
            // and of half a month, and of two, which the statistics of the whole are for
            let ([from, ..], [_, to, _]) = (month(&mut client, -2), month(&mut client, -1));
            for until in [format!("{from}::date + 15"), to] {
                let rows = format!("FROM {table} WHERE {key} >= {from} AND {key} < {until}");
                let estimated = plan(&mut client, &format!("SELECT * {rows}"))["Plan Rows"].as_f64().unwrap();
                let real: f64 =
                    text(&mut client, &format!("SELECT count(*) {rows}")).unwrap().parse().unwrap();
                assert!(
                    (real / 2.0..=real * 2.0).contains(&estimated),
                    "{step}: {estimated} instead of {real} {rows}"
                );
            }
        }
    }
}
