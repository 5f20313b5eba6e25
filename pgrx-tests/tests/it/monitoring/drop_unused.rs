//! `drop_unused_indexes()`, and the way back.

use super::*;
use groundskeeper_tests::plan::carry_out;
use groundskeeper_tests::{PATIENCE, difference};

const INDEXED: &str = r#"
    CREATE SCHEMA league;
    CREATE TABLE league.game (id integer PRIMARY KEY, venue text, season integer);
    INSERT INTO league.game SELECT n, n, n FROM generate_series(1, 1000) n;
    CREATE INDEX "game ""venue"".x" ON league.game (venue DESC) WHERE season > 5;
    COMMENT ON INDEX league."game ""venue"".x" IS 'it''s "mine"';
    CREATE INDEX game_season ON league.game (season) WITH (fillfactor = 70);
    CREATE TABLE league.quote (id integer, day date) PARTITION BY RANGE (day);
    CREATE TABLE league.quote_1 PARTITION OF league.quote FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE INDEX quote_id ON league.quote (id);
"#;

fn until_ended(client: &mut Client) {
    let deadline = Instant::now() + PATIENCE;
    let open =
        "SELECT count(*) FROM groundskeeper.jobs WHERE state NOT IN ('succeeded', 'failed', 'cancelled')";
    while value(client, open) != "0" {
        assert!(Instant::now() < deadline);
        run_sql(client, "SELECT FROM groundskeeper.plan_status()");
        sleep(Duration::from_millis(50));
    }
    let failed = column(client, "SELECT error FROM groundskeeper.jobs WHERE state <> 'succeeded'");
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn unused_indexes_are_dropped_by_jobs_and_built_again_on_rollback() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, INDEXED);
    let before = db.dump_schema().unwrap();
    run_sql(&mut client, "CREATE EXTENSION pg_groundskeeper");
    assert!(carry_out(&mut client, "drop_unused_indexes(false)").unwrap().is_empty(), "too early");
    run_sql(&mut client, "SET groundskeeper.index_observation = '0'");

    let rehearsed = carry_out(&mut client, "drop_unused_indexes()").unwrap();
    assert_eq!(rehearsed.len(), 3, "{rehearsed:?}");
    assert!(
        rehearsed
            .iter()
            .all(|o| o.action == "queue" && o.state == "pending" && o.detail.contains("scans: 0"))
    );
    assert_eq!(value(&mut client, "SELECT count(*) FROM groundskeeper.jobs"), "0", "a dry run");

    // A writer is not blocked, and does not block for good.
    let mut writer = db.client().unwrap();
    run_sql(&mut writer, "BEGIN; UPDATE league.game SET season = season + 1 WHERE id = 1");
    let queued = carry_out(&mut client, "drop_unused_indexes(false)").unwrap();
    assert!(queued.iter().all(|o| o.action == "queue" && o.state == "queued"), "{queued:?}");
    let mut other = db.client().unwrap();
    run_sql(
        &mut other,
        "SET statement_timeout = '5s'; UPDATE league.game SET season = season + 1 WHERE id = 2",
    );
    run_sql(&mut writer, "COMMIT");
    until_ended(&mut client);
    let left =
        "SELECT count(*) FROM pg_class WHERE relkind IN ('i', 'I') AND relnamespace = 'league'::regnamespace";
    assert_eq!(value(&mut client, left), "1", "the primary key's");

    let logged =
        column(&mut client, "SELECT item || ': ' || inverse_sql FROM groundskeeper.change_log ORDER BY item");
    let logged: Vec<_> = logged.into_iter().flatten().collect();
    assert_eq!(logged.len(), 3);
    assert!(logged[0].starts_with("beyond.league.game.game \"venue\".x: CREATE INDEX"), "{logged:?}");
    assert!(logged[0].contains("COMMENT ON INDEX"), "{logged:?}");
    assert!(
        value(&mut client, "SELECT groundskeeper.rollback_script()")
            .contains("CREATE INDEX quote_id ON league.quote")
    );

    // One by name, by a job as if the table were large; then the others.
    run_sql(&mut client, "SET groundskeeper.inline_build_limit = 0");
    let item = "ARRAY['beyond.league.game.game \"venue\".x']";
    let back = carry_out(&mut client, &format!("rollback_plan(items => {item})")).unwrap();
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].action, "queue", "{back:?}");
    until_ended(&mut client);
    assert_eq!(value(&mut client, left), "2");
    run_sql(&mut client, "RESET groundskeeper.inline_build_limit");
    let back = carry_out(&mut client, "rollback_plan()").unwrap();
    assert!(back.iter().all(|o| o.action == "revert"), "{back:?}");
    assert_eq!(
        value(&mut client, "SELECT count(*) FROM groundskeeper.change_log WHERE reverted_at IS NULL"),
        "0"
    );
    run_sql(&mut client, "DROP EXTENSION pg_groundskeeper");
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn the_plans_own_and_what_is_locked_are_left() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE locked (id integer, n integer); CREATE INDEX locked_n ON locked (n)");
    let mut holder = db.client().unwrap();
    run_sql(&mut holder, "BEGIN; LOCK locked");
    run_sql(&mut client, "SET groundskeeper.index_observation = '0'; SET statement_timeout = '20s'");
    let outcomes = carry_out(&mut client, "drop_unused_indexes(false)").unwrap();
    let locked = outcomes.iter().find(|o| o.sql.contains("locked_n")).unwrap();
    assert_eq!((locked.action.as_str(), locked.state.as_str()), ("skip", "blocked"), "{locked:?}");
    let planned: Vec<_> = outcomes.iter().filter(|o| o.detail.starts_with("the plan wants it")).collect();
    assert!(planned.len() > 2 && planned.iter().all(|o| o.action == "skip"), "{outcomes:?}");
}

