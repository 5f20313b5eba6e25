//! The months of many managed tables: `create_monthly_partitions()` beside pg_partman's `run_maintenance()` and, for
//! what has to be made, a bare loop of statements.

use std::time::Instant;

use anyhow::{Result, ensure};
use groundskeeper_sandbox::server::{SUPERUSER, Server};
use postgres::Client;

use super::figures::{Findings, Role};
use super::{Effort, production};
use xtask::process::announce;

const OURS: &str = "create_monthly_partitions()";
const PARTMAN: &str = "pg_partman's run_maintenance()";
const BARE: &str = "a bare loop of CREATE TABLE ... PARTITION OF";
const UNIT: &str = "ms";

/// Partitions of each table: nine months back, and as many ahead as ours makes by itself.
const PARTITIONS: &str = "
    FOR n IN $first .. $last LOOP
      EXECUTE format('CREATE TABLE betting.t%s (id bigint, game_date date NOT NULL, odds integer, PRIMARY KEY (id, game_date))
                      PARTITION BY RANGE (game_date)', n);
      EXECUTE format('CREATE INDEX ON betting.t%s (game_date)', n);
      $partitions
      EXECUTE format('INSERT INTO betting.t%s VALUES (1, current_date)', n);
    END LOOP";
const BY_HAND: &str = "
      FOR month IN SELECT generate_series(this_month - interval '9 months', this_month + interval '2 months', '1 month') LOOP
        EXECUTE format('CREATE TABLE betting.%I PARTITION OF betting.t%s FOR VALUES FROM (%L) TO (%L)',
                       't' || n || '_' || to_char(month, 'YYYY_MM'), n, month, month + interval '1 month');
      END LOOP;";
const BY_OURS: &str = "PERFORM groundskeeper.adopt_partitioned_table(format('betting.t%s', n)::regclass);";
const BY_PARTMAN: &str = "
      PERFORM partman.create_parent('betting.t' || n, 'game_date', 'native', 'monthly', p_premake := 2,
                p_start_partition := (this_month - interval '9 months')::text);";

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let sizes = match effort.rows {
        Some(tables) => vec![tables],
        None => effort.pick(vec![10, 100, 1_000], vec![10, 100]),
    };
    let rounds = effort.pick(5, 3);
    let mut findings = Findings::new(format!(
        "Tables of 12 monthly partitions with a primary key and an index; {rounds} rounds, fsync on, pg_partman 4.7.2. \
         \"One month each\" asks for a month more in each round; what pg_partman makes has a default partition to look \
         through, which is empty."
    ));
    let server = production().set("max_locks_per_transaction", "1024").start()?;
    for tables in sizes {
        announce(format!("{tables} tables"));
        for (database, extension, after) in [
            ("ours", "CREATE EXTENSION pg_groundskeeper", [BY_HAND, BY_OURS].concat()),
            (
                "partman",
                "CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman",
                BY_PARTMAN.to_owned(),
            ),
            ("bare", "SELECT", BY_HAND.to_owned()),
        ] {
            server.create_database(database, "template0")?;
            make(&mut server.connect(database, SUPERUSER)?, tables, extension, &after)?;
        }
        contest(&server, tables, rounds, &mut findings)?;
        for database in ["ours", "partman", "bare"] {
            server.drop_database(database)?;
        }
    }
    judge(&mut findings, 100);
    Ok(findings)
}

/// So many tables, some in each transaction, as each takes locks on all that it makes.
fn make(client: &mut Client, tables: u64, extension: &str, partitions: &str) -> Result<()> {
    client.batch_execute("CREATE SCHEMA betting")?;
    client.batch_execute(extension)?;
    for first in (1..=tables).step_by(50) {
        let last = (first + 49).min(tables);
        let body = PARTITIONS.replace("$first", &first.to_string()).replace("$last", &last.to_string());
        client.batch_execute(&format!(
            "SET client_min_messages = error;
             DO $do$ DECLARE n integer; month date; this_month date := date_trunc('month', now()); BEGIN {} ; END $do$",
            body.replace("$partitions", partitions)
        ))?;
    }
    Ok(client.batch_execute("VACUUM ANALYZE")?)
}

