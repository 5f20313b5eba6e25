//! What an installation makes of the databases it meets.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use groundskeeper_tests::plan::{Standing, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{PATIENCE, Template, TestDb, difference};
use postgres::Client;

/// Indexes of the user's schemas that say the same as another.
const DUPLICATES: &str = "
    SELECT string_agg(indexrelid::regclass::text, ' = ' ORDER BY indexrelid)
      FROM pg_index JOIN pg_class c ON c.oid = indrelid
     WHERE c.relnamespace IN ('raw_data'::regnamespace, 'staging'::regnamespace, 'curated'::regnamespace)
     GROUP BY indrelid, indkey::text, indoption::text, pg_get_expr(indexprs, indrelid), pg_get_expr(indpred, indrelid)
    HAVING count(*) > 1";

/// Workers of ours in the current database.
const WORKERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type ~ 'groundskeeper'";

/// The states of a section's items.
fn states<'a>(plan: &'a BTreeMap<String, Standing>, section: &str) -> Vec<&'a Standing> {
    let prefix = format!("{section}.");
    plan.iter().filter(|(item, _)| item.starts_with(&prefix)).map(|(_, standing)| standing).collect()
}

/// Asserts that what the plan asks of Shape A is there, by the catalogs alone.
fn assert_the_plan_is_carried_out(client: &mut Client) {
    let types = "SELECT DISTINCT format_type(atttypid, atttypmod) FROM pg_attribute
                  WHERE attname = 'data_quality_score' AND attrelid IN ('staging.moneylines'::regclass,
                        'staging.spreads'::regclass, 'staging.totals'::regclass, 'staging.games'::regclass)";
    assert_eq!(texts(client, types).unwrap(), ["numeric(5,2)"]);
    let checks = "SELECT conrelid::regclass || ' ' || convalidated || ' ' || pg_get_expr(conbin, conrelid)
                    FROM pg_constraint WHERE conname ~ '^chk_.*_quality_score$' ORDER BY 1";
    let check = |table: &str| {
        format!("staging.{table} true ((data_quality_score >= 0.00) AND (data_quality_score <= 99.99))")
    };
    assert_eq!(texts(client, checks).unwrap(), ["games", "moneylines", "spreads", "totals"].map(check));
    let views = "SELECT format('%s %s %s', oid::regclass, relkind, relispopulated) FROM pg_class
                  WHERE relkind IN ('v', 'm') AND relnamespace = 'staging'::regnamespace ORDER BY 1";
    let expected = [
        "staging.daily_game_stats m t",
        "staging.migration_ready_records v t",
        "staging.sportsbook_quality_metrics m t",
    ];
    assert_eq!(texts(client, views).unwrap(), expected);
    let indexes = "SELECT count(*) FROM pg_index WHERE indexrelid::regclass::text = ANY (ARRAY[
        'staging.idx_staging_games_external_validation', 'staging.idx_staging_moneylines_game_quality_date',
        'staging.idx_staging_spreads_sportsbook_date', 'staging.idx_staging_totals_game_sportsbook',
        'raw_data.idx_raw_moneylines_game_external_collected', 'raw_data.idx_raw_spreads_game_sportsbook',
        'raw_data.idx_raw_totals_game_date_source', 'curated.idx_curated_feature_vectors_game_type_version',
        'curated.idx_curated_betting_analysis_game_type_confidence', 'staging.idx_daily_game_stats_date',
        'curated.idx_curated_strategy_results_strategy_period', 'staging.idx_sportsbook_metrics_name',
        'curated.idx_curated_movement_analysis_pattern_magnitude', 'raw_data.idx_migration_ready_quality'])
        AND indisvalid";
    assert_eq!(text(client, indexes).unwrap(), "14");
    assert!(texts(client, DUPLICATES).unwrap().is_empty());
}

