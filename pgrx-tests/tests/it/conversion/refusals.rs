//! What is refused, and what helps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{convert, ended, finalize, installed, leftovers, outcome, queue, undo, until, with};
use groundskeeper_tests::{PATIENCE, Template};

pub const PLAIN: &str = "CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer);
                     INSERT INTO t SELECT i, current_date - i % 60, i FROM generate_series(1, 200) i;";

/// What stands in the way, the check that names it, and what takes it away.
const BLOCKERS: &[(&str, &str, &str)] = &[
    ("ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE UNIQUE INDEX ON t (n)", "primary_key", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    (
        "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id) DEFERRABLE",
        "primary_key",
        "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id)",
    ),
    (
        "ALTER TABLE t ADD g integer GENERATED ALWAYS AS (n + 1) STORED; ALTER TABLE t ADD CONSTRAINT u UNIQUE (g)",
        "unique_constraints",
        "ALTER TABLE t DROP CONSTRAINT u",
    ),
    (
        "ALTER TABLE t ADD g integer GENERATED ALWAYS AS (n + 1) STORED; CREATE UNIQUE INDEX u ON t (lower(n::text)) WHERE g > 0",
        "unique_constraints",
        "DROP INDEX u; CREATE UNIQUE INDEX u ON t (lower(n::text)) WHERE n + 1 > 0",
    ),
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := NEW.n + 1; RETURN NEW; END';
         CREATE TRIGGER zz_h BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "triggers",
        "ALTER TRIGGER zz_h ON t RENAME TO b_zz_h",
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (daterange(day, day, '[]') WITH &&) WHERE (id < 0)",
        "exclusion_constraints",
        "ALTER TABLE t DROP CONSTRAINT e",
    ),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NO INHERIT", "checks", "ALTER TABLE t DROP CONSTRAINT c"),
    ("CREATE TABLE c () INHERITS (t)", "inheritance", "DROP TABLE c"),
    ("CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING", "rules", "DROP RULE r ON t"),
    ("ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey", "replica_identity", "ALTER TABLE t REPLICA IDENTITY DEFAULT"),
    ("ALTER TABLE t FORCE ROW LEVEL SECURITY", "row_security", "ALTER TABLE t NO FORCE ROW LEVEL SECURITY"),
    (
        "CREATE PUBLICATION p FOR TABLE t",
        "publications",
        "ALTER PUBLICATION p SET (publish_via_partition_root = true); ALTER TABLE t REPLICA IDENTITY FULL",
    ),
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER g AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION f()",
        "triggers",
        "DROP TRIGGER g ON t",
    ),
    ("CREATE VIEW v AS SELECT id, n, count(*) FROM t GROUP BY id", "views", "DROP VIEW v"),
    ("CREATE VIEW v AS SELECT t FROM t", "views", "DROP VIEW v"),
    (
        "CREATE MATERIALIZED VIEW v AS SELECT n FROM t; CREATE MATERIALIZED VIEW w AS SELECT * FROM v",
        "views",
        "DROP MATERIALIZED VIEW w",
    ),
    ("CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t'", "other_dependents", "DROP FUNCTION f()"),
    ("CREATE FUNCTION f(t) RETURNS integer LANGUAGE sql AS 'SELECT 1'", "other_dependents", "DROP FUNCTION f(t)"),
    ("CREATE TABLE other (r t)", "other_dependents", "DROP TABLE other"),
    ("CREATE TABLE t_key (x integer)", "names", "DROP TABLE t_key"),
    ("CREATE VIEW t_partitioned AS SELECT 1", "names", "DROP VIEW t_partitioned"),
    ("CREATE TYPE t_default AS ENUM ('a')", "names", "DROP TYPE t_default"),
    ("CREATE FUNCTION t_capture() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", "names", "DROP FUNCTION t_capture()"),
    ("CREATE SEQUENCE t_default_pkey", "names", "DROP SEQUENCE t_default_pkey"),
    ("CREATE INDEX u ON t (n); CREATE SEQUENCE t_default_u", "rehearsal", "DROP SEQUENCE t_default_u"),
    ("CREATE UNIQUE INDEX u ON t (n); CREATE SEQUENCE u_key", "rehearsal", "DROP SEQUENCE u_key"),
    (
        "CREATE TABLE p (id bigint PRIMARY KEY); ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES p NOT VALID",
        "outgoing_foreign_keys",
        "INSERT INTO p SELECT i FROM generate_series(1, 200) i; ALTER TABLE t VALIDATE CONSTRAINT f",
    ),
    (
        "CREATE TYPE own AS ENUM ('a'); CREATE FUNCTION own_eq(own, own) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
         CREATE EXTENSION IF NOT EXISTS citext; ALTER TABLE t ALTER id TYPE citext",
        "primary_key",
        "ALTER TABLE t ALTER id TYPE text",
    ),
];

