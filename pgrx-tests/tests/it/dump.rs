//! Dumps: what they carry, and what a database restored from one is.

use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::{carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{PATIENCE, Template, TestDb, difference, facts};
use postgres::Client;

/// Every table, the extension's own included, and every materialized view.
const RELATIONS: &str = "
    SELECT c.oid::regclass FROM pg_class c
     WHERE relkind IN ('r', 'm') AND relispopulated
       AND relnamespace::regnamespace::text IN ('raw_data', 'staging', 'curated', 'public', 'groundskeeper')
     ORDER BY c.oid::regclass::text COLLATE \"C\"";

fn counts(client: &mut Client) -> Vec<String> {
    let relations = texts(client, RELATIONS).unwrap();
    let count = |relation: &String| {
        format!("{relation} {}", text(client, &format!("SELECT count(*) FROM {relation}")).unwrap())
    };
    relations.iter().map(count).collect()
}

const JOBS: &str = "SELECT format('%s %s %s', job_id, kind, target) FROM groundskeeper.jobs
                     WHERE state IN ('queued', 'running', 'waiting') ORDER BY job_id";

/// A database restored from a dump of another, without one error.
fn restored(from: &TestDb) -> TestDb {
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &from.dump().unwrap()).unwrap();
    copy
}

/// Compares all but the lines that PostgreSQL does not read back as it writes them: casts of arrays.
fn assert_same(before: &str, after: &str) {
    let stable = |text: &str| -> String {
        text.lines().filter(|line| !line.contains("ARRAY[")).flat_map(|line| [line, "\n"]).collect()
    };
    let changed = difference(&stable(before), &stable(after));
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn a_restored_database_is_what_its_source_was() {
    for template in [Template::ShapeA, Template::ShapeAWithDependents, Template::ShapeB] {
        let db = TestDb::new(template).unwrap();
        let mut client = db.client().unwrap();
        if template != Template::ShapeB {
            fill(&mut client, 100).unwrap();
        }
        db.install().unwrap();
        db.settle().unwrap();
        let copy = restored(&db);
        let mut there = copy.client().unwrap();
        assert_same(&db.dump_schema().unwrap(), &copy.dump_schema().unwrap());
        assert_same(&facts(&mut client).unwrap(), &facts(&mut there).unwrap());
        assert_eq!(plan_states(&mut client).unwrap(), plan_states(&mut there).unwrap());
        let log = "SELECT l FROM groundskeeper.change_log l ORDER BY change_id";
        assert_eq!(texts(&mut client, log).unwrap(), texts(&mut there, log).unwrap());
        assert_eq!(counts(&mut client), counts(&mut there));
        // What comes next does not collide with what was restored.
        carry_out(&mut there, "rollback_plan()").unwrap();
        copy.settle().unwrap();
        carry_out(&mut there, "apply_plan()").unwrap();
        copy.settle().unwrap();
        assert_eq!(plan_states(&mut client).unwrap(), plan_states(&mut there).unwrap());
    }
}

#[test]
fn a_dump_carries_what_the_installation_made_and_the_drop_leaves_it() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let dump = db.dump_schema().unwrap();
    for line in [
        "CREATE VIEW staging.migration_ready_records ",
        "CREATE MATERIALIZED VIEW staging.daily_game_stats ",
        "CREATE MATERIALIZED VIEW staging.sportsbook_quality_metrics ",
        "CREATE UNIQUE INDEX idx_daily_game_stats_date ",
        "CREATE INDEX idx_migration_ready_quality ",
        "CONSTRAINT chk_games_quality_score CHECK ",
        "GRANT SELECT ON TABLE staging.migration_ready_records TO PUBLIC;",
    ] {
        assert!(dump.contains(line), "{line}");
    }
    let mut client = db.client().unwrap();
    let before = facts(&mut client).unwrap();
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    assert_same(&before, &facts(&mut client).unwrap());
    let ours = "SELECT nspname FROM pg_namespace WHERE nspname IN ('groundskeeper', 'groundskeeper_internal', 'monitoring')";
    assert_eq!(texts(&mut client, ours).unwrap(), [""; 0]);
}

