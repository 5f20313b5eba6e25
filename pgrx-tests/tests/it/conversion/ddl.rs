//! Plain DDL: nothing of ours makes it fail where it is about something else, and what would harm keys is refused.

use std::sync::mpsc;
use std::thread::spawn;

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;
use postgres::NoTls;
use postgres::config::Config;

use super::{assert_keys, convert, until, with};

/// A table that is referred to.
const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date);
    CREATE TABLE public.child (t_id bigint REFERENCES public.t);
    INSERT INTO t SELECT i, current_date - i FROM generate_series(1, 60) i;";

/// Statements of every kind that our event triggers see, about a table that is not ours.
const UNRELATED: [&str; 13] = [
    "CREATE TABLE s.plain (a integer)",
    "CREATE TEMP TABLE pg_temp.passing (a integer)",
    "ALTER TABLE s.plain ADD COLUMN b integer",
    "ALTER TABLE s.plain RENAME COLUMN b TO c",
    "ALTER TABLE s.plain RENAME TO other",
    "CREATE TABLE s.whole (a integer) PARTITION BY RANGE (a)",
    "CREATE TABLE s.part PARTITION OF s.whole FOR VALUES FROM (1) TO (2)",
    "ALTER TABLE s.whole DETACH PARTITION s.part CONCURRENTLY",
    "ALTER TABLE s.whole ATTACH PARTITION s.part FOR VALUES FROM (1) TO (2)",
    "ALTER TABLE s.whole DETACH PARTITION s.part",
    "DROP TABLE s.part",
    "CREATE TABLE s.made AS SELECT 1 AS a",
    "DROP TABLE s.whole, s.other, s.made, pg_temp.passing",
];

