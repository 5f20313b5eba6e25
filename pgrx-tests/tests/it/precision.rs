//! Wider scores: what a change of the column's type meets, and what it must not disturb.

use groundskeeper_tests::plan::{Standing, carry_out, plan_states};
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};
use postgres::Client;

const WIDEN: &str = "1.1.staging.moneylines.data_quality_score";
const CHECK_TOTALS: &str = "1.1.staging.totals.chk_totals_quality_score";

/// Something that stands on the column, what makes it go away, and its name as PostgreSQL gives it.
const OBSTACLES: [(&str, &str, &str); 9] = [
    (
        "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER watch_scores BEFORE UPDATE OF data_quality_score ON staging.moneylines
             FOR EACH ROW EXECUTE FUNCTION watch()",
        "DROP FUNCTION watch() CASCADE",
        "trigger watch_scores on table staging.moneylines",
    ),
    (
        "CREATE POLICY good_only ON staging.moneylines USING (data_quality_score > 5)",
        "DROP POLICY good_only ON staging.moneylines",
        "policy good_only on table staging.moneylines",
    ),
    (
        "CREATE PUBLICATION good_scores FOR TABLE staging.moneylines WHERE (data_quality_score > 5)",
        "DROP PUBLICATION good_scores",
        "publication good_scores",
    ),
    (
        "CREATE FUNCTION best() RETURNS numeric LANGUAGE sql
             BEGIN ATOMIC SELECT max(data_quality_score) FROM staging.moneylines; END",
        "DROP FUNCTION best()",
        "function public.best()",
    ),
    (
        "ALTER TABLE staging.moneylines ADD COLUMN share numeric
             GENERATED ALWAYS AS (data_quality_score / 9.99) STORED",
        "ALTER TABLE staging.moneylines DROP COLUMN share",
        "column share of table staging.moneylines",
    ),
    (
        "CREATE RULE keep_scores AS ON UPDATE TO staging.moneylines WHERE new.data_quality_score IS NULL
             DO INSTEAD NOTHING",
        "DROP RULE keep_scores ON staging.moneylines",
        "rule keep_scores on table staging.moneylines",
    ),
    (
        "CREATE TABLE staging.scores (data_quality_score numeric(3,2));
         ALTER TABLE staging.moneylines INHERIT staging.scores",
        "ALTER TABLE staging.moneylines NO INHERIT staging.scores; DROP TABLE staging.scores",
        "inheritance from staging.scores",
    ),
    (
        "CREATE VIEW staging.scored AS SELECT id, data_quality_score FROM staging.moneylines;
         CREATE FUNCTION describe(staging.scored) RETURNS text LANGUAGE sql RETURN $1::text",
        "DROP VIEW staging.scored CASCADE",
        "function public.describe(staging.scored)",
    ),
    (
        r#"CREATE SCHEMA "The ""odd"" one; DROP";
           CREATE VIEW "The ""odd"" one; DROP"."v'iew" AS SELECT data_quality_score FROM staging.moneylines;
           CREATE TABLE "The ""odd"" one; DROP"."t.able" (v "The ""odd"" one; DROP"."v'iew")"#,
        r#"DROP SCHEMA "The ""odd"" one; DROP" CASCADE"#,
        r#"column v of table "The ""odd"" one; DROP"."t.able""#,
    ),
];

fn standing(client: &mut Client, item: &str) -> Standing {
    plan_states(client).unwrap().remove(item).unwrap()
}

