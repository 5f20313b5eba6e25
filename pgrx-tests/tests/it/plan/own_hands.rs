//! Items that users have added, in clumsy hands and in hostile ones.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::{carry_out, plan_states};
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, difference, facts};

use super::own::{EVENT_LOG, import, with_event_log};

/// Whoever waits longer than that waits for somebody else.
const NOT_FOR_LONG: &str = "SET statement_timeout = '60s'";

#[test]
fn who_is_slow_to_take_an_item_off_the_plan_holds_nobody_up() {
    let (db, mut client, mut own, _) = with_event_log(Template::ShapeA);
    import(&mut own, EVENT_LOG);
    carry_out(&mut client, "rollback_plan()").unwrap();
    own.batch_execute("BEGIN; SELECT groundskeeper.drop_plan_item('log.app.events.events_cost')").unwrap();
    client.batch_execute(NOT_FOR_LONG).unwrap();
    let outcomes = carry_out(&mut client, "apply_plan()").unwrap();
    let held = outcomes.iter().find(|o| o.item == "log.app.events.events_cost").unwrap();
    assert_eq!(held.state, "queued", "{held:?}");
    let others = outcomes.iter().filter(|o| o.item.starts_with("1.1") && o.state == "applied");
    assert_eq!(others.count(), 8, "{outcomes:?}");
    own.batch_execute("ROLLBACK").unwrap();
    db.settle().unwrap();
    assert_eq!(plan_states(&mut client).unwrap()["log.app.events.events_cost"].state, "applied");
}

#[test]
fn who_is_slow_to_take_an_item_back_holds_nobody_up() {
    let (_db, mut client, mut own, _) = with_event_log(Template::ShapeA);
    import(&mut own, EVENT_LOG);
    let item = "log.app.recent_events";
    carry_out(&mut own, &format!("apply_plan(items => '{{{item}}}')")).unwrap();
    own.batch_execute("DROP VIEW app.recent_events").unwrap();
    own.batch_execute(&format!("BEGIN; SELECT FROM groundskeeper.rollback_plan(items => '{{{item}}}')"))
        .unwrap();
    client.batch_execute(NOT_FOR_LONG).unwrap();
    let outcomes = carry_out(&mut client, "rollback_plan()").unwrap();
    let held = outcomes.iter().find(|o| o.item == item).unwrap();
    assert_eq!((held.action.as_str(), held.state.as_str()), ("skip", "blocked"), "{held:?}");
    assert!(outcomes.iter().any(|o| o.item.starts_with("1.1") && o.action == "revert"), "{outcomes:?}");
    own.batch_execute("COMMIT").unwrap();
}

#[test]
fn nobody_takes_the_id_that_a_dropped_index_will_have() {
    let (db, mut client, mut own, _) = with_event_log(Template::Empty);
    client
        .batch_execute(
            "CREATE SCHEMA league; CREATE TABLE league.game (id integer PRIMARY KEY, venue text);
             CREATE INDEX game_venue ON league.game (venue); SET groundskeeper.index_observation = '0'",
        )
        .unwrap();
    let sly = r#"SELECT groundskeeper.add_plan_item('{"section": "beyond", "kind": "view", "query": "SELECT 1 AS one",
                    "relation": {"schema": "league", "name": "game.game_venue"}}')"#;
    assert_eq!(text(&mut own, sly).unwrap(), "beyond.league.game.game_venue");
    let outcome = carry_out(&mut client, "drop_unused_indexes(false)").unwrap().remove(0);
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{outcome:?}");
    client.batch_execute("SELECT groundskeeper.drop_plan_item('beyond.league.game.game_venue')").unwrap();
    let outcome = carry_out(&mut client, "drop_unused_indexes(false)").unwrap().remove(0);
    assert_eq!(outcome.action, "queue", "{outcome:?}");
    assert_eq!(refusal(&mut own, sly).unwrap().code, "42710");
    db.settle().unwrap();
    assert_eq!(refusal(&mut own, sly).unwrap().code, "42710");
    let outcome = carry_out(&mut client, "rollback_plan()").unwrap().remove(0);
    assert_eq!(outcome.action, "revert", "{outcome:?}");
    let there = "SELECT to_regclass('league.game_venue') IS NOT NULL";
    assert_eq!(text(&mut client, there).unwrap(), "true");
}

