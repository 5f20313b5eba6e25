//! An item is code: whoever has it applied, it runs as who has added it.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::Template;
use groundskeeper_tests::plan::{carry_out, plan_states};
use groundskeeper_tests::sql::{refusal, text};
use postgres::Client;

use super::own::{EVENT_LOG, import, with_event_log};

/// A function for every place in which an item has an expression; it counts who runs it, and tries to become somebody else.
const TRAP: &str = "
    CREATE SEQUENCE app.as_owner; CREATE SEQUENCE app.as_another;
    GRANT ALL ON app.as_owner, app.as_another TO PUBLIC;
    CREATE FUNCTION app.trap(x anyelement) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
    BEGIN
        IF current_user = (SELECT relowner::regrole::text FROM pg_catalog.pg_class WHERE oid = 'app.as_owner'::regclass) THEN
            PERFORM nextval('app.as_owner');
        ELSE
            PERFORM nextval('app.as_another');
        END IF;
        PERFORM set_config('search_path', 'app', false);
        BEGIN
            EXECUTE 'RESET ROLE';
            EXECUTE 'CREATE ROLE trapped SUPERUSER';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        RETURN true;
    END $$;
    CREATE DOMAIN app.sly AS text CHECK (app.trap(VALUE));
    CREATE TYPE app.pair AS (a app.sly)";

const PLAN: &str = r#"
[[items]]
relation = "app.events"
kind = "expression_index"
name = "trap_index"
keys = ["(app.trap(kind))"]
predicate = "app.trap(id)"

[[items]]
relation = "app.events"
kind = "check_constraint"
name = "trap_check"
expression = "app.trap(kind) AND '(x)'::app.pair IS NOT NULL"

[[items]]
relation = "app.trap_view"
kind = "view"
query = "SELECT app.trap(id) AS t, '(x)'::app.pair AS p FROM app.events"

[[items]]
relation = "app.trap_matview"
kind = "materialized_view"
query = "SELECT app.trap(id) AS t, '(x)'::app.pair AS p FROM app.events"
"#;

fn counted(client: &mut Client, sequence: &str) -> i64 {
    let last = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM app.{sequence}");
    client.query_one(&last, &[]).unwrap().get(0)
}

/// It has sprung, and for nobody but its owner.
fn assert_sprung_for_its_owner_only(client: &mut Client) {
    assert_eq!(counted(client, "as_another"), 0);
    assert!(counted(client, "as_owner") > 0);
}

#[test]
fn nothing_of_an_item_runs_with_the_callers_rights() {
    let (db, mut client, mut own, _) = with_event_log(Template::Empty);
    own.batch_execute(TRAP).unwrap();
    import(&mut own, PLAN);
    for call in ["apply_plan(true)", "apply_plan()", "rollback_plan(true)", "rollback_plan()", "apply_plan()"]
    {
        plan_states(&mut client).unwrap();
        carry_out(&mut client, call).unwrap();
        db.settle().unwrap();
    }
    assert_sprung_for_its_owner_only(&mut client);
    assert_eq!(text(&mut client, "SELECT count(*) FROM pg_roles WHERE rolname = 'trapped'").unwrap(), "0");
    // nor does it leave anything in the caller's session
    assert_eq!(text(&mut client, "SELECT current_setting('search_path')").unwrap(), "\"$user\", public");
    let applied =
        "SELECT count(*) FROM groundskeeper.plan_status() WHERE item LIKE 'own.%' AND state = 'applied'";
    assert_eq!(text(&mut client, applied).unwrap(), "4");
}

