//! `monitoring.table_bloat` and `monitoring.index_bloat` against pgstattuple.

use super::*;

/// Tables that mislead estimates, as hazard M5 has them.
const FIXTURES: &str = "
    CREATE SCHEMA curated;
    SET search_path = curated;
    CREATE TABLE full_rows WITH (autovacuum_enabled = off) AS
        SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 20000) n;
    CREATE TABLE half WITH (autovacuum_enabled = off) AS SELECT * FROM full_rows;
    DELETE FROM half WHERE n % 2 = 0;
    CREATE TABLE vacuumed WITH (autovacuum_enabled = off) AS SELECT * FROM full_rows;
    DELETE FROM vacuumed WHERE n % 3 > 0;
    CREATE TABLE padded WITH (autovacuum_enabled = off) AS
        SELECT true AS a, n::bigint AS b, false AS c, n::bigint AS d, true AS e, n::bigint AS f, 1::smallint AS g,
               now() AS h FROM generate_series(1, 20000) n;
    CREATE TABLE narrow WITH (autovacuum_enabled = off) AS SELECT n FROM generate_series(1, 50000) n;
    DELETE FROM narrow WHERE n % 2 = 0;
    CREATE TABLE odds (
        id bigint, book text, home text, away text, home_odds integer, away_odds integer, price numeric(6, 2),
        live boolean, raw jsonb, note text, at timestamptz, created timestamptz) WITH (autovacuum_enabled = off);
    INSERT INTO odds SELECT n, 'book' || n % 30, 'Team ' || n % 997, 'Team number ' || n % 1009, -110, 90 + n % 100,
        n % 10000 / 100.0, n % 2 = 0, jsonb_build_object('k', repeat('y', n % 90), 'n', n),
        CASE WHEN n % 5 = 0 THEN repeat('z', n % 300) END, now(), CASE WHEN n % 3 = 0 THEN now() END
        FROM generate_series(1, 20000) n;
    CREATE TABLE toasted WITH (autovacuum_enabled = off) AS
        SELECT n, (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 100) i) AS document
          FROM generate_series(1, 5000) n;
    CREATE TABLE reserved WITH (fillfactor = 50, autovacuum_enabled = off) AS SELECT * FROM full_rows;
    CREATE TABLE reserved_and_deleted WITH (fillfactor = 70, autovacuum_enabled = off) AS SELECT * FROM full_rows;
    DELETE FROM reserved_and_deleted WHERE n % 2 = 0;
    CREATE TABLE emptied WITH (autovacuum_enabled = off) AS SELECT * FROM full_rows;
    DELETE FROM emptied WHERE n < 19990;
    CREATE TABLE tiny AS SELECT n FROM generate_series(1, 100) n;
    CREATE TABLE grown WITH (autovacuum_enabled = off) AS SELECT n, 'x'::text AS filler FROM generate_series(1, 20000) n;
    CREATE TABLE widened WITH (autovacuum_enabled = off) AS SELECT n, 'x'::text AS filler FROM generate_series(1, 20000) n;
    CREATE TABLE never WITH (autovacuum_enabled = off) AS SELECT * FROM full_rows;
    CREATE TABLE shorn WITH (autovacuum_enabled = off) AS SELECT * FROM full_rows;
    ALTER TABLE shorn DROP COLUMN filler;
    CREATE TABLE extended WITH (autovacuum_enabled = off) AS SELECT * FROM full_rows;
    ALTER TABLE extended ADD extra bigint NOT NULL DEFAULT 1;
    CREATE TABLE unmeasured WITH (autovacuum_enabled = off) AS SELECT * FROM full_rows;
    ALTER TABLE unmeasured ALTER filler SET STATISTICS 0;
";

/// Statistics as they are when somebody looks.
const ANALYZED: &str = "
    VACUUM curated.vacuumed; VACUUM curated.reserved_and_deleted; VACUUM (TRUNCATE off) curated.emptied;
    ANALYZE curated.full_rows, curated.half, curated.vacuumed, curated.padded, curated.narrow, curated.odds,
            curated.toasted, curated.reserved, curated.reserved_and_deleted, curated.emptied, curated.tiny,
            curated.grown, curated.widened, curated.shorn, curated.extended, curated.unmeasured;
    INSERT INTO curated.grown SELECT n, repeat('x', 500) FROM generate_series(1, 20000) n;
    INSERT INTO curated.widened SELECT n, repeat('x', 2000) FROM generate_series(1, 1800) n;
    SELECT pg_stat_force_next_flush();
";