fn assert_each_section_is_applied(plan: &BTreeMap<String, Standing>) {
    for section in ["1.1", "2.1", "2.2", "4.1", "4.2", "5.2", "6.2"] {
        let states = states(plan, section);
        assert!(!states.is_empty(), "section {section} has no items");
        assert!(states.iter().all(|s| s.state == "applied"), "{section}: {states:?}");
    }
    for section in ["3.1", "5.1"] {
        assert!(states(plan, section).iter().all(|s| s.state == "pending"), "{section}: {plan:?}");
    }
    for Standing { state, detail } in states(plan, "beyond") {
        assert!(state == "applied" || state == "not_applicable" && !detail.is_empty(), "{state}: {detail}");
    }
}

#[test]
fn an_empty_database_says_what_is_missing() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let plan = plan_states(&mut db.client().unwrap()).unwrap();
    for (item, standing) in &plan {
        match &item[..3] {
            "5.1" => assert_eq!(standing.state, "pending"),
            "5.2" | "6.2" => assert_eq!(standing.state, "applied", "{item}"),
            _ => {
                assert_eq!(standing.state, "blocked", "{item}");
                assert!(standing.detail.contains(" does not exist"), "{item}: {}", standing.detail);
            }
        }
    }
}

#[test]
fn the_tables_that_the_plan_assumes_get_all_of_it() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    assert_each_section_is_applied(&plan_states(&mut client).unwrap());
    assert_the_plan_is_carried_out(&mut client);
}

#[test]
fn what_is_big_is_queued_and_done_by_workers() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 100).unwrap();
    client.batch_execute("SET groundskeeper.inline_build_limit = 0").unwrap();
    client.batch_execute("BEGIN; CREATE EXTENSION pg_groundskeeper").unwrap();
    let plan = plan_states(&mut client).unwrap();
    for section in ["2.1", "2.2", "4.1"] {
        let states = states(&plan, section);
        assert!(
            states.iter().any(|s| s.state == "queued" && s.detail.contains("job ")),
            "{section}: {states:?}"
        );
    }
    client.batch_execute("COMMIT").unwrap();
    db.settle().unwrap();
    let failed =
        "SELECT format('%s %s: %s', kind, target, error) FROM groundskeeper.jobs WHERE state <> 'succeeded'";
    assert_eq!(texts(&mut client, failed).unwrap(), [""; 0]);
    // The unique indexes of the materialized views had to wait for these.
    client.batch_execute("SELECT FROM groundskeeper.apply_plan()").unwrap();
    db.settle().unwrap();
    let plan = plan_states(&mut client).unwrap();
    assert_each_section_is_applied(&plan);
    assert_the_plan_is_carried_out(&mut client);
    // The composite that was queued beside it will do.
    assert_eq!(plan["beyond.staging.games.idx_staging_games_external"].state, "not_applicable");
}

#[test]
fn the_later_variant_gets_what_fits_and_reasons_for_the_rest() {
    let db = TestDb::new(Template::ShapeB).unwrap();
    let mut client = db.client().unwrap();
    // What some of its deployments have: a scale of their own, and not all of the curated tables.
    client
        .batch_execute(
            "ALTER TABLE staging.spreads ALTER data_quality_score TYPE numeric(4,3);
             DROP TABLE curated.feature_vectors",
        )
        .unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let plan = plan_states(&mut client).unwrap();
    let standing = |item: &str| {
        let Standing { state, detail } = &plan[item];
        format!("{state}: {detail}")
    };
    // Another scale, another type, an absent table: each named.
    let rounds = standing("1.1.staging.spreads.data_quality_score");
    assert!(rounds.starts_with("blocked: "), "{rounds}");
    assert!(rounds.contains("data_quality_score") && rounds.contains("numeric(4,3)"), "{rounds}");
    assert_eq!(
        standing("4.1.staging.daily_game_stats"),
        "blocked: column staging.moneylines.game_id is character varying(255), a number is needed"
    );
    assert_eq!(
        standing("2.2.curated.feature_vectors.idx_curated_feature_vectors_game_type_version"),
        "blocked: relation curated.feature_vectors does not exist"
    );
    for item in [
        "1.1.staging.moneylines.data_quality_score",
        "1.1.staging.spreads.chk_spreads_quality_score",
        "2.1.staging.totals.idx_staging_totals_game_sportsbook",
        // no foreign key asks for it, but the migration does
        "beyond.staging.moneylines.idx_staging_moneylines_raw",
        "4.1.staging.sportsbook_quality_metrics",
        "4.2.staging.migration_ready_records",
    ] {
        assert_eq!(standing(item), "applied: ", "{item}");
    }
    for (item, Standing { state, detail }) in &plan {
        assert!(
            ["applied", "pending", "blocked", "not_applicable"].contains(&state.as_str()),
            "{item} {state}"
        );
        assert!(state != "blocked" || !detail.starts_with("could not be looked at"), "{item}: {detail}");
    }
}

