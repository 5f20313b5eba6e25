//! The change log, and the scripts that come out of it and out of a dry run.

use groundskeeper_tests::plan::carry_out;
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};

fn assert_same(before: &str, after: &str) {
    let changed = difference(before, after);
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn each_change_is_written_down_with_its_inverse_and_what_was_there_before() {
    let db = TestDb::installed(Template::ShapeAWithDependents).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let missing = "SELECT item FROM groundskeeper.plan_status() s
                    WHERE state = 'applied' AND kind <> 'monitoring_view'
                      AND NOT EXISTS (SELECT FROM groundskeeper.change_log c WHERE c.item = s.item)";
    assert_eq!(texts(&mut client, missing).unwrap(), [""; 0]);
    let incomplete = "SELECT item FROM groundskeeper.change_log
                       WHERE forward_sql = '' OR inverse_sql = '' OR reverted_at IS NOT NULL
                          OR applied_by <> 'postgres' OR applied_at NOT BETWEEN now() - interval '1 hour' AND now()";
    assert_eq!(texts(&mut client, incomplete).unwrap(), [""; 0]);
    let mut entry = |item: &str| {
        let row = client
            .query_one(
                "SELECT forward_sql, inverse_sql, prior_definition FROM groundskeeper.change_log WHERE item = $1",
                &[&item],
            )
            .unwrap();
        (row.get::<_, String>(0), row.get::<_, String>(1), row.get::<_, Option<String>>(2))
    };
    let (forward, inverse, prior) = entry("1.1.staging.spreads.data_quality_score");
    let prior = prior.unwrap();
    assert!(forward.contains("ALTER COLUMN data_quality_score TYPE numeric(5,2);"), "{forward}");
    assert!(inverse.contains("ALTER COLUMN data_quality_score TYPE numeric(3,2);"), "{inverse}");
    assert!(prior.starts_with("data_quality_score numeric(3,2)"), "{prior}");
    assert!(prior.contains("CREATE VIEW staging.guarded_spreads"), "{prior}");
    let (forward, inverse, prior) = entry("2.1.staging.totals.idx_staging_totals_game_sportsbook");
    assert!(forward.starts_with("CREATE INDEX idx_staging_totals_game_sportsbook "), "{forward}");
    assert_eq!(inverse, "DROP INDEX staging.idx_staging_totals_game_sportsbook;");
    assert_eq!(prior, None);
}

#[test]
fn a_change_that_is_rolled_back_with_its_transaction_is_not_written_down() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let before = db.dump().unwrap();
    client.batch_execute("BEGIN").unwrap();
    carry_out(&mut client, "rollback_plan()").unwrap();
    client.batch_execute("ROLLBACK").unwrap();
    assert_same(&before, &db.dump().unwrap());
}

#[test]
fn a_reverted_change_says_when() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    carry_out(&mut client, "rollback_plan()").unwrap();
    let standing = "SELECT count(*) FROM groundskeeper.change_log WHERE reverted_at IS NULL";
    assert_eq!(text(&mut client, standing).unwrap(), "0");
    assert_eq!(text(&mut client, "SELECT groundskeeper.rollback_script()").unwrap(), "");
    carry_out(&mut client, "apply_plan(sections => '{2.1}')").unwrap();
    assert_eq!(text(&mut client, standing).unwrap(), "7");
}

/// The exported script must work where the extension is not, in a copy made from a dump.
#[test]
fn the_exported_script_brings_the_schema_back_without_the_extension() {
    for (limit, template) in
        [("64MB", Template::ShapeAWithDependents), ("0", Template::ShapeA), ("64MB", Template::ShapeB)]
    {
        let db = TestDb::new(template).unwrap();
        let mut client = db.client().unwrap();
        if template != Template::ShapeB {
            fill(&mut client, 40).unwrap();
        }
        let (dump, known) = (db.dump_schema().unwrap(), facts(&mut client).unwrap());
        client.batch_execute(&format!("SET groundskeeper.inline_build_limit = '{limit}'")).unwrap();
        client.batch_execute("CREATE EXTENSION pg_groundskeeper").unwrap();
        db.settle().unwrap();
        let script = text(&mut client, "SELECT groundskeeper.rollback_script()").unwrap();
        client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
        assert_ne!(dump, db.dump_schema().unwrap());
        db.server().restore(db.name(), &script).unwrap();
        assert_same(&known, &facts(&mut client).unwrap());
        assert_same(&dump, &db.dump_schema().unwrap());
    }
}

#[test]
fn a_comment_in_a_prior_definition_cannot_become_a_statement() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE VIEW staging.scored AS SELECT data_quality_score FROM staging.totals;
             COMMENT ON VIEW staging.scored IS E'first\\r; DROP TABLE staging.spreads;\\n; DROP TABLE staging.games; --'",
        )
        .unwrap();
    let dump = db.dump_schema().unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let script = text(&mut client, "SELECT groundskeeper.rollback_script()").unwrap();
    client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
    db.server().restore(db.name(), &script).unwrap();
    assert_same(&dump, &db.dump_schema().unwrap());
}

/// What a dry run says is a rehearsal for a database that has never seen the extension.
#[test]
fn the_sql_of_a_dry_run_does_elsewhere_what_an_installation_does() {
    for limit in ["64MB", "0"] {
        let db = TestDb::installed(Template::ShapeA).unwrap();
        db.settle().unwrap();
        let mut client = db.client().unwrap();
        carry_out(&mut client, "rollback_plan()").unwrap();
        let elsewhere = TestDb::new(Template::ShapeA).unwrap();
        for rows_in in [&db, &elsewhere] {
            fill(&mut rows_in.client().unwrap(), 40).unwrap();
        }
        client.batch_execute(&format!("SET groundskeeper.inline_build_limit = '{limit}'")).unwrap();
        let before = db.dump_schema().unwrap();
        let journal =
            "SELECT count(*) || ' ' || (SELECT count(*) FROM groundskeeper.jobs) FROM groundskeeper.change";
        let written = text(&mut client, journal).unwrap();
        let rehearsed = carry_out(&mut client, "apply_plan(dry_run => true)").unwrap();
        assert_same(&before, &db.dump_schema().unwrap());
        assert_eq!(text(&mut client, journal).unwrap(), written);
        let action = if limit == "0" { "queue" } else { "apply" };
        for outcome in &rehearsed {
            assert_eq!(outcome.action != "skip", !outcome.sql.is_empty(), "{outcome:?}");
            if outcome.item.starts_with("2.1") {
                assert_eq!(outcome.action, action, "{outcome:?}");
            }
        }

        let script: String = rehearsed.iter().map(|outcome| format!("{}\n", outcome.sql)).collect();
        elsewhere.server().restore(elsewhere.name(), &script).unwrap();
        carry_out(&mut client, "apply_plan()").unwrap();
        db.settle().unwrap();
        carry_out(&mut client, "apply_plan()").unwrap();
        db.settle().unwrap();
        client.batch_execute("DROP EXTENSION pg_groundskeeper").unwrap();
        assert_same(&facts(&mut client).unwrap(), &facts(&mut elsewhere.client().unwrap()).unwrap());
        assert_same(&db.dump_schema().unwrap(), &elsewhere.dump_schema().unwrap());
    }
}
