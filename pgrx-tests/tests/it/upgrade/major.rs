//! `pg_upgrade`: a server of a former release becomes one of this release, with all that a database has of ours.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::{Options, Server};
use groundskeeper_tests::plan::{Standing, carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{PATIENCE, Template, TestDb, difference, former, upgrade};
use postgres::Client;

use super::catalog::catalog;

/// All tables and materialized views that have rows, the extension's own included.
const RELATIONS: &str = "
    SELECT c.oid::regclass FROM pg_class c
     WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND c.relispopulated
       AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
       AND NOT starts_with(c.relnamespace::regnamespace::text, 'pg_')
     ORDER BY c.oid::regclass::text COLLATE \"C\"";

/// A database whose server has become another one. It is dropped before what it is in.
struct Upgraded<T> {
    db: TestDb,
    server: Server,
    _former: Server,
    /// What was prepared in it.
    prepared: T,
    /// The rows of each of its relations, when the former server was stopped.
    before: BTreeMap<String, Vec<String>>,
}

/// Prepares a database on a former server, which is killed as it is then, and brings it to a new one. Both preload the
/// library; nothing where there is no former server.
fn upgraded<T>(template: Template, prepare: impl FnOnce(&mut TestDb) -> T) -> Option<Upgraded<T>> {
    let installation = former().unwrap()?;
    let options = Options::default().preload("pg_groundskeeper").set("max_worker_processes", "32");
    let former = options.clone().of(&installation).start().unwrap();
    let mut db = TestDb::on(Server::attach(former.base()).unwrap(), template).unwrap();
    let prepared = prepare(&mut db);
    // From here on nothing of ours runs there, and writes. (An empty list cannot be said.)
    db.client().unwrap().batch_execute("ALTER SYSTEM SET shared_preload_libraries = plpgsql").unwrap();
    former.kill_9().unwrap();
    former.up().unwrap();
    let before = rows(&mut db.client().unwrap());
    db.client().unwrap().batch_execute("ALTER SYSTEM RESET shared_preload_libraries").unwrap();
    let server = upgrade(&former, &options).unwrap();
    db.move_to(Server::attach(server.base()).unwrap());
    Some(Upgraded { db, server, _former: former, prepared, before })
}

/// The rows of each relation.
fn rows(client: &mut Client) -> BTreeMap<String, Vec<String>> {
    let relations = texts(client, RELATIONS).unwrap();
    let of = |relation: String| {
        let rows = texts(client, &format!("SELECT r FROM ONLY {relation} r ORDER BY r::text COLLATE \"C\""))
            .unwrap();
        (relation, rows)
    };
    relations.into_iter().map(of).collect()
}

/// That nothing has changed since the former server was stopped.
fn assert_kept(before: &BTreeMap<String, Vec<String>>, now: &BTreeMap<String, Vec<String>>) {
    assert_eq!(before.keys().collect::<Vec<_>>(), now.keys().collect::<Vec<_>>());
    for (relation, rows) in before {
        let differs = difference(&rows.join("\n"), &now[relation].join("\n"));
        assert!(differs.is_empty(), "{relation}:\n{differs}");
    }
}

/// That the catalogs say of the extension what they say where it is newly installed on that server. Left out are
/// partitions that days have made, casts of arrays and names of columns, which PostgreSQL does not read back as it writes
/// them, and initial privileges, which `pg_upgrade` notes where they are not the default.
fn assert_fresh(server: &Server, client: &mut Client) {
    let fresh = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    fresh.install().unwrap();
    let facts = |client: &mut Client| -> String {
        let days = texts(
            client,
            "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'groundskeeper.metrics'::regclass",
        );
        let days = days.unwrap();
        let dropped = |line: &str| {
            ["ARRAY[", ", initial acl: "].iter().any(|part| line.contains(part))
                || days.iter().any(|day| line.contains(day.as_str()))
        };
        let catalog = catalog(client);
        let lines = catalog.lines().filter(|line| !dropped(line));
        lines.flat_map(|line| [line.trim_end_matches(" AS text"), "\n"]).collect()
    };
    let differs = difference(&facts(&mut fresh.client().unwrap()), &facts(client));
    assert!(differs.is_empty(), "{differs}");
}

fn until(client: &mut Client, query: &str, value: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = text(client, query).unwrap();
        if now == value {
            return;
        }
        assert!(Instant::now() < deadline, "{now} instead of {value}: {query}");
        sleep(Duration::from_millis(20));
    }
}