fn converted() -> (TestDb, Client) {
    let (db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    (db, client)
}

fn newest(client: &mut Client) -> String {
    let newest =
        r"SELECT max(relid::text) FROM pg_partition_tree('public.t') WHERE isleaf AND relid::text ~ '\d'";
    text(client, newest).unwrap()
}

/// A role that owns a schema and nothing else, in a session of its own.
fn somebody(db: &mut TestDb, client: &mut Client) -> Client {
    let role = db.role("somebody").unwrap();
    client.batch_execute(&format!("CREATE SCHEMA s AUTHORIZATION {}", quote_ident(&role))).unwrap();
    db.client_as(&role).unwrap()
}

fn pass(client: &mut Client, why: &str) {
    for statement in UNRELATED {
        client.batch_execute(statement).unwrap_or_else(|error| panic!("{why}: {statement}: {error:?}"));
    }
}

fn is_guarded(client: &mut Client, why: &str) {
    let newest = newest(client);
    for statement in [
        format!("DROP TABLE {newest}"),
        format!("ALTER TABLE t DETACH PARTITION {newest}"),
        "ALTER TABLE t RENAME TO u".to_owned(),
    ] {
        assert_eq!(refusal(client, &statement).unwrap().code, "55000", "{why}: {statement}");
    }
}

#[test]
fn other_tables_are_no_matter_of_the_librarys_or_of_our_tables() {
    let (mut db, mut client) = converted();
    let mut somebody = somebody(&mut db, &mut client);
    pass(&mut somebody, "all is well");
    let broken = [
        (
            "the library is missing",
            "UPDATE pg_proc SET probin = replace(probin, 'pg_groundskeeper', 'pg_gone') WHERE probin ~ 'pg_groundskeeper'",
            "UPDATE pg_proc SET probin = replace(probin, 'pg_gone', 'pg_groundskeeper') WHERE probin ~ 'pg_gone'",
        ),
        (
            "the library is another",
            "UPDATE pg_proc SET prosrc = prosrc || '_of_old' WHERE probin ~ 'groundskeeper'",
            "UPDATE pg_proc SET prosrc = left(prosrc, -7) WHERE probin ~ 'groundskeeper'",
        ),
        (
            "our tables are renamed",
            "ALTER TABLE groundskeeper.managed_tables RENAME TO m; ALTER TABLE groundskeeper.conversion RENAME TO c",
            "ALTER TABLE groundskeeper.m RENAME TO managed_tables; ALTER TABLE groundskeeper.c RENAME TO conversion",
        ),
        (
            "our tables are of another shape",
            "ALTER TABLE groundskeeper.conversion RENAME stage TO s; ALTER TABLE groundskeeper.managed_tables RENAME parent TO p",
            "ALTER TABLE groundskeeper.conversion RENAME s TO stage; ALTER TABLE groundskeeper.managed_tables RENAME p TO parent",
        ),
        (
            "what is written there cannot be read",
            "UPDATE groundskeeper.conversion SET stage = 'nonsense', interval = 'nonsense'",
            "UPDATE groundskeeper.conversion SET stage = 'converted', interval = 'month'",
        ),
        (
            "nothing is written there",
            "DELETE FROM groundskeeper.conversion; DELETE FROM groundskeeper.managed_tables",
            "",
        ),
    ];
    for (why, harm, mend) in broken {
        client.batch_execute(harm).unwrap();
        // Sessions that have looked at something already, and such that have not.
        for sessions in
            [(&mut somebody, &mut client), (&mut again(&db, "somebody"), &mut db.client().unwrap())]
        {
            pass(sessions.0, why);
            is_guarded(sessions.1, why);
        }
        client.batch_execute(mend).unwrap();
    }
    client
        .batch_execute(
            "UPDATE pg_proc SET probin = '$libdir/gone' WHERE probin ~ 'groundskeeper';
             DROP EXTENSION pg_groundskeeper",
        )
        .unwrap();
    pass(&mut somebody, "the extension is gone");
}

/// Another session of a role of the test's.
fn again(db: &TestDb, stem: &str) -> Client {
    db.client_as(&format!("{stem}_{}", db.name())).unwrap()
}

#[test]
fn a_role_makes_its_partitions_whatever_it_may_not_see() {
    let (mut db, mut client) = with("CREATE SCHEMA hidden");
    client
        .batch_execute(
            "CREATE TABLE hidden.t (id bigint PRIMARY KEY, day date); INSERT INTO hidden.t VALUES (1, current_date);
             CREATE TABLE hidden.whole (day date) PARTITION BY RANGE (day);
             CREATE TABLE hidden.part PARTITION OF hidden.whole FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
             SELECT groundskeeper.adopt_partitioned_table('hidden.whole')",
        )
        .unwrap();
    convert(&mut client, "hidden.t", "day");
    let mut somebody = somebody(&mut db, &mut client);
    client.batch_execute("REVOKE USAGE ON SCHEMA groundskeeper FROM PUBLIC").unwrap();
    pass(&mut somebody, "without rights");
    assert_eq!(refusal(&mut somebody, "DROP TABLE hidden.part").unwrap().code, "42501");
}

#[test]
fn a_look_that_fails_is_a_warning() {
    let (mut db, mut client) = converted();
    drop(somebody(&mut db, &mut client));
    let (said, heard) = mpsc::channel();
    let mut config: Config = db.server().config(db.name(), &format!("somebody_{}", db.name()));
    config.notice_callback(move |notice| {
        let _ = said.send((notice.severity().to_owned(), notice.message().to_owned()));
    });
    // The library is not loaded, so nothing says yet that this is no value.
    let mut session = config.options("-c groundskeeper.allow_partition_ddl=perhaps").connect(NoTls).unwrap();
    session.batch_execute("CREATE TABLE s.plain (a integer)").unwrap();
    let warnings: Vec<(String, String)> = heard.try_iter().collect();
    let [(severity, message)] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!(severity, "WARNING");
    assert!(message.contains("perhaps"), "{message}");
}

#[test]
fn what_is_attached_elsewhere_is_not_read() {
    let (_db, mut client) = converted();
    client
        .batch_execute(
            "CREATE FOREIGN DATA WRAPPER unreadable; CREATE SERVER far FOREIGN DATA WRAPPER unreadable;
             CREATE FOREIGN TABLE remote (id bigint NOT NULL, day date) SERVER far;
             CREATE TABLE whole (id bigint NOT NULL, day date) PARTITION BY RANGE (day)",
        )
        .unwrap();
    let bounds = "FOR VALUES FROM ('2097-07-01') TO ('2097-08-01')";
    client
        .batch_execute(&format!(
            "ALTER TABLE whole ATTACH PARTITION remote {bounds}; ALTER TABLE whole DETACH PARTITION remote"
        ))
        .unwrap();
    let refused = refusal(&mut client, &format!("ALTER TABLE t ATTACH PARTITION remote {bounds}")).unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    // Nor is what its owner has made to run when it is read.
    client
        .batch_execute(
            "CREATE FUNCTION public.trap(bigint) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'read'; END $$;
             CREATE TABLE trapped (id bigint NOT NULL, day date); INSERT INTO trapped VALUES (1000, '2097-07-02');
             ALTER TABLE trapped ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY p ON trapped USING (public.trap(id))",
        )
        .unwrap();
    let refused = refusal(&mut client, &format!("ALTER TABLE t ATTACH PARTITION trapped {bounds}")).unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    assert_keys(&mut client, "t", "t_key", "a refusal");
    client
        .batch_execute(&format!(
            "DELETE FROM trapped; TRUNCATE trapped; ALTER TABLE t ATTACH PARTITION trapped {bounds};
             INSERT INTO t VALUES (1000, '2097-07-02')"
        ))
        .unwrap();
    assert_keys(&mut client, "t", "t_key", "an attachment");
}

#[test]
fn nonsense_is_refused_as_postgresql_does() {
    let (_db, mut client) = converted();
    client
        .batch_execute(
            "CREATE TABLE whole (a integer) PARTITION BY RANGE (a); CREATE INDEX whole_a ON whole (a);
             CREATE TABLE part (a integer); CREATE INDEX part_a ON part (a); CREATE VIEW v AS SELECT 1 AS a",
        )
        .unwrap();
    let nonsense = [
        "ALTER TABLE whole_a ATTACH PARTITION part_a FOR VALUES FROM (1) TO (2)",
        "ALTER TABLE whole_a ATTACH PARTITION part FOR VALUES FROM (1) TO (2)",
        "ALTER TABLE whole_a DETACH PARTITION part_a",
        "ALTER TABLE whole ATTACH PARTITION v FOR VALUES FROM (1) TO (2)",
        "ALTER TABLE v ATTACH PARTITION part FOR VALUES FROM (1) TO (2)",
        "ALTER TABLE part DETACH PARTITION whole",
        "ALTER TABLE t DETACH PARTITION part",
        "ALTER TABLE nothing DETACH PARTITION part CONCURRENTLY",
        "DROP TABLE nothing",
    ];
    let with = nonsense.map(|statement| refusal(&mut client, statement).unwrap());
    let all = "SELECT format('ALTER EVENT TRIGGER %I DISABLE', evtname) FROM pg_event_trigger";
    for statement in texts(&mut client, all).unwrap() {
        client.batch_execute(&statement).unwrap();
    }
    assert_eq!(with, nonsense.map(|statement| refusal(&mut client, statement).unwrap()));
}

#[test]
fn what_would_harm_keys_is_refused_in_every_form() {
    let (_db, mut client) = converted();
    let newest = newest(&mut client);
    let nested = format!("DO $$ BEGIN EXECUTE 'DROP TABLE {newest}'; END $$");
    for statement in [
        format!("DROP TABLE child, {newest}"),
        format!("BEGIN; SAVEPOINT one; ALTER TABLE t DETACH PARTITION {newest}"),
        format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM t; DROP TABLE {newest}"),
        nested,
    ] {
        let refused = refusal(&mut client, &statement).unwrap();
        assert_eq!(refused.code, "55000", "{statement}: {refused:?}");
        assert!(refused.hint.contains("groundskeeper."), "{refused:?}");
        client.batch_execute("ROLLBACK").unwrap();
    }
    // Without a default partition PostgreSQL itself has nothing against this form, which commits half-way.
    client
        .batch_execute(
            "SET groundskeeper.allow_partition_ddl = yes; ALTER TABLE t DETACH PARTITION t_default;
             RESET groundskeeper.allow_partition_ddl",
        )
        .unwrap();
    for statement in [
        format!("ALTER TABLE t DETACH PARTITION {newest} CONCURRENTLY"),
        format!("  alter\ntable if exists only \"public\".t\n detach  partition {newest} concurrently ; "),
        format!(
            "/* a /* b */ c */ALTER/**/TABLE--x\nONLY(t) DETACH/*y*/PARTITION {newest}/**/CONCURRENTLY -- z"
        ),
        format!("ALTER TABLE \"public\"/* \"t\" */.\"t\"DETACH PARTITION {newest} CONCURRENTLY;;"),
        format!("ALTER TABLE t * DETACH PARTITION {newest} CONCURRENTLY"),
    ] {
        let refused = refusal(&mut client, &statement).unwrap();
        assert_eq!(refused.code, "55000", "{statement}: {refused:?}");
    }
    let pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    assert_eq!(text(&mut client, pending).unwrap(), "0");
    // A name that was taken away by force is given back freely.
    client
        .batch_execute(
            "SET groundskeeper.allow_partition_ddl = on; ALTER TABLE t RENAME TO u; RESET groundskeeper.allow_partition_ddl;
             ALTER TABLE u RENAME TO t",
        )
        .unwrap();
    // With the whole go its partitions, named or not.
    client.batch_execute(&format!("DROP TABLE {newest}, t CASCADE")).unwrap();
}

#[test]
fn what_others_do_meanwhile_is_not_the_statements_doing() {
    let (db, mut client) = converted();
    let newest = newest(&mut client);
    client
        .batch_execute(&format!(
            "SET groundskeeper.allow_partition_ddl = on; BEGIN;
             CREATE TABLE far PARTITION OF t FOR VALUES FROM ('2097-06-01') TO ('2097-07-01');
             INSERT INTO t VALUES (500, '2097-06-02');
             ALTER TABLE t DETACH PARTITION {newest}"
        ))
        .unwrap();
    let mut other = db.client().unwrap();
    let waiting = spawn(move || other.batch_execute("ALTER TABLE t ALTER COLUMN day SET STATISTICS 50"));
    let mut watcher = db.client().unwrap();
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'public.t'::regclass";
    until(&mut watcher, waits, "1");
    client.batch_execute("COMMIT").unwrap();
    waiting.join().unwrap().unwrap();
}
