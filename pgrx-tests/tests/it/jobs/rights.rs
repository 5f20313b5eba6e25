//! Whose rights a job has, and who may do what with it.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::carry_out;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use serde_json::json;

use super::{
    in_transaction, index_task, job, prepare, queue_index, queue_task, until, until_job, until_state,
    valid_index,
};

/// Gives `staging.moneylines` to a new role that may apply the plan; its name.
fn owner_of_moneylines(db: &mut TestDb, client: &mut Client) -> String {
    let owner = db.role("owner").unwrap();
    client
        .batch_execute(&format!(
            "ALTER TABLE staging.moneylines OWNER TO {0}; GRANT CREATE ON SCHEMA staging TO {0};
             GRANT EXECUTE ON FUNCTION groundskeeper.apply_plan, groundskeeper.cancel_job, groundskeeper.retry_job TO {0};
             GRANT EXECUTE ON PROCEDURE groundskeeper.wait_for_job TO {0}",
            quote_ident(&owner)
        ))
        .unwrap();
    owner
}

/// The role that a job's worker is connected as.
fn worker_of(client: &mut Client, id: i64) -> String {
    let query = format!(
        "SELECT a.usename FROM groundskeeper.job j JOIN pg_stat_activity a ON a.pid = j.worker_pid
          WHERE job_id = {id} AND backend_type = 'pg_groundskeeper job'"
    );
    text(client, &query).unwrap()
}

#[test]
fn a_job_runs_as_the_tables_owner_whoever_asked() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let owner = owner_of_moneylines(&mut db, &mut client);
    let mut as_owner = db.client_as(&owner).unwrap();
    for asking in ["superuser", "owner"] {
        super::drop_index(&mut client, super::INDEX);
        let (mut writer, _) = in_transaction(&db, super::WRITER);
        let id = queue_index(if asking == "owner" { &mut as_owner } else { &mut client });
        until_state(&mut client, id, "waiting");
        assert_eq!(worker_of(&mut client, id), owner, "{asking}");
        let asked =
            text(&mut client, &format!("SELECT requested_by FROM groundskeeper.job WHERE job_id = {id}"));
        assert_eq!(asked.unwrap(), if asking == "owner" { owner.as_str() } else { "postgres" });
        // Both see what it waits for.
        assert!(until_state(&mut as_owner, id, "waiting").detail.starts_with("waits for "), "{asking}");
        writer.batch_execute("COMMIT").unwrap();
        let waited: String =
            as_owner.query_one(&format!("CALL groundskeeper.wait_for_job({id})"), &[]).unwrap().get(0);
        assert_eq!(waited, "succeeded");
    }
    let index = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = ";
    assert_eq!(text(&mut client, &format!("{index}'{}'", super::INDEX)).unwrap(), owner);
}

#[test]
fn an_owners_job_cannot_touch_what_the_owner_cannot() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let owner = owner_of_moneylines(&mut db, &mut client);
    for task in [
        index_task("staging", "totals", "stolen", "id"),
        json!({"kind": "drop_index", "index": {"schema": "staging", "name": "idx_staging_totals_game_sportsbook"}}),
        json!({"kind": "validate_constraint", "table": {"schema": "staging", "name": "totals"},
               "constraint": "chk_totals_quality_score", "expression": "true"}),
        json!({"kind": "refresh_view", "view": {"schema": "staging", "name": "daily_game_stats"}}),
    ] {
        let id = queue_task(&mut client, "staging.totals", &owner, &task);
        let failed = until_state(&mut client, id, "failed");
        // From 17 on, refreshing takes MAINTAIN.
        let refused = ["must be owner of", "permission denied for materialized view"];
        assert!(refused.iter().any(|why| failed.error.contains(why)), "{failed:?}");
    }
}