#[test]
fn what_was_done_by_hand_is_not_done_again() {
    let db = TestDb::new(Template::HalfApplied).unwrap();
    let mut client = db.client().unwrap();
    let count = "SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indrelid
                  WHERE c.relnamespace::regnamespace::text IN ('raw_data', 'staging', 'curated')";
    let before: i32 = text(&mut client, count).unwrap().parse().unwrap();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
    db.settle().unwrap();

    let plan = plan_states(&mut client).unwrap();
    assert_each_section_is_applied(&plan);
    let detail = |item: &str| plan[item].detail.as_str();
    assert_eq!(detail("2.1.staging.spreads.idx_staging_spreads_sportsbook_date"), "as spreads_by_book");
    assert_eq!(detail("2.1.raw_data.totals_raw.idx_raw_totals_game_date_source"), "as totals_raw_lookup");

    assert!(texts(&mut client, DUPLICATES).unwrap().is_empty());
    let made = "SELECT count(*) FROM groundskeeper.change_log WHERE forward_sql LIKE 'CREATE %INDEX %'";
    let made: i32 = text(&mut client, made).unwrap().parse().unwrap();
    let after: i32 = text(&mut client, count).unwrap().parse().unwrap();
    assert_eq!(after, before + made, "an index that nobody wrote down");
    let by_hand = "SELECT count(*) FROM groundskeeper.change_log
                    WHERE item ~ '^(1.1.*(moneylines|spreads|totals)|1.1.*data_quality_score|4.1)'";
    assert_eq!(text(&mut client, by_hand).unwrap(), "0", "what was there is no change of ours");
}

#[test]
fn a_view_made_by_hand_under_another_name_gets_its_index_there() {
    let db = TestDb::new(Template::HalfApplied).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "ALTER MATERIALIZED VIEW staging.daily_game_stats RENAME TO stats_by_day;
             ALTER MATERIALIZED VIEW staging.sportsbook_quality_metrics RENAME TO metrics_by_book;
             DROP INDEX staging.idx_sportsbook_metrics_name",
        )
        .unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let plan = plan_states(&mut client).unwrap();
    for (item, detail) in [
        ("4.1.staging.daily_game_stats", "as staging.stats_by_day"),
        ("4.1.staging.sportsbook_quality_metrics", "as staging.metrics_by_book"),
    ] {
        assert_eq!((plan[item].state.as_str(), plan[item].detail.as_str()), ("applied", detail), "{item}");
    }
    let indexes = "SELECT indexrelid::regclass || ' ' || indrelid::regclass FROM pg_index
                    WHERE indrelid IN ('staging.stats_by_day'::regclass, 'staging.metrics_by_book'::regclass) ORDER BY 1";
    assert_eq!(
        texts(&mut client, indexes).unwrap(),
        [
            "staging.idx_daily_game_stats_date staging.stats_by_day",
            "staging.idx_sportsbook_metrics_name staging.metrics_by_book"
        ]
    );
    assert_each_section_is_applied(&plan);
}

#[test]
fn a_rolled_back_installation_leaves_nothing_and_starts_nothing() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    let before = db.dump().unwrap();
    client.batch_execute("SET groundskeeper.inline_build_limit = 0").unwrap();
    client.batch_execute("BEGIN; CREATE EXTENSION pg_groundskeeper").unwrap();
    let queued = "SELECT count(*) > 0 FROM groundskeeper.jobs WHERE state = 'queued'";
    assert_eq!(text(&mut client, queued).unwrap(), "true");
    client.batch_execute("ROLLBACK").unwrap();
    let deadline = Instant::now() + Duration::from_millis(300);
    while Instant::now() < deadline {
        assert_eq!(text(&mut client, WORKERS).unwrap(), "0");
        sleep(Duration::from_millis(10));
    }
    let changed = difference(&before, &db.dump().unwrap());
    assert!(changed.is_empty(), "{changed}");
    // The session goes on, and may yet install.
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
    db.settle().unwrap();
}

