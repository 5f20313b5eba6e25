//! Every function, procedure and view of the extension, called by those who may do more than the owner of all the tables
//! that there are. Whatever the owner has written into these says who it runs as: the owner, or nobody.

use std::fmt::Write as _;

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{counted, list, until};

/// What functions are called about.
const RELATIONS: [&str; 15] = [
    "raw_data.moneylines_raw",
    "staging.moneylines",
    "staging.games",
    "curated.strategy_results",
    "public.pipeline_execution_log",
    "app.managed",
    "app.managed_default",
    "app.managed_2020_01",
    "app.plain",
    "app.plain_pkey",
    "app.converted",
    "app.converted_key",
    "app.finalized",
    "app.halfway",
    "app.report",
];

/// A database whose every table is one role's, with that role's code in each.
fn hostile() -> (TestDb, Client, String) {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let owner = db.role("owner").unwrap();
    let mut client = db.client().unwrap();
    for schema in ["raw_data", "staging", "curated"] {
        client.batch_execute(&format!("ALTER SCHEMA {schema} OWNER TO {owner}")).unwrap();
    }
    let all = "SELECT format('ALTER TABLE %s OWNER TO :owner', c.oid::regclass) FROM pg_class c
                WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN ('raw_data', 'staging', 'curated', 'public')";
    for statement in list(&mut client, all) {
        client.batch_execute(&statement.replace(":owner", &owner)).unwrap();
    }
    client
        .batch_execute(&format!(
            "CREATE SCHEMA trap AUTHORIZATION {owner}; CREATE SCHEMA app AUTHORIZATION {owner}; GRANT CREATE ON SCHEMA public TO {owner}"
        ))
        .unwrap();
    let mut as_owner = db.client_as(&owner).unwrap();
    as_owner.batch_execute(&include_str!("hostile.sql").replace(":owner", &owner)).unwrap();
    as_owner
        .batch_execute(
            "SELECT trap.arm(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('raw_data', 'staging', 'curated', 'public');
             CREATE RULE trap AS ON UPDATE TO public.pipeline_execution_log DO ALSO SELECT trap.ok(1);
             ALTER TABLE staging.moneylines ENABLE ALWAYS TRIGGER trap_before;
             ALTER TABLE staging.games ENABLE REPLICA TRIGGER trap_after;
             CREATE CONSTRAINT TRIGGER trap_deferred AFTER INSERT ON staging.spreads DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION trap.fire();
             INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds, raw_data, game_date, home_team_name, away_team_name)
                 SELECT 'x', 'g' || g, 'book', -110, 100, '{}', now()::date, 'BOS', 'NYY' FROM generate_series(1, 20) g;
             INSERT INTO public.pipeline_execution_log (execution_id, pipeline_stage, status, start_time, records_processed, records_successful, records_failed)
                 VALUES (gen_random_uuid(), 'staging', 'completed', now(), 10, 9, 1)",
        )
        .unwrap();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
    db.settle().unwrap();
    partitioned(&db, &owner);
    (db, client, owner)
}

