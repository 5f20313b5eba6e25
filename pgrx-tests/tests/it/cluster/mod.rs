//! On a cluster: a coordinator and two workers with Citus. Where the server has no Citus, each of these is skipped, and
//! counted.

mod builds;
mod install;
mod migration;
mod monitoring;
mod partitions;

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use groundskeeper_sandbox::server::{Options, SUPERUSER, Server};
use groundskeeper_sandbox::shape::SHAPE_A;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{PATIENCE, lacks};
use postgres::Client;

/// The database, which is on every node.
const BETTING: &str = "betting";

/// The nodes of a cluster.
struct Cluster {
    coordinator: Server,
    workers: Vec<Server>,
}

/// A node with Citus in its database, not in a cluster yet.
fn node() -> Result<Server> {
    let options = Options::default().preload("citus").preload("pg_groundskeeper");
    let options = options.set("citus.shard_count", "4").set("max_worker_processes", "24");
    let server = options.set("citus.node_conninfo", "sslmode=prefer").start()?;
    // By its socket's directory the nodes reach each other, and it itself.
    let home = server.socket_dir().display().to_string();
    let mut client = server.connect("postgres", SUPERUSER)?;
    client.batch_execute(&format!("ALTER SYSTEM SET citus.local_hostname = '{home}'"))?;
    client.batch_execute("SELECT pg_reload_conf()")?;
    server.create_database(BETTING, "template0")?;
    server.connect(BETTING, SUPERUSER)?.batch_execute("CREATE EXTENSION citus")?;
    Ok(server)
}

impl Cluster {
    /// A coordinator and so many workers, with the tables of shape A, all of them the coordinator's own; nothing where
    /// there is no Citus.
    fn of(workers: usize) -> Option<Self> {
        if lacks("citus") {
            return None;
        }
        let coordinator = node().unwrap();
        let mut cluster = Self { coordinator, workers: Vec::new() };
        let mut client = cluster.client();
        let at = |server: &Server| format!("'{}', {}", server.socket_dir().display(), server.port());
        let call = format!("SELECT citus_set_coordinator_host({})", at(&cluster.coordinator));
        client.batch_execute(&call).unwrap();
        (0..workers).for_each(|_| cluster.add_worker());
        cluster.run(SHAPE_A);
        Some(cluster)
    }

    fn add_worker(&mut self) {
        let worker = node().unwrap();
        let call = format!("SELECT citus_add_node('{}', {})", worker.socket_dir().display(), worker.port());
        self.client().batch_execute(&call).unwrap();
        self.workers.push(worker);
    }

    /// With the extension, and the raw moneylines distributed, which have rows.
    fn installed() -> Option<(Self, Client)> {
        let cluster = Self::of(2)?;
        cluster.run(
            "SELECT create_distributed_table('raw_data.moneylines_raw', 'id');
             INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds)
             SELECT 'FEED', 'game ' || i % 7, 'book ' || i % 5, -110, 100 FROM generate_series(1, 40000) i;
             CREATE EXTENSION pg_groundskeeper;",
        );
        let mut client = cluster.client();
        settle(&mut client);
        Some((cluster, client))
    }

    /// Runs a script on the coordinator, each statement in a transaction of its own: Citus refuses some that follow others.
    fn run(&self, script: &str) {
        run(&self.coordinator, script);
    }

    /// A superuser's connection to the coordinator.
    fn client(&self) -> Client {
        self.coordinator.connect(BETTING, SUPERUSER).unwrap()
    }

    /// The same to each of the workers.
    fn at_workers(&self) -> Vec<Client> {
        self.workers.iter().map(|worker| worker.connect(BETTING, SUPERUSER).unwrap()).collect()
    }
}

/// The same on any node.
fn run(node: &Server, script: &str) {
    node.restore(BETTING, script).unwrap();
}

/// What each of the workers answers, one after the other.
fn from_workers(client: &mut Client, query: &str) -> Vec<String> {
    let query = format!("SELECT result FROM run_command_on_workers($q${query}$q$) ORDER BY nodeport");
    texts(client, &query).unwrap()
}

/// Waits for a job, whatever becomes of it: its state, and its error.
fn done(client: &mut Client, job: &str) -> String {
    client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job}, '60 s')")).unwrap();
    text(
        client,
        &format!("SELECT concat_ws(': ', state, error) FROM groundskeeper.jobs WHERE job_id = {job}"),
    )
    .unwrap()
}

/// Waits until no job is open any more, and has all of them succeeded.
fn settle(client: &mut Client) {
    let open = "SELECT count(*) FROM groundskeeper.jobs WHERE state IN ('queued', 'running', 'waiting')";
    until("the jobs are done", || text(client, open).unwrap() == "0");
    let not_done = "SELECT kind || ' ' || error FROM groundskeeper.jobs WHERE state <> 'succeeded'";
    assert_eq!(texts(client, not_done).unwrap(), [""; 0]);
}

/// What a client has to wait for.
fn until(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(50));
    }
}
