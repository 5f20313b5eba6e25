//! Names that are taken: what is not ours is never replaced, and stands in the way by name.

use groundskeeper_tests::plan::{Standing, carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

/// What somebody made by hand where the extension's own objects go.
const BY_HAND: &str = r#"
    CREATE SCHEMA groundskeeper;
    CREATE TABLE groundskeeper.notes (note text);
    CREATE SCHEMA monitoring;
    CREATE VIEW monitoring.connection_stats AS SELECT count(*) FROM pg_stat_activity;
    CREATE VIEW monitoring.connection_stats_by_hand AS SELECT 'an earlier rescue';
    CREATE MATERIALIZED VIEW monitoring.slow_queries AS SELECT 1 AS query;
    CREATE TABLE monitoring.table_bloat (size text);
    CREATE SEQUENCE monitoring.unused_indexes;
    CREATE VIEW monitoring.something_else AS SELECT 1;
    CREATE FUNCTION public.create_monthly_partitions() RETURNS void LANGUAGE sql RETURN NULL;
    CREATE TYPE public."a ""type""" AS (x integer);
    CREATE FUNCTION public.create_monthly_partitions(months integer, OUT made "a ""type""")
        LANGUAGE plpgsql AS 'BEGIN END';
    CREATE PROCEDURE public.update_table_statistics(INOUT "Done?" integer) LANGUAGE sql AS 'SELECT 1';"#;

fn create_extension(client: &mut Client) {
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
}

#[test]
fn taken_names_are_refused_at_once_and_the_hint_frees_them() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(BY_HAND).unwrap();
    let before = db.dump().unwrap();

    let refused = refusal(&mut client, "CREATE EXTENSION pg_groundskeeper").unwrap();
    assert_eq!(refused.code, "42710", "{refused:?}");
    for taken in [
        "schema groundskeeper",
        "view monitoring.connection_stats",
        "materialized view monitoring.slow_queries",
        "table monitoring.table_bloat",
        "sequence monitoring.unused_indexes",
        "function public.create_monthly_partitions()",
        "function public.create_monthly_partitions(integer)",
        "procedure public.update_table_statistics(",
    ] {
        assert!(refused.detail.contains(taken), "{taken}: {}", refused.detail);
    }
    assert!(!refused.detail.contains("something_else"), "{}", refused.detail);
    let changed = difference(&before, &db.dump().unwrap());
    assert!(changed.is_empty(), "{changed}");

    let renames = &refused.hint[refused.hint.find("ALTER ").unwrap()..];
    client.batch_execute(renames).unwrap_or_else(|error| panic!("{error:?}: {renames}"));
    create_extension(&mut client);
    let kept = "SELECT count(*) FROM pg_class WHERE relnamespace = 'monitoring'::regnamespace
                   AND relname ~ 'by_hand' AND relkind IN ('v', 'm', 'r', 'S')";
    assert_eq!(text(&mut client, kept).unwrap(), "5", "nothing of the user's is gone");
}

/// What an installation makes outside of schemas of its own. It uses a schema `monitoring` that is there. From 17 on the
/// types of relations are members, too.
const MADE: &str = "
    SELECT format('%s %s', a.type, a.object_names[cardinality(a.object_names)])
      FROM pg_depend d
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     CROSS JOIN pg_identify_object_as_address(d.classid, d.objid, 0) a
     WHERE e.extname = 'pg_groundskeeper' AND d.deptype = 'e'
       AND (cardinality(a.object_names) = 1 OR a.object_names[1] NOT IN ('groundskeeper', 'groundskeeper_internal'))
       AND a.type <> 'type' AND (a.type, a.object_names) <> ('schema', '{monitoring}')";

/// What it looks for before that: kind and name.
fn looked_for() -> Vec<(&'static str, &'static str)> {
    include_str!("../../../sql/bootstrap.sql")
        .lines()
        .filter_map(|line| {
            line.strip_prefix("        ('")?.trim_end_matches(',').strip_suffix("')")?.split_once("', '")
        })
        .collect()
}

