//! Server settings of a role: given, shown, taken back.

use groundskeeper_sandbox::server::{Options, quote_ident};
use groundskeeper_tests::plan::{Outcome, carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

use super::IN_FORCE;

const ANY_ROLE: &str = "5.1.role.server_settings";

/// All settings of roles and databases, of this database.
const SETTINGS: &str = "
    SELECT format('%s: %s', setrole::regrole, s.setconfig) FROM pg_db_role_setting s
     WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1";

fn installed() -> (TestDb, Client, String) {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let role = db.role("it's \"odd\".").unwrap();
    let client = db.client().unwrap();
    (db, client, role)
}

/// The call, with the role's name as a literal of `regrole`.
fn call(role: &str) -> String {
    format!("apply_server_settings('{}')", quote_ident(role).replace('\'', "''"))
}

fn apply(client: &mut Client, role: &str) -> Outcome {
    carry_out(client, &call(role)).unwrap().remove(0)
}

fn item(role: &str) -> String {
    format!("{ANY_ROLE}.{role}")
}

#[test]
fn a_role_gets_the_settings_in_this_database_and_only_it() {
    let (mut db, mut client, role) = installed();
    let other = db.role("other").unwrap();
    assert_eq!(plan_states(&mut client).unwrap()[ANY_ROLE].state, "pending");
    let outcome = apply(&mut client, &role);
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("apply", "applied"));
    assert_eq!(outcome.item, item(&role));
    assert_eq!(outcome.sql.matches("ALTER ROLE ").count(), 9);

    let mut session = db.client_as(&role).unwrap();
    for (name, value) in IN_FORCE {
        assert_eq!(
            text(&mut session, &format!("SELECT current_setting('{name}')")).unwrap(),
            value,
            "{name}"
        );
    }
    let name = "SELECT current_setting('application_name')";
    assert_eq!(text(&mut session, name).unwrap(), "mlb_betting_migration");
    let timeout = "SELECT current_setting('statement_timeout')";
    assert_eq!(text(&mut db.client_as(&other).unwrap(), timeout).unwrap(), "0");
    assert_eq!(text(&mut db.server().connect("postgres", &role).unwrap(), timeout).unwrap(), "0");

    let plan = plan_states(&mut client).unwrap();
    assert_eq!(plan[&item(&role)].state, "applied");
    assert!(!plan.contains_key(ANY_ROLE), "it stands for roles only while there is none");
    let log = "SELECT item || ' ' || (forward_sql LIKE '%ALTER ROLE%SET statement_timeout = ''300000''%')
                 FROM groundskeeper.change_log WHERE item LIKE '5.1%'";
    assert_eq!(texts(&mut client, log).unwrap(), [format!("{} true", item(&role))]);

    let again = apply(&mut client, &role);
    assert_eq!((again.action.as_str(), again.state.as_str()), ("skip", "applied"));
    // Nor does apply_plan() touch a role unasked.
    for outcome in carry_out(&mut client, "apply_plan(sections => '{5.1}')").unwrap() {
        assert_eq!((outcome.action.as_str(), outcome.item), ("skip", item(&role)));
    }
}

