//! What was there before an update is there afterwards.

use std::collections::BTreeMap;

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{released, update};

/// Tables of the extension, parts of others left out.
const TABLES: &str = "
    SELECT c.relname FROM pg_class c
      JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
     WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'groundskeeper'::regnamespace ORDER BY 1";

/// How migrations of 0.1.0 found what they had to do.
const GONE: [&str; 9] = [
    "after_id",
    "upto_id",
    "cursor_at",
    "decided_id",
    "moved_since",
    "next_moved_since",
    "writers",
    "files",
    "confirmed_id",
];

/// Each table's rows, with what they have of the columns that were asked for.
fn rows(client: &mut Client, columns: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let of = |(table, columns): (&String, &Vec<String>)| {
        let list = columns.iter().map(|column| format!("{column:?}")).collect::<Vec<_>>().join(", ");
        (
            table.clone(),
            texts(client, &format!("SELECT r FROM (SELECT {list} FROM groundskeeper.{table}) r ORDER BY 1"))
                .unwrap(),
        )
    };
    columns.iter().map(of).collect()
}

#[test]
fn every_row_is_kept() {
    let (_db, mut client) = released("0.1.0");
    client.batch_execute(include_str!("fill_0_1_0.sql")).unwrap();
    let mut columns = BTreeMap::new();
    for table in texts(&mut client, TABLES).unwrap() {
        let kept = format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'groundskeeper.{table}'::regclass AND attnum > 0 ORDER BY attnum"
        );
        let mut kept = texts(&mut client, &kept).unwrap();
        // What a table of 0.1.0 and the next have of that name.
        kept.retain(|column| match table.as_str() {
            "migration_runs" => !GONE.contains(&column.as_str()),
            "migration_progress" => column == "files" || !GONE.contains(&column.as_str()),
            _ => true,
        });
        columns.insert(table, kept);
    }
    let before = rows(&mut client, &columns);
    for (table, rows) in &before {
        assert!(!rows.is_empty(), "fill_0_1_0.sql has nothing in {table}");
    }
    update(&mut client);
    for (table, rows) in rows(&mut client, &columns) {
        match table.as_str() {
            // Below.
            "alert_rules" | "schedule" => {}
            // New defaults are added.
            "quality_rules" => assert!(before[&table].iter().all(|row| rows.contains(row)), "{rows:?}"),
            _ => assert_eq!(rows, before[&table], "{table}"),
        }
    }
    let next = "SELECT nextval('groundskeeper.job_job_id_seq') || ' ' || nextval('groundskeeper.change_change_id_seq')";
    assert_eq!(text(&mut client, next).unwrap(), "3 3");
}

#[test]
fn what_was_edited_stays_and_what_was_deleted_is_not_wanted() {
    let (_db, mut client) = released("0.1.0");
    client.batch_execute(include_str!("fill_0_1_0.sql")).unwrap();
    update(&mut client);
    let schedule =
        "SELECT concat_ws('|', job_name, schedule, command, enabled, timezone) FROM groundskeeper.schedule
                     WHERE job_name IN ('mine', 'partitions', 'retention', 'statistics') ORDER BY job_name";
    assert_eq!(
        texts(&mut client, schedule).unwrap(),
        [
            "mine|0 0 * * *|SELECT 2|t",
            "partitions|30 4 * * *|SELECT groundskeeper.create_monthly_partitions(3)|t|UTC",
            "retention|35 3 * * *|SELECT groundskeeper.apply_retention()|f",
            "statistics|0 10-23,0-2 * * *|SELECT 1|f",
        ]
    );
    let rules =
        "SELECT concat_ws('|', rule, fire_threshold, clear_threshold, enabled) FROM groundskeeper.alert_rules
                  WHERE rule IN ('heartbeat', 'invalid_indexes', 'mine') ORDER BY rule";
    assert_eq!(
        texts(&mut client, rules).unwrap(),
        ["heartbeat|900|120|t", "invalid_indexes|0|0|f", "mine|5|5|t"]
    );
}

