//! A hundred builds, and then a hundred more, while others keep the caches busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;
use std::time::Instant;

use groundskeeper_sandbox::server::{Options, Server};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use serde_json::json;

use super::{index_task, invalid_indexes, queue_task, until, until_state};

const TABLES: usize = 100;

#[test]
fn a_hundred_builds_twice_in_a_row_crash_nothing_and_leak_nothing() {
    let server = Options::default().start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    let mut client = db.client().unwrap();
    let tables: String = (0..=TABLES)
        .map(|n| format!("CREATE TABLE public.t{n} (id integer); INSERT INTO t{n} VALUES ({n});"))
        .collect();
    client.batch_execute(&tables).unwrap();
    // One job that waits throughout keeps the dispatcher there, and leaves one place for the others.
    client.batch_execute("LOAD 'pg_groundskeeper'").unwrap();
    client.batch_execute("ALTER SYSTEM SET groundskeeper.max_workers = 3").unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let mut writer = db.client().unwrap();
    writer.batch_execute(&format!("BEGIN; LOCK TABLE public.t{TABLES} IN ROW EXCLUSIVE MODE")).unwrap();
    let kept = queue_task(
        &mut client,
        "held",
        "postgres",
        &index_task("public", &format!("t{TABLES}"), "held", "id"),
    );
    until_state(&mut client, kept, "waiting");

    let stop = Arc::new(AtomicBool::new(false));
    let churning = {
        let (mut client, stop) = (db.client().unwrap(), Arc::clone(&stop));
        spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let churn =
                    "CREATE TABLE public.churn (id serial PRIMARY KEY); ALTER TABLE public.churn ADD x text;
                             ANALYZE public.churn; DROP TABLE public.churn";
                client.batch_execute(churn).unwrap();
            }
        })
    };
    let mut used = Vec::new();
    for round in 0..2 {
        let begun = Instant::now();
        build_all(&mut client, round);
        println!("{TABLES} builds in {:?}", begun.elapsed());
        used.push(dispatcher_memory(&server, &mut client));
    }
    drop_all(&mut client);
    stop.store(true, Ordering::Relaxed);
    churning.join().unwrap();
    writer.batch_execute("COMMIT").unwrap();
    until_state(&mut client, kept, "succeeded");
    println!("memory in use by the dispatcher after each hundred: {used:?} bytes");
    // Its caches grow by blocks of half a megabyte; a leak of ten kilobytes a job would show.
    assert!(used[1] < used[0] + 1024 * 1024, "{used:?}");
    let log = server.log();
    for crash in ["terminated by signal", "PANIC", "TRAP", "resource was not closed", "leak"] {
        assert!(!log.contains(crash), "{crash}: {log}");
    }
}

fn queue_all(client: &mut Client, task: impl Fn(usize) -> serde_json::Value) {
    let mut transaction = client.build_transaction().start().unwrap();
    for n in 0..TABLES {
        transaction
            .execute(
                "INSERT INTO groundskeeper.job (kind, target, task, run_as, requested_by, home)
                 SELECT $2::jsonb ->> 'kind', $1, $2, 'postgres', 'postgres', system_identifier || '/' || oid
                   FROM pg_control_system(), pg_database WHERE datname = current_database()",
                &[&format!("public.t{n}"), &task(n)],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
    client.batch_execute("SELECT groundskeeper_internal.look_after_jobs()").unwrap();
    let open = "SELECT job_id FROM groundskeeper.job
                 WHERE state IN ('queued', 'running') AND target <> 'held' LIMIT 1";
    until("the end of all jobs", || texts(client, open).unwrap().is_empty().then_some(()));
    let bad = "SELECT format('%s: %s', target, error) FROM groundskeeper.job
                WHERE state <> 'succeeded' AND target <> 'held' OR attempts <> 1";
    assert_eq!(texts(client, bad).unwrap(), [""; 0]);
}

fn build_all(client: &mut Client, round: usize) {
    queue_all(client, |n| index_task("public", &format!("t{n}"), &format!("t{n}_{round}"), "id"));
    let built = format!(
        "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid::regclass::text LIKE 't%\\_{round}'"
    );
    assert_eq!(text(client, &built).unwrap(), TABLES.to_string());
    let held = ["held"];
    assert_eq!(invalid_indexes(client), held);
}

fn drop_all(client: &mut Client) {
    queue_all(
        client,
        |n| json!({"kind": "drop_index", "index": {"schema": "public", "name": format!("t{n}_0")}}),
    );
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 't%\\_0'";
    assert_eq!(text(client, left).unwrap(), "0");
}

/// What the dispatcher's memory contexts have in use, which it writes to the log when asked.
fn dispatcher_memory(server: &Server, client: &mut Client) -> u64 {
    let before = server.log().len();
    let ask = "SELECT pg_log_backend_memory_contexts(pid) FROM pg_stat_activity
                WHERE backend_type = 'pg_groundskeeper dispatcher'";
    assert_eq!(texts(client, ask).unwrap(), ["true"], "one dispatcher");
    until("its memory in the log", || {
        let log = server.log();
        let line = log[before..].lines().find(|line| line.contains("Grand total:"))?.to_owned();
        line.rsplit("; ").next()?.split(' ').next()?.parse().ok()
    })
}