#[test]
fn each_obstacle_blocks_the_item_by_name_and_nothing_is_changed() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    carry_out(&mut client, &format!("rollback_plan(items => '{{{WIDEN}}}')")).unwrap();
    for (make, drop, name) in OBSTACLES {
        client.batch_execute(make).unwrap_or_else(|error| panic!("{error:?}: {make}"));
        let before = facts(&mut client).unwrap();
        let Standing { state, detail } = standing(&mut client, WIDEN);
        assert!(state == "blocked" && detail.contains(name), "{name} {state}: {detail}");
        let outcomes = carry_out(&mut client, "apply_plan(sections => '{1.1}')").unwrap();
        let outcome = outcomes.iter().find(|outcome| outcome.item == WIDEN).unwrap();
        assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{name}");
        assert!(outcome.detail.contains(name), "{name}: {}", outcome.detail);
        let changed = difference(&before, &facts(&mut client).unwrap());
        assert!(changed.is_empty(), "{name}: {changed}");
        client.batch_execute(drop).unwrap_or_else(|error| panic!("{error:?}: {drop}"));
    }
    assert_eq!(standing(&mut client, WIDEN).state, "pending");
    carry_out(&mut client, "apply_plan(sections => '{1.1}')").unwrap();
    assert_eq!(standing(&mut client, WIDEN).state, "applied");
}

#[test]
fn a_table_with_heirs_is_widened_with_them_or_not_at_all() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE TABLE staging.heir () INHERITS (staging.moneylines);
             INSERT INTO staging.heir (data_quality_score) VALUES (-1);
             CREATE VIEW staging.of_heir AS SELECT data_quality_score FROM staging.heir",
        )
        .unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let types =
        "SELECT DISTINCT attrelid::regclass || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
                  WHERE attname = 'data_quality_score'
                    AND attrelid IN ('staging.moneylines'::regclass, 'staging.heir'::regclass) ORDER BY 1";
    let types = texts(&mut client, types).unwrap();
    let Standing { state, detail } = standing(&mut client, WIDEN);
    assert_eq!(state, "blocked", "{detail}");
    assert!(detail.contains("staging.heir"), "{detail}");
    assert_eq!(types, ["staging.heir numeric(3,2)", "staging.moneylines numeric(3,2)"]);
    // The heir's rows are under the table's constraint too.
    let check = standing(&mut client, "1.1.staging.moneylines.chk_moneylines_quality_score");
    assert!(check.state == "blocked" && check.detail.contains("1 existing row"), "{check:?}");
}

#[test]
fn neither_table_nor_index_is_rewritten_and_the_statistics_are_there() {
    for limit in ["64MB", "0"] {
        let db = TestDb::new(Template::ShapeA).unwrap();
        let mut client = db.client().unwrap();
        fill(&mut client, 200).unwrap();
        client
            .batch_execute(
                "CREATE INDEX scores ON staging.moneylines (data_quality_score, id);
                 ANALYZE staging.moneylines",
            )
            .unwrap();
        let files = "SELECT pg_relation_filenode('staging.moneylines') || ' ' || pg_relation_filenode('staging.scores')";
        let before = text(&mut client, files).unwrap();
        client.batch_execute(&format!("SET groundskeeper.inline_build_limit = '{limit}'")).unwrap();
        client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
        db.settle().unwrap();
        assert_eq!(standing(&mut client, WIDEN).state, "applied");
        assert_eq!(text(&mut client, files).unwrap(), before, "limit {limit}");
        let statistics =
            "SELECT count(*) FROM pg_stats WHERE schemaname = 'staging' AND tablename = 'moneylines'
                             AND attname = 'data_quality_score' AND n_distinct <> 0";
        assert_eq!(text(&mut client, statistics).unwrap(), "1", "limit {limit}");
    }
}

#[test]
fn an_index_that_the_change_would_build_again_counts_as_work() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 20_000).unwrap();
    client
        .batch_execute(
            "CREATE INDEX good_scores ON staging.moneylines (data_quality_score) WHERE data_quality_score > 1;
             SET groundskeeper.inline_build_limit = '64kB'",
        )
        .unwrap();
    let file = "SELECT pg_relation_filenode('staging.good_scores')";
    let before = text(&mut client, file).unwrap();
    client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
    db.settle().unwrap();
    let Standing { state, detail } = standing(&mut client, WIDEN);
    assert!(state == "blocked" && detail.contains("good_scores"), "{state}: {detail}");
    assert_eq!(text(&mut client, file).unwrap(), before);
}