fn blocked(client: &mut Client, table: &str, key: &str) -> Vec<String> {
    let query = format!(
        "SELECT check_name FROM groundskeeper.partition_preflight('{table}', '{key}') WHERE severity = 'blocker'"
    );
    texts(client, &query).unwrap()
}

#[test]
fn every_blocker_is_named_and_its_remedy_helps() {
    each_is_refused_until(BLOCKERS);
}

/// Obstacles to the plain table, the check that names each, and what takes it away.
pub fn each_is_refused_until(blockers: &[(&str, &str, &str)]) {
    for (obstacle, check, remedy) in blockers {
        let (db, mut client) = with(PLAIN);
        if obstacle.contains("citext")
            && text(&mut client, "SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'")
                .unwrap()
                == "0"
        {
            continue;
        }
        // Since 18 it is none.
        if obstacle.ends_with("NOT VALID") && db.server().installation().major() >= 18 {
            continue;
        }
        client.batch_execute(obstacle).unwrap();
        let named = blocked(&mut client, "t", "day");
        assert!(named.iter().any(|name| name == check), "{obstacle}: {named:?}");
        let refused = refusal(
            &mut client,
            "SELECT groundskeeper.partition_table('t', 'day', accept => '{on_conflict}')",
        )
        .unwrap();
        assert_eq!(refused.code, "55000", "{refused:?}");
        assert!(
            refused.detail.contains(check) && refused.hint.contains("partition_preflight("),
            "{refused:?}"
        );
        assert_eq!(texts(&mut client, "SELECT relation FROM groundskeeper.conversion").unwrap(), [""; 0]);
        client.batch_execute(remedy).unwrap();
        assert_eq!(blocked(&mut client, "t", "day"), [""; 0], "{remedy}");
        convert(&mut client, "t", "day");
        assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "200", "{obstacle}");
        undo(&mut client, "t");
        finalized_cleanly(&mut client);
    }
}

fn finalized_cleanly(client: &mut Client) {
    assert_eq!(leftovers(client), [""; 0]);
}

#[test]
fn what_is_no_ordinary_table_is_refused() {
    let (_db, mut client) = with(
        "CREATE TABLE parted (id bigint, day date) PARTITION BY RANGE (day);
         CREATE TABLE part PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
         CREATE VIEW v AS SELECT 1 AS id, current_date AS day; CREATE MATERIALIZED VIEW m AS SELECT 1 AS id, current_date AS day;
         CREATE SEQUENCE s; CREATE UNLOGGED TABLE u (id bigint PRIMARY KEY, day date);
         CREATE TYPE y AS (id bigint, day date); CREATE TABLE typed OF y; CREATE INDEX i ON u (day);
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER sv FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f (id bigint, day date) SERVER sv;
         CREATE TEMP TABLE tmp (id bigint PRIMARY KEY, day date)",
    );
    for name in [
        "parted",
        "part",
        "v",
        "m",
        "s",
        "u",
        "typed",
        "i",
        "f",
        "tmp",
        "pg_catalog.pg_class",
        "pg_catalog.pg_stat_activity",
        "groundskeeper.job",
    ] {
        let call =
            format!("SELECT groundskeeper.partition_table('{name}', 'day', accept => '{{on_conflict}}')");
        let refused = refusal(&mut client, &call).unwrap();
        assert_eq!(refused.code, "55000", "{name}: {refused:?}");
        assert!(
            refused.detail.contains("ordinary_table") || refused.detail.contains("extension_member"),
            "{refused:?}"
        );
        let check = format!("SELECT FROM groundskeeper.partition_preflight('{name}', 'day')");
        client.batch_execute(&check).unwrap();
    }
}

