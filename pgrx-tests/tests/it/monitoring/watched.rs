//! What is looked at: schemas by configuration, materialized views, TOAST, indexes of every kind.

use super::*;
use groundskeeper_tests::sql::refusal;

fn tables(client: &mut Client) -> Vec<String> {
    let query = "SELECT format('%s.%s', schemaname, tablename) FROM monitoring.table_bloat ORDER BY 1";
    column(client, query).into_iter().flatten().collect()
}

#[test]
fn schemas_are_watched_by_configuration_and_others_counted() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let reader = monitor(&mut db);
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        r#"CREATE SCHEMA staging; CREATE SCHEMA app; CREATE SCHEMA "My ""own"", schema";
           CREATE TABLE staging.game (id integer); CREATE TABLE app.bet (id integer); CREATE TABLE app.quote (id integer);
           CREATE TABLE "My ""own"", schema".note (id integer); CREATE TABLE unwatched (id integer);
           CREATE TABLE app.managed (day date) PARTITION BY RANGE (day)"#,
    );
    let mut reader = db.client_as(&reader).unwrap();
    assert_eq!(tables(&mut reader), ["staging.game"]);
    let left_out = "SELECT substring(detail FROM '; (\\d+) in other schemas are not watched') FROM groundskeeper.kpi_report() WHERE kpi = 'table_bloat_max'";
    let unseen = "SELECT groundskeeper_internal.unwatched_tables()";
    assert_eq!(value(&mut reader, unseen), "5");
    // What is maintained or managed brings its schema.
    run_sql(&mut client, r#"SELECT groundskeeper.maintain('"My ""own"", schema".note')"#);
    assert_eq!(tables(&mut reader), [r#"My "own", schema.note"#, "staging.game"]);
    run_sql(&mut client, "SELECT groundskeeper.adopt_partitioned_table('app.managed')");
    assert_eq!(value(&mut reader, unseen), "1");
    if !groundskeeper_tests::lacks("pgstattuple") {
        run_sql(
            &mut client,
            "CREATE EXTENSION pgstattuple;
             CREATE TABLE staging.judged AS SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n",
        );
        assert_eq!(value(&mut client, left_out), "1");
        run_sql(&mut client, "DROP TABLE staging.judged");
    }
    // As a list of search_path is written.
    for (list, found) in [
        (
            r#"'app, "My ""own"", schema"'"#,
            vec![r#"My "own", schema.note"#, "app.bet", "app.managed", "app.quote"],
        ),
        ("'APP, public'", vec!["app.bet", "app.managed", "app.quote", "public.unwatched"]),
        ("staging, app", vec!["app.bet", "app.managed", "app.quote", "staging.game"]),
        ("nowhere", vec![]),
    ] {
        run_sql(&mut client, &format!("SET groundskeeper.watched_schemas = {list}"));
        let seen: Vec<_> = tables(&mut client).into_iter().filter(|t| !t.contains("managed_")).collect();
        assert_eq!(seen, found, "{list}");
    }
    for wrong in ["'a b'", "'\"a'", "'a,,b'"] {
        let refused = refusal(&mut client, &format!("SET groundskeeper.watched_schemas = {wrong}")).unwrap();
        assert_eq!(refused.code, "22023", "{wrong}");
    }
}

#[test]
fn materialized_views_toast_and_indexes_of_every_kind_are_looked_at() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let reader = monitor(&mut db);
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE SCHEMA curated; SET search_path = curated;
         CREATE TABLE game (id integer, tags integer[], span int4range, document text) WITH (autovacuum_enabled = off);
         INSERT INTO game SELECT n, ARRAY[n % 7, n % 11], int4range(n, n + 1),
             (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 100) i) FROM generate_series(1, 4000) n;
         CREATE INDEX game_hash ON game USING hash (id); CREATE INDEX game_gin ON game USING gin (tags);
         CREATE INDEX game_brin ON game USING brin (id); CREATE INDEX game_gist ON game USING gist (span);
         CREATE INDEX game_btree ON game (id);
         CREATE MATERIALIZED VIEW report AS SELECT id, repeat('x', 100) AS filler FROM game;
         CREATE INDEX report_id ON report (id); DELETE FROM game WHERE id % 2 = 0; SELECT pg_stat_force_next_flush()",
    );
    // Since 16 a table is extended by more pages than it needs at once; VACUUM takes off what has remained empty.
    run_sql(&mut client, "VACUUM (ANALYZE) curated.report");
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    let mut reader = db.client_as(&reader).unwrap();
    let report = "SELECT concat_ws('|', bloat_percent < 5, bloat_method, table_bytes = pg_table_size('curated.report'), index_bytes > 0)
                    FROM monitoring.table_bloat WHERE tablename = 'report'";
    assert_eq!(value(&mut client, report), "t|estimate|t|t");
    let indexes = "SELECT concat_ws(': ', indexname, bloat_reason) FROM monitoring.index_bloat WHERE bloat_percent IS NULL AND tablename = 'game' ORDER BY 1";
    let indexes: Vec<_> = column(&mut reader, indexes).into_iter().flatten().collect();
    let starts = [
        "game_brin: not judged: a BRIN index",
        "game_btree: ",
        "game_gin: not judged: how well a GIN index",
        "game_gist: not judged: how access method gist",
        "game_hash: not judged: a hash index",
    ];
    assert_eq!(indexes.len(), starts.len(), "{indexes:?}");
    assert!(indexes.iter().zip(starts).all(|(found, start)| found.starts_with(start)), "{indexes:?}");
    let toast = "SELECT concat_ws('|', toast_bytes = pg_total_relation_size(c.reltoastrelid), toast_bytes < table_bytes, b.toast_bloat_percent, b.toast_bloat_reason)
                   FROM monitoring.table_bloat b JOIN pg_class c ON c.oid = 'curated.game'::regclass WHERE b.tablename = 'game'";
    assert_eq!(
        value(&mut client, toast),
        "t|t|not measured: pgstattuple is not installed (CREATE EXTENSION pgstattuple)"
    );
    if groundskeeper_tests::lacks("pgstattuple") {
        return;
    }
    run_sql(&mut client, "CREATE EXTENSION pgstattuple SCHEMA public");
    let truth =
        "SELECT t.dead_tuple_percent + t.free_percent FROM pg_class c, public.pgstattuple(c.reltoastrelid) t
                  WHERE c.oid = 'curated.game'::regclass";
    let truth: f64 = value(&mut client, truth).parse().unwrap();
    let found = "SELECT toast_bloat_percent FROM monitoring.table_bloat WHERE tablename = 'game'";
    let found: f64 = value(&mut client, found).parse().unwrap();
    assert!(truth > 40.0 && (truth - found).abs() < 5.0, "{found}, {truth} true");
    let none = "SELECT toast_bytes || ' ' || toast_bloat_reason FROM monitoring.table_bloat WHERE tablename = 'report_of_numbers'";
    run_sql(&mut client, "CREATE MATERIALIZED VIEW curated.report_of_numbers AS SELECT 1 AS one");
    assert_eq!(value(&mut client, none), "0 there is no TOAST");
}
