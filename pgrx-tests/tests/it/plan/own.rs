//! Items that users add: stated, applied, restored, taken back.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::{carry_out, plan_states};
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};
use postgres::Client;

/// A plan for an event log, as its owner writes it.
pub const EVENT_LOG: &str = r#"
statistics = ["app.events"]

[[items]]
section = "log"
relation = "app.events"
kind = "index"
name = "events_kind_at"
keys = ["kind", "at DESC"]
predicate = "kind <> 'debug'"

[[items]]
section = "log"
relation = "app.events"
kind = "expression_index"
name = "events_lower_source"
keys = ["(lower(source))"]

[[items]]
section = "log"
relation = "app.events"
kind = "check_constraint"
name = "events_cost"
expression = "cost >= 0"

[[items]]
section = "log"
relation = "app.events"
kind = "widen_numeric"
column = "cost"
precision = 8
scale = 2

[[items]]
section = "log"
relation = "app.recent_events"
kind = "view"
options = "security_barrier = true"
query = "SELECT id, kind, at FROM app.events WHERE at > '2020-01-01'"

[[items]]
section = "log"
relation = "app.events_by_kind"
kind = "materialized_view"
query = "SELECT kind, count(*) AS events FROM app.events GROUP BY kind"

[[items]]
section = "log"
relation = "app.events_by_kind"
kind = "index"
name = "events_by_kind_key"
keys = ["kind"]
unique = true

[[items]]
section = "log"
relation = "app.events"
kind = "partitioned_table"
key = "at"
interval = "week"
"#;

/// A role with a schema and a table of its own, and what it may call.
pub fn with_event_log(template: Template) -> (TestDb, Client, Client, String) {
    let mut db = TestDb::installed(template).unwrap();
    db.settle().unwrap();
    let role = db.role("app").unwrap();
    let quoted = quote_ident(&role);
    let mut client = db.client().unwrap();
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper TO {quoted};
             GRANT SELECT ON groundskeeper.plan_items, groundskeeper.change_log TO {quoted};
             CREATE SCHEMA app AUTHORIZATION {quoted}"
        ))
        .unwrap();
    let mut own = db.client_as(&role).unwrap();
    own.batch_execute(
        "CREATE TABLE app.events (id bigint, kind text NOT NULL, source text, cost numeric(5,2), at timestamptz NOT NULL,
                                  PRIMARY KEY (id, at));
         INSERT INTO app.events SELECT g, 'k' || g % 7, 'S' || g, g % 100, '2025-01-01'::timestamptz + g * interval '1 hour'
           FROM generate_series(1, 1000) g",
    )
    .unwrap();
    (db, client, own, role)
}

pub fn import(client: &mut Client, plan: &str) {
    client.execute("SELECT FROM groundskeeper.import_plan($1)", &[&plan]).unwrap();
}

fn own_states(client: &mut Client) -> Vec<String> {
    let states = plan_states(client).unwrap();
    let own = states.into_iter().filter(|(item, _)| item.starts_with("log.") || item.starts_with("own."));
    own.map(|(item, s)| format!("{item} {} {}", s.state, s.detail).trim().to_owned()).collect()
}

/// Every item but the conversion, which is asked for by its name.
const APPLY: &str = "apply_plan(sections => '{log,own}')";

