//! What our event triggers cost DDL that is none of our business, in a database full of converted tables.

use std::time::Instant;

use anyhow::{Result, ensure};
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use postgres::Client;

use super::figures::{Findings, Role};
use super::{Effort, production, wait_for_jobs};
use xtask::process::announce;

const OURS: &str = "with our event triggers";
const BARE: &str = "without them";
const UNIT: &str = "ms";

/// What is timed; each undoes the one before it.
const STATEMENTS: [(&str, &str); 4] = [
    (
        "CREATE TABLE ... PARTITION OF",
        "CREATE TABLE other.part PARTITION OF other.whole FOR VALUES FROM (1) TO (2)",
    ),
    ("ALTER TABLE ... DETACH PARTITION", "ALTER TABLE other.whole DETACH PARTITION other.part"),
    (
        "ALTER TABLE ... ATTACH PARTITION",
        "ALTER TABLE other.whole ATTACH PARTITION other.part FOR VALUES FROM (1) TO (2)",
    ),
    ("DROP TABLE", "DROP TABLE other.part"),
];

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let tables = effort.rows(100, 10);
    let rounds = effort.pick(200, 50);
    let mut findings = Findings::new(format!(
        "{tables} converted tables of 14 partitions, and one partitioned table that is not ours; {rounds} rounds in one \
         session, and each statement again as the first of a session. The event triggers are disabled and enabled in turn."
    ));
    let server = production().set("max_locks_per_transaction", "1024").start()?;
    server.create_database("ddl", "template0")?;
    let mut client = server.connect("ddl", SUPERUSER)?;
    announce(format!("{tables} tables are converted"));
    convert(&mut client, tables)?;
    announce("statements about another table");
    // What the disk takes to commit is the same for both, and more than what is looked for.
    client.batch_execute("SET synchronous_commit = off")?;
    for round in 0..=rounds {
        for (enabled, who, role) in [(true, OURS, Role::Ours), (false, BARE, Role::Limit)] {
            enable(&mut client, enabled)?;
            for (case, statement) in STATEMENTS {
                let ms = timed(&mut client, statement)?;
                // Round 0 warms up.
                if round > 0 {
                    findings.add(case, who, role, UNIT, ms);
                }
            }
            if round % 10 == 1 {
                first_of_a_session(&server, who, role, &mut findings)?;
            }
        }
    }
    for (case, _) in STATEMENTS {
        let more = findings.median(case, OURS, UNIT) - findings.median(case, BARE, UNIT);
        findings.at_most(&format!("{case}: at most 1 ms more"), more, 1.0);
    }
    Ok(findings)
}

/// So many tables of a year, twelve months ago to the next but one.
fn convert(client: &mut Client, tables: u64) -> Result<()> {
    client.batch_execute(
        "CREATE EXTENSION pg_groundskeeper; CREATE SCHEMA betting; CREATE SCHEMA other;
         CREATE TABLE other.whole (id bigint) PARTITION BY RANGE (id)",
    )?;
    for n in 1..=tables {
        client.batch_execute(&format!(
            "CREATE TABLE betting.t{n} (id bigint PRIMARY KEY, day date NOT NULL);
             INSERT INTO betting.t{n} VALUES (1, date_trunc('month', now()) - interval '10 months');
             SELECT groundskeeper.partition_table('betting.t{n}', 'day', accept => '{{on_conflict}}')"
        ))?;
    }
    wait_for_jobs(client)?;
    let partitions = client.query_one("SELECT count(*) FROM pg_inherits", &[])?.get::<_, i64>(0);
    ensure!(partitions.unsigned_abs() >= tables * 14, "{partitions} partitions of {tables} tables");
    Ok(client.batch_execute("VACUUM ANALYZE")?)
}

/// What a session pays that has looked at nothing yet.
fn first_of_a_session(server: &Server, who: &str, role: Role, findings: &mut Findings) -> Result<()> {
    for (case, statement) in STATEMENTS {
        let ms = timed(&mut server.connect("ddl", SUPERUSER)?, statement)?;
        findings.add(&format!("{case}, first of a session"), who, role, UNIT, ms);
    }
    Ok(())
}

fn enable(client: &mut Client, enabled: bool) -> Result<()> {
    let verb = if enabled { "ENABLE" } else { "DISABLE" };
    let all = "SELECT evtname FROM pg_event_trigger WHERE evtname ~ '^groundskeeper_'";
    for row in client.query(all, &[])? {
        client.batch_execute(&format!("ALTER EVENT TRIGGER {} {verb}", row.get::<_, &str>(0)))?;
    }
    Ok(())
}

fn timed(client: &mut Client, statement: &str) -> Result<f64> {
    let started = Instant::now();
    client.batch_execute(statement)?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}