/// Tables in every state of partitioning.
fn partitioned(db: &TestDb, owner: &str) {
    let mut as_owner = db.client_as(owner).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper TO {owner}; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {owner}"
        ))
        .unwrap();
    as_owner
        .batch_execute(
            "CREATE TABLE app.managed (id bigint, day date) PARTITION BY RANGE (day);
             CREATE TABLE app.managed_default PARTITION OF app.managed DEFAULT;
             CREATE TABLE app.managed_2020_01 PARTITION OF app.managed FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
             SELECT trap.arm('app.managed');
             CREATE INDEX ON app.managed_default ((id + trap.int(1)));
             INSERT INTO app.managed SELECT g, now()::date + 40 FROM generate_series(1, 10) g;
             INSERT INTO app.managed SELECT g, '2020-01-05' FROM generate_series(1, 10) g;
             SELECT groundskeeper.adopt_partitioned_table('app.managed');
             SELECT groundskeeper.set_retention('app.managed', '1 year', 'drop', 'trap.before(regclass)');
             CREATE TABLE app.plain (id bigint PRIMARY KEY, day date);
             CREATE TABLE app.converted (id bigint PRIMARY KEY, day date);
             CREATE TABLE app.finalized (id bigint PRIMARY KEY, day date);
             CREATE TABLE app.halfway (id bigint PRIMARY KEY, day date);
             SELECT trap.arm(t::regclass) FROM unnest('{app.plain,app.converted,app.finalized,app.halfway}'::text[]) t;
             CREATE TABLE app.children (id bigint REFERENCES app.converted);
             CREATE MATERIALIZED VIEW app.report AS SELECT trap.int(1) AS one, count(*) FROM app.plain WHERE trap.ok(1);
             SELECT groundskeeper.maintain('app.report')",
        )
        .unwrap();
    for table in ["plain", "converted", "finalized", "halfway"] {
        as_owner
            .batch_execute(&format!(
                "INSERT INTO app.{table} SELECT g, now()::date - g FROM generate_series(1, 20) g"
            ))
            .unwrap();
    }
    let convert = |table: &str| {
        format!(
            "SELECT groundskeeper.partition_table('app.{table}', 'day', accept => '{{on_conflict,triggers}}')"
        )
    };
    as_owner.batch_execute(&convert("converted")).unwrap();
    as_owner.batch_execute(&convert("finalized")).unwrap();
    db.settle().unwrap();
    as_owner.batch_execute("SELECT groundskeeper.finalize_partitioning('app.finalized')").unwrap();
    db.settle().unwrap();
    let stages =
        "SELECT string_agg(relation || ' ' || stage, ', ' ORDER BY relation) FROM groundskeeper.conversion";
    assert_eq!(text(&mut client, stages).unwrap(), "app.converted converted, app.finalized finalized");
    // one is left before its exchange, which a reader holds up
    let mut reader = db.client_as(owner).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM app.halfway").unwrap();
    let job = text(&mut as_owner, &convert("halfway")).unwrap();
    until(&mut client, &format!("SELECT phase FROM groundskeeper.jobs WHERE job_id = {job}"), "proven");
    client.batch_execute(&format!("SELECT groundskeeper.cancel_job({job})")).unwrap();
    until(&mut client, &format!("SELECT state FROM groundskeeper.jobs WHERE job_id = {job}"), "cancelled");
    reader
        .batch_execute(
            "ROLLBACK; INSERT INTO app.converted SELECT g, now()::date FROM generate_series(100, 110) g",
        )
        .unwrap();
}

/// A function or procedure: its kind, its name, and the names and types of what it is given.
struct Routine {
    procedure: bool,
    name: String,
    returns: String,
    arguments: Vec<(String, String)>,
}