/// An item whose table is somebody else's by now, or whose author is gone, is taken back by who may do that to the table.
#[test]
fn what_was_given_away_is_not_there_for_good() {
    for gone in [false, true] {
        let (mut db, mut client, mut own, role) = with_event_log(Template::Empty);
        import(&mut own, EVENT_LOG);
        let before = facts(&mut client).unwrap();
        carry_out(&mut own, "apply_plan(sections => '{log,own}')").unwrap();
        db.settle().unwrap();
        drop(own);
        let (heir, role) = (quote_ident(&db.role("heir").unwrap()), quote_ident(&role));
        client.batch_execute(&format!("REASSIGN OWNED BY {role} TO {heir}")).unwrap();
        if gone {
            client.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
        }
        let drop = "SELECT groundskeeper.drop_plan_item('log.app.events.events_cost')";
        assert!(gone || refusal(&mut client, drop).unwrap().code == "55000");
        for call in ["rollback_plan(true)", "rollback_plan()"] {
            for outcome in carry_out(&mut client, call).unwrap() {
                assert_eq!(outcome.action, "revert", "{call}: {outcome:?}");
            }
        }
        db.settle().unwrap();
        let back = before.replace(role.trim_matches('"'), heir.trim_matches('"'));
        let changed = difference(&back, &facts(&mut client).unwrap());
        assert!(changed.is_empty(), "{changed}");
        client.batch_execute(drop).unwrap();
    }
}

#[test]
fn an_heir_has_nothing_of_the_author_run_as_himself() {
    let (mut db, mut client, mut own, role) = with_event_log(Template::Empty);
    own.batch_execute(
        "CREATE SEQUENCE app.called; GRANT ALL ON app.called TO PUBLIC; GRANT USAGE ON SCHEMA app TO PUBLIC;
         CREATE FUNCTION app.trap(x anyelement) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
         BEGIN PERFORM nextval('app.called'); RETURN true; END $$",
    )
    .unwrap();
    import(
        &mut own,
        "[[items]]\nrelation = \"app.events\"\nkind = \"check_constraint\"\nname = \"c\"\nexpression = \"app.trap(kind)\"",
    );
    let item = "own.app.events.c";
    carry_out(&mut own, &format!("apply_plan(items => '{{{item}}}')")).unwrap();
    let heir = db.role("heir").unwrap();
    client
        .batch_execute(&format!(
            "ALTER TABLE app.events OWNER TO {heir}; GRANT USAGE ON SCHEMA app TO {heir};
             GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper TO {heir};
             ALTER SEQUENCE app.called RESTART",
            heir = quote_ident(&heir)
        ))
        .unwrap();
    let mut his = db.client_as(&heir).unwrap();
    carry_out(&mut his, "rollback_plan(true)").unwrap();
    let outcomes = carry_out(&mut his, &format!("rollback_plan(items => '{{{item}}}')")).unwrap();
    assert_eq!(outcomes[0].action, "revert", "{outcomes:?} {role}");
    let called = "SELECT is_called FROM app.called";
    assert_eq!(text(&mut client, called).unwrap(), "false");
}