#[test]
fn no_grant_of_the_users_counts_as_the_extensions() {
    let mut db = TestDb::new(Template::ShapeAWithDependents).unwrap();
    let reader = quote_ident(&db.role("reader").unwrap());
    let mut client = db.client().unwrap();
    let grants = format!(
        "GRANT SELECT ON staging.moneylines, staging.games, raw_data.moneylines_raw TO {reader} WITH GRANT OPTION;
         GRANT UPDATE (data_quality_score) ON staging.moneylines TO {reader}"
    );
    client.batch_execute(&grants).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let strangers = "
        SELECT pg_describe_object(i.classoid, i.objoid, i.objsubid)
          FROM pg_init_privs i
         WHERE i.privtype = 'e' AND NOT EXISTS (
             SELECT FROM pg_depend d
              WHERE d.classid = i.classoid AND d.objid = i.objoid AND d.deptype = 'e')";
    assert_eq!(texts(&mut client, strangers).unwrap(), [""; 0]);
    let copy = restored(&db);
    assert_same(&facts(&mut client).unwrap(), &facts(&mut copy.client().unwrap()).unwrap());
}

#[test]
fn edited_rules_survive_and_untouched_ones_are_the_defaults() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let edit = "UPDATE groundskeeper.quality_rules SET points = 17, description = 'ours' WHERE rule = 'missing_sportsbook'";
    assert_eq!(client.execute(edit, &[]).unwrap(), 1);
    let copy = restored(&db);
    let rules =
        "SELECT format('%s %s %s', rule, points, description) FROM groundskeeper.quality_rules ORDER BY rule";
    let here = texts(&mut client, rules).unwrap();
    assert!(here.iter().any(|rule| rule == "missing_sportsbook 17 ours"), "{here:?}");
    assert_eq!(texts(&mut copy.client().unwrap(), rules).unwrap(), here);
}

/// A database with work under way that cannot end, as the transaction returned holds its table.
fn with_a_waiting_job() -> (TestDb, Client) {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    carry_out(
        &mut client,
        "rollback_plan(items => '{2.1.staging.totals.idx_staging_totals_game_sportsbook}')",
    )
    .unwrap();
    let mut holder = db.client().unwrap();
    holder.batch_execute("BEGIN; INSERT INTO staging.totals (game_id) VALUES (1)").unwrap();
    client.batch_execute("SET groundskeeper.inline_build_limit = 0").unwrap();
    carry_out(&mut client, "apply_plan(sections => '{2.1}')").unwrap();
    wait_for(
        &mut client,
        "SELECT state FROM groundskeeper.jobs WHERE target = 'staging.totals' ORDER BY job_id DESC LIMIT 1",
        "waiting",
    );
    (db, holder)
}

fn wait_for(client: &mut Client, query: &str, value: &str) {
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

#[test]
fn a_copys_jobs_wait_until_it_is_resumed() {
    let (db, mut holder) = with_a_waiting_job();
    let copy = restored(&db);
    let mut there = copy.client().unwrap();
    let open = texts(&mut there, JOBS).unwrap();
    assert!(open.iter().any(|job| job.contains("create_index staging.totals")), "{open:?}");
    // Looking does not start them, nor does work of the copy's own.
    plan_states(&mut there).unwrap();
    there.batch_execute("SELECT groundskeeper_internal.look_after_jobs()").unwrap();
    sleep(Duration::from_secs(1));
    assert_eq!(texts(&mut there, JOBS).unwrap(), open);

    there.batch_execute("SELECT groundskeeper.resume()").unwrap();
    copy.settle().unwrap();
    let item = "2.1.staging.totals.idx_staging_totals_game_sportsbook";
    assert_eq!(plan_states(&mut there).unwrap()[item].state, "applied");
    holder.batch_execute("COMMIT").unwrap();
    db.settle().unwrap();
    assert_eq!(plan_states(&mut db.client().unwrap()).unwrap()[item].state, "applied");
}

#[test]
fn cancelling_a_copys_job_leaves_the_sources_worker_alone() {
    let (db, mut holder) = with_a_waiting_job();
    let copy = restored(&db);
    let mut there = copy.client().unwrap();
    let jobs = "SELECT groundskeeper.cancel_job(job_id) FROM groundskeeper.jobs
                 WHERE state NOT IN ('succeeded', 'failed', 'cancelled')";
    let cancelled = texts(&mut there, jobs).unwrap();
    assert!(!cancelled.is_empty() && cancelled.iter().all(|state| state == "cancelled"), "{cancelled:?}");
    holder.batch_execute("COMMIT").unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let ends = "SELECT DISTINCT state FROM groundskeeper.jobs";
    assert_eq!(texts(&mut client, ends).unwrap(), ["succeeded"]);
}

#[test]
fn restoring_over_an_installation_by_hand_is_the_users_choice() {
    // pg_restore --clean drops the extension first: that must not be stopped by what is left behind.
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let clean = db.server().dump(db.name(), &["--clean", "--if-exists"]).unwrap();
    let before = db.dump_schema().unwrap();
    db.server().restore(db.name(), &clean).unwrap();
    assert_same(&before, &db.dump_schema().unwrap());
}