/// Those without a trustworthy figure, and why.
const UNKNOWN: [(&str, &str); 7] = [
    ("extended", "added with a default"),
    ("grown", "statistics are stale: 50 % of the rows"),
    ("never", "statistics are missing: not analyzed"),
    ("shorn", "a column was dropped"),
    ("tiny", "too small to judge"),
    ("unmeasured", "column filler has none"),
    ("widened", "statistics are stale: what changed"),
];

/// What pgstattuple says, the reserve of fillfactor left out, as the view means it.
const TRUE_FIGURE: &str = "100 * greatest(t.dead_tuple_len + t.free_space + :unused - t.table_len * (100 - coalesce(
    (SELECT option_value::integer FROM pg_options_to_table((SELECT reloptions FROM pg_class
      WHERE oid = format('%I.%I', schemaname, tablename)::regclass)) WHERE option_name = 'fillfactor'), 100)) / 100.0, 0)
    / t.table_len";
/// PostgreSQL 16 and later add many pages at a time. pgstattuple does not count those as free that have never been used;
/// pgstattuple_approx does where there is a map of free space.
const UNUSED: &str = "(SELECT count(*) * 8168 FROM generate_series(0, t.table_len / 8192 - 1) page,
              page_header(get_raw_page(format('%I.%I', schemaname, tablename), page)) WHERE upper = 0)";

fn fixtures() -> TestDb {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, FIXTURES);
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    // VACUUM wants to be alone.
    ANALYZED.split(';').for_each(|statement| run_sql(&mut client, statement));
    db
}

/// The figures by `method`, and why others are missing.
fn check_figures(reader: &mut Client, superuser: &mut Client, method: &str) {
    let found = "SELECT tablename, bloat_percent::float8, bloat_method, bloat_reason
                 FROM monitoring.table_bloat WHERE schemaname = 'curated' ORDER BY tablename";
    let mut judged = 0;
    for row in reader.query(found, &[]).unwrap() {
        let (table, percent): (String, Option<f64>) = (row.get(0), row.get(1));
        let reason: Option<String> = row.get(3);
        if let Some((_, expected)) = UNKNOWN.iter().find(|(name, _)| *name == table)
            && (method == "estimate" || table == "tiny")
        {
            let reason = reason.unwrap_or_default();
            assert!(percent.is_none() && reason.contains(expected), "{table}: {percent:?} {reason}");
            continue;
        }
        let percent = percent.unwrap_or_else(|| panic!("{table}: {reason:?}"));
        assert_eq!(row.get::<_, Option<String>>(2).as_deref(), Some(method), "{table}");
        let truth = format!(
            "SELECT {TRUE_FIGURE} FROM (VALUES ('curated', '{table}')) v (schemaname, tablename),
                    pgstattuple('curated.{table}'::regclass) t"
        );
        let mut truth =
            |unused: &str| -> f64 { value(superuser, &truth.replace(":unused", unused)).parse().unwrap() };
        let truths = [truth("0"), truth(UNUSED)];
        println!("{table}: {percent} by {method}, {truths:?} true");
        let near = |truth: &f64| (percent - truth).abs() <= 5.0;
        assert!(truths.iter().any(near), "{table}: {percent} by {method}, {truths:?} true");
        judged += 1;
    }
    assert!(judged >= 10, "{judged}");
}

#[test]
fn estimates_are_within_five_points_or_null_with_the_reason() {
    if groundskeeper_tests::lacks("pgstattuple") {
        return;
    }
    let mut db = fixtures();
    let monitor = monitor(&mut db);
    let mut client = db.client().unwrap();
    // Members of pg_monitor may not use what is in there, so that the figures are estimates.
    run_sql(
        &mut client,
        "CREATE SCHEMA closed; CREATE EXTENSION pgstattuple SCHEMA closed; CREATE EXTENSION pageinspect",
    );
    run_sql(&mut client, "SET search_path = public, closed");
    let mut reader = db.client_as(&monitor).unwrap();
    check_figures(&mut reader, &mut client, "estimate");
    let reason = "SELECT bloat_reason FROM monitoring.table_bloat WHERE tablename = 'never'";
    assert!(value(&mut reader, reason).contains("not measured: USAGE on schema closed"));
    // Nothing of the data comes with it.
    assert_eq!(value(&mut reader, "SELECT count(*) FROM pg_stats WHERE schemaname = 'curated'"), "0");
    assert!(reader.batch_execute("SELECT FROM pg_statistic").is_err());
}