#[test]
fn another_ordinary_role_has_it_looked_at_only() {
    let (mut db, mut client, mut own, role) = with_event_log(Template::Empty);
    own.batch_execute(TRAP).unwrap();
    import(&mut own, PLAN);
    let other = db.role("other").unwrap();
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper TO {}",
            quote_ident(&other)
        ))
        .unwrap();
    let mut stranger = db.client_as(&other).unwrap();
    for outcome in carry_out(&mut stranger, "apply_plan(sections => '{own}')").unwrap() {
        assert_eq!((outcome.action.as_str(), outcome.state.as_str()), ("skip", "blocked"), "{outcome:?}");
        assert!(outcome.detail.contains(&format!("added by {role}")), "{outcome:?}");
    }
    for call in [
        "SELECT groundskeeper.drop_plan_item('own.app.trap_view')",
        "SELECT groundskeeper.decline('own.app.trap_view', 'mine now')",
        "SELECT groundskeeper.decline('5.2.monitoring.slow_queries', 'mine now')",
    ] {
        assert_eq!(refusal(&mut stranger, call).unwrap().code, "42501", "{call}");
    }
    carry_out(&mut own, "apply_plan(sections => '{own}')").unwrap();
    db.settle().unwrap();
    for outcome in carry_out(&mut stranger, "rollback_plan()").unwrap() {
        assert_eq!(outcome.action, "skip", "{outcome:?}");
    }
    assert_sprung_for_its_owner_only(&mut client);
}

#[test]
fn a_group_that_cannot_log_in_shares_its_items() {
    let (mut db, mut client, _, _) = with_event_log(Template::Empty);
    let member = db.role("member").unwrap();
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper TO {member};
             CREATE ROLE team_{member} NOLOGIN; GRANT team_{member} TO {member};
             CREATE TABLE app.shared (id bigint, n integer); ALTER TABLE app.shared OWNER TO team_{member};
             GRANT ALL ON SCHEMA app TO team_{member}; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper TO team_{member}",
            member = quote_ident(&member).trim_matches('"')
        ))
        .unwrap();
    let mut own = db.client_as(&member).unwrap();
    import(
        &mut own,
        "[[items]]\nrelation = \"app.shared\"\nkind = \"index\"\nname = \"shared_n\"\nkeys = [\"n\"]",
    );
    own.batch_execute("SET groundskeeper.inline_build_limit = 0; INSERT INTO app.shared SELECT g, g FROM generate_series(1, 1000) g").unwrap();
    let outcome = carry_out(&mut own, "apply_plan(sections => '{own}')").unwrap().remove(0);
    assert_eq!(outcome.action, "queue", "{outcome:?}");
    db.settle().unwrap();
    let owner = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'app.shared_n'::regclass";
    assert_eq!(text(&mut client, owner).unwrap(), format!("team_{member}"));
    carry_out(&mut own, "rollback_plan()").unwrap();
    db.settle().unwrap();
    client
        .batch_execute(&format!(
            "DROP TABLE app.shared; DROP OWNED BY team_{member}; DROP ROLE team_{member}"
        ))
        .unwrap();
}

#[test]
fn items_of_a_role_that_is_gone_are_blocked_and_can_be_dropped() {
    let (db, mut client, mut own, role) = with_event_log(Template::Empty);
    import(&mut own, EVENT_LOG);
    carry_out(&mut own, "apply_plan(items => '{log.app.events.events_cost}')").unwrap();
    drop(own);
    let quoted = quote_ident(&role);
    client
        .batch_execute(&format!(
            "REASSIGN OWNED BY {quoted} TO postgres; DROP OWNED BY {quoted}; DROP ROLE {quoted}"
        ))
        .unwrap();
    let states = plan_states(&mut client).unwrap();
    let index = &states["log.app.events.events_kind_at"];
    assert_eq!(index.state, "blocked");
    assert!(
        index.detail.contains(&format!("role {role}, which added it, does not exist any more")),
        "{index:?}"
    );
    let outcomes = carry_out(&mut client, "apply_plan(sections => '{log}')").unwrap();
    assert!(outcomes.iter().all(|o| o.action == "skip"), "{outcomes:?}");
    carry_out(&mut client, "rollback_plan()").unwrap();
    for item in states.keys().filter(|item| item.starts_with("log.") || item.starts_with("own.")) {
        client.execute("SELECT groundskeeper.drop_plan_item($1)", &[item]).unwrap();
    }
    db.settle().unwrap();
}