#[test]
fn the_names_that_are_looked_for_are_those_that_are_made() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut made = texts(&mut db.client().unwrap(), MADE).unwrap();
    let mut looked_for: Vec<String> =
        looked_for().iter().map(|(kind, name)| format!("{kind} {name}")).collect();
    made.sort();
    looked_for.sort();
    assert_eq!(made, looked_for);
}

#[test]
fn each_name_that_is_looked_for_is_found_and_freed() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let before = "CREATE SCHEMA monitoring;
                CREATE FUNCTION look_on() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'";
    client.batch_execute(before).unwrap();
    for (kind, name) in looked_for() {
        let statement = match kind {
            "schema" => format!("CREATE SCHEMA {name}"),
            "event trigger" => {
                format!("CREATE EVENT TRIGGER {name} ON ddl_command_end EXECUTE FUNCTION look_on()")
            }
            "view" => format!("CREATE VIEW monitoring.{name} AS SELECT 1"),
            "function" => format!("CREATE FUNCTION {name}() RETURNS void LANGUAGE sql RETURN NULL"),
            other => panic!("{other}"),
        };
        client.batch_execute(&statement).unwrap();
    }
    let refused = refusal(&mut client, "CREATE EXTENSION pg_groundskeeper").unwrap();
    for (kind, name) in looked_for() {
        let schema = match kind {
            "view" => "monitoring.",
            "function" => "public.",
            _ => "",
        };
        assert!(refused.detail.contains(&format!("{kind} {schema}{name}")), "{name}: {}", refused.detail);
    }
    let renames = &refused.hint[refused.hint.find("ALTER ").unwrap()..];
    client.batch_execute(renames).unwrap_or_else(|error| panic!("{error:?}: {renames}"));
    create_extension(&mut client);
}

#[test]
fn entry_points_are_in_the_way_only_where_ours_would_be() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            r#"CREATE SCHEMA "Our tools";
               CREATE FUNCTION "Our tools".update_table_statistics() RETURNS void LANGUAGE sql RETURN NULL"#,
        )
        .unwrap();
    let there = r#"CREATE EXTENSION pg_groundskeeper SCHEMA "Our tools""#;
    let refused = refusal(&mut client, there).unwrap();
    assert_eq!(refused.code, "42710", "{refused:?}");
    assert!(
        refused.hint.contains(r#"ALTER FUNCTION "Our tools".update_table_statistics()"#),
        "{}",
        refused.hint
    );
    create_extension(&mut client);
}