#[test]
fn a_view_that_reads_a_view_of_the_plan_comes_after_it() {
    let (db, mut client, mut own, _) = with_event_log(Template::Empty);
    let before = db.dump_schema().unwrap();
    // stated the other way round
    import(
        &mut own,
        r#"
[[items]]
section = "log"
relation = "app.top"
kind = "materialized_view"
query = "SELECT kind, n FROM app.middle"

[[items]]
section = "log"
relation = "app.top"
kind = "index"
name = "top_kind"
keys = ["kind"]

[[items]]
section = "log"
relation = "app.middle"
kind = "view"
query = "SELECT kind, count(*) AS n FROM app.base GROUP BY kind"

[[items]]
section = "log"
relation = "app.base"
kind = "view"
query = "SELECT kind FROM app.events"
"#,
    );
    let rehearsed = carry_out(&mut own, "apply_plan(true, '{log}')").unwrap();
    let order: Vec<&str> = rehearsed.iter().map(|o| o.item.as_str()).collect();
    assert_eq!(order, ["log.app.base", "log.app.middle", "log.app.top", "log.app.top.top_kind"]);
    for outcome in rehearsed.iter().chain(&carry_out(&mut client, "apply_plan(sections => '{log}')").unwrap())
    {
        assert_eq!(outcome.action, "apply", "{outcome:?}");
    }
    db.settle().unwrap();
    assert_eq!(texts(&mut own, "SELECT DISTINCT n FROM app.top WHERE kind = 'k3'").unwrap(), ["143"]);
    let states = plan_states(&mut own).unwrap();
    assert!(
        states.iter().filter(|(item, _)| item.starts_with("log.")).all(|(_, s)| s.state == "applied"),
        "{states:?}"
    );
    for call in ["rollback_plan(true)", "rollback_plan()"] {
        for outcome in carry_out(&mut own, call).unwrap() {
            assert_eq!(
                (outcome.action.as_str(), outcome.detail.as_str()),
                ("revert", ""),
                "{}",
                outcome.item
            );
        }
    }
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn a_transaction_that_only_reads_looks_and_rehearses() {
    let (_db, mut client, mut own, _) = with_event_log(Template::ShapeA);
    import(&mut own, EVENT_LOG);
    carry_out(&mut own, "apply_plan(items => '{log.app.events.events_cost}')").unwrap();
    client.batch_execute("SET default_transaction_read_only = on").unwrap();
    for call in [
        "SELECT FROM groundskeeper.plan_status()",
        "SELECT FROM groundskeeper.plan_items",
        "SELECT groundskeeper.export_plan()",
        "SELECT FROM groundskeeper.import_plan(groundskeeper.export_plan(), true)",
        "SELECT FROM groundskeeper.import_plan(groundskeeper.export_plan())",
        "SELECT FROM groundskeeper.apply_plan(true)",
        "SELECT FROM groundskeeper.rollback_plan(true)",
    ] {
        client.batch_execute(call).unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
    for call in [
        "SELECT FROM groundskeeper.apply_plan(items => '{log.app.events.events_kind_at}')",
        "SELECT FROM groundskeeper.rollback_plan()",
        "SELECT groundskeeper.add_plan_item('{\"statistics\": \"staging.games\"}')",
        "SELECT groundskeeper.drop_plan_item('log.app.events.at')",
        "SELECT groundskeeper.decline('log.app.events.at', 'no')",
    ] {
        if let Err(error) = client.batch_execute(call) {
            assert_eq!(error.as_db_error().unwrap().code().code(), "25006", "{call}: {error:?}");
        }
    }
    client.batch_execute("RESET default_transaction_read_only").unwrap();
    let states = plan_states(&mut client).unwrap();
    assert_eq!(states["log.app.events.events_cost"].state, "applied");
    assert_eq!(states["log.app.events.events_kind_at"].state, "pending");
}

#[test]
fn a_partitioned_table_of_another_name_is_told_and_waits_for_its_own() {
    let (db, mut client, mut own, _) = with_event_log(Template::Empty);
    let before = facts(&mut client).unwrap();
    import(&mut own, EVENT_LOG);
    let item = "log.app.events.at";
    carry_out(&mut own, &format!("apply_plan(items => '{{{item}}}')")).unwrap();
    db.settle().unwrap();
    let standing = |client: &mut _| {
        let standing = plan_states(client).unwrap()[item].clone();
        (standing.state, standing.detail)
    };
    assert_eq!(standing(&mut own).0, "applied");
    own.batch_execute(
        "SET groundskeeper.allow_partition_ddl = on; ALTER TABLE app.events RENAME TO elsewhere",
    )
    .unwrap();
    let said = "app.events was renamed to app.elsewhere".to_owned();
    assert_eq!(standing(&mut own), ("drifted".to_owned(), said));
    let back = format!("rollback_plan(items => '{{{item}}}')");
    let outcome = carry_out(&mut own, &back).unwrap().remove(0);
    assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{outcome:?}");
    assert!(outcome.detail.starts_with("app.events is app.elsewhere now"), "{outcome:?}");
    own.batch_execute("ALTER TABLE app.elsewhere RENAME TO events").unwrap();
    assert_eq!(standing(&mut own).0, "applied");
    assert_eq!(carry_out(&mut own, &back).unwrap()[0].action, "queue");
    db.settle().unwrap();
    let changed = difference(&before, &facts(&mut client).unwrap());
    assert!(changed.is_empty(), "{changed}");
}