fn routines(client: &mut Client) -> Vec<Routine> {
    let query = "
        SELECT p.prokind = 'p', p.oid::regproc::text, format_type(p.prorettype, NULL),
               ARRAY(SELECT COALESCE(a.name, '') FROM unnest(p.proargnames) WITH ORDINALITY a (name, place)
                      WHERE a.place <= p.pronargs OR p.proargmodes[a.place] IN ('i', 'b') ORDER BY a.place),
               ARRAY(SELECT format_type(t.oid, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY t (oid, place) ORDER BY t.place)
          FROM pg_proc p
          JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
         ORDER BY p.oid::regprocedure::text";
    let rows = client.query(query, &[]).unwrap();
    let routine = |row: &postgres::Row| {
        let (names, types): (Vec<String>, Vec<String>) = (row.get(3), row.get(4));
        Routine {
            procedure: row.get(0),
            name: row.get(1),
            returns: row.get(2),
            arguments: names.into_iter().zip(types).collect(),
        }
    };
    rows.iter().map(routine).collect()
}

/// The values that an argument is given, one after the other.
fn values(name: &str, kind: &str) -> Vec<String> {
    let one = |value: &str| vec![value.to_owned()];
    match (name, kind) {
        (_, "regclass") => RELATIONS.iter().map(|relation| format!("'{relation}'::regclass")).collect(),
        (_, "boolean") => vec!["true".to_owned(), "false".to_owned()],
        (_, "regprocedure") => one("'trap.before(regclass)'"),
        (_, "regrole") => one("(SELECT relowner FROM pg_class WHERE oid = 'app.plain'::regclass)::regrole"),
        ("partition_key", _) => one("'day'"),
        ("interval", "text") => one("'month'"),
        ("premake", _) => one("3"),
        ("action", "text") => one("'detach'"),
        ("accept", _) => one("'{on_conflict,triggers}'"),
        ("format", "text") => one("'libpq'"),
        ("job_name", _) => ["statistics", "partitions", "retention", "alerts", "migrate"]
            .map(|job| format!("'{job}'"))
            .to_vec(),
        ("step" | "what", "text") => {
            ["begin", "hold", "call", "end"].map(|step| format!("'{step}'")).to_vec()
        }
        (_, "oid[]" | "bigint[]") => one(&format!(
            "ARRAY(SELECT oid::{} FROM pg_class WHERE relkind IN ('r', 'i', 'm', 'p'))",
            kind.trim_end_matches("[]")
        )),
        ("bet_type" | "timezone" | "rules" | "naming" | "sections" | "items", _) => one("NULL"),
        (_, "integer" | "bigint" | "numeric" | "double precision" | "smallint") => one("1"),
        (_, "interval") => one("'1 year'"),
        (_, "timestamp with time zone") => one("now()"),
        (_, "text" | "name") => one("'moneyline'"),
        (_, "jsonb") => one("'{}'"),
        (_, kind) => one(&format!("NULL::{kind}")),
    }
}

/// Every way in which it is called.
fn calls(routine: &Routine) -> Vec<String> {
    let mut calls = vec![String::new()];
    for (name, kind) in &routine.arguments {
        let values = values(name, kind);
        calls = calls
            .iter()
            .flat_map(|before| values.iter().map(move |value| (before, value)))
            .map(|(before, value)| {
                let mut call = before.clone();
                let separator = if call.is_empty() { "" } else { ", " };
                match name.as_str() {
                    "" => write!(call, "{separator}{value}").unwrap(),
                    name => write!(call, "{separator}\"{name}\" => {value}").unwrap(),
                }
                call
            })
            .collect();
    }
    let verb = if routine.procedure { "CALL" } else { "SELECT * FROM" };
    calls.iter().map(|arguments| format!("{verb} {}({arguments})", routine.name)).collect()
}

/// What was called, and what went wrong.
#[derive(Default)]
struct Walk {
    calls: usize,
    succeeded: usize,
    sprung: Vec<String>,
    unknown: Vec<String>,
}

impl Walk {
    /// Makes a call, and takes back what a function did.
    fn make(&mut self, client: &mut Client, as_whom: &str, call: &str, keep: bool) {
        let before = counted(client, "trap.as_another");
        let takes_back = !keep && !call.starts_with("CALL");
        if takes_back {
            client.batch_execute("BEGIN").unwrap();
        }
        match client.batch_execute(call) {
            Ok(()) => self.succeeded += 1,
            // an argument that is not spelled as it must be calls nothing
            Err(error) if error.as_db_error().is_some_and(|e| e.code().code() == "42883") => {
                self.unknown.push(format!("{call}: {error}"));
            }
            Err(_) => {}
        }
        if takes_back {
            client.batch_execute("ROLLBACK").unwrap();
        }
        self.calls += 1;
        if counted(client, "trap.as_another") > before {
            self.sprung.push(format!("{as_whom}: {call}"));
        }
    }
}

fn session(db: &TestDb, role: &str, settings: &str) -> Client {
    let mut client = db.client_as(role).unwrap();
    client
        .batch_execute(&format!(
            "SET statement_timeout = '60s'; SET groundskeeper.lock_timeout = '100ms'; {settings}"
        ))
        .unwrap();
    client
}

#[test]
fn nothing_of_an_owner_runs_with_anothers_rights() {
    let (mut db, mut client, owner) = hostile();
    let mut walk = Walk::default();
    if counted(&mut client, "trap.as_another") > 0 {
        walk.sprung.push("superuser: CREATE EXTENSION, and its jobs".to_owned());
    }
    let before = counted(&mut client, "trap.as_owner");
    let monitor = db.role("monitor").unwrap();
    client
        .batch_execute(&format!(
            "GRANT pg_monitor TO {monitor};
             INSERT INTO groundskeeper.schedule (job_name, schedule, command) VALUES ('migrate', '* * * * *', 'CALL groundskeeper.migrate_to_staging()')"
        ))
        .unwrap();
    let routines = routines(&mut client);
    let views = "SELECT c.oid::regclass::text FROM pg_class c
                   JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                   JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
                  WHERE c.relkind IN ('v', 'r') ORDER BY 1";
    let views = texts(&mut client, views).unwrap();
    let called: Vec<&Routine> = routines.iter().filter(|r| !r.returns.ends_with("trigger")).collect();
    let superuser = groundskeeper_sandbox::server::SUPERUSER.to_owned();
    let replica = "SET session_replication_role = replica";
    for (role, settings) in [(&superuser, ""), (&superuser, replica), (&monitor, "")] {
        let mut client = session(&db, role, settings);
        for view in &views {
            walk.make(&mut client, &format!("{role} {settings}"), &format!("TABLE {view}"), false);
        }
        for call in called.iter().flat_map(|routine| calls(routine)) {
            walk.make(&mut client, &format!("{role} {settings}"), &call, false);
        }
    }
    // the schedule: as a scheduler runs it, and all that is overdue
    let mut scheduler = session(&db, &superuser, "");
    scheduler
        .batch_execute(
            "SELECT * FROM groundskeeper.schedule_maintenance();
             UPDATE groundskeeper.schedule SET schedule = '* * * * *', scheduled_at = now() - interval '1 day'",
        )
        .unwrap();
    walk.make(&mut scheduler, "schedule", "CALL groundskeeper.run_overdue()", true);
    for command in list(&mut client, "SELECT command FROM groundskeeper.schedule ORDER BY 1") {
        walk.make(&mut scheduler, "schedule", &command, true);
    }
    // what jobs do, each about each relation, and done for good
    let queueing = called
        .iter()
        .filter(|r| r.returns == "bigint" && r.arguments.iter().any(|(_, kind)| kind == "regclass"));
    for call in queueing.flat_map(|routine| calls(routine)) {
        walk.make(&mut scheduler, "superuser's job", &call, true);
        if db.settle().is_err() {
            client.batch_execute("SELECT groundskeeper.cancel_job(job_id) FROM groundskeeper.jobs WHERE state IN ('queued', 'running', 'waiting')").unwrap();
        }
    }
    for call in ["SELECT * FROM groundskeeper.rollback_plan()", "SELECT * FROM groundskeeper.apply_plan()"] {
        walk.make(&mut scheduler, "superuser", call, true);
        db.settle().unwrap();
    }
    if counted(&mut client, "trap.as_another") > 0 && walk.sprung.is_empty() {
        walk.sprung.push("a job".to_owned());
    }
    println!(
        "{} routines, {} relations, {} calls of which {} succeeded; the owner's code ran {} times, all as {owner}",
        called.len(),
        views.len(),
        walk.calls,
        walk.succeeded,
        counted(&mut client, "trap.as_owner") - before
    );
    assert_eq!(walk.sprung, [""; 0]);
    assert_eq!(walk.unknown, [""; 0]);
    assert!(walk.succeeded > 300 && counted(&mut client, "trap.as_owner") > before + 1_000);
}