#[test]
fn measured_figures_are_within_five_points() {
    if groundskeeper_tests::lacks("pgstattuple") {
        return;
    }
    let mut db = fixtures();
    let monitor = monitor(&mut db);
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE EXTENSION pgstattuple; CREATE EXTENSION pageinspect");
    let mut reader = db.client_as(&monitor).unwrap();
    check_figures(&mut reader, &mut client, "pgstattuple_approx");
}

#[test]
fn a_partitioned_table_has_the_sum_of_its_partitions() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE SCHEMA curated; SET search_path = curated;
         CREATE TABLE quote (id integer, filler text) PARTITION BY RANGE (id);
         CREATE TABLE quote_1 PARTITION OF quote FOR VALUES FROM (0) TO (20000) WITH (autovacuum_enabled = off);
         CREATE TABLE quote_2 PARTITION OF quote FOR VALUES FROM (20000) TO (40000) WITH (autovacuum_enabled = off);
         CREATE TABLE quote_3 PARTITION OF quote FOR VALUES FROM (40000) TO (60000);
         INSERT INTO quote SELECT n, repeat('x', 100) FROM generate_series(0, 39999) n;
         DELETE FROM quote WHERE id < 16000",
    );
    // What is reported after an ANALYZE would count as changed since.
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    run_sql(&mut client, "ANALYZE curated.quote; SELECT pg_stat_force_next_flush()");
    let figure = |client: &mut Client, table: &str| -> f64 {
        let sql = format!(
            "SELECT coalesce(bloat_percent, -1) FROM monitoring.table_bloat WHERE tablename = '{table}'"
        );
        value(client, &sql).parse().unwrap()
    };
    let (whole, first) = (figure(&mut client, "quote"), figure(&mut client, "quote_1"));
    assert!((whole - first / 2.0).abs() < 2.0 && first > 70.0, "{whole} {first}");
    run_sql(&mut client, "INSERT INTO curated.quote SELECT n, 'x' FROM generate_series(20000, 39999) n");
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    let reason = "SELECT bloat_reason FROM monitoring.table_bloat WHERE tablename = 'quote'";
    let reason = value(&mut client, reason);
    assert!(reason.starts_with("1 of 3 partitions are not known, such as: statistics are stale"), "{reason}");
}

#[test]
fn an_index_is_measured_against_one_built_anew() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE SCHEMA curated; SET search_path = curated;
         CREATE TABLE bet WITH (autovacuum_enabled = off) AS
             SELECT n AS id, n % 300 AS game, 'customer ' || n AS customer, n % 7 AS day, n AS gone,
                    (n * 7919) % 100003 AS scattered
               FROM generate_series(1, 100000) n;
         CREATE UNIQUE INDEX fresh ON bet (id);
         CREATE INDEX repeated ON bet (game);
         CREATE INDEX texts ON bet (customer);
         CREATE INDEX expression ON bet (lower(customer));
         CREATE INDEX covering ON bet (game) INCLUDE (id);
         CREATE INDEX several ON bet (game, day);
         CREATE INDEX several_of_all ON bet (scattered, day);
         CREATE INDEX partial ON bet (id) WHERE id > 1000;
         CREATE INDEX deleted ON bet (gone)",
    );
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    for statement in [
        "DELETE FROM curated.bet WHERE gone % 2 = 0",
        "SELECT pg_stat_force_next_flush()",
        "VACUUM curated.bet",
        "ANALYZE curated.bet",
    ] {
        run_sql(&mut client, statement);
    }
    run_sql(&mut client, "SELECT pg_stat_force_next_flush()");
    let before = "SELECT i.indexname, i.bloat_percent::float8, i.bloat_reason,
                         pg_relation_size(format('curated.%I', i.indexname)::regclass)::float8
                    FROM monitoring.index_bloat i ORDER BY 1";
    let estimates = client.query(before, &[]).unwrap();
    assert_eq!(estimates.len(), 9);
    run_sql(&mut client, "REINDEX SCHEMA curated");
    for row in estimates {
        let (index, percent): (String, Option<f64>) = (row.get(0), row.get(1));
        let after = format!("SELECT pg_relation_size('curated.{index}')");
        let truth = 100.0 - 100.0 * value(&mut client, &after).parse::<f64>().unwrap() / row.get::<_, f64>(3);
        println!("{index}: {percent:?}, {truth:.1} true, {:?}", row.get::<_, Option<String>>(2));
        match (index.as_str(), percent) {
            ("partial" | "several", None) => {}
            (_, Some(percent)) => {
                assert!((percent - truth).abs() <= 5.0, "{index}: {percent}, {truth:.1} true");
            }
            _ => panic!("{index}: {:?}", row.get::<_, Option<String>>(2)),
        }
    }
}