/// What can be in a database: the plan applied, tables converted in each way, jobs and a conversion in the middle, which
/// the client that is returned holds up, and a row in each table that users fill.
fn everything(db: &mut TestDb) -> (Client, BTreeMap<String, Standing>) {
    let author = db.role("author").unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 100).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    client.batch_execute(&include_str!("major.sql").replace(":author", &author)).unwrap();
    db.client_as(&author).unwrap().batch_execute(OF_THE_AUTHOR).unwrap();
    client
        .batch_execute(&format!("REVOKE ALL ON ALL ROUTINES IN SCHEMA groundskeeper FROM {author}"))
        .unwrap();
    db.settle().unwrap();
    client.batch_execute("SELECT groundskeeper.finalize_partitioning('done')").unwrap();
    db.settle().unwrap();
    assert_eq!(texts(&mut client, FAILED).unwrap(), [""; 0]);
    let item = "2.1.staging.totals.idx_staging_totals_game_sportsbook";
    carry_out(&mut client, &format!("rollback_plan(items => '{{{item}}}')")).unwrap();
    let mut holder = db.client().unwrap();
    holder
        .batch_execute(
            "BEGIN; INSERT INTO staging.totals (game_id) VALUES (1); LOCK TABLE halfway IN ACCESS SHARE MODE",
        )
        .unwrap();
    client
        .batch_execute(
            "SET groundskeeper.inline_build_limit = 0;
             SELECT groundskeeper.partition_table('halfway', 'at', accept => '{on_conflict}')",
        )
        .unwrap();
    carry_out(&mut client, "apply_plan(sections => '{2.1}')").unwrap();
    until(&mut client, "SELECT stage FROM groundskeeper.conversion WHERE table_name = 'halfway'", "proven");
    until(
        &mut client,
        "SELECT state FROM groundskeeper.jobs WHERE kind = 'create_index' AND target = 'staging.totals' ORDER BY job_id DESC LIMIT 1",
        "waiting",
    );
    (holder, plan_states(&mut client).unwrap())
}