#[test]
fn every_kind_is_applied_and_taken_back_to_the_byte() {
    let (db, mut client, mut own, role) = with_event_log(Template::Empty);
    let (before, known) = (db.dump_schema().unwrap(), facts(&mut client).unwrap());
    import(&mut own, EVENT_LOG);
    let pending = own_states(&mut own);
    assert!(pending.iter().all(|line| line.contains(" pending")), "{pending:?}");
    assert_eq!(pending.len(), 9);
    // whoever calls it, it is done with the rights of who has added it
    for outcome in carry_out(&mut client, APPLY).unwrap() {
        let expected = if outcome.item == "log.app.events.at" { "skip" } else { "apply" };
        assert_eq!(outcome.action, expected, "{outcome:?}");
    }
    db.settle().unwrap();
    let applied = own_states(&mut own);
    let unapplied: Vec<&String> = applied.iter().filter(|line| !line.ends_with(" applied")).collect();
    assert_eq!(unapplied.len(), 1, "{applied:?}");
    let owners =
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'app'::regnamespace";
    assert_eq!(texts(&mut client, owners).unwrap(), [quote_ident(&role).trim_matches('"')]);
    let kept = "SELECT relation FROM groundskeeper.maintained_relations";
    assert_eq!(texts(&mut client, kept).unwrap(), ["app.events"]);

    let outcomes = carry_out(&mut client, "apply_plan(items => '{log.app.events.at}')").unwrap();
    assert_eq!(outcomes[0].action, "queue", "{outcomes:?}");
    db.settle().unwrap();
    let converted = "SELECT relkind FROM pg_class WHERE oid = 'app.events'::regclass";
    assert_eq!(text(&mut client, converted).unwrap(), "p", "{:?}", own_states(&mut own));
    // what was made before it is the partitioned table's now
    assert_eq!(own_states(&mut own).iter().filter(|line| line.contains(" applied")).count(), 9);
    own.batch_execute("SELECT groundskeeper.undo_partitioning('app.events')").unwrap();
    db.settle().unwrap();
    for outcome in carry_out(&mut own, "rollback_plan()").unwrap() {
        assert_eq!((outcome.action.as_str(), outcome.detail.as_str()), ("revert", ""), "{}", outcome.item);
    }
    db.settle().unwrap();
    let changed = difference(&known, &facts(&mut client).unwrap());
    assert!(changed.is_empty(), "{changed}");
    let changed = difference(&before, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{changed}");
    for item in own_states(&mut own) {
        let id = item.split(' ').next().unwrap().to_owned();
        own.execute("SELECT groundskeeper.drop_plan_item($1)", &[&id]).unwrap();
    }
    assert!(own_states(&mut own).is_empty());
}

#[test]
fn a_restored_copy_has_the_items_and_their_author() {
    let (db, mut client, mut own, role) = with_event_log(Template::ShapeA);
    import(&mut own, EVENT_LOG);
    carry_out(&mut own, APPLY).unwrap();
    db.settle().unwrap();
    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &db.dump().unwrap()).unwrap();
    let mut there = copy.client().unwrap();
    let items = "SELECT format('%s %s %s %s', item, definition, origin, added_by) FROM groundskeeper.plan_items ORDER BY item";
    assert_eq!(texts(&mut there, items).unwrap(), texts(&mut client, items).unwrap());
    assert_eq!(plan_states(&mut there).unwrap(), plan_states(&mut client).unwrap());
    // with a new name of the role at home
    let renamed =
        format!("ALTER ROLE {} RENAME TO {}", quote_ident(&role), quote_ident(&format!("{role}_x")));
    client.batch_execute(&renamed).unwrap();
    let by = "SELECT DISTINCT added_by FROM groundskeeper.plan_items WHERE origin = 'own'";
    assert_eq!(texts(&mut client, by).unwrap(), [format!("{role}_x")]);
    let back = format!("ALTER ROLE {} RENAME TO {}", quote_ident(&format!("{role}_x")), quote_ident(&role));
    client.batch_execute(&back).unwrap();
    for outcome in carry_out(&mut there, "rollback_plan(items => '{log.app.events.events_cost}')").unwrap() {
        assert_eq!(outcome.action, "revert", "{outcome:?}");
    }
    let cost = "SELECT count(*) FROM pg_constraint WHERE conname = 'events_cost'";
    assert_eq!(text(&mut there, cost).unwrap(), "0");
}

#[test]
fn what_is_exported_is_imported() {
    let (_db, _, mut own, _) = with_event_log(Template::Empty);
    let rehearsed: i64 = own
        .query_one(
            "SELECT count(*) FROM groundskeeper.import_plan($1, true) WHERE action = 'add'",
            &[&EVENT_LOG],
        )
        .unwrap()
        .get(0);
    assert_eq!(rehearsed, 9);
    assert!(own_states(&mut own).is_empty());
    import(&mut own, EVENT_LOG);
    let states = own_states(&mut own);
    let exported = text(&mut own, "SELECT groundskeeper.export_plan()").unwrap();
    let again: Vec<String> = own
        .query("SELECT DISTINCT action FROM groundskeeper.import_plan($1)", &[&exported])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(again, ["keep"]);
    for item in states {
        own.execute("SELECT groundskeeper.drop_plan_item($1)", &[&item.split(' ').next().unwrap()]).unwrap();
    }
    import(&mut own, &exported);
    assert_eq!(text(&mut own, "SELECT groundskeeper.export_plan()").unwrap(), exported);
    let other = exported.replace("cost >= 0", "cost > 0");
    let row = own
        .query_one(
            "SELECT item, detail FROM groundskeeper.import_plan($1) WHERE action = 'conflict'",
            &[&other],
        )
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "log.app.events.events_cost");
    assert!(row.get::<_, &str>(1).contains("drop_plan_item('log.app.events.events_cost')"));
}