#[test]
fn bad_arguments_are_errors_that_help() {
    let (mut db, mut client) = with(PLAIN);
    for (call, code) in [
        ("partition_table(NULL, 'day')", "22004"),
        ("partition_table('t', NULL)", "22004"),
        ("partition_table('t', 'day', NULL)", "22004"),
        ("partition_table('t', 'day', premake => NULL)", "22004"),
        ("partition_table('t', 'day', accept => NULL)", "22004"),
        ("partition_table('t', 'day', accept => '{NULL}')", "22004"),
        ("partition_table('t', 'day', 'fortnight')", "22023"),
        ("partition_table('t', 'day', timezone => 'Mars/Olympus')", "22023"),
        ("partition_table('t', 'day', premake => 0)", "22023"),
        ("partition_table('t', 'day', premake => -1)", "22023"),
        ("partition_table('t', 'day', premake => 2147483647)", "22023"),
        ("partition_table('t', 'day', accept => '{nonsense}')", "22023"),
        ("partition_table('t', 'day')", "55000"),
        ("partition_table('t', 'nothing', accept => '{on_conflict}')", "55000"),
        ("partition_table('t', 'n', accept => '{on_conflict}')", "55000"),
        ("undo_partitioning(NULL)", "22004"),
        ("finalize_partitioning(NULL)", "22004"),
        ("undo_partitioning('t')", "55000"),
        ("finalize_partitioning('t')", "55000"),
        ("partition_preflight(NULL, 'day')", "22004"),
        ("partition_preflight('t', NULL)", "22004"),
    ] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap();
        assert_eq!(refused.code, code, "{call}: {refused:?}");
        assert!(!refused.message.contains("internal"), "{call}: {refused:?}");
    }
    assert_eq!(texts(&mut client, "SELECT relation FROM groundskeeper.conversion").unwrap(), [""; 0]);
    let stranger = quote_ident(&db.role("stranger").unwrap());
    client
        .batch_execute(&format!(
            "GRANT USAGE ON SCHEMA groundskeeper TO {stranger}; GRANT ALL ON t TO {stranger};
             GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA groundskeeper TO {stranger}"
        ))
        .unwrap();
    let mut stranger = db.client_as(stranger.trim_matches('"')).unwrap();
    for call in [
        "partition_table('public.t', 'day', accept => '{on_conflict}')",
        "undo_partitioning('public.t')",
        "finalize_partitioning('public.t')",
    ] {
        assert_eq!(
            refusal(&mut stranger, &format!("SELECT groundskeeper.{call}")).unwrap().code,
            "42501",
            "{call}"
        );
    }
}

#[test]
fn a_second_call_joins_the_first_and_is_refused_afterwards() {
    let (db, mut client) = with(PLAIN);
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t LIMIT 1").unwrap();
    let call = "partition_table('t', 'day', accept => '{on_conflict}')";
    let job = queue(&mut client, call);
    assert_eq!(queue(&mut client, call), job);
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "proven");
    assert_eq!(queue(&mut client, call), job);
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(ended(&mut client, job).0, "succeeded");
    let refused = refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap();
    assert_eq!(
        (refused.code.as_str(), refused.message.contains("partitioned already")),
        ("55000", true),
        "{refused:?}"
    );
    finalize(&mut client, "t");
    for call in ["undo_partitioning('t')", call] {
        assert_eq!(refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap().code, "55000");
    }
}

#[test]
fn a_reader_is_waited_for_and_writers_go_on() {
    let (db, mut client) = with(PLAIN);
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t LIMIT 1").unwrap();
    let job = queue(&mut client, "partition_table('t', 'day', accept => '{on_conflict}')");
    until(
        &mut client,
        &format!("SELECT bool_or(lock_waits > 0) FROM groundskeeper.job_history WHERE job_id = {job}"),
        "true",
    );
    // The writer waits while the job does, so another session looks.
    let mut writer = db.client().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let writing = spawn(move || {
        let mut longest = Duration::ZERO;
        while !stopped.load(Ordering::Relaxed) {
            let one = Instant::now();
            writer.batch_execute("UPDATE t SET n = n + 1 WHERE id = 1").unwrap();
            longest = longest.max(one.elapsed());
            sleep(Duration::from_millis(5));
        }
        longest
    });
    let begun = Instant::now();
    let mut waiting = false;
    // A wait is short, and the pauses between two grow.
    while begun.elapsed() < Duration::from_secs(4) || !waiting && begun.elapsed() < PATIENCE {
        let (state, detail) = outcome(&mut client, job);
        assert!(["queued", "running", "waiting"].contains(&state.as_str()), "{state} {detail}");
        waiting |= state == "waiting";
        sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Relaxed);
    let longest = writing.join().unwrap();
    println!("longest wait of a writer behind a reader: {longest:?}");
    assert!(waiting, "the job never said that it waits");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(ended(&mut client, job).0, "succeeded");
    assert_eq!(text(&mut client, "SELECT count(*) FROM t WHERE n <> id OR id = 1").unwrap(), "1");
}

