//! Nobody gains rights through the extension: what was broken once, each kind with its test.

mod archive;
mod drain;
mod extremes;
mod fair;
mod install;
mod operator;
mod privacy;
mod recognition;
mod schedule;
mod swapped;
mod texts;
mod walk;

pub use install::assert_passes_the_checker;

use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{PATIENCE, Template, TestDb};
use postgres::Client;

/// An empty database with the extension.
fn installed() -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let client = db.client().unwrap();
    (db, client)
}

/// Waits until a query returns that value.
fn until(client: &mut Client, query: &str, value: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = text(client, query).unwrap();
        if now == value {
            return;
        }
        assert!(Instant::now() < deadline, "{now} instead of {value}: {query}");
        sleep(Duration::from_millis(10));
    }
}

/// State and error of a job that has ended.
fn ended(client: &mut Client, job: i64) -> String {
    let over = format!(
        "SELECT state IN ('succeeded', 'failed', 'cancelled') FROM groundskeeper.jobs WHERE job_id = {job}"
    );
    until(client, &over, "true");
    let how = format!("SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE job_id = {job}");
    text(client, &how).unwrap()
}

/// The number that a call returns.
fn number(client: &mut Client, call: &str) -> i64 {
    client.query_one(&format!("SELECT {call}"), &[]).unwrap().get(0)
}

/// What a trap has counted, whatever was rolled back since.
fn counted(client: &mut Client, sequence: &str) -> i64 {
    let query = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}");
    client.query_one(&query, &[]).unwrap().get(0)
}

/// One column of text.
fn list(client: &mut Client, query: &str) -> Vec<String> {
    texts(client, query).unwrap()
}