#[test]
fn a_job_that_was_queued_is_carried_out() {
    let (db, mut client) = released("0.1.0");
    client
        .batch_execute(
            "CREATE TABLE t (a integer); INSERT INTO t SELECT generate_series(1, 100); CREATE INDEX i ON t (a);
             INSERT INTO groundskeeper.job (kind, target, task, run_as, requested_by, home)
             SELECT 'reindex', 'public.i', jsonb_build_object('kind', 'reindex', 'before', 'i'::regclass::oid::bigint,
                                                              'index', '{\"schema\": \"public\", \"name\": \"i\"}'::jsonb),
                    CURRENT_USER, CURRENT_USER, s.system_identifier || '/' || d.oid
               FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()",
        )
        .unwrap();
    let before = text(&mut client, "SELECT relfilenode FROM pg_class WHERE relname = 'i'").unwrap();
    update(&mut client);
    db.settle().unwrap();
    assert_eq!(text(&mut client, "SELECT state FROM groundskeeper.jobs").unwrap(), "succeeded");
    assert_ne!(text(&mut client, "SELECT relfilenode FROM pg_class WHERE relname = 'i'").unwrap(), before);
}

#[test]
fn what_was_put_in_the_place_of_a_jobs_relation_is_not_worked_on_with_greater_rights() {
    let (mut db, mut client) = released("0.1.0");
    let owner = db.role("owner").unwrap();
    client
        .batch_execute(&format!(
            "CREATE SEQUENCE public.as_superuser; CREATE SEQUENCE public.as_another;
             GRANT ALL ON public.as_superuser, public.as_another TO PUBLIC;
             CREATE ROLE closed_{owner} NOLOGIN; GRANT ALL ON SCHEMA public TO {owner}, closed_{owner};
             CREATE FUNCTION public.trap(v integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM nextval(CASE WHEN rolsuper THEN 'public.as_superuser' ELSE 'public.as_another' END)
                    FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER;
                 RETURN v;
             END $$"
        ))
        .unwrap();
    for (table, of) in [("open", owner.clone()), ("shut", format!("closed_{owner}"))] {
        client
            .batch_execute(&format!(
                "CREATE TABLE public.{table} (a integer); INSERT INTO public.{table} VALUES (1);
                 CREATE INDEX {table}_i ON public.{table} (public.trap(a)); ALTER TABLE public.{table} OWNER TO {of};
                 INSERT INTO groundskeeper.job (kind, target, task, run_as, requested_by, home)
                 SELECT 'reindex', 'public.{table}_i',
                        jsonb_build_object('kind', 'reindex', 'before', '{table}_i'::regclass::oid::bigint,
                                           'index', '{{\"schema\": \"public\", \"name\": \"{table}_i\"}}'::jsonb),
                        CURRENT_USER, CURRENT_USER, s.system_identifier || '/' || d.oid
                   FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()"
            ))
            .unwrap();
    }
    client.batch_execute("SELECT setval('public.as_superuser', 1, false)").unwrap();
    update(&mut client);
    db.settle().unwrap();
    let ended = "SELECT string_agg(concat_ws(' ', target, state, run_as = current_user, error), '; ' ORDER BY target) FROM groundskeeper.job";
    let ended = text(&mut client, ended).unwrap();
    assert!(ended.starts_with("public.open_i succeeded f; public.shut_i failed t "), "{ended}");
    assert!(ended.contains("public.shut_i was dropped, renamed or replaced"), "{ended}");
    let fired = "SELECT s.is_called || ' ' || a.is_called FROM public.as_superuser s, public.as_another a";
    assert_eq!(text(&mut client, fired).unwrap(), "false true");
    client
        .batch_execute(&format!(
            "DROP TABLE public.open, public.shut; DROP OWNED BY closed_{owner}; DROP ROLE closed_{owner}"
        ))
        .unwrap();
}

#[test]
fn a_half_drained_default_partition_is_drained() {
    let (db, mut client) = released("0.1.0");
    // What the worker of 0.1.0 leaves when it is killed: copies in a table that is no partition yet.
    client
        .batch_execute(
            "CREATE TABLE t (id bigint, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
             CREATE TABLE t_default PARTITION OF t DEFAULT;
             INSERT INTO t SELECT g, '2026-03-01'::date + g % 20 FROM generate_series(1, 100) g;
             CREATE TABLE t_2026_03 (LIKE t INCLUDING ALL, CONSTRAINT groundskeeper_within_bounds
                                     CHECK (at IS NOT NULL AND at >= '2026-03-01' AND at < '2026-04-01'));
             INSERT INTO t_2026_03 SELECT * FROM t WHERE id <= 60;
             INSERT INTO groundskeeper.managed_tables (parent, partition_key, \"interval\", timezone, premake)
             VALUES ('public.t', 'at', 'month', 'UTC', 3);
             INSERT INTO groundskeeper.job (kind, target, task, run_as, requested_by, home, state, attempts)
             SELECT 'drain_default', 'public.t',
                    '{\"kind\": \"drain_default\", \"parent\": {\"schema\": \"public\", \"name\": \"t\"}, \"batch_size\": 10000}',
                    CURRENT_USER, CURRENT_USER, s.system_identifier || '/' || d.oid, 'running', 1
               FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()",
        )
        .unwrap();
    let rows = "SELECT count(*) || ' ' || sum(id) FROM t";
    let before = text(&mut client, rows).unwrap();
    update(&mut client);
    db.settle().unwrap();
    let states = "SELECT string_agg(state || coalesce(error, ''), ' ') FROM groundskeeper.jobs WHERE kind = 'drain_default'";
    assert_eq!(text(&mut client, states).unwrap(), "succeeded");
    assert_eq!(text(&mut client, rows).unwrap(), before);
    assert_eq!(text(&mut client, "SELECT count(*) FROM ONLY t_default").unwrap(), "0");
    let copies = "SELECT c.relname FROM pg_class c WHERE c.relname ~ '^t_2026_03_copies_[0-9]+$' AND NOT c.relispartition";
    let copies = text(&mut client, copies).unwrap();
    assert_eq!(text(&mut client, &format!("SELECT count(*) FROM {copies}")).unwrap(), "60");
}

#[test]
fn an_open_job_of_an_items_writes_the_change_log() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper VERSION '0.1.0'").unwrap();
    let item = "2.1.staging.totals.idx_staging_totals_game_sportsbook";
    client
        .batch_execute(&format!(
            "INSERT INTO groundskeeper.job (kind, target, item, task, run_as, requested_by, home)
             SELECT 'create_index', 'staging.totals', '{item}',
                    '{{\"kind\": \"create_index\", \"unique\": false, \"predicate\": null, \"keys\": [\"game_id\", \"sportsbook_name\"],
                       \"table\": {{\"schema\": \"staging\", \"name\": \"totals\"}},
                       \"index\": {{\"schema\": \"staging\", \"name\": \"idx_staging_totals_game_sportsbook\"}}}}',
                    CURRENT_USER, CURRENT_USER, s.system_identifier || '/' || d.oid
               FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()"
        ))
        .unwrap();
    update(&mut client);
    db.settle().unwrap();
    let log = format!(
        "SELECT concat_ws('|', forward_sql, inverse_sql, undo ? 'made') FROM groundskeeper.change WHERE item = '{item}'"
    );
    assert_eq!(
        text(&mut client, &log).unwrap(),
        "CREATE INDEX idx_staging_totals_game_sportsbook ON staging.totals (game_id, sportsbook_name);|\
         DROP INDEX staging.idx_staging_totals_game_sportsbook;|t"
    );
}