fn contest(server: &Server, tables: u64, rounds: usize, findings: &mut Findings) -> Result<()> {
    let mut ours = server.connect("ours", SUPERUSER)?;
    let mut partman = server.connect("partman", SUPERUSER)?;
    let mut bare = server.connect("bare", SUPERUSER)?;
    let idle = format!("{tables} tables, nothing to do");
    let busy = format!("{tables} tables, one month each");
    for round in 0..=rounds {
        // Round 0 warms up.
        let add = |findings: &mut Findings, case: &str, who, role, ms| {
            if round > 0 {
                findings.add(case, who, role, UNIT, ms);
            }
        };
        let made = partitions(&mut ours)?;
        let call = format!("SELECT count(*) FROM create_monthly_partitions({})", 3 + round);
        if round == 0 {
            timed(&mut ours, "SELECT count(*) FROM create_monthly_partitions(3)")?;
        }
        ensure!(partitions(&mut ours)? == made, "there was something to do");
        let before = format!("SELECT count(*) FROM create_monthly_partitions({})", (2 + round).max(3));
        add(findings, &idle, OURS, Role::Ours, timed(&mut ours, &before)?);
        add(
            findings,
            &idle,
            PARTMAN,
            Role::Alternative,
            timed(&mut partman, "SELECT partman.run_maintenance()")?,
        );
        if round == 0 {
            continue;
        }
        add(findings, &busy, OURS, Role::Ours, timed(&mut ours, &call)?);
        ensure!(partitions(&mut ours)? == made + tables, "not one month each");
        let made = partitions(&mut partman)?;
        partman.batch_execute(&format!("UPDATE partman.part_config SET premake = {}", 2 + round))?;
        add(
            findings,
            &busy,
            PARTMAN,
            Role::Alternative,
            timed(&mut partman, "SELECT partman.run_maintenance()")?,
        );
        let now = partitions(&mut partman)?;
        ensure!(now == made + tables, "pg_partman made {} partitions", now - made);
        add(findings, &busy, BARE, Role::Limit, timed(&mut bare, &bare_loop(tables, 2 + round))?);
    }
    Ok(())
}

fn bare_loop(tables: u64, months_on: usize) -> String {
    format!(
        "DO $$ DECLARE month date := date_trunc('month', now()) + interval '{months_on} months'; BEGIN
           FOR n IN 1 .. {tables} LOOP
             EXECUTE format('CREATE TABLE betting.%I PARTITION OF betting.t%s FOR VALUES FROM (%L) TO (%L)',
                            't' || n || '_' || to_char(month, 'YYYY_MM'), n, month, month + interval '1 month');
           END LOOP;
         END $$"
    )
}

fn partitions(client: &mut Client) -> Result<u64> {
    let all =
        "SELECT count(*) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relkind = 'r'";
    Ok(client.query_one(all, &[])?.get::<_, i64>(0).unsigned_abs())
}

fn timed(client: &mut Client, statement: &str) -> Result<f64> {
    let started = Instant::now();
    client.batch_execute(statement)?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// Asked of a hundred tables.
fn judge(findings: &mut Findings, tables: u64) {
    let ratio = |case: &str, other| findings.between(&format!("{tables} tables, {case}"), UNIT, other, OURS);
    let idle = ratio("nothing to do", PARTMAN);
    let busy = 1.0 / ratio("one month each", BARE);
    let partman = ratio("one month each", PARTMAN);
    findings.at_least(
        &format!("{tables} tables, nothing to do: at least 10 times as fast as pg_partman"),
        idle,
        10.0,
    );
    findings.at_most(&format!("{tables} tables, one month each: at most 2 times a bare loop"), busy, 2.0);
    findings.note(format!("{tables} tables, one month each: {partman:.1} times as fast as pg_partman."));
}
