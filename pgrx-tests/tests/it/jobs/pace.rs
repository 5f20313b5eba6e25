//! A job leaves others room: what it writes does not run away from a standby.

use groundskeeper_sandbox::server::{Options, SUPERUSER, Server};
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb, standby_of};

use super::{until, until_job, until_state};

const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date, filler text);
    INSERT INTO t SELECT i, date '2026-01-01' + i % 28, repeat('x', 100) FROM generate_series(1, 100000) i";
const CALL: &str = "SELECT groundskeeper.partition_table('t', 'day', accept => '{on_conflict}')";
const LAG: &str = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint FROM pg_stat_replication";
const MB: i64 = 1 << 20;

#[test]
fn a_conversion_waits_for_a_standby_until_it_is_told_to_hurry() {
    let server = Options::default().start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(TABLE).unwrap();
    let lag = format!("ALTER DATABASE {} SET groundskeeper.max_replication_lag = '10MB'", db.name());
    client.batch_execute(&lag).unwrap();
    let standby = standby_of(&server).unwrap();
    let mut behind = standby.connect("postgres", SUPERUSER).unwrap();
    let caught_up = || text(&mut client, LAG).unwrap() == "0";
    let mut caught_up = caught_up;
    until("a standby that has all there is", || caught_up().then_some(()));
    behind.batch_execute("SELECT pg_wal_replay_pause()").unwrap();

    let job = client.query_one(CALL, &[]).unwrap().get(0);
    until_job(&mut client, job, "waiting for the standby", |job| job.phase == "waiting for replication");
    let lag: i64 = client.query_one(LAG, &[]).unwrap().get(0);
    assert!((5 * MB..=10 * MB).contains(&lag), "{lag}");
    // It has nothing open meanwhile that would keep vacuum back or others waiting.
    let held = format!(
        "SELECT count(*) FROM pg_locks l JOIN groundskeeper.job j ON j.worker_pid = l.pid
          WHERE j.job_id = {job} AND l.relation = 't'::regclass"
    );
    until("a moment without locks", || (text(&mut client, &held).unwrap() == "0").then_some(()));

    behind.batch_execute("SELECT pg_wal_replay_resume()").unwrap();
    let copied = "SELECT count(*) > 60000 FROM t_partitioned";
    until("more rows", || (text(&mut client, copied).ok()? == "true").then_some(()));
    behind.batch_execute("SELECT pg_wal_replay_pause()").unwrap();
    client.batch_execute("ALTER SYSTEM SET groundskeeper.job_pace = 'full'").unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    until_state(&mut client, job, "succeeded");
    assert_eq!(text(&mut client, "SELECT count(*) FROM t").unwrap(), "100000");
    drop(behind);
    standby.destroy();
}