#[test]
fn a_worker_of_an_installation_undone_by_a_savepoint_leaves_quietly() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    let before = db.dump().unwrap();
    client
        .batch_execute(
            "SET groundskeeper.inline_build_limit = 0;
             BEGIN; SAVEPOINT s; CREATE EXTENSION pg_groundskeeper; ROLLBACK TO s; COMMIT",
        )
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while text(&mut client, WORKERS).unwrap() != "0" {
        assert!(Instant::now() < deadline, "a worker stays");
        sleep(Duration::from_millis(10));
    }
    let changed = difference(&before, &db.dump().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn a_table_that_is_in_use_does_not_hold_the_installation_up() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut writer = db.client().unwrap();
    writer.batch_execute("BEGIN; INSERT INTO staging.moneylines (game_id) VALUES (1)").unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("SET statement_timeout = '20s'; CREATE EXTENSION pg_groundskeeper").unwrap();
    let item = "1.1.staging.moneylines.data_quality_score";
    let standing = plan_states(&mut client).unwrap().remove(item).unwrap();
    assert_eq!(standing.state, "queued", "{}", standing.detail);
    writer.batch_execute("COMMIT").unwrap();
    db.settle().unwrap();
    client.batch_execute("SELECT FROM groundskeeper.apply_plan()").unwrap();
    db.settle().unwrap();
    assert_each_section_is_applied(&plan_states(&mut client).unwrap());
    assert_the_plan_is_carried_out(&mut client);
}

/// An installation over some megabytes that has held locks for longer than a moment when it comes to the builds; the
/// tables whose indexes it left to jobs.
fn install_slowly(db: &TestDb, settings: &str) -> Vec<String> {
    let mut client = db.client().unwrap();
    fill(&mut client, 100).unwrap();
    client
        .batch_execute(&format!(
            "INSERT INTO raw_data.moneylines_raw (source, game_external_id)
             SELECT 'LIVE', repeat('x', 90) FROM generate_series(1, 20000);
             CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.15); END';
             CREATE EVENT TRIGGER slow ON ddl_command_start WHEN tag IN ('CREATE VIEW') EXECUTE FUNCTION public.slow();
             {settings}; CREATE EXTENSION pg_groundskeeper; DROP EVENT TRIGGER slow"
        ))
        .unwrap();
    let of_jobs =
        "SELECT DISTINCT task -> 'table' ->> 'name' FROM groundskeeper.job WHERE kind = 'create_index'";
    texts(&mut client, of_jobs).unwrap()
}

#[test]
fn locks_that_were_held_for_a_moment_are_not_held_for_a_long_build() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    assert_eq!(install_slowly(&db, "RESET groundskeeper.inline_build_limit"), ["moneylines_raw"]);
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    assert_each_section_is_applied(&plan_states(&mut client).unwrap());
    assert_the_plan_is_carried_out(&mut client);
}

#[test]
fn who_raises_the_limit_has_it_all_at_once() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    assert_eq!(install_slowly(&db, "SET groundskeeper.inline_build_limit = '1TB'"), [""; 0]);
    assert_the_plan_is_carried_out(&mut db.client().unwrap());
}

#[test]
fn the_target_schema_is_the_operators_choice() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE SCHEMA tools;
             CREATE FUNCTION public.update_table_statistics() RETURNS void LANGUAGE sql RETURN NULL;
             CREATE EXTENSION pg_groundskeeper SCHEMA tools",
        )
        .unwrap();
    db.settle().unwrap();
    assert_each_section_is_applied(&plan_states(&mut client).unwrap());
}

#[test]
fn a_second_installation_finds_the_first_ones_work() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    let before = db.dump_schema().unwrap();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
    assert_each_section_is_applied(&plan_states(&mut client).unwrap());
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.change_log").unwrap(), "0");
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
}
