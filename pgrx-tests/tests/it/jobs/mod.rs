//! Jobs: what background workers do, and what becomes of it whatever happens meanwhile.

mod crash;
mod events;
mod hostile;
mod life;
mod limits;
mod many;
mod pace;
mod partitioned;
mod rebuild;
mod rights;
mod settings;
mod waiting;
mod writeback;

use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_tests::TestDb;
use groundskeeper_tests::plan::carry_out;
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::texts;
use postgres::Client;
use serde_json::{Value, json};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The plan's index on `staging.moneylines`.
const INDEX: &str = "idx_staging_moneylines_game_quality_date";
/// The plan's index on `staging.totals`.
const OTHER: &str = "idx_staging_totals_game_sportsbook";

/// A row of `groundskeeper.jobs`; empty where it is NULL.
#[derive(Debug)]
struct Job {
    state: String,
    phase: String,
    detail: String,
    error: String,
    attempts: i32,
}

fn job(client: &mut Client, id: i64) -> Job {
    let query = "SELECT state, coalesce(phase, ''), coalesce(detail, ''), coalesce(error, ''), attempts
                   FROM groundskeeper.jobs WHERE job_id = $1";
    let row = client.query_one(query, &[&id]).unwrap();
    Job { state: row.get(0), phase: row.get(1), detail: row.get(2), error: row.get(3), attempts: row.get(4) }
}

/// Looks until there is what must come.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Waits until a job is as it must become; one that has ended otherwise is shown at once.
fn until_job(client: &mut Client, id: i64, what: &str, is_it: impl Fn(&Job) -> bool) -> Job {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = job(client, id);
        if is_it(&now) {
            return now;
        }
        let over = ["succeeded", "failed", "cancelled"].contains(&now.state.as_str());
        assert!(!over && Instant::now() < deadline, "not {what}: {now:?}");
        sleep(Duration::from_millis(10));
    }
}

fn until_state(client: &mut Client, id: i64, state: &str) -> Job {
    until_job(client, id, state, |job| job.state == state)
}

/// Installs the extension over empty tables, which leaves no job, puts rows into them, and drops the index that
/// a job is to build again.
fn prepare(db: &TestDb) -> Client {
    db.install().unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    drop_index(&mut client, INDEX);
    client
}

fn drop_index(client: &mut Client, index: &str) {
    client.batch_execute(&format!("DROP INDEX IF EXISTS staging.{index}")).unwrap();
}

/// Has a job build the plan's index on `staging.moneylines`, which is not there now.
fn queue_index(client: &mut Client) -> i64 {
    queue_item(client, INDEX)
}

/// Has a job build another of the plan's indexes again.
fn queue_other(client: &mut Client) -> i64 {
    drop_index(client, OTHER);
    queue_item(client, OTHER)
}

fn queue_item(client: &mut Client, index: &str) -> i64 {
    client.batch_execute("SET groundskeeper.inline_build_limit = 0").unwrap();
    let outcomes = carry_out(client, "apply_plan(sections => '{2.1}')").unwrap();
    let outcome = outcomes.iter().find(|outcome| outcome.item.ends_with(index)).unwrap();
    assert_eq!(outcome.state, "queued", "{outcome:?}");
    job_in(&outcome.detail)
}

/// The job that the detail of an item speaks of.
fn job_in(detail: &str) -> i64 {
    let number = detail.strip_prefix("job ").and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no job: {detail}"))
}

/// Queues what the plan has no item for, as the extension itself does it.
fn queue_task(client: &mut Client, target: &str, run_as: &str, task: &Value) -> i64 {
    queue_with_entry(client, target, run_as, task, None)
}

/// The same with what the change log is to say of an item.
fn queue_with_entry(
    client: &mut Client,
    target: &str,
    run_as: &str,
    task: &Value,
    entry: Option<&Value>,
) -> i64 {
    let insert = "
        INSERT INTO groundskeeper.job (kind, target, task, item, entry, run_as, requested_by, home)
        SELECT $2::jsonb ->> 'kind', $1, $2, $4::jsonb ->> 'item', $4, $3, $3, system_identifier || '/' || oid
          FROM pg_control_system(), pg_database WHERE datname = current_database()
        RETURNING job_id";
    let id = client.query_one(insert, &[&target, task, &run_as, &entry]).unwrap().get(0);
    client.batch_execute("SELECT groundskeeper_internal.look_after_jobs()").unwrap();
    id
}

/// The task of building an index with one key; names as they are, not quoted.
fn index_task(schema: &str, table: &str, index: &str, key: &str) -> Value {
    json!({
        "kind": "create_index", "index": {"schema": schema, "name": index},
        "table": {"schema": schema, "name": table}, "keys": [key], "predicate": null, "unique": false
    })
}

/// The indexes that queries cannot use.
fn invalid_indexes(client: &mut Client) -> Vec<String> {
    texts(
        client,
        "SELECT indexrelid::regclass FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)",
    )
    .unwrap()
}

/// The plan's index, if it may be used.
fn valid_index(client: &mut Client) -> Vec<String> {
    texts(
        client,
        &format!(
            "SELECT indexrelid FROM pg_index WHERE indisvalid AND indexrelid = to_regclass('staging.{INDEX}')"
        ),
    )
    .unwrap()
}

/// A session that has begun a transaction and done something in it, and its process id.
fn in_transaction(db: &TestDb, begin: &str) -> (Client, i32) {
    let mut client = db.client().unwrap();
    // Asked before: in the transaction the answer's portal would keep a snapshot.
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    client.batch_execute(begin).unwrap();
    (client, pid)
}

/// A transaction that has written the table, or might have.
const WRITER: &str = "BEGIN; LOCK TABLE staging.moneylines IN ROW EXCLUSIVE MODE";
/// A transaction that still sees the table as it was.
const READER: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM staging.moneylines LIMIT 1";