#[test]
fn taking_it_back_restores_what_was_there() {
    let (db, mut client, role) = installed();
    let quoted = quote_ident(&role);
    for (name, value) in
        [("search_path", "staging, public"), ("work_mem", "'64MB'"), ("TimeZone", "'Europe/Berlin'")]
    {
        let set = format!("ALTER ROLE {quoted} IN DATABASE {} SET {name} = {value}", db.name());
        client.batch_execute(&set).unwrap();
    }
    client.batch_execute(&format!("ALTER DATABASE {} SET work_mem = '5MB'", db.name())).unwrap();
    let before = texts(&mut client, SETTINGS).unwrap();
    let dump = db.server().dump(db.name(), &["--schema-only", "--create"]).unwrap();
    apply(&mut client, &role);
    assert_ne!(texts(&mut client, SETTINGS).unwrap(), before);
    let prior = "SELECT prior_definition FROM groundskeeper.change_log WHERE item LIKE '5.1%'";
    let prior = text(&mut client, prior).unwrap();
    assert!(prior.contains("SET work_mem = '64MB'") && prior.contains("Europe/Berlin"), "{prior}");
    let revert = "SELECT revert_sql FROM groundskeeper.plan_status() WHERE section = '5.1'";
    let revert = text(&mut client, revert).unwrap();
    assert!(
        revert.contains("RESET statement_timeout") && revert.contains("SET work_mem = '64MB'"),
        "{revert}"
    );

    let dry = carry_out(&mut client, "rollback_plan(true)").unwrap();
    let dry = dry.iter().find(|outcome| outcome.item == item(&role)).unwrap();
    assert_eq!((dry.action.as_str(), dry.sql.as_str()), ("revert", revert.as_str()));
    let outcomes = carry_out(&mut client, "rollback_plan()").unwrap();
    let outcome = outcomes.iter().find(|outcome| outcome.item == item(&role)).unwrap();
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("revert", "pending"));
    assert_eq!(texts(&mut client, SETTINGS).unwrap(), before);
    db.settle().unwrap();
    assert_eq!(plan_states(&mut client).unwrap()[ANY_ROLE].state, "pending");
    // The whole way: what was applied and taken back leaves no trace in a dump.
    carry_out(&mut client, "apply_plan()").unwrap();
    db.settle().unwrap();
    let changed = difference(&dump, &db.server().dump(db.name(), &["--schema-only", "--create"]).unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn the_inverse_in_the_log_does_it_without_the_extension() {
    let (_db, mut client, role) = installed();
    let before = texts(&mut client, SETTINGS).unwrap();
    apply(&mut client, &role);
    let inverse =
        text(&mut client, "SELECT inverse_sql FROM groundskeeper.change_log WHERE item LIKE '5.1%'");
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    client.batch_execute(&inverse.unwrap()).unwrap();
    assert_eq!(texts(&mut client, SETTINGS).unwrap(), before);
}

#[test]
fn what_was_changed_since_is_the_users() {
    let (db, mut client, role) = installed();
    let alter = format!("ALTER ROLE {} IN DATABASE {}", quote_ident(&role), db.name());
    apply(&mut client, &role);
    client.batch_execute(&format!("{alter} SET work_mem = '1GB'")).unwrap();
    let standing = &plan_states(&mut client).unwrap()[&item(&role)];
    assert_eq!(standing.state, "conflict");
    assert!(standing.detail.contains("work_mem is 1GB and not 32MB"), "{standing:?}");
    let outcomes = carry_out(
        &mut client,
        &format!("rollback_plan(items => ARRAY['{}'])", item(&role).replace('\'', "''")),
    );
    let outcome = outcomes.unwrap().remove(0);
    assert_eq!(outcome.action, "revert");
    assert!(outcome.detail.contains("changed since and left as it is: work_mem"), "{outcome:?}");
    assert_eq!(texts(&mut client, SETTINGS).unwrap().len(), 1);
    assert!(texts(&mut client, SETTINGS).unwrap()[0].contains("{work_mem=1GB}"));

    // Asked for again, it is set again; the way back is to what was there then.
    client.batch_execute(&format!("{alter} RESET ALL; {alter} SET work_mem = '1GB'")).unwrap();
    apply(&mut client, &role);
    client.batch_execute(&format!("{alter} SET work_mem = '2GB'; {alter} RESET statement_timeout")).unwrap();
    assert_eq!(apply(&mut client, &role).sql.matches("ALTER ROLE").count(), 2);
    assert_eq!(plan_states(&mut client).unwrap()[&item(&role)].state, "applied");
    for outcome in carry_out(&mut client, "rollback_plan()").unwrap() {
        assert_eq!(outcome.action, "revert", "{outcome:?}");
    }
    assert!(texts(&mut client, SETTINGS).unwrap()[0].contains("{work_mem=2GB}"));
    db.settle().unwrap();
}

#[test]
fn a_copy_says_what_it_lacks_and_leaves_the_source_alone() {
    let (db, mut client, role) = installed();
    apply(&mut client, &role);
    let here = texts(&mut client, SETTINGS).unwrap();
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    let mut there = copy.client().unwrap();
    let standing = &plan_states(&mut there).unwrap()[&item(&role)];
    assert_eq!(standing.state, "pending");
    assert!(standing.detail.contains("not set in this database: application_name"), "{standing:?}");
    assert_eq!(apply(&mut there, &role).state, "applied");
    assert_eq!(plan_states(&mut there).unwrap()[&item(&role)].state, "applied");
    for outcome in carry_out(&mut there, "rollback_plan()").unwrap() {
        assert_eq!(outcome.action, "revert", "{outcome:?}");
    }
    assert_eq!(texts(&mut there, SETTINGS).unwrap(), [""; 0]);
    assert_eq!(texts(&mut client, SETTINGS).unwrap(), here);
    copy.settle().unwrap();
}

#[test]
fn a_renamed_role_is_still_that_role_and_a_dropped_one_is_gone() {
    let (db, mut client, role) = installed();
    apply(&mut client, &role);
    let renamed = format!("renamed_{}", db.name());
    client.batch_execute(&format!("ALTER ROLE {} RENAME TO {renamed}", quote_ident(&role))).unwrap();
    assert_eq!(plan_states(&mut client).unwrap()[&item(&role)].state, "applied");
    carry_out(&mut client, "rollback_plan()").unwrap();
    assert_eq!(texts(&mut client, SETTINGS).unwrap(), [""; 0]);
    apply(&mut client, &renamed);
    client.batch_execute(&format!("DROP ROLE {renamed}")).unwrap();
    let standing = &plan_states(&mut client).unwrap()[&item(&renamed)];
    assert_eq!(standing.state, "blocked");
    let outcomes = carry_out(&mut client, "rollback_plan()").unwrap();
    let outcome = outcomes.iter().find(|outcome| outcome.item == item(&renamed)).unwrap();
    assert!(outcome.detail.contains("is gone"), "{outcome:?}");
    db.settle().unwrap();
}

#[test]
fn roles_that_must_not_have_them_are_refused() {
    let (mut db, mut client, role) = installed();
    let [owner, group, worker] = ["owner", "group", "worker"].map(|stem| db.role(stem).unwrap());
    fill(&mut client, 40).unwrap();
    client
        .batch_execute(&format!(
            "ALTER TABLE staging.totals OWNER TO {owner}; ALTER ROLE {group} NOLOGIN; GRANT {group} TO {};
             CREATE TABLE public.scratch (id integer); ALTER TABLE public.scratch OWNER TO {worker};
             GRANT CREATE ON SCHEMA public TO {worker}; CREATE INDEX scratch_id ON public.scratch (id)",
            quote_ident(&role)
        ))
        .unwrap();
    // A job of the worker's, waiting for a writer.
    let mut writer = db.client().unwrap();
    writer.batch_execute("BEGIN; LOCK TABLE public.scratch IN ROW EXCLUSIVE MODE").unwrap();
    client.batch_execute("SELECT groundskeeper.reindex('public.scratch_id')").unwrap();
    let before = texts(&mut client, SETTINGS).unwrap();
    for (role, code, message, more) in [
        ("postgres", "22023", "role postgres is a superuser", "no superuser"),
        (owner.as_str(), "22023", "maintenance runs as role", "it owns staging.totals"),
        (worker.as_str(), "22023", "maintenance runs as role", "job "),
        (group.as_str(), "22023", "cannot log in", "it's \"odd\""),
        ("pg_monitor", "22023", "cannot log in", "the application connects as"),
        ("no_such_role", "42704", "does not exist", ""),
    ] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.{}", call(role))).unwrap();
        assert_eq!(refused.code, code, "{role}: {refused:?}");
        assert!(refused.message.contains(message), "{role}: {refused:?}");
        assert!(refused.detail.contains(more) || refused.hint.contains(more), "{role}: {refused:?}");
    }
    let nobody = refusal(&mut client, "SELECT groundskeeper.apply_server_settings('-')").unwrap();
    assert_eq!(nobody.code, "42704", "{nobody:?}");
    assert_eq!(texts(&mut client, SETTINGS).unwrap(), before);
    let logged = "SELECT count(*) FROM groundskeeper.change_log WHERE item LIKE '5.1%'";
    assert_eq!(text(&mut client, logged).unwrap(), "0");
    writer.batch_execute("COMMIT").unwrap();
    db.settle().unwrap();
    assert_eq!(apply(&mut client, &worker).state, "applied");
    client.batch_execute("DROP TABLE public.scratch").unwrap();
    client.batch_execute(&format!("REVOKE CREATE ON SCHEMA public FROM {worker}")).unwrap();
    client.batch_execute("ALTER TABLE staging.totals OWNER TO postgres").unwrap();
}

