//! The database that it is done to: a plain table, and one that is converted, with the same rows and children.

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::{Server, quote_ident};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{PATIENCE, Template, TestDb};
use postgres::Client;
use postgres::error::DbError;

use super::steps::Step;

const SCHEMAS: [&str; 2] = ["plain", "parted"];

const SETUP: &str = "
    CREATE SCHEMA plain AUTHORIZATION :owner; CREATE SCHEMA parted AUTHORIZATION :owner;
    GRANT USAGE, CREATE ON SCHEMA plain, parted TO :heir; GRANT USAGE ON SCHEMA plain, parted TO :writer; GRANT :heir TO :owner;
    CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    SET ROLE :owner";

/// In either schema. No moments: both sides are written one after the other.
const TABLES: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, at date, email text UNIQUE, n integer, note text);
    CREATE TABLE of_id (id bigint REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE of_email (email text REFERENCES t (email) ON DELETE SET NULL ON UPDATE CASCADE);
    INSERT INTO t SELECT i, current_date - i * 3, 'm' || i, i FROM generate_series(1, 60) i;
    INSERT INTO of_id SELECT generate_series(1, 10); INSERT INTO of_email SELECT 'm' || generate_series(5, 15);
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t, of_id, of_email TO :writer";

pub struct World {
    // before the server, so that it is dropped while that runs
    db: TestDb,
    client: Client,
    owner: String,
    heir: String,
    writer: String,
    server: Server,
}

type Outcome = Result<(), Box<DbError>>;

fn code(outcome: &Outcome) -> &str {
    outcome.as_ref().err().map_or("00000", |error| error.code().code())
}

impl World {
    pub fn new(server: Server) -> Self {
        let mut db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
        db.install().unwrap();
        db.settle().unwrap();
        let [owner, heir, writer] = ["owner", "heir", "writer"].map(|role| db.role(role).unwrap());
        let mut client = db.client().unwrap();
        let named = |script: &str| {
            let roles = [(":owner", &owner), (":heir", &heir), (":writer", &writer)];
            roles
                .iter()
                .fold(script.to_owned(), |script, (mark, role)| script.replace(mark, &quote_ident(role)))
        };
        client.batch_execute(&named(SETUP)).unwrap();
        for schema in SCHEMAS {
            client.batch_execute(&format!("SET search_path = {schema}; {}", named(TABLES))).unwrap();
        }
        client.batch_execute("RESET ALL; RESET ROLE").unwrap();
        let mut world = Self { db, client, owner, heir, writer, server };
        world.grant();
        world
    }

    /// The owner may call us, as who looks after a database does.
    fn grant(&mut self) {
        let owner = quote_ident(&self.owner);
        let grant = format!(
            "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper, groundskeeper_internal TO {owner}"
        );
        self.client.batch_execute(&grant).unwrap();
    }

    /// Takes a step, and looks whether all is right afterwards.
    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Both { by, script } => self.both(&[&self.writer, &self.owner][*by].clone(), script),
            Step::Alter("TRUNCATE") => self.truncate(),
            Step::Alter(script) => self.both("", script),
            Step::Call(call) => drop(self.call(call)),
            Step::Cancelled { call, after, undone } => self.cancelled(call, *after, *undone),
            Step::Killed { call, after, server } => self.killed(call, *after, *server),
            Step::Beside { call, script } => self.beside(call, script),
            Step::Retain(action) => self.retain(action),
            Step::LeaveAndReturn(at) => self.leave_and_return(*at),
            Step::GiveAway => self.give_away(),
            Step::Again => self.again(),
            Step::Restored => self.restored(),
        }
        self.look(&step.to_string());
    }

    /// The end: the way back, and nothing of ours left.
    pub fn settle(&mut self) {
        self.call("undo_partitioning('parted.t')");
        self.look("the way back");
        let left = "SELECT concat_ws(' ', relname, relkind) FROM pg_class WHERE relnamespace = 'parted'::regnamespace
                      AND relkind IN ('r', 'p') AND relname NOT IN ('t', 'of_id', 'of_email') AND relname !~ '^t_\\d{4}_\\d\\d$'";
        let left = texts(&mut self.client, left).unwrap();
        let finalized = "SELECT count(*) FROM groundskeeper.conversion";
        assert!(
            left.is_empty() || text(&mut self.client, finalized).unwrap() != "0",
            "left behind: {left:?}"
        );
    }

    fn connected_as(&self, role: &str, schema: &str) -> Client {
        let mut client = if role.is_empty() { self.db.client() } else { self.db.client_as(role) }.unwrap();
        client.batch_execute(&format!("SET search_path = {schema}, public")).unwrap();
        client
    }

    fn run(&self, role: &str, schema: &str, script: &str) -> Outcome {
        let mut client = self.connected_as(role, schema);
        client.batch_execute(script).map_err(|error| {
            Box::new(error.as_db_error().unwrap_or_else(|| panic!("{script}: {error}")).clone())
        })
    }

    /// On either, first on the one that may refuse for reasons of its own.
    fn both(&mut self, role: &str, script: &str) {
        let parted = self.run(role, "parted", script);
        if ["40001", "40P01", "55P03"].contains(&code(&parted)) {
            return;
        }
        let plain = self.run(role, "plain", script);
        assert_eq!(code(&plain), code(&parted), "{script}: {plain:?}, {parted:?}");
    }

    /// What refers to rows keeps them from being truncated, in one way or another.
    fn truncate(&mut self) {
        self.run("", "plain", "TRUNCATE t, of_id, of_email").unwrap();
        if self.is_partitioned() {
            self.run("", "parted", "TRUNCATE of_id, of_email").unwrap();
            self.run("", "parted", "TRUNCATE t").unwrap();
        } else {
            self.run("", "parted", "TRUNCATE t, of_id, of_email").unwrap();
        }
    }

    /// The number of the job, unless the call is refused for what the table is by now.
    fn queued(&mut self, call: &str) -> Option<i64> {
        let mut client = self.connected_as(&self.owner, "parted");
        match client.query_one(&format!("SELECT groundskeeper.{call}"), &[]) {
            Ok(row) => Some(row.get(0)),
            Err(error) => {
                let error = error.as_db_error().unwrap_or_else(|| panic!("{call}: {error}"));
                let known = ["55000", "42P01", "42809", "55P03"].contains(&error.code().code());
                assert!(known, "{call}: {error:?}");
                None
            }
        }
    }

    fn state(&mut self, job: i64) -> (String, String) {
        let query =
            "SELECT state, concat_ws(': ', phase, detail, error) FROM groundskeeper.jobs WHERE job_id = $1";
        let row = self.client.query_one(query, &[&job]).unwrap();
        (row.get(0), row.get(1))
    }

    fn ended(&mut self, job: i64) -> (String, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = self.state(job);
            if ["succeeded", "failed", "cancelled"].contains(&last.0.as_str()) {
                return last;
            }
            assert!(Instant::now() < deadline, "job {job} has not ended: {last:?}");
            sleep(Duration::from_millis(5));
        }
    }

    fn call(&mut self, call: &str) -> bool {
        if call.starts_with("create_monthly_partitions") {
            let made = self.run(&self.owner, "parted", &format!("SELECT * FROM groundskeeper.{call}"));
            assert!(made.is_ok(), "{call}: {made:?}");
            return true;
        }
        let Some(job) = self.queued(call) else { return false };
        let (state, error) = self.ended(job);
        assert_eq!(state, "succeeded", "{call}: {error}");
        true
    }

    fn cancelled(&mut self, call: &str, after: u64, undone: bool) {
        let Some(job) = self.queued(call) else { return };
        sleep(Duration::from_millis(after));
        let cancelling = self.run(&self.owner, "parted", &format!("SELECT groundskeeper.cancel_job({job})"));
        assert!(["00000", "55000"].contains(&code(&cancelling)), "{cancelling:?}");
        let (state, error) = self.ended(job);
        assert!(["succeeded", "cancelled"].contains(&state.as_str()), "{call}, cancelled: {state} {error}");
        self.call(if undone { "undo_partitioning('parted.t')" } else { call });
    }

    fn killed(&mut self, call: &str, after: u64, server: bool) {
        let Some(job) = self.queued(call) else { return };
        sleep(Duration::from_millis(after));
        if server {
            self.server.kill_9().unwrap();
            self.server.up().unwrap();
            self.client = self.db.client().unwrap();
        } else {
            let worker = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                           WHERE backend_type = 'pg_groundskeeper job' AND datname = current_database()";
            texts(&mut self.client, worker).unwrap();
        }
        self.client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job}, '0 s')")).ok();
        let (state, error) = self.ended(job);
        if state == "failed" {
            self.run(&self.owner, "parted", &format!("SELECT groundskeeper.retry_job({job})")).unwrap();
            let (state, error) = self.ended(job);
            assert_eq!(state, "succeeded", "{call}, killed and tried again: {error}");
        } else {
            assert_eq!(state, "succeeded", "{call}, killed: {error}");
        }
    }

    fn beside(&mut self, call: &str, script: &str) {
        let job = self.queued(call);
        self.both(&self.writer.clone(), script);
        if let Some(job) = job {
            let (state, error) = self.ended(job);
            assert_eq!(state, "succeeded", "{call}, beside {script}: {error}");
        }
    }

    fn is_partitioned(&mut self) -> bool {
        text(&mut self.client, "SELECT relkind FROM pg_class WHERE oid = 'parted.t'::regclass").unwrap()
            == "p"
    }

    /// The rows of a partition, as the plain table has them.
    fn rows_of(&mut self, partition: &str) -> Vec<String> {
        texts(&mut self.client, &format!("SELECT id FROM {partition}")).unwrap()
    }

    /// What has left the one is to leave the other. Nothing refers to it any more.
    fn leaves(&self, ids: &[String]) {
        if !ids.is_empty() {
            let gone = self.run("", "plain", &format!("DELETE FROM t WHERE id IN ({})", ids.join(", ")));
            assert!(gone.is_ok(), "{gone:?}");
        }
    }

    fn retain(&mut self, action: &str) {
        if !self.is_partitioned() {
            return;
        }
        let partitions =
            "SELECT i.inhrelid::regclass FROM pg_inherits i WHERE i.inhparent = 'parted.t'::regclass";
        let before: Vec<(String, Vec<String>)> = texts(&mut self.client, partitions)
            .unwrap()
            .into_iter()
            .map(|partition| (partition.clone(), self.rows_of(&partition)))
            .collect();
        let set = format!("SELECT groundskeeper.set_retention('parted.t', '2 months', '{action}')");
        let outcome = self.run(&self.owner, "parted", &set);
        if code(&outcome) == "55000" {
            return; // not managed, as its conversion is on its way back
        }
        outcome.unwrap();
        self.run(&self.owner, "parted", "SELECT * FROM groundskeeper.apply_retention()").unwrap();
        self.run(&self.owner, "parted", "SELECT groundskeeper.set_retention('parted.t', NULL)").unwrap();
        let after = texts(&mut self.client, partitions).unwrap();
        for (partition, ids) in before.iter().filter(|(partition, _)| !after.contains(partition)) {
            self.leaves(ids);
            self.run("", "parted", &format!("DROP TABLE IF EXISTS {partition}")).unwrap();
        }
    }

    fn leave_and_return(&mut self, at: usize) {
        let partitions = "SELECT i.inhrelid::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                           WHERE i.inhparent = 'parted.t'::regclass AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' ORDER BY c.relname";
        let partitions = texts(&mut self.client, partitions).unwrap();
        let Some(partition) = partitions.get(at) else { return };
        let ids = self.rows_of(partition);
        let Some(job) = self.queued(&format!("detach_partition('{partition}')")) else { return };
        let (state, error) = self.ended(job);
        if state == "failed" {
            assert!(error.contains("refer"), "{partition} is detached: {error}");
            return;
        }
        self.leaves(&ids);
        self.look("a partition that was detached");
        let kept = texts(&mut self.client, &format!("SELECT format('(%L, %L::date, %L, %L::integer, %L)', id, at, email, n, note) FROM {partition}")).unwrap();
        let Some(job) = self.queued(&format!("attach_partition('parted.t', '{partition}')")) else {
            self.run("", "parted", &format!("DROP TABLE {partition}")).unwrap();
            return;
        };
        let (state, error) = self.ended(job);
        assert_eq!(state, "succeeded", "{partition} is attached again: {error}");
        let back = self.run("", "plain", &format!("INSERT INTO t VALUES {}", kept.join(", ")));
        assert!(back.is_ok(), "{back:?}");
    }

    /// Who gives it away is one of those who get it, for as long as it takes.
    fn give_away(&mut self) {
        let [owner, heir] = [&self.owner, &self.heir].map(|role| quote_ident(role));
        let back = format!("REVOKE {heir} FROM {owner}; GRANT {owner} TO {heir}");
        let forth = format!("REVOKE {owner} FROM {heir}; GRANT {heir} TO {owner}");
        for (to, then) in [(&heir, &back), (&owner, &forth)] {
            for schema in SCHEMAS {
                let given = self.run("", schema, &format!("ALTER TABLE t OWNER TO {to}"));
                assert!(given.is_ok(), "{given:?}");
            }
            self.both(
                &self.writer.clone(),
                "UPDATE t SET n = n + 1 WHERE id % 5 = 0; INSERT INTO t (id, at) VALUES (500, '2026-01-01'); DELETE FROM t WHERE id = 500",
            );
            self.run("", "public", then).unwrap();
        }
    }

    fn again(&mut self) {
        self.client
            .batch_execute("DROP EXTENSION pg_groundskeeper; CREATE EXTENSION pg_groundskeeper")
            .unwrap();
        self.db.settle().unwrap();
        self.grant();
        if self.is_partitioned() {
            let adopt = "SELECT groundskeeper.adopt_partitioned_table('parted.t')";
            self.run(&self.owner, "parted", adopt).unwrap();
        }
    }

    fn restored(&mut self) {
        let copy = TestDb::on(Server::attach(self.server.base()).unwrap(), Template::Empty).unwrap();
        copy.server().restore(copy.name(), &self.db.dump().unwrap()).unwrap();
        look(&mut copy.client().unwrap(), "a restored dump");
    }

    fn look(&mut self, what: &str) {
        look(&mut self.client, what);
    }
}

