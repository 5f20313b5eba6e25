//! `alter_column_type()`: the user's own changes, under the plan's views.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::plan::plan_states;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference, facts};

const TYPE: &str = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                     WHERE attrelid = 'staging.moneylines'::regclass AND attname = 'validation_status'";

#[test]
fn views_stay_as_they_were() {
    let db = TestDb::installed(Template::ShapeAWithDependents).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    let plain = "ALTER TABLE staging.moneylines ALTER COLUMN validation_status TYPE varchar(77)";
    assert_eq!(refusal(&mut client, plain).unwrap().code, "0A000");
    let known = facts(&mut client).unwrap();
    let call =
        "SELECT groundskeeper.alter_column_type('staging.moneylines', 'validation_status', 'varchar(77)')";
    assert_eq!(text(&mut client, call).unwrap(), "");
    assert_eq!(text(&mut client, TYPE).unwrap(), "character varying(77)");
    let changed: Vec<String> =
        difference(&known, &facts(&mut client).unwrap()).lines().map(str::to_owned).collect();
    assert!(changed.iter().all(|line| line.contains("character varying")), "{changed:#?}");
    let states = plan_states(&mut client).unwrap();
    let unwell: Vec<_> = states
        .iter()
        .filter(|(_, s)| matches!(s.state.as_str(), "drifted" | "conflict" | "blocked"))
        .collect();
    assert!(unwell.is_empty(), "{unwell:?}");
}

#[test]
fn a_large_table_is_a_jobs() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "INSERT INTO staging.moneylines (validation_status) SELECT 'validated' FROM generate_series(1, 2000);
             SET groundskeeper.inline_build_limit = 0",
        )
        .unwrap();
    let call = "SELECT groundskeeper.alter_column_type('staging.moneylines', 'validation_status', 'varchar(78)') IS NOT NULL";
    assert_eq!(text(&mut client, call).unwrap(), "true");
    db.settle().unwrap();
    let ended =
        "SELECT format('%s %s %s', kind, state, error) FROM groundskeeper.jobs ORDER BY job_id DESC LIMIT 1";
    assert_eq!(text(&mut client, ended).unwrap().trim(), "alter_column_type succeeded");
    assert_eq!(text(&mut client, TYPE).unwrap(), "character varying(78)");
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_changed() {
    let mut db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let stranger = db.role("stranger").unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA groundskeeper TO {}",
            quote_ident(&stranger)
        ))
        .unwrap();
    let before = db.dump().unwrap();
    let call = |arguments: &str| format!("SELECT groundskeeper.alter_column_type({arguments})");
    for (arguments, code) in [
        ("'staging.games', 'nothing', 'text'", "42703"),
        ("'staging.games', 'ctid', 'text'", "42703"),
        ("'staging.games', 'id', 'text; DROP TABLE staging.games'", "22023"),
        ("'staging.games', 'id', 'text USING now()::text'", "22023"),
        ("'staging.games', 'id', ''", "22023"),
        ("'staging.games', 'game_date', 'no_such_type'", "42704"),
        ("'staging.games', 'game_date', 'integer'", "42804"),
        ("'staging.daily_game_stats', 'game_date', 'text'", "42809"),
        ("'staging.games', 'id', NULL", "22004"),
    ] {
        assert_eq!(refusal(&mut client, &call(arguments)).unwrap().code, code, "{arguments}");
    }
    let mut stranger = db.client_as(&stranger).unwrap();
    assert_eq!(refusal(&mut stranger, &call("'staging.games', 'id', 'bigint'")).unwrap().code, "42501");
    let changed = difference(&before, &db.dump().unwrap());
    assert!(changed.is_empty(), "{changed}");
    let views = "SELECT count(*) FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'staging'::regnamespace";
    assert_eq!(texts(&mut client, views).unwrap(), ["3"]);
}