#[test]
fn a_role_that_pg_cron_works_as_is_refused() {
    if groundskeeper_tests::lacks("pg_cron") {
        return;
    }
    let server = Options::default().preload("pg_cron").set("cron.database_name", "betting").start().unwrap();
    server.create_database("betting", "template0").unwrap();
    let mut client = server.connect("betting", "postgres").unwrap();
    client
        .batch_execute("CREATE EXTENSION pg_cron; CREATE EXTENSION pg_groundskeeper; CREATE ROLE app LOGIN")
        .unwrap();
    let schedule = "SELECT cron.schedule_in_database($1, '0 4 * * *', 'VACUUM', $1, 'app')";
    client.execute(schedule, &[&"postgres"]).unwrap();
    assert_eq!(apply(&mut client, "app").state, "applied");
    client.execute(schedule, &[&"betting"]).unwrap();
    let refused = refusal(&mut client, "SELECT groundskeeper.apply_server_settings('app')").unwrap();
    assert_eq!(refused.code, "22023");
    assert!(refused.detail.contains("pg_cron runs 1 of its jobs here"), "{refused:?}");
}

#[test]
fn postgresql_decides_who_may_set_a_role() {
    let (mut db, mut client, role) = installed();
    let [stranger, caller, chief] = ["stranger", "caller", "chief"].map(|stem| db.role(stem).unwrap());
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON FUNCTION groundskeeper.apply_server_settings(regrole), groundskeeper.rollback_plan TO {caller}, {chief};
             ALTER ROLE {chief} CREATEROLE"
        ))
        .unwrap();
    let sql = format!("SELECT groundskeeper.{}", call(&role));
    for other in [&stranger, &caller] {
        let refused = refusal(&mut db.client_as(other).unwrap(), &sql).unwrap();
        assert_eq!(refused.code, "42501", "{refused:?}");
    }
    let logged = "SELECT count(*) FROM groundskeeper.change_log WHERE item LIKE '5.1%'";
    assert_eq!(text(&mut client, logged).unwrap(), "0");
    // Whoever may alter the role may do it, and the role itself.
    let mut chief = db.client_as(&chief).unwrap();
    if db.server().installation().major() < 16 {
        chief.batch_execute(&sql).unwrap();
        for outcome in carry_out(&mut chief, "rollback_plan()").unwrap() {
            assert_eq!(outcome.action == "revert", outcome.item == item(&role), "{outcome:?}");
        }
    }
    assert_eq!(apply(&mut db.client_as(&caller).unwrap(), &caller).state, "applied");
    // It is taken back by whoever may, too.
    let mut session = db.client_as(&caller).unwrap();
    let own = format!("rollback_plan(items => ARRAY['{}'])", item(&caller));
    assert_eq!(carry_out(&mut session, &own).unwrap()[0].action, "revert");
    assert_eq!(texts(&mut client, SETTINGS).unwrap(), [""; 0]);
}

#[test]
fn the_cache_is_the_machines_when_asked_for() {
    let (db, mut client, role) = installed();
    client.batch_execute("SELECT groundskeeper.connection_pool_config()").unwrap();
    client
        .batch_execute(
            "SET groundskeeper.scale_to_machine = on; SET groundskeeper.timezone = 'Europe/Berlin'",
        )
        .unwrap();
    apply(&mut client, &role);
    let mut session = db.client_as(&role).unwrap();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:")).unwrap();
    let total: i64 = total.trim().trim_end_matches(" kB").parse().unwrap();
    let kilobytes = "SELECT setting::bigint * 8 FROM pg_settings WHERE name = 'effective_cache_size'";
    let cache: i64 = text(&mut session, kilobytes).unwrap().parse().unwrap();
    // A container may have less than the machine.
    assert!(cache > 0 && cache <= total * 3 / 4 + 1024, "{cache} of {total} kB");
    assert_ne!(cache, 4 << 20);
    assert_eq!(text(&mut session, "SELECT current_setting('timezone')").unwrap(), "Europe/Berlin");
}
