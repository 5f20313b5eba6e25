//! The migration's part of the plan: triggers that users rename, switch off, edit, or have by these names already.

use groundskeeper_tests::plan::{Outcome, carry_out, plan_states};
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};
use postgres::Client;

const TABLE: &str = "raw_data.totals_raw";
const ITEM: &str = "beyond.raw_data.totals_raw.migration";
const FUNCTION: &str = "raw_data.totals_raw_note_changes()";

fn applied() -> (TestDb, Client, String) {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let before = facts(&mut client).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    assert_eq!(plan_states(&mut client).unwrap()[ITEM].state, "applied");
    (db, client, before)
}

fn one(client: &mut Client, call: &str) -> Outcome {
    carry_out(client, &format!("{call}(items => '{{{ITEM}}}')")).unwrap().remove(0)
}

fn left(client: &mut Client) -> Vec<String> {
    let left = "SELECT tgname FROM pg_trigger WHERE tgrelid IN (to_regclass('raw_data.totals_raw'), to_regclass('raw_data.elsewhere'))
                   AND NOT tgisinternal
                UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'raw_data'::regnamespace AND proname ~ '^totals|^mine'
                ORDER BY 1";
    texts(client, left).unwrap()
}

#[test]
fn whatever_their_names_are_they_are_followed() {
    for (change, said) in [
        (
            "ALTER TABLE raw_data.totals_raw RENAME TO elsewhere",
            "raw_data.totals_raw was renamed to raw_data.elsewhere",
        ),
        (
            "ALTER TRIGGER groundskeeper_note_insert ON raw_data.totals_raw RENAME TO \"a;b\"",
            "trigger groundskeeper_note_insert was renamed to a;b",
        ),
        (
            "ALTER FUNCTION raw_data.totals_raw_note_changes() RENAME TO mine",
            "totals_raw_note_changes was renamed to mine",
        ),
        (
            "ALTER TABLE raw_data.totals_raw DISABLE TRIGGER groundskeeper_note_delete",
            "trigger groundskeeper_note_delete was switched off",
        ),
        (
            "ALTER TABLE raw_data.totals_raw RENAME TO elsewhere;
             CREATE TABLE raw_data.totals_raw (LIKE raw_data.elsewhere INCLUDING ALL)",
            "raw_data.totals_raw was renamed to raw_data.elsewhere, and another relation has its name",
        ),
    ] {
        let (_db, mut client, _) = applied();
        client.batch_execute(change).unwrap();
        let standing = &plan_states(&mut client).unwrap()[ITEM];
        assert_eq!((standing.state.as_str(), standing.detail.as_str()), ("drifted", said));
        let there = left(&mut client);
        let outcome = one(&mut client, "apply_plan");
        assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "drifted"), "{outcome:?}");
        assert_eq!(left(&mut client), there, "{change}");
        let outcome = one(&mut client, "rollback_plan");
        assert_eq!((outcome.action.as_str(), outcome.detail.as_str()), ("revert", said));
        assert_eq!(left(&mut client), [""; 0], "{change}");
    }
}