/// That both have the same rows, and the keys are those of the rows.
fn look(client: &mut Client, what: &str) {
    let mut wrong = String::new();
    let mut differ = |client: &mut Client, one: &str, other: &str, name: &str| {
        let query = format!(
            "SELECT string_agg(d::text, ', ') FROM (SELECT '-', x.* FROM (({one}) EXCEPT ALL ({other})) x
                UNION ALL SELECT '+', y.* FROM (({other}) EXCEPT ALL ({one})) y) d"
        );
        let found = text(client, &query).unwrap();
        if !found.is_empty() {
            let _ = writeln!(wrong, "{name} after {what}: {found}");
        }
    };
    for table in ["t", "of_id", "of_email"] {
        let columns = if table == "t" { "id, at, email, n, note" } else { "*" };
        let side = |schema: &str| format!("SELECT {columns} FROM {schema}.{table}");
        differ(client, &side("plain"), &side("parted"), table);
    }
    let has_keys = "SELECT to_regclass('parted.t_key') IS NOT NULL AND relkind = 'p' FROM pg_class WHERE oid = 'parted.t'::regclass";
    if text(client, has_keys).unwrap() == "true" {
        differ(client, "SELECT id, email FROM parted.t", "SELECT id, email FROM parted.t_key", "keys");
    }
    assert!(wrong.is_empty(), "{wrong}");
    let health = "SELECT concat_ws(' ', status, detail) FROM monitoring.partition_health
                   WHERE status ~ 'keys|triggers|owner|unknown'";
    assert_eq!(texts(client, health).unwrap(), [""; 0], "after {what}");
}