#[test]
fn an_index_that_took_the_name_meanwhile_is_not_dropped() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE game (id integer, n integer); CREATE INDEX game_n ON game (n)");
    run_sql(&mut client, "SET groundskeeper.index_observation = '0'");
    run_sql(&mut client, "BEGIN");
    let queued = carry_out(&mut client, "drop_unused_indexes(false)").unwrap();
    assert_eq!(queued.len(), 1);
    run_sql(&mut client, "DROP INDEX game_n; CREATE INDEX game_n ON game (id); COMMIT");
    let deadline = Instant::now() + PATIENCE;
    while value(&mut client, "SELECT max(state) FROM groundskeeper.jobs") != "failed" {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(50));
    }
    let error = value(&mut client, "SELECT max(error) FROM groundskeeper.jobs");
    assert!(error.contains("is another than the one"), "{error}");
    assert_eq!(value(&mut client, "SELECT to_regclass('game_n') IS NOT NULL"), "true");
}

#[test]
fn a_partitioned_index_comes_back_with_all_its_parts() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        r#"CREATE SCHEMA league; SET search_path = league;
           CREATE TABLE quote (id integer, day date, book text) PARTITION BY RANGE (day);
           CREATE TABLE quote_1 PARTITION OF quote FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
           CREATE TABLE quote_2 PARTITION OF quote FOR VALUES FROM ('2025-02-01') TO ('2025-03-01') PARTITION BY LIST (book);
           CREATE TABLE quote_2_a PARTITION OF quote_2 FOR VALUES IN ('a');
           CREATE TABLE quote_gone PARTITION OF quote FOR VALUES FROM ('2025-03-01') TO ('2025-04-01');
           CREATE INDEX quote_id ON quote (id);
           ALTER INDEX quote_1_id_idx RENAME TO "mine ON ONLY league.quote_1 ";
           ALTER INDEX quote_2_a_id_idx SET (fillfactor = 60); ALTER INDEX quote_2_id_idx RENAME TO deep;
           COMMENT ON INDEX "mine ON ONLY league.quote_1 " IS 'of a ''part''';
           COMMENT ON INDEX quote_id IS 'of the whole'"#,
    );
    run_sql(&mut client, "CREATE EXTENSION pg_groundskeeper; SET groundskeeper.index_observation = '0'");
    run_sql(&mut client, "DROP TABLE league.quote_gone");
    let before = db.dump_schema().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE league.quote_gone PARTITION OF league.quote FOR VALUES FROM ('2025-03-01') TO ('2025-04-01')",
    );
    let queued = carry_out(&mut client, "drop_unused_indexes(false)").unwrap();
    assert_eq!(queued.len(), 1, "{queued:?}");
    until_ended(&mut client);
    let left =
        "SELECT count(*) FROM pg_class WHERE relkind IN ('i', 'I') AND relnamespace = 'league'::regnamespace";
    assert_eq!(value(&mut client, left), "0");
    run_sql(&mut client, "DROP TABLE league.quote_gone");
    let back = carry_out(&mut client, "rollback_plan()").unwrap();
    assert!(back.iter().all(|o| o.action == "revert"), "{back:?}");
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn a_dropped_index_follows_its_table_and_is_no_other_tables() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, INDEXED);
    let before = db.dump_schema().unwrap();
    run_sql(&mut client, "CREATE EXTENSION pg_groundskeeper; SET groundskeeper.index_observation = '0'");
    carry_out(&mut client, "drop_unused_indexes(false)").unwrap();
    until_ended(&mut client);
    run_sql(
        &mut client,
        r#"ALTER TABLE league.game RENAME TO "ga me"; CREATE TABLE league.game (id integer, venue text, season integer)"#,
    );
    let back = carry_out(&mut client, "rollback_plan()").unwrap();
    for outcome in &back {
        assert_eq!(outcome.action, "revert", "{outcome:?}");
        let renamed = outcome.detail.contains("league.game was renamed to league.ga me, and another");
        assert_eq!(renamed, outcome.item.starts_with("beyond.league.game."), "{outcome:?}");
    }
    run_sql(
        &mut client,
        r#"DROP TABLE league.game; ALTER TABLE league."ga me" RENAME TO game; DROP EXTENSION pg_groundskeeper"#,
    );
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn what_is_to_be_run_holds_an_id_that_is_only_a_name() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        r#"CREATE SCHEMA league; CREATE TABLE league.game (id integer);
           SELECT groundskeeper.add_plan_item('{"relation": "league.game", "kind": "index", "keys": ["id"],
                                                "name": "x}''); DROP TABLE league.game; --"}');
           SELECT groundskeeper.apply_plan(sections => '{own}'); SET groundskeeper.index_observation = '0'"#,
    );
    let outcome = carry_out(&mut client, "drop_unused_indexes()").unwrap().remove(0);
    let call =
        outcome.detail.split(": ").nth(1).unwrap().split(" takes that back").next().unwrap().to_owned();
    run_sql(&mut client, &call);
    assert_eq!(value(&mut client, "SELECT to_regclass('league.game') IS NOT NULL"), "true");
    assert_eq!(
        value(&mut client, "SELECT count(*) FROM pg_index WHERE indrelid = 'league.game'::regclass"),
        "0"
    );
}