#[test]
fn an_item_of_a_superusers_on_anothers_table_runs_as_the_tables_owner() {
    let (db, mut client, mut own, _) = with_event_log(Template::Empty);
    own.batch_execute(TRAP).unwrap();
    own.batch_execute("CREATE INDEX planted ON app.events ((app.trap(kind))); CREATE VIEW app.sly_view AS SELECT app.trap(id) FROM app.events").unwrap();
    import(
        &mut client,
        r#"
[[items]]
relation = "app.events"
kind = "check_constraint"
name = "plain_check"
expression = "id > 0"

[[items]]
relation = "app.counts"
kind = "materialized_view"
query = "SELECT kind, count(*) AS n FROM app.events WHERE kind > 'a' GROUP BY kind"

[[items]]
relation = "public.stolen"
kind = "materialized_view"
query = "SELECT * FROM pg_catalog.pg_class, app.sly_view"
"#,
    );
    let outcomes = carry_out(&mut client, "apply_plan(sections => '{own}')").unwrap();
    let stolen = outcomes.iter().find(|o| o.item == "own.public.stolen").unwrap();
    assert_eq!(stolen.state, "blocked", "{stolen:?}");
    db.settle().unwrap();
    assert_eq!(plan_states(&mut client).unwrap()["own.app.counts"].state, "applied");
    assert_sprung_for_its_owner_only(&mut client);
}

#[test]
fn a_superusers_words_are_not_read_where_they_name_anothers_type() {
    let (db, mut client, mut own, role) = with_event_log(Template::Empty);
    own.batch_execute(TRAP).unwrap();
    own.batch_execute("CREATE TABLE app.slies (p app.pair, s app.sly, n integer)").unwrap();
    client.batch_execute("CREATE TABLE public.mine (id integer)").unwrap();
    import(
        &mut client,
        r#"
[[items]]
relation = "public.by_name"
kind = "view"
query = "SELECT '(x)'::app.pair AS p"

[[items]]
relation = "public.by_array"
kind = "view"
query = "SELECT '{x}' :: \"app\" . Sly[] AS p"

[[items]]
relation = "public.by_escape"
kind = "view"
query = "SELECT '(x)'::U&\"\\0061pp\".pair AS p"

[[items]]
relation = "public.by_column"
kind = "view"
query = "SELECT n FROM app.slies WHERE p = '(x)'"

[[items]]
relation = "public.mine"
kind = "check_constraint"
name = "by_check"
expression = "'(x)'::app.pair IS NOT NULL"

[[items]]
relation = "public.mine"
kind = "expression_index"
name = "by_index"
keys = ["(('(x)'::app.pair).a)"]
"#,
    );
    for call in ["apply_plan(true)", "apply_plan()", "rollback_plan()"] {
        plan_states(&mut client).unwrap();
        carry_out(&mut client, call).unwrap();
        db.settle().unwrap();
    }
    let states = plan_states(&mut client).unwrap();
    let strange: Vec<_> = states.iter().filter(|(item, _)| item.starts_with("own.public.")).collect();
    assert_eq!(strange.len(), 6);
    for (item, state) in strange {
        assert_eq!(state.state, "blocked", "{item}");
        assert!(state.detail.contains(&format!("which belongs to {role}")), "{item}: {}", state.detail);
    }
    assert_eq!(counted(&mut client, "as_another"), 0);
    // What is nobody else's code is read as ever.
    own.batch_execute("ALTER DOMAIN app.sly DROP CONSTRAINT sly_check").unwrap();
    assert_eq!(plan_states(&mut client).unwrap()["own.public.by_name"].state, "pending");
}
