//! Indexes of partitioned tables: each partition's own is built without blocking writers, then attached.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{in_transaction, index_task, invalid_indexes, job, queue_task, until_job, until_state};

/// Names that are long, that begin alike, and that need quotes; one partition is partitioned itself.
const TABLES: &str = r#"
    CREATE TABLE public.measured (id bigint, day date) PARTITION BY RANGE (day);
    CREATE TABLE public.measured_old PARTITION OF public.measured FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE TABLE public."measured in a month with a name of sixty-three bytes; ""'.2" PARTITION OF public.measured
        FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
    CREATE TABLE public."measured in a month with a name of sixty-three bytes; ""'.3" PARTITION OF public.measured
        FOR VALUES FROM ('2025-03-01') TO ('2025-04-01');
    CREATE TABLE public.measured_new PARTITION OF public.measured FOR VALUES FROM ('2025-04-01') TO ('2025-05-01')
        PARTITION BY HASH (id);
    CREATE TABLE public.measured_new_0 PARTITION OF public.measured_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE public.measured_new_1 PARTITION OF public.measured_new FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO public.measured SELECT n, date '2025-01-01' + n % 120 FROM generate_series(1, 1000) n;"#;

/// The tables that hold rows.
const LEAVES: usize = 5;

fn prepare(db: &TestDb) -> Client {
    db.install().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(TABLES).unwrap();
    client
}

fn queue(client: &mut Client) -> i64 {
    let task = index_task("public", "measured", "measured_by_day", "day DESC");
    queue_task(client, "public.measured", "postgres", &task)
}

/// One valid index on the parent, with a valid one attached for each table below it, and no other.
fn assert_built_once(client: &mut Client) {
    let tree = "SELECT count(*) FROM pg_partition_tree('public.measured_by_day') t JOIN pg_index ON indexrelid = relid
                 WHERE indisvalid AND isleaf";
    assert_eq!(text(client, tree).unwrap(), LEAVES.to_string());
    let all = "SELECT count(*) FROM pg_index WHERE indrelid::regclass::text LIKE '%measured%'";
    assert_eq!(text(client, all).unwrap(), (LEAVES + 2).to_string(), "with those of the two parents");
    assert_eq!(invalid_indexes(client), [""; 0]);
}

#[test]
fn each_partition_gets_its_own_and_the_parents_is_valid_in_the_end() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = prepare(&db);
    let id = queue(&mut client);
    let done = until_state(&mut client, id, "succeeded");
    assert_eq!(done.attempts, 1, "{done:?}");
    assert_built_once(&mut client);
    let rows = format!("SELECT rows_done FROM groundskeeper.job_history WHERE job_id = {id}");
    assert_eq!(text(&mut client, &rows).unwrap(), "1000");
    // Gone again, the partitions' with it.
    let task =
        serde_json::json!({"kind": "drop_index", "index": {"schema": "public", "name": "measured_by_day"}});
    let id = queue_task(&mut client, "public.measured", "postgres", &task);
    until_state(&mut client, id, "succeeded");
    let all = "SELECT indexrelid::regclass FROM pg_index WHERE indrelid::regclass::text LIKE '%measured%'";
    assert_eq!(texts(&mut client, all).unwrap(), [""; 0]);
}

#[test]
fn a_build_that_was_stopped_between_two_partitions_goes_on() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = prepare(&db);
    let third = quote_ident("measured in a month with a name of sixty-three bytes; \"'.3");
    let (mut writer, _) =
        in_transaction(&db, &format!("BEGIN; LOCK TABLE public.{third} IN ROW EXCLUSIVE MODE"));
    let id = queue(&mut client);
    until_job(&mut client, id, "in the middle", |job| job.phase == "waiting for writers before build");
    let first =
        "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'public.measured_by_day'::regclass ORDER BY 1";
    let before = texts(&mut client, first).unwrap();
    assert_eq!(before.len(), 2);
    // The worker is ended from outside, which does not count as an attempt.
    let end = format!("SELECT pg_terminate_backend(worker_pid) FROM groundskeeper.job WHERE job_id = {id}");
    assert_eq!(text(&mut client, &end).unwrap(), "true");
    until_job(&mut client, id, "on its way again", |job| {
        job.detail.contains("lost") || job.state == "waiting"
    });
    writer.batch_execute("COMMIT").unwrap();
    until_state(&mut client, id, "succeeded");
    let history = format!("SELECT h::text FROM groundskeeper.job_history h WHERE job_id = {id}");
    assert_eq!(job(&mut client, id).attempts, 1, "{:?}", texts(&mut client, &history));
    assert_built_once(&mut client);
    assert_eq!(texts(&mut client, first).unwrap()[..2], before, "what was built stayed");
}