#[test]
fn an_applied_item_is_not_dropped() {
    let (_db, mut client, mut own, _) = with_event_log(Template::Empty);
    let added =
        "SELECT groundskeeper.add_plan_item('{\"relation\": \"app.events\", \"kind\": \"check_constraint\",
        \"name\": \"c\", \"expression\": \"cost >= 0\"}')";
    assert_eq!(text(&mut own, added).unwrap(), "own.app.events.c");
    carry_out(&mut own, "apply_plan(items => '{own.app.events.c}')").unwrap();
    let refused = refusal(&mut own, "SELECT groundskeeper.drop_plan_item('own.app.events.c')").unwrap();
    assert_eq!(refused.code, "55000");
    assert!(refused.hint.contains("rollback_plan(items => ARRAY['own.app.events.c'])"), "{refused:?}");
    carry_out(&mut own, "rollback_plan()").unwrap();
    own.batch_execute("SELECT groundskeeper.drop_plan_item('own.app.events.c')").unwrap();
    let refused =
        refusal(&mut client, "SELECT groundskeeper.drop_plan_item('5.2.monitoring.slow_queries')").unwrap();
    assert_eq!(refused.code, "42704");
    assert!(refused.hint.contains("groundskeeper.decline("), "{refused:?}");
}

#[test]
fn what_cannot_be_an_item_is_refused_by_its_field() {
    let (db, mut client, mut own, _) = with_event_log(Template::ShapeA);
    let before = db.dump().unwrap();
    let item = |fields: &str| {
        format!("SELECT groundskeeper.add_plan_item('{{\"relation\": \"app.events\", {fields}}}')")
    };
    for (fields, field) in [
        ("\"kind\": \"index\", \"name\": \"i\"", "keys"),
        ("\"kind\": \"index\", \"name\": \"i\", \"keys\": [\"kind) WHERE (true\"]", "keys"),
        ("\"kind\": \"index\", \"name\": \"i\", \"keys\": [\"kind, at\"]", "keys"),
        ("\"kind\": \"index\", \"name\": \"i\", \"keys\": [\"kind -- \"]", "keys"),
        (
            "\"kind\": \"index\", \"name\": \"i\", \"keys\": [\"kind\"], \"predicate\": \"true; DROP TABLE app.events\"",
            "predicate",
        ),
        (
            "\"kind\": \"check_constraint\", \"name\": \"c\", \"expression\": \"true) NOT VALID; SELECT (1\"",
            "expression",
        ),
        ("\"kind\": \"check_constraint\", \"name\": \"c\", \"expression\": \"a, b\"", "expression"),
        (
            "\"kind\": \"check_constraint\", \"name\": \"c\", \"expression\": \"a FROM app.events\"",
            "expression",
        ),
        ("\"kind\": \"check_constraint\", \"name\": \"c\", \"expression\": \"a -- \"", "expression"),
        ("\"kind\": \"check_constraint\", \"name\": \"c\", \"expression\": \"\\\\! id\"", "expression"),
        ("\"kind\": \"view\", \"query\": \"DELETE FROM app.events\"", "query"),
        ("\"kind\": \"view\", \"query\": \"SELECT 1; SELECT 2\"", "query"),
        ("\"kind\": \"view\", \"query\": \"SELECT 1\", \"options\": \"a = b) AS SELECT 2 --\"", "options"),
        ("\"kind\": \"materialized_view\", \"query\": \"SELECT 1 INTO x\"", "query"),
        ("\"kind\": \"partitioned_table\", \"key\": \"at\", \"interval\": \"eon\"", "interval"),
        ("\"kind\": \"role_setting\"", "kind"),
        ("\"kind\": \"statistics\", \"colour\": 1", "colour"),
    ] {
        let refused = refusal(&mut own, &item(fields)).unwrap();
        assert_eq!(refused.code, "22023", "{fields}: {refused:?}");
        assert!(refused.message.contains(&format!("field \"{field}\"")), "{fields}: {refused:?}");
    }
    for (call, code) in [
        ("SELECT groundskeeper.add_plan_item('7')", "22023"),
        ("SELECT groundskeeper.add_plan_item(NULL)", "22004"),
        (
            "SELECT groundskeeper.add_plan_item('{\"kind\": \"statistics\", \"relation\": \"staging.games\"}')",
            "42501",
        ),
        (
            "SELECT groundskeeper.add_plan_item('{\"kind\": \"statistics\", \"relation\": \"groundskeeper.job\"}')",
            "22023",
        ),
        ("SELECT groundskeeper.import_plan('[pool]')", "22023"),
    ] {
        assert_eq!(refusal(&mut own, call).unwrap().code, code, "{call}");
    }
    // whatever is built in has its id
    let games =
        "SELECT groundskeeper.add_plan_item('{\"section\": \"2.1\", \"kind\": \"index\", \"keys\": [\"id\"],
        \"relation\": \"staging.games\", \"name\": \"idx_staging_games_external_validation\"}')";
    assert_eq!(refusal(&mut client, games).unwrap().code, "42710");
    let changed = difference(&before, &db.dump().unwrap());
    assert!(changed.is_empty(), "{changed}");
}
