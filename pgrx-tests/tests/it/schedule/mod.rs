//! Scheduled maintenance, by whatever runs it.

mod by_hand;
mod launcher;
mod pg_cron;

use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::{Options, SUPERUSER, Server};
use groundskeeper_sandbox::shape::SHAPE_A;
use groundskeeper_tests::PATIENCE;
use groundskeeper_tests::sql::{text, texts};
use postgres::Client;

/// The database that the tests here schedule; a server of its own for each, as schedulers are the server's.
const BETTING: &str = "betting";

fn betting(options: &Options) -> (Server, Client) {
    let server = options.start().unwrap();
    server.create_database(BETTING, "template0").unwrap();
    let mut client = server.connect(BETTING, SUPERUSER).unwrap();
    client.batch_execute(SHAPE_A).unwrap();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
    (server, client)
}

/// A row of `schedule_maintenance()`.
#[derive(Debug, Clone, PartialEq)]
struct Scheduled {
    job_name: String,
    schedule: String,
    command: String,
    scheduler: String,
}

fn call(client: &mut Client, call: &str) -> Vec<Scheduled> {
    let query = format!("SELECT job_name, schedule, command, scheduler FROM groundskeeper.{call}");
    let row = |row: &postgres::Row| Scheduled {
        job_name: row.get(0),
        schedule: row.get(1),
        command: row.get(2),
        scheduler: row.get(3),
    };
    client.query(&query, &[]).unwrap().iter().map(row).collect()
}

/// An entry of the test's own that writes down each run, and who ran it where.
fn noting(client: &mut Client, schedule: &str) {
    client
        .batch_execute(&format!(
            "CREATE TABLE public.noted (at timestamptz DEFAULT clock_timestamp(), who text, settings text);
             GRANT INSERT ON public.noted TO PUBLIC;
             INSERT INTO groundskeeper.schedule (job_name, schedule, command) VALUES
                 ('note', '{schedule}', $$INSERT INTO public.noted (who, settings)
                      SELECT session_user || ' ' || current_user,
                             concat_ws(' ', current_setting('statement_timeout'), current_setting('groundskeeper.timezone'))$$)"
        ))
        .unwrap();
}

/// An entry that migrates, and something for it to migrate.
const MIGRATION: &str = "
    INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds)
    SELECT 'FEED', 'game ' || i % 7, 'book ' || i % 5, 8.5, -110, -110 FROM generate_series(1, 70) i;
    INSERT INTO groundskeeper.schedule (job_name, schedule, command)
    VALUES ('migration', '* * * * *', 'CALL groundskeeper.migrate_to_staging(batch_size => 20);')";

fn count(client: &mut Client) -> usize {
    text(client, "SELECT count(*) FROM public.noted").unwrap().parse().unwrap()
}

/// What a client has to wait for, and how many seconds that takes at most where nothing else is done.
fn until(what: &str, takes: u64, mut look: impl FnMut() -> bool) {
    let patience = Duration::from_secs(takes) + PATIENCE;
    let deadline = Instant::now() + patience;
    while !look() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        sleep(Duration::from_millis(100));
    }
}

fn status(client: &mut Client, task: &str) -> String {
    text(
        client,
        &format!(
            "SELECT concat_ws(' ', scheduler, last_run IS NOT NULL, last_success IS NOT NULL, consecutive_failures, last_error)
               FROM monitoring.maintenance_status WHERE task = '{task}'"
        ),
    )
    .unwrap()
}

/// As if it had been scheduled a day ago.
fn back_date(client: &mut Client) {
    client
        .batch_execute("UPDATE groundskeeper.schedule SET scheduled_at = scheduled_at - interval '1 day'")
        .unwrap();
}

fn workers(server: &Server) -> Vec<String> {
    let mut client = server.connect("postgres", SUPERUSER).unwrap();
    texts(
        &mut client,
        "SELECT backend_type || ' ' || coalesce(datname, '') FROM pg_stat_activity WHERE backend_type ~ 'groundskeeper'",
    )
    .unwrap()
}