/// An item of a role's own, on a table of its own.
const OF_THE_AUTHOR: &str = "
    CREATE TABLE public.own (id bigint PRIMARY KEY, day date);
    SELECT groundskeeper.add_plan_item('{\"section\": \"mine\", \"relation\": \"public.own\", \"kind\": \"index\",
                                         \"name\": \"own_day\", \"keys\": [\"day\"]}');
    SELECT FROM groundskeeper.apply_plan(sections => '{mine}')";

/// Jobs that have not come to a good end.
const FAILED: &str =
    "SELECT concat_ws(' ', kind, target, state, error) FROM groundskeeper.jobs WHERE state <> 'succeeded'";

/// Open jobs, each with how far it is.
const OPEN: &str = "SELECT format('%s %s %s', job_id, kind, target) FROM groundskeeper.jobs
                     WHERE state IN ('queued', 'running', 'waiting') ORDER BY job_id";

#[test]
fn pg_upgrade_takes_everything_along() {
    let Some(upgraded) = upgraded(Template::ShapeA, everything) else { return };
    let (db, states) = (&upgraded.db, &upgraded.prepared.1);
    let mut client = db.client().unwrap();
    // The launcher has looked into it meanwhile.
    sleep(Duration::from_secs(3));
    assert_kept(&upgraded.before, &rows(&mut client));
    assert_fresh(&upgraded.server, &mut client);
    client.batch_execute("ALTER EXTENSION pg_groundskeeper UPDATE").unwrap();
    assert_fresh(&upgraded.server, &mut client);
    assert_eq!(&plan_states(&mut client).unwrap(), states);
    assert_works(&mut client, "kept");
    assert_works(&mut client, "done");
    assert_eq!(months(&mut client), ["public.adopted", "public.done", "public.kept"]);
    let meanwhile =
        "INSERT INTO halfway SELECT g, current_date, 'meanwhile' FROM generate_series(1001, 1010) g";
    client.batch_execute(meanwhile).unwrap();
    assert_goes_on(db, &mut client);
    assert_can_be_taken_back(db, &mut client);
}

/// That jobs and schedule rest until they are told to go on.
fn assert_goes_on(db: &TestDb, client: &mut Client) {
    let open = texts(client, OPEN).unwrap();
    assert!(open.len() >= 2, "{open:?}");
    let runs = "SELECT count(*) FROM monitoring.maintenance_status WHERE next_run IS NOT NULL";
    assert_eq!(text(client, runs).unwrap(), "0");
    client
        .batch_execute("CREATE TABLE resumed AS SELECT now() AS at; SELECT groundskeeper.resume()")
        .unwrap();
    db.settle().unwrap();
    assert_eq!(texts(client, FAILED).unwrap(), [""; 0]);
    assert_works(client, "halfway");
    assert_eq!(months(client), ["public.halfway"]);
    assert_eq!(text(client, "SELECT count(*) FROM halfway").unwrap(), "1010");
    let run = "SELECT count(*) FROM resumed JOIN groundskeeper.schedule_run r ON r.last_run > resumed.at AND r.last_error IS NULL
                WHERE r.job_name IN ('metrics', 'alerts')";
    until(client, run, "2");
}

/// That a converted table is written as a plain one, keys included.
fn assert_works(client: &mut Client, table: &str) {
    let rows = format!("SELECT count(*) || ' ' || (SELECT count(*) FROM {table}_child) FROM {table}");
    let before = text(client, &rows).unwrap();
    client
        .batch_execute(&format!(
            "INSERT INTO {table} VALUES (9001, current_date, 'new'), (9002, current_date + 200, 'far');
             INSERT INTO {table}_child VALUES (9001); UPDATE {table} SET at = current_date - 40 WHERE id = 9001;
             DELETE FROM {table} WHERE id IN (9001, 9002)"
        ))
        .unwrap();
    assert_eq!(text(client, &rows).unwrap(), before, "{table}");
    let twice = format!("INSERT INTO {table} VALUES (7, current_date - 60, 'twice')");
    assert_eq!(refusal(client, &twice).unwrap().code, "23505", "{table}");
    let nobodys = format!("INSERT INTO {table}_child VALUES (77777)");
    assert_eq!(refusal(client, &nobodys).unwrap().code, "23503", "{table}");
}

/// The tables that get partitions for a year.
fn months(client: &mut Client) -> Vec<String> {
    let made = "SELECT DISTINCT parent FROM groundskeeper.create_monthly_partitions(12) WHERE action = 'created' ORDER BY 1";
    texts(client, made).unwrap()
}

/// That what was made on the former server goes back on this one, and is made again.
fn assert_can_be_taken_back(db: &TestDb, client: &mut Client) {
    let before = plan_states(client).unwrap();
    client
        .batch_execute(
            "SELECT groundskeeper.undo_partitioning('kept'), groundskeeper.undo_partitioning('halfway')",
        )
        .unwrap();
    db.settle().unwrap();
    let kinds = "SELECT string_agg(relkind::text, '' ORDER BY relname) FROM pg_class WHERE relname IN ('kept', 'halfway', 'done')
                    AND relnamespace = 'public'::regnamespace";
    assert_eq!(text(client, kinds).unwrap(), "prr");
    carry_out(client, "rollback_plan()").unwrap();
    db.settle().unwrap();
    let made = "SELECT count(*) FROM pg_class WHERE relname IN ('games_by_date', 'books', 'own_day', 'daily_game_stats')";
    assert_eq!(text(client, made).unwrap(), "0");
    carry_out(client, "apply_plan()").unwrap();
    db.settle().unwrap();
    assert_eq!(plan_states(client).unwrap(), before);
}

#[test]
fn what_was_released_is_taken_along_and_updated_afterwards() {
    let upgraded = upgraded(Template::Empty, |db| {
        let mut client = db.client().unwrap();
        client.batch_execute("CREATE EXTENSION pg_groundskeeper VERSION '0.1.0'").unwrap();
        client.batch_execute(include_str!("fill_0_1_0.sql")).unwrap();
    });
    let Some(upgraded) = upgraded else { return };
    let mut client = upgraded.db.client().unwrap();
    assert_kept(&upgraded.before, &rows(&mut client));
    super::update(&mut client);
    assert_fresh(&upgraded.server, &mut client);
}