#[test]
fn what_somebody_has_edited_is_neither_replaced_nor_dropped() {
    for change in [
        format!(
            "CREATE OR REPLACE FUNCTION {FUNCTION} RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        ),
        format!("ALTER FUNCTION {FUNCTION} SECURITY INVOKER"),
        format!(
            "CREATE OR REPLACE TRIGGER groundskeeper_note_insert AFTER INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {FUNCTION}"
        ),
    ] {
        let (_db, mut client, _) = applied();
        client.batch_execute(&change).unwrap();
        let edited = "SELECT md5(string_agg(pg_get_functiondef(p.oid) || pg_get_triggerdef(t.oid), '' ORDER BY tgname))
                        FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid WHERE tgrelid = 'raw_data.totals_raw'::regclass";
        let known = text(&mut client, edited).unwrap();
        let standing = &plan_states(&mut client).unwrap()[ITEM];
        assert_eq!(standing.state, "drifted", "{change}: {standing:?}");
        assert!(standing.detail.contains("edited"), "{change}: {standing:?}");
        for call in ["apply_plan", "rollback_plan"] {
            let outcome = one(&mut client, call);
            assert_eq!(outcome.action, "skip", "{change}: {outcome:?}");
            assert_eq!(text(&mut client, edited).unwrap(), known, "{change}: {call}");
        }
    }
}

#[test]
fn what_was_dropped_is_made_again_and_a_dropped_table_leaves_nothing() {
    let (db, mut client, before) = applied();
    client
        .batch_execute(
            "DROP TRIGGER groundskeeper_note_insert ON raw_data.totals_raw;
             DROP TRIGGER groundskeeper_note_truncate ON raw_data.totals_raw",
        )
        .unwrap();
    assert_eq!(plan_states(&mut client).unwrap()[ITEM].state, "pending");
    assert_eq!(one(&mut client, "apply_plan").action, "apply");
    assert_eq!(plan_states(&mut client).unwrap()[ITEM].state, "applied");
    client.batch_execute("DROP FUNCTION raw_data.totals_raw_note_changes() CASCADE").unwrap();
    assert_eq!(one(&mut client, "apply_plan").action, "apply");
    for outcome in carry_out(&mut client, "rollback_plan()").unwrap() {
        assert_eq!((outcome.action.as_str(), outcome.detail.as_str()), ("revert", ""), "{}", outcome.item);
    }
    let changed = difference(&before, &facts(&mut client).unwrap());
    assert!(changed.is_empty(), "{changed}");
    assert_eq!(one(&mut client, "apply_plan").action, "apply");
    client.batch_execute("DROP TABLE raw_data.totals_raw CASCADE").unwrap();
    let outcome = one(&mut client, "rollback_plan");
    assert_eq!(
        (outcome.action.as_str(), outcome.detail.as_str()),
        ("revert", "relation raw_data.totals_raw is gone")
    );
    assert_eq!(left(&mut client), [""; 0]);
    drop(db);
}

#[test]
fn what_has_these_names_already_is_the_users() {
    for theirs in [
        format!("CREATE FUNCTION {FUNCTION} RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"),
        format!(
            "CREATE FUNCTION raw_data.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER groundskeeper_note_delete AFTER DELETE ON {TABLE} EXECUTE FUNCTION raw_data.mine()"
        ),
    ] {
        let db = TestDb::new(Template::ShapeA).unwrap();
        let mut client = db.client().unwrap();
        client.batch_execute(&theirs).unwrap();
        let before = left(&mut client);
        db.install().unwrap();
        db.settle().unwrap();
        let standing = &plan_states(&mut client).unwrap()[ITEM];
        assert_eq!(standing.state, "conflict", "{standing:?}");
        assert!(standing.detail.ends_with("exists with another definition and is left as it is"), "{standing:?}");
        carry_out(&mut client, "rollback_plan()").unwrap();
        assert_eq!(left(&mut client), before, "{theirs}");
    }
}

#[test]
fn a_copy_finds_them_by_their_names_and_what_is_the_users_there() {
    let (db, mut client, _) = applied();
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    let mut there = copy.client().unwrap();
    assert_eq!(plan_states(&mut there).unwrap(), plan_states(&mut client).unwrap());
    there
        .batch_execute(
            "DROP FUNCTION raw_data.totals_raw_note_changes() CASCADE;
             CREATE FUNCTION raw_data.totals_raw_note_changes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        )
        .unwrap();
    let outcome = one(&mut there, "rollback_plan");
    assert_eq!(outcome.action, "skip", "{outcome:?}");
    assert_eq!(left(&mut there), ["totals_raw_note_changes"]);
    one(&mut client, "rollback_plan");
    assert_eq!(left(&mut client), [""; 0]);
}