#[test]
fn others_can_neither_see_nor_manage_a_job() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let owner = owner_of_moneylines(&mut db, &mut client);
    let stranger = db.role("stranger").unwrap();
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON FUNCTION groundskeeper.cancel_job, groundskeeper.retry_job TO {0};
             GRANT EXECUTE ON PROCEDURE groundskeeper.wait_for_job TO {0}",
            quote_ident(&stranger)
        ))
        .unwrap();
    let (mut writer, _) = in_transaction(&db, super::WRITER);
    let id = queue_index(&mut db.client_as(&owner).unwrap());
    until_state(&mut client, id, "waiting");
    let mut stranger = db.client_as(&stranger).unwrap();
    assert_eq!(texts(&mut stranger, "SELECT job_id FROM groundskeeper.jobs").unwrap(), [""; 0]);
    assert_eq!(texts(&mut stranger, "SELECT job_id FROM groundskeeper.job_history").unwrap(), [""; 0]);
    for call in ["SELECT groundskeeper.cancel_job", "SELECT groundskeeper.retry_job"] {
        assert_eq!(refusal(&mut stranger, &format!("{call}({id})")).unwrap().code, "42501", "{call}");
    }
    let wait = format!("CALL groundskeeper.wait_for_job({id})");
    let refused = refusal(&mut stranger, &wait).unwrap();
    assert_eq!(refused.code, "42704", "as if there were none: {refused:?}");
    // Even the owner manages jobs only through the functions.
    let mut as_owner = db.client_as(&owner).unwrap();
    for table in ["job", "job_attempt"] {
        let write = format!("DELETE FROM groundskeeper.{table}");
        assert_eq!(refusal(&mut as_owner, &write).unwrap().code, "42501", "{write}");
    }
    assert_eq!(text(&mut as_owner, &format!("SELECT groundskeeper.cancel_job({id})")).unwrap(), "running");
    until_state(&mut as_owner, id, "cancelled");
    writer.batch_execute("COMMIT").unwrap();
    assert_eq!(text(&mut as_owner, &format!("SELECT groundskeeper.retry_job({id})")).unwrap(), "queued");
    until_state(&mut as_owner, id, "succeeded");
}

#[test]
fn a_role_that_cannot_connect_is_refused_with_the_remedy() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let owner = owner_of_moneylines(&mut db, &mut client);
    let database = db.name().to_owned();
    client.batch_execute(&format!("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")).unwrap();
    client.batch_execute("SET groundskeeper.inline_build_limit = 0").unwrap();
    let outcome = |client: &mut Client| {
        let outcomes = carry_out(client, "apply_plan(sections => '{2.1}')").unwrap();
        outcomes.into_iter().find(|outcome| outcome.item.ends_with(super::INDEX)).unwrap()
    };
    let refused = outcome(&mut client);
    assert_eq!(refused.state, "blocked", "{refused:?}");
    assert!(refused.detail.contains("GRANT CONNECT ON DATABASE"), "{refused:?}");
    client
        .batch_execute(&format!("GRANT CONNECT ON DATABASE {database} TO PUBLIC; ALTER ROLE {owner} NOLOGIN"))
        .unwrap();
    let refused = outcome(&mut client);
    assert_eq!(refused.state, "blocked", "{refused:?}");
    let remedy = format!("ALTER ROLE {} LOGIN", owner.trim_matches('"'));
    assert!(refused.detail.contains(&remedy), "{refused:?}");
    client.batch_execute(&format!("ALTER ROLE {owner} LOGIN")).unwrap();
    assert_eq!(outcome(&mut client).state, "queued");
    db.settle().unwrap();
    assert_eq!(valid_index(&mut client).len(), 1);
}

#[test]
fn a_role_lost_while_its_job_waits_fails_the_job() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let owner = owner_of_moneylines(&mut db, &mut client);
    let quoted = quote_ident(&owner);
    let database = db.name().to_owned();
    for (loss, why, remedy) in [
        ("ALTER ROLE :role NOLOGIN", "may not log in any more", "ALTER ROLE :role LOGIN"),
        (
            "REVOKE CONNECT ON DATABASE :database FROM PUBLIC",
            "may not connect",
            "GRANT CONNECT ON DATABASE :database TO PUBLIC",
        ),
        (
            "REASSIGN OWNED BY :role TO postgres; DROP OWNED BY :role; DROP ROLE :role",
            "does not exist any more",
            "",
        ),
    ] {
        let [loss, remedy] =
            [loss, remedy].map(|sql| sql.replace(":role", &quoted).replace(":database", &database));
        client.batch_execute("BEGIN").unwrap();
        let id = queue_index(&mut client);
        client.batch_execute(&format!("{loss}; COMMIT")).unwrap();
        let failed = until_state(&mut client, id, "failed");
        assert!(failed.error.contains(&owner) && failed.error.contains(why), "{loss}: {failed:?}");
        client.batch_execute(&remedy).unwrap();
    }
    // With the table now the superuser's, it can be done.
    let id = queue_index(&mut client);
    until_state(&mut client, id, "succeeded");
}