#[test]
fn a_check_of_the_users_survives_the_change() {
    for limit in ["64MB", "0"] {
        let db = TestDb::new(Template::ShapeA).unwrap();
        let mut client = db.client().unwrap();
        fill(&mut client, 200).unwrap();
        client
            .batch_execute(
                r#"ALTER TABLE staging.spreads ADD CONSTRAINT "not ""minus""" CHECK (data_quality_score <> -1);
                   COMMENT ON CONSTRAINT "not ""minus""" ON staging.spreads IS 'It''s ours';
                   ALTER TABLE staging.spreads ADD CONSTRAINT own_rows CHECK (data_quality_score > -2) NO INHERIT"#,
            )
            .unwrap();
        let checks = "SELECT format('%s %s %s %s', conname, convalidated, pg_get_constraintdef(oid),
                                    obj_description(oid, 'pg_constraint'))
                        FROM pg_constraint WHERE conrelid = 'staging.spreads'::regclass AND contype = 'c'
                         AND conname <> 'chk_spreads_quality_score' ORDER BY 1";
        let before = texts(&mut client, checks).unwrap();
        client.batch_execute(&format!("SET groundskeeper.inline_build_limit = '{limit}'")).unwrap();
        client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
        db.settle().unwrap();
        assert_eq!(standing(&mut client, "1.1.staging.spreads.data_quality_score").state, "applied");
        assert_eq!(texts(&mut client, checks).unwrap(), before, "limit {limit}");
    }
}

#[test]
fn rows_out_of_range_leave_the_constraint_not_valid_until_they_are_mended() {
    for limit in ["64MB", "0"] {
        let db = TestDb::new(Template::ShapeA).unwrap();
        let mut client = db.client().unwrap();
        client
            .batch_execute(
                "INSERT INTO staging.totals (data_quality_score) VALUES (-1), (-9.99), (-0.01), (0), (NULL)",
            )
            .unwrap();
        client.batch_execute(&format!("SET groundskeeper.inline_build_limit = '{limit}'")).unwrap();
        client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
        db.settle().unwrap();

        let Standing { state, detail } = standing(&mut client, CHECK_TOTALS);
        assert!(state == "blocked" && detail.contains("3 existing rows"), "limit {limit} {state}: {detail}");
        let validated = "SELECT convalidated FROM pg_constraint WHERE conname = 'chk_totals_quality_score'";
        assert_eq!(text(&mut client, validated).unwrap(), "false");
        let more = "INSERT INTO staging.totals (data_quality_score) VALUES (-1)";
        assert_eq!(refusal(&mut client, more).unwrap().code, "23514", "new rows are under it");

        let mend = "UPDATE staging.totals SET data_quality_score = 0 WHERE NOT (data_quality_score >= 0)";
        client.batch_execute(mend).unwrap();
        carry_out(&mut client, "apply_plan(sections => '{1}')").unwrap();
        db.settle().unwrap();
        let Standing { state, detail } = standing(&mut client, CHECK_TOTALS);
        assert_eq!(state, "applied", "limit {limit}: {detail}");
        assert_eq!(text(&mut client, validated).unwrap(), "true");
    }
}

#[test]
fn scores_of_the_plans_scale_fit_and_no_others() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    for table in ["moneylines", "spreads", "totals", "games"] {
        let insert =
            |score: &str| format!("INSERT INTO staging.{table} (data_quality_score) VALUES ({score})");
        for score in ["0", "9.99", "10", "99.99", "NULL"] {
            client.batch_execute(&insert(score)).unwrap();
        }
        for score in ["-0.01", "100", "'NaN'"] {
            assert_eq!(refusal(&mut client, &insert(score)).unwrap().code, "23514", "{table} {score}");
        }
    }
}
