//! RAW to STAGING.

mod again;
mod attacks;
mod clocks;
mod crash;
mod encodings;
mod failing;
mod fuzz;
mod games;
mod manners;
mod model;
mod moved;
mod must_show;
mod rights;
mod rules;
mod shapes;
mod steady;
mod stress;
mod ways;
mod wild;

use std::sync::mpsc;

use groundskeeper_sandbox::raw::Market;
use groundskeeper_sandbox::simulator::Simulation;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::{Client, Config, NoTls};

/// An installation with nothing left to build.
fn installed(template: Template) -> (TestDb, Client) {
    let db = TestDb::installed(template).unwrap();
    db.settle().unwrap();
    let client = db.client().unwrap();
    (db, client)
}

/// Raw data with the plan's defects.
fn simulate(client: &mut Client, rows: u64) {
    let now = chrono::DateTime::from_timestamp(1_750_000_000, 0).unwrap();
    Simulation { rows, seed: 1, now }.load(client, &|_| ()).unwrap();
}

fn migrate(client: &mut Client) {
    client.batch_execute("CALL groundskeeper.migrate_to_staging(batch_size => 1000)").unwrap();
}

/// Looks at everything again, failures that are not due included.
fn sweep(client: &mut Client) {
    client.batch_execute("CALL groundskeeper.migrate_to_staging(batch_size => 1000, sweep => true)").unwrap();
}

/// A client, and the messages that the server sends it.
fn listening(db: &TestDb, role: &str) -> (Client, mpsc::Receiver<String>) {
    let (said, messages) = mpsc::channel();
    let mut config: Config = db.server().config(db.name(), role);
    config.notice_callback(move |notice| said.send(notice.message().to_owned()).unwrap_or_default());
    (config.connect(NoTls).unwrap(), messages)
}

fn count(client: &mut Client, from: &str) -> i64 {
    text(client, &format!("SELECT count(*) FROM {from}")).unwrap().parse().unwrap()
}

/// What the last call processed, by market.
fn last_call(client: &mut Client) -> Vec<String> {
    let last = "SELECT format('%s %s/%s', bet_type, successful, processed) FROM groundskeeper.migration_runs
                 WHERE execution_id = (SELECT execution_id FROM groundskeeper.migration_runs ORDER BY run_id DESC LIMIT 1)
                 ORDER BY run_id";
    texts(client, last).unwrap()
}

/// What `last_call` says of a call that found nothing.
const NOTHING: [&str; 3] = ["moneyline 0/0", "spread 0/0", "total 0/0"];

/// Staged rows that do not refer to the game that their raw row names.
fn astray(client: &mut Client) -> Vec<String> {
    Market::ALL
        .iter()
        .flat_map(|market| {
            let (raw, staging, raw_id) = (market.raw_table(), market.table(), raw_id(client, *market));
            let astray = format!(
                "SELECT format('{staging} of raw row %s, %s: %s', r.id, r.game_external_id, s.game_id)
                   FROM {raw} r JOIN staging.{staging} s ON s.{raw_id} = r.id
                   LEFT JOIN (SELECT external_id, min(id) AS id FROM staging.games GROUP BY 1) g
                     ON g.external_id = r.game_external_id
                  WHERE s.game_id::text IS DISTINCT FROM
                        CASE WHEN pg_typeof(s.game_id) = 'integer'::regtype THEN g.id::text ELSE g.external_id END
                  ORDER BY r.id"
            );
            texts(client, &astray).unwrap()
        })
        .collect()
}

/// Waits for a job; its state, and its error.
fn waited(client: &mut Client, job: &str) -> String {
    client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job})")).unwrap();
    let state = format!("SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE job_id = {job}");
    text(client, &state).unwrap()
}

/// The staging column that refers to the raw row.
fn raw_id(client: &mut Client, market: Market) -> String {
    let column = format!(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'staging.{}'::regclass AND attname LIKE 'raw\\_%id'",
        market.table()
    );
    text(client, &column).unwrap()
}

/// Each raw row is staged once, or a failure; each game there is once; and the runs' sums are right.
fn assert_complete(client: &mut Client) {
    for market in Market::ALL {
        let (raw, staging, raw_id) = (market.raw_table(), market.table(), raw_id(client, market));
        let lost = format!(
            "{raw} r WHERE NOT EXISTS (SELECT FROM staging.{staging} s WHERE s.{raw_id} = r.id)
                AND NOT EXISTS (SELECT FROM groundskeeper.migration_failures f
                                 WHERE f.raw_table = '{raw}' AND f.raw_id = r.id)"
        );
        assert_eq!(count(client, &lost), 0, "{staging}: rows lost");
        let twice = format!("(SELECT {raw_id} FROM staging.{staging} GROUP BY 1 HAVING count(*) > 1) t");
        assert_eq!(count(client, &twice), 0, "{staging}: rows staged twice");
        let orphans = format!(
            "groundskeeper.migration_failures f WHERE raw_table = '{raw}'
                AND NOT EXISTS (SELECT FROM {raw} r WHERE r.id = f.raw_id)"
        );
        assert_eq!(count(client, &orphans), 0, "{staging}: failures of rows that are gone");
    }
    let games = "(SELECT external_id FROM staging.games GROUP BY 1 HAVING count(*) > 1) t";
    assert_eq!(count(client, games), 0, "games with two rows");
    let sums = "groundskeeper.migration_runs WHERE processed <> successful + failed OR state = 'running'";
    assert_eq!(count(client, sums), 0);
}