#[test]
fn what_is_cancelled_is_taken_up_again_or_undone() {
    let (db, mut client) = installed(Template::Empty);
    client.batch_execute(PLAIN).unwrap();
    let call = "partition_table('t', 'day', accept => '{on_conflict}')";
    for then in ["undo", "retry", "call again"] {
        for (held, stage) in [
            ("LOCK TABLE t IN ACCESS EXCLUSIVE MODE", "begun"),
            ("LOCK TABLE t IN ROW EXCLUSIVE MODE", "shadowed"),
            ("LOCK TABLE t IN ACCESS SHARE MODE", "proven"),
        ] {
            let mut other = db.client().unwrap();
            if stage != "begun" {
                other.batch_execute(&format!("BEGIN; {held}")).unwrap();
            }
            let job = queue(&mut client, call);
            until(
                &mut client,
                &format!(
                    "SELECT coalesce(max(stage), '') IN ('{stage}', 'converted') FROM groundskeeper.conversion"
                ),
                "true",
            );
            client.batch_execute(&format!("SELECT groundskeeper.cancel_job({job})")).ok();
            ended(&mut client, job);
            drop(other);
            match then {
                "retry" if outcome(&mut client, job).0 == "cancelled" => {
                    client.batch_execute(&format!("SELECT groundskeeper.retry_job({job})")).unwrap();
                    assert_eq!(ended(&mut client, job).0, "succeeded");
                }
                "call again" if outcome(&mut client, job).0 == "cancelled" => {
                    convert(&mut client, "t", "day")
                }
                _ => {}
            }
            undo(&mut client, "t");
            assert_eq!(leftovers(&mut client), [""; 0], "{then} at {stage}");
            assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "200");
        }
    }
}

#[test]
fn a_table_altered_meanwhile_is_exchanged_for_one_that_is_altered_too() {
    for change in [
        "ADD extra integer",
        "ADD extra integer NOT NULL DEFAULT 7",
        "DROP n",
        "ALTER n TYPE bigint",
        "ALTER n SET DEFAULT 7",
        "ALTER n SET NOT NULL",
    ] {
        let (db, mut client) = with(PLAIN);
        let mut reader = db.client().unwrap();
        reader.batch_execute("BEGIN; SELECT FROM t LIMIT 1").unwrap();
        let job = queue(&mut client, "partition_table('t', 'day', accept => '{on_conflict}')");
        until(&mut client, "SELECT stage FROM groundskeeper.conversion", "proven");
        reader
            .batch_execute(&format!("ALTER TABLE t {change}; CREATE TABLE was AS TABLE t; COMMIT"))
            .unwrap();
        let (state, error) = ended(&mut client, job);
        assert_eq!(state, "succeeded", "{change}: {error}");
        assert_eq!(text(&mut client, "SELECT relkind FROM pg_class WHERE oid = 't'::regclass").unwrap(), "p");
        assert_eq!(super::differing(&mut client, "TABLE t", "TABLE was"), "0", "{change}");
    }
}

#[test]
fn an_index_created_meanwhile_is_there_afterwards() {
    let (db, mut client) = with(PLAIN);
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t LIMIT 1").unwrap();
    let job = queue(&mut client, "partition_table('t', 'day', accept => '{on_conflict}')");
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "proven");
    reader
        .batch_execute(
            "CREATE INDEX late ON t (n); ALTER TABLE t ADD CONSTRAINT positive CHECK (n > -5); COMMIT",
        )
        .unwrap();
    assert_eq!(ended(&mut client, job).0, "succeeded");
    let there = "SELECT count(*) FROM pg_index WHERE indexrelid = 'late'::regclass AND indrelid = 't'::regclass AND indisvalid";
    assert_eq!(text(&mut client, there).unwrap(), "1");
    let check =
        "SELECT convalidated FROM pg_constraint WHERE conname = 'positive' AND conrelid = 't'::regclass";
    assert_eq!(text(&mut client, check).unwrap(), "true");
    undo(&mut client, "t");
    assert_eq!(text(&mut client, there).unwrap(), "1");
}