/// Names that end a statement, a literal or an identifier where they are not quoted.
const NAMES: [&str; 6] = [
    "plain \"quoted\"",
    "x\"; DROP TABLE public.canary; --",
    "x'); DROP TABLE public.canary; --",
    "dots.and.$tags$",
    "Жүйе ⚾ ünïcödé",
    "sixty-three bytes, as many as there can be in a name, and a \"quo",
];

#[test]
fn hostile_names_are_data() {
    let mut db = TestDb::new(Template::Empty).unwrap();
    db.install().unwrap();
    let owner = db.role("ow\"ner'; --").unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("CREATE TABLE public.canary ()").unwrap();
    let mut jobs = Vec::new();
    for name in NAMES {
        let name: String = name.chars().take(63).collect();
        assert!(name.len() <= 63);
        let (quoted, role) = (quote_ident(&name), quote_ident(&owner));
        client
            .batch_execute(&format!(
                "CREATE SCHEMA {quoted} AUTHORIZATION {role}; SET ROLE {role};
                 CREATE TABLE {quoted}.{quoted} (id integer, {quoted} integer);
                 INSERT INTO {quoted}.{quoted} VALUES (1, 1);
                 ALTER TABLE {quoted}.{quoted} ADD CONSTRAINT {quoted} CHECK ({quoted} > 0) NOT VALID;
                 CREATE MATERIALIZED VIEW {quoted}.view AS SELECT FROM {quoted}.{quoted} WITH NO DATA;
                 CREATE INDEX old ON {quoted}.{quoted} (id); RESET ROLE"
            ))
            .unwrap();
        let relation = json!({"schema": name, "name": name});
        // The index cannot have its table's name.
        let index: String = name.chars().rev().collect();
        for task in [
            index_task(&name, &name, &index, &quoted),
            json!({"kind": "validate_constraint", "table": relation, "constraint": name, "expression": "true"}),
            json!({"kind": "analyze", "table": relation, "column": name}),
            json!({"kind": "drop_index", "index": {"schema": name, "name": "old"}}),
            json!({"kind": "refresh_view", "view": {"schema": name, "name": "view"}}),
        ] {
            jobs.push(queue_task(&mut client, &format!("{quoted}.{quoted}"), &owner, &task));
        }
    }
    for id in jobs {
        until_state(&mut client, id, "succeeded");
    }
    let count = |what: &str| format!("SELECT count(*) FROM {what}");
    let expected = NAMES.len().to_string();
    for done in [
        "pg_index i JOIN pg_class c ON c.oid = indrelid WHERE indisvalid AND relowner::regrole::text LIKE '\"ow%'",
        "pg_constraint WHERE contype = 'c' AND convalidated AND conrelid::regclass::text NOT LIKE 'groundskeeper.%' AND conrelid >= 16384 AND connamespace::regnamespace::text <> 'groundskeeper'",
        "pg_matviews WHERE ispopulated",
    ] {
        assert_eq!(text(&mut client, &count(done)).unwrap(), expected, "{done}");
    }
    assert_eq!(text(&mut client, "SELECT to_regclass('public.canary')").unwrap(), "canary");
}

#[test]
fn a_strangers_advisory_locks_hold_up_no_job() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let stranger = db.role("stranger").unwrap();
    let (mut writer, _) = in_transaction(&db, super::WRITER);
    let id = queue_index(&mut client);
    until_state(&mut client, id, "waiting");
    // What a stranger can see of our locks, and take as well for the next job.
    let mut stranger = db.client_as(&stranger).unwrap();
    stranger
        .batch_execute(
            "SELECT pg_try_advisory_lock(classid::bigint::integer, (objid::bigint + n)::integer)
               FROM pg_locks, generate_series(0, 2) n
              WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .unwrap();
    writer.batch_execute("COMMIT").unwrap();
    until_state(&mut client, id, "succeeded");
    until("no worker", || {
        let workers = "SELECT count(*) FROM pg_stat_activity
                        WHERE backend_type LIKE 'pg_groundskeeper%' AND datname = current_database()";
        (text(&mut client, workers).unwrap() == "0").then_some(())
    });
    stranger
        .batch_execute(&format!(
            "SELECT pg_try_advisory_lock(c, j) FROM unnest(ARRAY[{0}, {0}]) c, unnest(ARRAY[0, {1}]) j",
            0x676b_6a62,
            id + 1
        ))
        .unwrap();
    super::drop_index(&mut client, super::INDEX);
    let next = queue_index(&mut client);
    until_job(&mut client, next, "succeeded", |job| job.state == "succeeded");
    assert_eq!(job(&mut client, next).attempts, 1);
}