#[test]
fn a_monitoring_schema_of_the_users_stays_the_users() {
    let db = TestDb::new(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute("CREATE SCHEMA monitoring; CREATE VIEW monitoring.our_own AS SELECT 1 AS one")
        .unwrap();
    let before = db.dump_schema().unwrap();
    create_extension(&mut client);
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

/// Objects with names of the plan's and definitions of their own.
const OTHERS: &str = "
    CREATE INDEX idx_raw_spreads_game_sportsbook ON raw_data.spreads_raw (source);
    CREATE INDEX idx_staging_totals_game_sportsbook ON staging.totals (game_id, sportsbook_name, validation_status)
        WHERE game_id > 0;
    CREATE INDEX idx_staging_games_external_validation ON staging.spreads (id);
    CREATE TABLE raw_data.idx_raw_totals_game_date_source (id integer);
    ALTER TABLE staging.spreads ADD CONSTRAINT chk_spreads_quality_score CHECK (data_quality_score >= 1);
    CREATE VIEW staging.migration_ready_records AS SELECT id FROM raw_data.moneylines_raw;
    CREATE MATERIALIZED VIEW staging.daily_game_stats AS SELECT DISTINCT game_date FROM staging.games;
    CREATE TABLE staging.sportsbook_quality_metrics (sportsbook_name text);";

#[test]
fn another_definition_under_a_name_of_the_plans_is_left_alone() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(OTHERS).unwrap();
    let before = db.dump_schema().unwrap();
    create_extension(&mut client);
    db.settle().unwrap();
    let plan = plan_states(&mut client).unwrap();
    for (item, says) in [
        ("2.1.raw_data.spreads_raw.idx_raw_spreads_game_sportsbook", "another definition"),
        ("2.1.staging.totals.idx_staging_totals_game_sportsbook", "another definition"),
        (
            "2.1.staging.games.idx_staging_games_external_validation",
            "index staging.idx_staging_games_external_validation",
        ),
        (
            "2.1.raw_data.totals_raw.idx_raw_totals_game_date_source",
            "table raw_data.idx_raw_totals_game_date_source",
        ),
        ("1.1.staging.spreads.chk_spreads_quality_score", "another definition"),
        ("4.2.staging.migration_ready_records", "a view of this name"),
        ("4.1.staging.daily_game_stats", "a materialized view of this name"),
        ("4.1.staging.sportsbook_quality_metrics", "a table of this name"),
    ] {
        let Standing { state, detail } = &plan[item];
        assert!(state == "conflict" && detail.contains(says), "{item} {state}: {detail}");
    }
    // Nor is anything hung on what is not the plan's.
    for item in [
        "4.1.staging.daily_game_stats.idx_daily_game_stats_date",
        "4.1.staging.sportsbook_quality_metrics.idx_sportsbook_metrics_name",
    ] {
        assert_eq!(plan[item].state, "blocked", "{item}: {}", plan[item].detail);
    }
    carry_out(&mut client, "rollback_plan()").unwrap();
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

const TOTALS_INDEX: &str = "2.1.staging.totals.idx_staging_totals_game_sportsbook";

/// Leaves an INVALID index as a concurrent build does that is stopped half way.
fn fail_a_build(db: &TestDb) {
    let mut writer = db.client().unwrap();
    writer.batch_execute("BEGIN; INSERT INTO staging.totals (game_id) VALUES (1)").unwrap();
    let mut builder = db.client().unwrap();
    builder.batch_execute("SET statement_timeout = '200ms'").unwrap();
    let build = "CREATE INDEX CONCURRENTLY idx_staging_totals_game_sportsbook
                     ON staging.totals (game_id, sportsbook_name, validation_status)";
    assert_eq!(refusal(&mut builder, build).unwrap().code, "57014");
    writer.batch_execute("ROLLBACK").unwrap();
}

fn validity(client: &mut Client) -> Vec<String> {
    let index = "SELECT indisvalid FROM pg_index
                  WHERE indexrelid = to_regclass('staging.idx_staging_totals_game_sportsbook')";
    texts(client, index).unwrap()
}

#[test]
fn a_leftover_of_a_failed_build_does_not_count_and_is_built_again() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    for how in ["RESET groundskeeper.inline_build_limit", "SET groundskeeper.inline_build_limit = 0"] {
        client.batch_execute("DROP INDEX staging.idx_staging_totals_game_sportsbook").unwrap();
        fail_a_build(&db);
        assert_eq!(validity(&mut client), ["false"]);
        let standing = plan_states(&mut client).unwrap().remove(TOTALS_INDEX).unwrap();
        assert_eq!(standing.state, "pending", "{how}");
        assert!(standing.detail.contains("INVALID"), "{how}: {}", standing.detail);

        client.batch_execute(how).unwrap();
        carry_out(&mut client, "apply_plan(sections => '{2.1}')").unwrap();
        db.settle().unwrap();
        assert_eq!(validity(&mut client), ["true"], "{how}");
        assert_eq!(plan_states(&mut client).unwrap()[TOTALS_INDEX].state, "applied", "{how}");
    }
}

#[test]
fn an_installation_mends_a_leftover() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    fail_a_build(&db);
    let mut client = db.client().unwrap();
    create_extension(&mut client);
    db.settle().unwrap();
    assert_eq!(validity(&mut client), ["true"]);
}

#[test]
fn an_index_marked_invalid_is_not_applied_under_any_name() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE INDEX by_hand ON staging.totals (game_id, sportsbook_name, validation_status);
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'staging.by_hand'::regclass",
        )
        .unwrap();
    create_extension(&mut client);
    db.settle().unwrap();
    let standing = plan_states(&mut client).unwrap().remove(TOTALS_INDEX).unwrap();
    assert_eq!((standing.state.as_str(), standing.detail.as_str()), ("applied", ""));
    assert_eq!(validity(&mut client), ["true"]);
}
