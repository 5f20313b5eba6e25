//! A table becomes a partitioned one while it is written, and goes back.

mod altered;
mod attach;
mod both;
mod carried;
mod columns;
mod crash;
mod ddl;
mod foreseen;
mod formats;
mod forty;
mod grants;
mod hostile;
mod keys;
mod later;
mod let_go;
mod lost;
mod odd;
mod owner;
mod planner;
mod races;
mod refusals;
mod releases;
mod restore;
mod retired;
mod roundtrip;
mod settings;
mod unfinished;
mod unique;
mod watched;
mod writers;

use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{PATIENCE, Template, TestDb};
use postgres::Client;

/// The plan's two tables, and how to convert the raw one.
const RAW: &str = "raw_data.moneylines_raw";
const STAGING: &str = "staging.moneylines";
const CONVERT_RAW: &str =
    "partition_table('raw_data.moneylines_raw', 'game_date', accept => '{on_conflict}')";

/// A database with the extension, and nothing for it to do.
fn installed(template: Template) -> (TestDb, Client) {
    let db = TestDb::installed(template).unwrap();
    db.settle().unwrap();
    let client = db.client().unwrap();
    (db, client)
}

/// An empty database with the extension and what the script makes.
fn with(script: &str) -> (TestDb, Client) {
    let (db, mut client) = installed(Template::Empty);
    client.batch_execute(script).unwrap();
    (db, client)
}

/// Queues a job by a call as it is written, without the schema.
fn queue(client: &mut Client, call: &str) -> i64 {
    client.query_one(&format!("SELECT groundskeeper.{call}"), &[]).unwrap().get(0)
}

/// State and error of a job.
fn outcome(client: &mut Client, job: i64) -> (String, String) {
    let query =
        "SELECT state, concat_ws(': ', phase, detail, error) FROM groundskeeper.jobs WHERE job_id = $1";
    let row = client.query_one(query, &[&job]).unwrap();
    (row.get(0), row.get(1))
}

/// Waits until a job has come to its end, whichever.
fn ended(client: &mut Client, job: i64) -> (String, String) {
    let mut last = (String::new(), String::new());
    let over = patiently(|| {
        last = outcome(client, job);
        ["succeeded", "failed", "cancelled"].contains(&last.0.as_str())
    });
    assert!(over, "job {job} has not ended: {last:?}");
    last
}

fn patiently(mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if is_so() {
            return true;
        }
        sleep(Duration::from_millis(5));
    }
    false
}

/// Waits until a query returns that value.
fn until(client: &mut Client, query: &str, value: &str) {
    let mut last = String::new();
    let came = patiently(|| {
        last = text(client, query).unwrap();
        last == value
    });
    assert!(came, "{last} instead of {value}: {query}");
}

/// Runs a job by a call to its good end.
fn carry_out(client: &mut Client, call: &str) {
    let job = queue(client, call);
    let (state, error) = ended(client, job);
    assert_eq!(state, "succeeded", "{call}: {error}");
}

fn convert(client: &mut Client, table: &str, key: &str) {
    convert_accepting(client, table, key, "on_conflict");
}

fn convert_accepting(client: &mut Client, table: &str, key: &str, accept: &str) {
    carry_out(client, &format!("partition_table('{table}', '{key}', accept => '{{{accept}}}')"));
}

fn undo(client: &mut Client, table: &str) {
    carry_out(client, &format!("undo_partitioning('{table}')"));
}

fn finalize(client: &mut Client, table: &str) {
    carry_out(client, &format!("finalize_partitioning('{table}')"));
}

/// How many rows two queries do not have in common, duplicates counted.
fn differing(client: &mut Client, one: &str, other: &str) -> String {
    let query =
        format!("SELECT count(*) FROM (({one} EXCEPT ALL {other}) UNION ALL ({other} EXCEPT ALL {one})) d");
    text(client, &query).unwrap()
}

/// That the key table has the keys of the table's rows, once each and no others.
fn assert_keys(client: &mut Client, table: &str, keys: &str, what: &str) {
    let (rows, kept) = (format!("SELECT id FROM {table}"), format!("SELECT id FROM {keys}"));
    assert_eq!(differing(client, &rows, &kept), "0", "keys after {what}");
}

/// What the conversion makes beside a table that is there now, functions and triggers included.
fn leftovers(client: &mut Client) -> Vec<String> {
    let query = r"
        SELECT relname FROM pg_class
         WHERE relname ~ '_(partitioned|unpartitioned|key|changes|default|again|before|\d{4}(_\w+)?)(_pkey)?$'
           AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'groundskeeper', 'monitoring', 'pg_toast')
        UNION ALL
        SELECT proname FROM pg_proc WHERE proname ~ '_(capture|key_(insert|update|delete|truncate|restore))$'
        UNION ALL
        SELECT tgname FROM pg_trigger WHERE tgname ~ 'groundskeeper' AND tgname !~ '^groundskeeper_note_' AND NOT tgisinternal
           AND tgrelid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'groundskeeper'::regnamespace)
        UNION ALL SELECT relation FROM groundskeeper.conversion
        UNION ALL SELECT parent FROM groundskeeper.managed_tables
        ORDER BY 1";
    texts(client, query).unwrap()
}
