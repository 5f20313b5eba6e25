//! A table that is altered between two transactions of what works on it: no moment of it is one at which a job fails.

use std::thread;

use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{ended, installed, queue, until};

const ROWS: &str = "SELECT i, current_date - i % 60, i FROM generate_series(1, 3000) i";

/// The job is about to bring over more than it does at once when it is made to wait, so that the change comes next.
fn altered(db: &TestDb, client: &mut Client, log: &str, call: &str, change: &str) {
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t LIMIT 1").unwrap();
    let job = queue(client, call);
    until(client, &format!("SELECT to_regclass('{log}') IS NOT NULL"), "true");
    let refused = "SELECT count(*) > 0 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted";
    until(client, refused, "true");
    reader
        .batch_execute(&format!("UPDATE t SET day = day WHERE id < 2900; LOCK TABLE {log} IN SHARE MODE"))
        .unwrap();
    let waits = |mode, table| {
        format!(
            "SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted AND mode = '{mode}'"
        )
    };
    until(client, &waits("RowExclusiveLock", log), "1");
    let mut other = db.client().unwrap();
    let statement = format!("BEGIN; ALTER TABLE t {change}; CREATE TABLE was AS TABLE t; COMMIT");
    let other = thread::spawn(move || other.batch_execute(&statement));
    until(client, &waits("AccessExclusiveLock", "t"), "1");
    reader.batch_execute("COMMIT").unwrap();
    other.join().unwrap().unwrap();
    let (state, error) = ended(client, job);
    assert_eq!(state, "succeeded", "{change}: {error}");
    assert_eq!(super::differing(client, "TABLE t", "TABLE was"), "0", "{change}");
}

const CHANGES: [&str; 4] =
    ["ADD extra integer NOT NULL DEFAULT 7", "DROP n", "ALTER n TYPE text", "RENAME n TO m"];

#[test]
fn a_conversion_carries_it_over() {
    for change in CHANGES {
        let (db, mut client) = installed(Template::Empty);
        let table = format!(
            "CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer); INSERT INTO t {ROWS}"
        );
        client.batch_execute(&table).unwrap();
        let call = "partition_table('t', 'day', accept => '{on_conflict}')";
        altered(&db, &mut client, "t_changes", call, change);
        assert_eq!(text(&mut client, "SELECT relkind FROM pg_class WHERE oid = 't'::regclass").unwrap(), "p");
    }
}

#[test]
fn a_drain_begins_anew() {
    for change in CHANGES {
        let (db, mut client) = installed(Template::Empty);
        let table = format!(
            "CREATE TABLE public.t (id bigint, day date, n integer, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
             CREATE TABLE public.t_default PARTITION OF t DEFAULT; INSERT INTO t {ROWS};
             SELECT groundskeeper.adopt_partitioned_table('t')"
        );
        client.batch_execute(&table).unwrap();
        altered(&db, &mut client, "t_default_changes", "drain_default('t')", change);
        assert_eq!(text(&mut client, "SELECT count(*) FROM t_default").unwrap(), "0");
    }
}
